//! What lies on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use auth::AccountToken;
use rusqlite::Connection;
use serde_json::json;

use super::world::{World, settings, text};
use crate::{AdminError, AdminSettings, bind};

#[tokio::test]
async fn restart_keeps_everything() {
    let world = World::new().await;
    let stores = world.stores().await;
    let account = world.account("lab").await;
    let volume = world.volume(&account, &stores, "data").await;
    let token = text(&volume, "token");
    let before = world.get(&world.root, "/v1/configure/volumes/data").await.ok();

    let world = world.reopen().await;
    assert_eq!(world.get(&account, "/v1/configure/volumes/data").await.ok(), before);
    assert_eq!(world.validate(&stores.meta_token, &token).await.ok()["token_id"], volume["token_id"]);
    assert_eq!(world.get(&world.root, "/v1/configure/accounts").await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn folder_has_one_server_at_a_time() {
    let world = World::new().await;
    let (folder, root) = (world.folder.path().join("admin"), AccountToken::parse(&world.root).unwrap());
    let error = bind(settings(&folder, None, &root)).await.unwrap_err();
    assert!(matches!(error, AdminError::Locked(_)) && error.to_string().contains("--dbFolder"), "{error}");
    world.reopen().await;
}

#[tokio::test]
async fn taken_port_leaves_no_database_behind() {
    let world = World::new().await;
    let (folder, root) = (world.folder.path().join("other"), AccountToken::parse(&world.root).unwrap());
    let settings = AdminSettings { bind_addr: world.addr, ..settings(&folder, None, &root) };
    let error = bind(settings).await.unwrap_err();
    assert!(error.to_string().contains("another process has the port"), "{error}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn answered_change_survives_a_crash() {
    let world = World::new().await;
    let stores = world.stores().await;
    let token = text(&world.volume(&world.root, &stores, "data").await, "token");
    // The files as they are while the server runs: what a power loss would leave.
    let copy = tempfile::tempdir().unwrap();
    copy_files(&world.folder.path().join("admin"), &copy.path().join("admin"));
    let root = AccountToken::parse(&world.root).unwrap();
    world.close().await;
    let world = World::open(copy, root).await;
    world.validate(&stores.meta_token, &token).await.ok();
}

#[tokio::test]
async fn new_root_token_takes_the_place_of_the_old() {
    let world = World::new().await;
    let old = world.root.clone();
    let other = world.account("lab").await;
    let (folder, _) = world.close().await;

    let taken = AccountToken::parse(&other).unwrap();
    let error = bind(settings(&folder.path().join("admin"), None, &taken)).await.unwrap_err();
    assert!(matches!(error, AdminError::RootToken) && !error.to_string().contains(&other), "{error}");

    let world = World::open(folder, AccountToken::generate()).await;
    world.get(&old, "/v1/configure/accounts").await.refused(401, &["not accepted"]);
    let accounts = world.get(&world.root, "/v1/configure/accounts").await.ok();
    let roots = accounts.as_array().unwrap().iter().filter(|account| account["root"] == true).count();
    assert_eq!(roots, 1);
}

#[tokio::test]
async fn files_are_private() {
    let world = World::new().await;
    world.stores().await;
    let folder = world.folder.path().join("admin");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let files = files_below(&folder);
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
        assert_eq!(mode(file.parent().unwrap()), 0o700, "{}", file.display());
    }
}

#[tokio::test]
async fn newer_database_is_refused() {
    let (folder, root) = World::new().await.close().await;
    let folder = folder.path().join("admin");
    let connection = Connection::open(folder.join("admin.db")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = bind(settings(&folder, None, &root)).await.unwrap_err();
    assert!(matches!(error, AdminError::NewerDatabase { found: 99, known: 5, .. }), "{error}");
    assert!(error.to_string().contains("start a newer admin.flexfs"), "{error}");
}

#[tokio::test]
async fn file_that_is_no_database_is_named() {
    let (folder, root) = (tempfile::tempdir().unwrap(), AccountToken::generate());
    fs::write(folder.path().join("key"), [7; 32]).unwrap();
    fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(folder.path().join("admin.db"), "no database at all, just text".repeat(100)).unwrap();
    let error = bind(settings(folder.path(), None, &root)).await.unwrap_err().to_string();
    assert!(error.contains("admin.db") && error.contains("not a database"), "{error}");
}

#[tokio::test]
async fn database_without_its_key_gives_no_token() {
    let world = World::new().await;
    let stores = world.stores().await;
    let account = world.account("lab").await;
    let token = text(&world.volume(&account, &stores, "data").await, "token");
    let (folder, root) = world.close().await;
    let admin = folder.path().join("admin");

    for file in files_below(&admin) {
        let bytes = fs::read(file).unwrap();
        for secret in [root.expose(), &account, &stores.meta_token, &token] {
            let plain = secret.replace('-', "");
            let binary: Vec<u8> =
                (0..16).map(|at| u8::from_str_radix(&plain[2 * at..2 * at + 2], 16).unwrap()).collect();
            for form in [secret.as_bytes(), plain.as_bytes(), &binary] {
                assert!(!bytes.windows(form.len()).any(|window| window == form));
            }
        }
    }

    fs::remove_file(admin.join("key")).unwrap();
    let missing = bind(settings(&admin, None, &root)).await.unwrap_err().to_string();
    assert!(missing.contains("is missing") && missing.contains("restore it"), "{missing}");
    let other = World::new().await;
    fs::copy(other.folder.path().join("admin/key"), admin.join("key")).unwrap();
    let wrong = bind(settings(&admin, None, &root)).await.unwrap_err().to_string();
    assert!(wrong.contains("not the one this database was written with"), "{wrong}");
}

#[tokio::test]
async fn sealed_token_moved_to_another_row_is_not_opened() {
    let world = World::new().await;
    let stores = world.stores().await;
    let one = world.volume(&world.root, &stores, "one").await;
    let other = world.volume(&world.root, &stores, "other").await;
    let (folder, root) = world.close().await;
    let connection = Connection::open(folder.path().join("admin/admin.db")).unwrap();
    let moved = "UPDATE volume_tokens SET token_sealed = (SELECT token_sealed FROM volume_tokens WHERE id = ?1) \
                 WHERE id = ?2";
    assert_eq!(connection.execute(moved, [text(&one, "token_id"), text(&other, "token_id")]).unwrap(), 1);
    drop(connection);

    let world = World::open(folder, root).await;
    world.validate(&stores.meta_token, &text(&one, "token")).await.ok();
    world.validate(&stores.meta_token, &text(&other, "token")).await.refused(500, &["its log says why"]);
    let path = format!("/v1/configure/volume-tokens/{}", text(&other, "token_id"));
    world.get(&world.root, &path).await.refused(500, &["its log says why"]);
}

#[tokio::test]
async fn stopped_server_frees_its_port_and_its_database() {
    let world = World::new().await;
    let addr = world.addr;
    world.put(&world.root, "/v1/configure/providers/local", json!({ "name": "here" })).await.done();
    let (folder, root) = world.close().await;
    let again = crate::AdminSettings { bind_addr: addr, ..settings(&folder.path().join("admin"), None, &root) };
    assert_eq!(bind(again).await.unwrap().local_addr(), addr);
}

fn copy_files(from: &Path, to: &Path) {
    for file in files_below(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        // `fs::copy` keeps the mode, which the key file's reader looks at.
        fs::copy(file, copy).unwrap();
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
