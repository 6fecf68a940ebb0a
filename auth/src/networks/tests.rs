use super::*;

fn networks(list: &str) -> Networks {
    list.parse().unwrap()
}

fn allows(list: &str, addr: &str) -> bool {
    networks(list).allow(addr.parse().unwrap())
}

#[test]
fn addresses_inside_are_allowed_and_no_others() {
    for (list, inside, outside) in [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("192.168.0.0/31, 127.0.0.0/8", "127.9.9.9", "192.168.0.2"),
        ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
        ("::1/128", "::1", "::2"),
        ("0.0.0.0/0", "203.0.113.9", "::1"),
        ("::/0", "fe80::1", "203.0.113.9"),
    ] {
        assert!(allows(list, inside), "{list} {inside}");
        assert!(!allows(list, outside), "{list} {outside}");
    }
}

#[test]
fn mapped_address_is_what_it_maps() {
    assert!(allows("10.0.0.0/8", "::ffff:10.1.1.1"));
    assert!(!allows("::/0", "::ffff:10.1.1.1"));
}

#[test]
fn empty_list_allows_everybody() {
    for list in ["", " , "] {
        assert!(networks(list).are_all() && allows(list, "203.0.113.9") && allows(list, "::1"));
    }
}

#[test]
fn list_is_shown_as_it_is_read() {
    let list = networks("10.0.0.0/8,2001:DB8::/32, 127.0.0.1");
    assert_eq!(list.to_string(), "10.0.0.0/8,2001:db8::/32,127.0.0.1/32");
    assert_eq!(networks(&list.to_string()), list);
}

#[test]
fn what_is_no_network_is_named_with_what_would_be_right() {
    for list in
        ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "host", "10.0.0.0/8/8", "10.0.0.0/999"]
    {
        let error = list.parse::<Networks>().unwrap_err().to_string();
        assert!(error.contains(&format!("{list:?}")) && error.contains("CIDR"), "{error}");
    }
    let error = "10.1.2.3/8".parse::<Networks>().unwrap_err().to_string();
    assert!(error.contains("10.0.0.0/8"), "{error}");
    let many = vec!["10.0.0.1"; BLOCKS_MAX + 1].join(",");
    assert_eq!(many.parse::<Networks>(), Err(BadNetwork::TooMany(65)));
}
