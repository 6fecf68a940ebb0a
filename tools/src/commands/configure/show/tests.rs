use serde_json::json;

use super::*;
use crate::commands::configure::kind::{PROVIDER, VOLUME, VOLUME_TOKEN};

#[test]
fn list_shows_units_and_hides_empty_columns() {
    let volumes = [
        json!({"id": "1", "name": "data", "block_size": 4194304, "retention": 604800, "flags": "", "retired_at": null}),
    ];
    assert_eq!(objects(&VOLUME, &volumes, false), "ID  NAME  BLOCK SIZE  RETENTION  FLAGS\n1   data  4 MiB       7d\n");
}

#[test]
fn empty_list_still_has_its_keys() {
    assert_eq!(objects(&PROVIDER, &[], false), "CODE\n");
    assert_eq!(objects(&PROVIDER, &[], true), "[]\n");
}

#[test]
fn object_shows_all_that_is_set() {
    let volume = json!({"id": "1", "name": "data", "retention": -1, "token": "t", "encryption": false, "notes": null});
    let expected = "id:          1\nname:        data\nretention:   for ever\nencryption:  no\ntoken:       t\n";
    assert_eq!(object(&VOLUME, &volume, false), expected);
}

#[test]
fn json_is_the_servers_own() {
    let volume = json!({"id": "1", "retention": -1, "retired_at": null});
    assert_eq!(serde_json::from_str::<Value>(&object(&VOLUME, &volume, true)).unwrap(), volume);
}

#[test]
fn token_without_bounds_says_so_in_words_and_one_with_bounds_says_which() {
    let token = json!({"id": "1", "flags": "", "expires_at": null, "max_mounts": 0, "allowed_networks": "",
        "as_user": "", "last_used_at": null});
    let expected = "id:                1\nflags:             none\nexpires at:        never\nmax mounts:        no bound\n\
                    allowed networks:  any\nas user:           whom the mount names\n";
    assert_eq!(object(&VOLUME_TOKEN, &token, false), expected);
    let token = json!({"id": "1", "expires_at": "2030-01-01T00:00:00Z", "max_mounts": 2, "allowed_networks": "10.0.0.0/8",
        "as_user": "1000:100"});
    let expected = "id:                1\nexpires at:        2030-01-01T00:00:00Z\nmax mounts:        2\n\
                    allowed networks:  10.0.0.0/8\nas user:           1000:100\n";
    assert_eq!(object(&VOLUME_TOKEN, &token, false), expected);
    assert_eq!(object(&VOLUME, &json!({"id": "1", "as_user": ""}), false), "id:       1\nas user:  as tokens say\n");
}
