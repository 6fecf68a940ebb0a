use clap::Parser;
use serde_json::Value;

use super::*;
use crate::admin_client::{ClientError, ServerClient, mount_target};
use crate::failure::one_line;
use crate::testing::TestAdmin;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs a line of `configure.flexfs` against `admin`; what it prints, or its one line.
async fn say(admin: &TestAdmin, line: &str) -> Result<String, String> {
    let words = std::iter::once("configure").chain(line.split(' '));
    let Arguments { access, command } = Line::try_parse_from(words).unwrap_or_else(|error| panic!("{error}")).arguments;
    let (client, json) = (admin.configure(), access.json);
    let printed = match command {
        Command::Create(object) => verbs::create(&client, object, json).await,
        Command::List(filter) => verbs::list(&client, filter, json).await,
        Command::Show(key) => verbs::show(&client, key, json).await,
        Command::Update(object) => verbs::update(&client, object, json).await,
        Command::Delete { object, force } => verbs::delete(&client, object, force, json).await,
        Command::Init(Init::Creds(arguments)) => {
            credentials::init(arguments, &access.creds_file.unwrap()).await.map(|()| String::new())
        }
        other => panic!("not said to a server: {other:?}"),
    };
    printed.map_err(|error| one_line(&error))
}

async fn made(admin: &TestAdmin, line: &str) -> Value {
    serde_json::from_str(&say(admin, &format!("create {line} --json")).await.unwrap()).unwrap()
}

fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap().to_owned()
}

/// An admin server with a volume `data`, as its creation was answered.
async fn furnished() -> (TestAdmin, Value, Value) {
    let admin = TestAdmin::start().await;
    let blocks = admin.folder.path().join("blocks").display().to_string();
    let block_store = made(&admin, &format!("block-store --address {blocks} --bucket b")).await;
    let meta_store = made(&admin, "meta-store --address 127.0.0.1:4433").await;
    let stores = format!("--metaStoreID {} --blockStoreID {}", text(&meta_store, "id"), text(&block_store, "id"));
    let volume = made(&admin, &format!("volume --name data --blockSize 1MiB --retention 0 {stores}")).await;
    (admin, meta_store, volume)
}

#[tokio::test]
async fn volume_and_its_tokens_live_and_die_by_command_line() {
    let (mut admin, meta_store, volume) = furnished().await;
    assert_eq!((&volume["block_size"], &volume["retention"]), (&(1 << 20).into(), &0.into()));
    let first = auth::VolumeToken::parse(&text(&volume, "token")).unwrap();
    let target = mount_target(&admin.client(), &first).await.unwrap();
    assert_eq!((target.volume_name.as_str(), target.mount_path.as_str()), ("data", "/"));
    let scoped = made(&admin, "volume-token --volumeID data --mountPath /team --flags ro").await;
    let token = auth::VolumeToken::parse(&text(&scoped, "token")).unwrap();
    let target = mount_target(&admin.client(), &token).await.unwrap();
    assert_eq!((target.mount_path.as_str(), target.flags.as_str()), ("/team", "ro"));
    let list = say(&admin, "list volume-token --volumeID data").await.unwrap();
    assert_eq!(list.lines().count(), 3, "{list}");
    assert!(!list.contains(token.expose()), "{list}");
    assert!(say(&admin, &format!("show volume-token {}", text(&scoped, "id"))).await.unwrap().contains(token.expose()));
    say(&admin, "update volume data --retention 7d --flags noExec").await.unwrap();
    let shown = say(&admin, "show volume data").await.unwrap();
    assert!(shown.contains("7d") && shown.contains("noExec"), "{shown}");
    say(&admin, "update volume data --asUser 1000:100,4").await.unwrap();
    assert!(say(&admin, "show volume data").await.unwrap().contains("as user:         1000:100,4"));
    let shown = say(&admin, &format!("show volume-token {}", text(&scoped, "id"))).await.unwrap();
    for word in ["never", "no bound", "any", "whom the mount names"] {
        assert!(shown.lines().any(|line| line.ends_with(&format!("  {word}"))), "{word}: {shown}");
    }
    say(&admin, &format!("delete volume-token {}", token.expose())).await.unwrap();
    assert!(matches!(mount_target(&admin.client(), &token).await, Err(ClientError::Unauthorized { .. })));
    say(&admin, "delete volume data").await.unwrap();
    assert!(mount_target(&admin.client(), &first).await.is_err());
    assert_eq!(say(&admin, "list volume --json").await.unwrap(), "[]\n");
    assert!(say(&admin, "list volume --retired").await.unwrap().contains("RETIRED AT"));
    let server_token = auth::ServerToken::parse(&text(&meta_store, "token")).unwrap();
    ServerClient::new(admin.client(), server_token).check().await.unwrap();
    admin.stop().await;
}

#[tokio::test]
async fn refusals_of_the_server_are_one_clear_line() {
    let (mut admin, _, _) = furnished().await;
    for (line, said) in [
        ("show volume other", "other"),
        ("update volume data --flags ro,nosiud", "nosiud"),
        ("delete account 00000000-0000-4000-8000-000000000000", "00000000-0000-4000-8000-000000000000"),
        ("create volume-token --volumeID other", "other"),
        ("show region .. ..", "\"..\""),
        ("update volume data", "nothing to change"),
    ] {
        let error = say(&admin, line).await.unwrap_err();
        assert!(error.contains(said) && error.lines().count() == 1, "{line}: {error}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn every_list_is_understood_by_the_server() {
    let (mut admin, _, _) = furnished().await;
    for list in
        ["account", "block-api", "provider", "region --providerCode local", "block-store", "meta-store", "volume"]
    {
        let shown = say(&admin, &format!("list {list}")).await.unwrap();
        assert!(shown.lines().count() == 2, "{list}: {shown}");
    }
    admin.stop().await;
}

#[tokio::test]
async fn credentials_are_checked_before_they_are_written() {
    let mut admin = TestAdmin::start().await;
    let file = admin.folder.path().join("creds");
    let init = format!("--credsFile {} init creds --adminAddr {}", file.display(), admin.addr);
    let error = say(&admin, &format!("{init} --token 00000000-0000-4000-8000-000000000000")).await.unwrap_err();
    assert!(
        error.contains("the token is not accepted")
            && error.contains("init creds --force")
            && !error.contains("00000000"),
        "{error}"
    );
    let wrong = "ab".repeat(32);
    let root = admin.root.expose();
    let error = say(&admin, &format!("{init} --token {root} --adminFingerprint {wrong}")).await.unwrap_err();
    assert!(error.contains(&wrong) && error.contains(&admin.fingerprint) && !error.contains(root), "{error}");
    assert!(!file.exists());
    say(&admin, &format!("{init} --token {root}")).await.unwrap();
    let creds = ConfigureCreds::load(&file).unwrap();
    assert_eq!(creds.admin_fingerprint.as_ref(), Some(&admin.fingerprint));
    let error = say(&admin, &format!("{init} --token {root}")).await.unwrap_err();
    assert!(error.contains("--force"), "{error}");
    admin.stop().await;
}

#[tokio::test]
async fn metadata_server_learns_about_tokens_and_is_found_by_mounts() {
    use auth::{AuthorityError, TokenAuthority, VolumeToken};
    use proto::rest::{MetaRegistration, VolumeUse};

    let (mut admin, meta_store, volume) = furnished().await;
    let server_token = auth::ServerToken::parse(&text(&meta_store, "token")).unwrap();
    let server = ServerClient::new(admin.client(), server_token);
    let token = VolumeToken::parse(&text(&volume, "token")).unwrap();
    let grant = server.validate(&token).await.unwrap();
    assert_eq!((grant.volume.name.as_str(), grant.volume.block_size), ("data", 1 << 20));
    assert_eq!(server.validate(&VolumeToken::generate()).await, Err(AuthorityError::Rejected));
    let stranger = ServerClient::new(admin.client(), auth::ServerToken::generate());
    assert!(matches!(stranger.validate(&token).await, Err(AuthorityError::Unavailable(_))));
    assert!(matches!(stranger.check().await, Err(ClientError::Unauthorized { .. })));
    assert_eq!(mount_target(&admin.client(), &token).await.unwrap().meta_fingerprint, None);
    let fingerprint = "cd".repeat(32);
    server.register(&MetaRegistration { fingerprint: fingerprint.clone(), version: "1".to_owned() }).await.unwrap();
    assert_eq!(mount_target(&admin.client(), &token).await.unwrap().meta_fingerprint, Some(fingerprint));
    let used = VolumeUse { volume_id: grant.volume.id.0, bytes_used: 4096, inodes_used: 3, sessions: 1 };
    server.report(&[used]).await.unwrap();
    assert!(say(&admin, "show volume data").await.unwrap().contains("4 KiB"));
    admin.stop().await;
}
