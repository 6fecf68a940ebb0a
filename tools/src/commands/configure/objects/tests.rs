use clap::Parser;
use serde_json::json;

use super::*;

#[derive(Parser)]
struct Line<T: Subcommand> {
    #[command(subcommand)]
    object: T,
}

fn parse<T: Subcommand>(line: &str) -> T {
    let words = std::iter::once("configure").chain(line.split(' '));
    Line::<T>::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).object
}

const ID: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn flags_become_the_fields_that_were_given() {
    let line = format!("volume --name data --metaStoreID {ID} --blockStoreID {ID} --blockSize 1MiB --retention -1");
    let (kind, fields) = parse::<Create>(&line).into_parts();
    assert_eq!(kind, &kind::VOLUME);
    let expected = json!({
        "name": "data", "meta_store_id": ID, "block_store_id": ID, "block_size": 1 << 20, "retention": -1
    });
    assert_eq!(Value::Object(fields), expected);
}

#[test]
fn encryption_is_asked_for_with_and_without_a_value() {
    for (flag, expected) in [("--encryption", true), ("--encryption=true", true), ("--encryption false", false)] {
        let line = format!("volume --name data --metaStoreID {ID} --blockStoreID {ID} {flag}");
        assert_eq!(parse::<Create>(&line).into_parts().1["encryption"], expected, "{flag}");
    }
}

#[test]
fn ids_that_are_none_are_refused_before_the_server_is_asked() {
    for line in ["meta-store nope", "account ann"] {
        let words = std::iter::once("configure").chain(line.split(' '));
        let error = Line::<Key>::try_parse_from(words).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("an id (UUID) is needed"), "{error}");
    }
}

#[test]
fn secrets_reach_the_body_and_nothing_else() {
    let create = parse::<Create>("account --name ann --token sesame");
    assert!(!format!("{create:?}").contains("sesame"));
    assert_eq!(create.into_parts().1["token"], "sesame");
}

#[test]
fn update_takes_key_and_changes_apart() {
    let (kind, key, fields) = parse::<Update>("volume data --flags= --maxInodes 5").into_parts();
    assert_eq!((kind, key), (&kind::VOLUME, vec!["data".to_owned()]));
    assert_eq!(Value::Object(fields), json!({"flags": "", "max_inodes": 5}));
}

#[test]
fn region_has_a_key_of_two_parts() {
    let (kind, key) = parse::<Key>("region aws us-east-1").into_parts();
    assert_eq!((kind, key), (&kind::REGION, vec!["aws".to_owned(), "us-east-1".to_owned()]));
}

#[test]
fn list_without_filters_asks_for_everything() {
    assert!(parse::<List>("volume-token").into_parts().1.is_empty());
    assert_eq!(parse::<List>("region --providerCode aws").into_parts().1["provider_code"], "aws");
}

#[test]
fn identity_is_a_field_in_its_usual_form_and_taken_away_with_nothing() {
    for (line, expected) in [
        ("volume data --asUser 1000", "1000:1000"),
        ("volume data --asUser=", ""),
        ("volume-token t --asUser 1000:100,4,4", "1000:100,4"),
        ("volume-token t --asUser=", ""),
    ] {
        let fields = parse::<Update>(line).into_parts().2;
        assert_eq!(Value::Object(fields), json!({ "as_user": expected }), "{line}");
    }
    let line = "volume-token --volumeID data --flags rootSquash --asUser 0";
    let expected = json!({ "volume_id": "data", "flags": "rootSquash", "as_user": "0:0" });
    assert_eq!(Value::Object(parse::<Create>(line).into_parts().1), expected);
    let line = format!("volume --name data --metaStoreID {ID} --blockStoreID {ID} --asUser 4294967295:1,2");
    assert_eq!(parse::<Create>(&line).into_parts().1["as_user"], "4294967295:1,2");
}

#[test]
fn user_that_is_none_is_refused_before_the_server_is_asked() {
    for user in ["ann", "-1", "1000:", "4294967296", "1000:users", "1000:1:2"] {
        let words = ["configure", "volume", "data", &format!("--asUser={user}")].map(str::to_owned);
        let error = Line::<Update>::try_parse_from(words).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(user) && error.contains("UID[:GID[,GID...]] is needed"), "{error}");
    }
}
