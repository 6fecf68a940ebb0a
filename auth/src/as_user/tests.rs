use super::*;

fn user(uid: u32, gid: u32, groups: &[u32]) -> AsUser {
    AsUser { uid, gid, groups: groups.to_vec() }
}

#[test]
fn first_group_is_the_primary_one_and_the_users_number_where_none_is_given() {
    for (text, expected, shown) in [
        ("1000", user(1000, 1000, &[]), "1000:1000"),
        ("1000:100", user(1000, 100, &[]), "1000:100"),
        ("1000:100,4,24", user(1000, 100, &[4, 24]), "1000:100,4,24"),
        ("1000:100,4,100,4", user(1000, 100, &[4]), "1000:100,4"),
        ("0", user(0, 0, &[]), "0:0"),
        ("4294967295:0", user(u32::MAX, 0, &[]), "4294967295:0"),
    ] {
        let parsed: AsUser = text.parse().unwrap();
        assert_eq!(parsed, expected, "{text}");
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(shown.parse(), Ok(parsed), "{text} is read as it was shown");
    }
}

#[test]
fn empty_text_is_nobody_and_no_user() {
    assert_eq!(AsUser::parse_optional(""), Ok(None));
    assert_eq!(AsUser::parse_optional("7"), Ok(Some(user(7, 7, &[]))));
    assert!("".parse::<AsUser>().is_err());
}

#[test]
fn anything_but_numbers_is_refused_by_name() {
    let texts = [
        "ann",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1:",
        ":1",
        "1:2,",
        "1:,2",
        "1:2,,3",
        "1:2:3",
        "1,2",
        "4294967296",
        "1:4294967296",
        "0x10",
        "1.5",
        "\u{661}",
    ];
    for text in texts {
        let error = text.parse::<AsUser>().unwrap_err();
        assert_eq!(error, BadAsUser::Text(text.to_owned()));
        assert!(
            error.to_string().contains("UID[:GID[,GID...]]") && error.to_string().contains("4294967295"),
            "{error}"
        );
    }
}

#[test]
fn groups_have_a_bound_and_so_has_what_an_error_repeats() {
    let list = |count: usize| (1..=count).map(|gid| gid.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(format!("9:{}", list(64)).parse::<AsUser>().unwrap().groups.len(), 63);
    assert_eq!(format!("9:{}", list(65)).parse::<AsUser>(), Err(BadAsUser::TooMany(65)));
    assert!("x".repeat(100_000).parse::<AsUser>().unwrap_err().to_string().len() < 300);
}
