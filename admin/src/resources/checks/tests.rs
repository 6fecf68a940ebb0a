use super::*;

#[test]
fn mount_path_is_brought_to_its_usual_form() {
    for (given, kept) in [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a b/ü/.x", "/a b/ü/.x")] {
        assert_eq!(mount_path(given).unwrap(), kept);
    }
}

#[test]
fn mount_path_that_leads_elsewhere_is_refused() {
    let long = format!("/{}", "x".repeat(256));
    let deep = "/x".repeat(3000);
    for bad in ["", "a", "a/b", "//", "/a//b", "/a//", "/..", "/a/../b", "/./a", "/a/.", "/a\0b", &long, &deep] {
        assert!(mount_path(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn block_size_is_a_power_of_two_in_bounds() {
    for good in [256 << 10, 1 << 20, 4 << 20, 8 << 20] {
        assert_eq!(block_size(good).unwrap(), good);
    }
    for bad in [0, 1, 128 << 10, 3 << 20, 16 << 20, u32::MAX] {
        assert!(block_size(bad).is_err(), "{bad}");
    }
}

#[test]
fn addresses_have_host_and_port() {
    for good in ["meta.example.com:443", "127.0.0.1:1", "[::1]:7443", "meta_1:65535"] {
        assert!(host_and_port(good.to_owned()).is_ok(), "{good}");
    }
    for bad in ["", "meta", ":443", "meta:", "meta:0", "meta:65536", "https://meta:443", "me ta:443", "meta:443/x"] {
        assert!(host_and_port(bad.to_owned()).is_err(), "{bad}");
    }
}

#[test]
fn names_stay_names_in_paths_and_tables() {
    for good in ["a", "data-1", "A.b_c"] {
        assert!(file_name("name", good.to_owned()).is_ok(), "{good}");
    }
    let long = "x".repeat(65);
    for bad in ["", ".", "..", ".x", "-x", "a/b", "a b", "ä", "a\n", &long] {
        assert!(file_name("name", bad.to_owned()).is_err(), "{bad:?}");
    }
    assert!(prefix(String::new()).is_ok() && prefix("a/b".to_owned()).is_ok());
    for bad in ["/a", "a/", "a//b", "../a", "a/.."] {
        assert!(prefix(bad.to_owned()).is_err(), "{bad:?}");
    }
}
