use serde_json::json;

use super::*;
use crate::commands::configure::kind::{PROVIDER, VOLUME};

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
