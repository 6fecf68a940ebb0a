//! The server over real QUIC on loopback, with an authority that knows its tokens by heart.

use std::sync::Mutex;

use auth::{AuthorityError, MountFlags, VolumeToken};
use proto::feed::{Change, FeedLine};
use proto::rest::TokenGrant;
use proto::{
    Access, BlockStoreSettings, Caller, Errno, Event, Greeting, Hello, InodeId, Name, NewNode, OperationId, Refused,
    RenameMode, Reply, ReplyFrame, Request, RequestFrame, SessionId, SessionKey, SessionRefusal, VolumeId,
    VolumeSettings, codec,
};
use tempfile::TempDir;
use transport::client::{Connection, Dialer};
use transport::tls::Trust;
use uuid::Uuid;

use super::bounds::Bounds;
use super::journal::Journal;
use super::sessions::{Holder, Session};
use super::*;

const SOON: Duration = Duration::from_secs(10);

const SETTINGS: AuthenticatorSettings = AuthenticatorSettings {
    positive_ttl: Duration::from_millis(100),
    negative_ttl: Duration::from_millis(100),
    grace: Duration::from_secs(60),
    entries_max: 100,
};

/// Grants by token; shared with the test, which changes them.
#[derive(Clone, Default)]
struct Register {
    grants: Arc<Mutex<Vec<(VolumeToken, TokenGrant)>>>,
    /// How long the answer about a token takes; the others come at once.
    slow: Arc<Mutex<Option<(VolumeToken, Duration)>>>,
}

impl TokenAuthority for Register {
    async fn validate(&self, token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        let slow = self.slow.lock().unwrap().clone().filter(|(slow, _)| slow == token);
        if let Some((_, delay)) = slow {
            tokio::time::sleep(delay).await;
        }
        let grants = self.grants.lock().unwrap();
        let found = grants.iter().find(|(known, _)| known == token);
        found.map(|(_, grant)| grant.clone()).ok_or(AuthorityError::Rejected)
    }
}

/// Answers that stay good for as long as a test takes.
const LONG: AuthenticatorSettings =
    AuthenticatorSettings { positive_ttl: Duration::from_secs(60), negative_ttl: Duration::from_secs(60), ..SETTINGS };

struct World {
    folder: TempDir,
    register: Register,
    token: VolumeToken,
    session_grace: Duration,
    settings: AuthenticatorSettings,
    server: Option<MetaServer>,
}

impl World {
    fn new() -> Self {
        Self::with_grace(Duration::from_secs(60))
    }

    fn with_grace(session_grace: Duration) -> Self {
        Self::with_settings(session_grace, SETTINGS)
    }

    fn with_settings(session_grace: Duration, settings: AuthenticatorSettings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (register, token) = (Register::default(), VolumeToken::generate());
        let mut world = Self { folder, register, token, session_grace, settings, server: None };
        let token = world.token.clone();
        world.grant(&token, "/", "");
        world.start();
        world
    }

    fn grant(&self, token: &VolumeToken, mount_path: &str, flags: &str) {
        let blocks = self.folder.path().join("blocks").display().to_string();
        let id = VolumeId(Uuid::from_u128(7));
        let volume = VolumeSettings::new(id, "volume", 1 << 20, BlockStoreSettings::local(blocks, "b"));
        let (mount_path, flags) = (mount_path.to_owned(), flags.to_owned());
        let grant = TokenGrant { mount_path, flags, ..TokenGrant::whole(Uuid::new_v4(), volume) };
        self.register.grants.lock().unwrap().push((token.clone(), grant));
    }

    /// Changes what the world's token opens.
    fn change(&self, change: impl FnOnce(&mut TokenGrant)) {
        change(&mut self.register.grants.lock().unwrap()[0].1);
    }

    /// Waits until the server counts so many sessions.
    async fn sessions_become(&self, count: u32) {
        let sessions = || self.server.as_ref().unwrap().volume_use().first().map(|usage| usage.sessions);
        let reached = async {
            while sessions() != Some(count) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, reached).await.expect("the sessions reach that number");
    }

    fn start(&mut self) {
        let folder = self.folder.path();
        let settings = MetaSettings {
            bind_addr: "127.0.0.1:0".parse().unwrap(),
            db_folder: folder.join("db"),
            db_cache_max: 16 << 20,
            identity: Identity::load_or_create(&folder.join("cert"), &folder.join("key")).unwrap(),
            threads: Some(2),
            sync: false,
            authenticator: self.settings,
            session_grace: self.session_grace,
        };
        self.server = Some(MetaServer::start(settings, self.register.clone()).unwrap());
    }

    /// Ends the server and starts another on the same folder.
    async fn restart(&mut self) {
        let server = self.server.take().unwrap();
        tokio::task::spawn_blocking(move || server.stop()).await.unwrap().unwrap();
        self.start();
    }

    /// A connection that did not greet yet.
    async fn connection(&self) -> (Dialer, Connection) {
        let server = self.server.as_ref().unwrap();
        let dialer = Dialer::new(server.local_addr(), &Trust::Pinned(server.fingerprint())).unwrap();
        let connection = dialer.connect(server.local_addr()).await.unwrap();
        (dialer, connection)
    }

    async fn client(&self, token: &VolumeToken, resume: Option<(SessionId, SessionKey)>) -> (Client, Greeting) {
        self.greeted(&Hello { resume, ..hello(token) }).await
    }

    /// Somebody at a place that others may have been at.
    async fn client_at(&self, place: &str) -> (Client, Greeting) {
        self.greeted(&Hello { place: place.to_owned(), ..hello(&self.token) }).await
    }

    async fn greeted(&self, hello: &Hello) -> (Client, Greeting) {
        let (dialer, connection) = self.connection().await;
        let greeting = codec::decode(&connection.call(&codec::encode(hello), SOON).await.unwrap()).unwrap();
        (Client { connection, _dialer: dialer }, greeting)
    }

    async fn welcome(&self, token: &VolumeToken) -> (Client, proto::Welcome) {
        match self.client(token, None).await {
            (client, Greeting::Welcome(welcome)) => (client, *welcome),
            (_, other) => panic!("{other:?}"),
        }
    }
}

/// A greeting in a place of its own.
fn hello(token: &VolumeToken) -> Hello {
    Hello::new(token.expose(), "test", &Uuid::new_v4().to_string())
}

struct Client {
    connection: Connection,
    _dialer: Dialer,
}

impl Client {
    async fn ask(&self, operation: Option<u64>, request: Request) -> Result<Reply, Refused> {
        let caller = Caller { groups: Some(Vec::new()), ..Caller::ROOT };
        let frame = RequestFrame { operation: operation.map(OperationId), caller, request };
        let reply = self.connection.call(&codec::encode(&frame), SOON).await.unwrap();
        codec::decode::<ReplyFrame>(&reply).unwrap().result
    }

    /// The reason of the event that ends the session.
    async fn ended(&self) -> String {
        match self.event().await {
            Event::SessionEnded(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The flags that hold from here on.
    async fn flags(&self) -> MountFlags {
        match self.event().await {
            Event::FlagsChanged { flags, .. } => MountFlags::from_bits(flags).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn event(&self) -> Event {
        let (event, _receipt) = tokio::time::timeout(SOON, self.connection.next_event()).await.unwrap().unwrap();
        codec::decode(&event).unwrap()
    }

    async fn create(&self, operation: u64, name: &str) -> Result<Reply, Refused> {
        let access = Access { read: true, write: true, execute: false };
        let name = Name::new(name.as_bytes()).unwrap();
        let request =
            Request::Create { parent: InodeId::ROOT, name, perm: 0o644, access, exclusive: true, truncate: false };
        self.ask(Some(operation), request).await
    }

    async fn make_dir(&self, operation: u64, name: &str) -> Result<Reply, Refused> {
        let name = Name::new(name.as_bytes()).unwrap();
        let node = NewNode::Directory { perm: 0o755 };
        self.ask(Some(operation), Request::Make { parent: InodeId::ROOT, name, node }).await
    }
}

#[tokio::test]
async fn repeated_operation_is_answered_alike_after_a_restart() {
    let mut world = World::new();
    let (client, welcome) = world.welcome(&world.token).await;
    let first = client.create(1, "file").await.unwrap();
    assert_eq!(client.create(2, "file").await, Err(Refused::Error(Errno::EEXIST)));
    client.ask(None, Request::Sync).await.unwrap();
    drop(client);
    world.restart().await;
    let (client, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(&greeting, Greeting::Welcome(again) if again.resumed), "{greeting:?}");
    let (Reply::Opened(before, _), Ok(Reply::Opened(after, _))) = (first, client.create(1, "file").await) else {
        panic!("a repeated create is a create")
    };
    assert_eq!(before.ino, after.ino);
}

#[tokio::test]
async fn connections_of_one_session_share_it() {
    let world = World::new();
    let (one, welcome) = world.welcome(&world.token).await;
    let (two, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Welcome(again) if again.session == welcome.session));
    one.create(1, "file").await.unwrap();
    assert_eq!(two.create(2, "file").await, Err(Refused::Error(Errno::EEXIST)));
}

#[tokio::test]
async fn session_of_another_token_cannot_be_joined() {
    let world = World::new();
    let other = VolumeToken::generate();
    world.grant(&other, "/", "");
    let (_kept, welcome) = world.welcome(&world.token).await;
    let (_, greeting) = world.client(&other, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
}

#[tokio::test]
async fn peer_that_does_not_greet_or_lingers_after_a_refusal_is_dropped() {
    let world = World::new();
    let (_dialer, silent) = world.connection().await;
    let (turned_away, greeting) = world.client(&VolumeToken::generate(), None).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
    let gone = async { tokio::join!(silent.closed(), turned_away.connection.closed()) };
    tokio::time::timeout(Duration::from_secs(15), gone).await.unwrap();
}

#[tokio::test]
async fn missing_mount_path_is_named() {
    let world = World::new();
    let token = VolumeToken::generate();
    world.grant(&token, "/nowhere", "");
    let (_, greeting) = world.client(&token, None).await;
    assert!(
        matches!(&greeting, Greeting::Sorry(SessionRefusal::MountPathMissing, line) if line.contains("/nowhere")),
        "{greeting:?}"
    );
}

#[tokio::test]
async fn revoked_token_ends_its_session_with_an_event() {
    let world = World::new();
    let (client, _) = world.welcome(&world.token).await;
    client.create(1, "file").await.unwrap();
    world.register.grants.lock().unwrap().clear();
    assert!(client.ended().await.contains("deleted"));
    assert_eq!(client.create(2, "other").await, Err(Refused::SessionEnded));
}

#[tokio::test]
async fn every_connection_of_an_ended_session_hears_of_it_and_is_closed() {
    let world = World::new();
    let (one, welcome) = world.welcome(&world.token).await;
    let (two, _) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    world.register.grants.lock().unwrap().clear();
    for client in [&one, &two] {
        client.ended().await;
    }
    let closed = async { tokio::join!(one.connection.closed(), two.connection.closed()) };
    tokio::time::timeout(SOON, closed).await.expect("the server hangs up on a mount that does not");
}

#[tokio::test]
async fn token_is_watched_while_the_answer_about_another_does_not_come() {
    let world = World::new();
    let stuck = VolumeToken::generate();
    world.grant(&stuck, "/", "");
    let (_stuck, _) = world.welcome(&stuck).await;
    *world.register.slow.lock().unwrap() = Some((stuck, Duration::from_secs(60)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (client, _) = world.welcome(&world.token).await;
    world.change(|grant| grant.flags = "ro".to_owned());
    assert!(client.flags().await.ro);
}

#[tokio::test]
async fn token_that_opens_another_directory_ends_its_session_also_across_a_restart() {
    let mut world = World::new();
    let (client, _) = world.welcome(&world.token).await;
    client.make_dir(1, "other").await.unwrap();
    world.change(|grant| grant.mount_path = "/other".to_owned());
    assert!(client.ended().await.contains("another directory"));
    let (_client, welcome) = world.welcome(&world.token).await;
    world.change(|grant| grant.mount_path = "/".to_owned());
    world.restart().await;
    let (_, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
}

#[tokio::test]
async fn new_quota_holds_for_running_sessions() {
    let world = World::new();
    let (client, _) = world.welcome(&world.token).await;
    world.change(|grant| grant.volume.inodes_max = 1);
    let full = async {
        let mut operation = 1;
        while client.create(operation, &format!("file{operation}")).await != Err(Refused::Error(Errno::ENOSPC)) {
            operation += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, full).await.expect("the quota takes effect");
}

#[tokio::test]
async fn session_goes_on_where_its_directory_was_moved() {
    let mut world = World::new();
    let scoped = VolumeToken::generate();
    world.grant(&scoped, "/team", "");
    let (all, _) = world.welcome(&world.token).await;
    all.make_dir(1, "team").await.unwrap();
    let (_kept, welcome) = world.welcome(&scoped).await;
    let request = Request::Rename {
        parent: InodeId::ROOT,
        name: Name::new(b"team").unwrap(),
        new_parent: InodeId::ROOT,
        new_name: Name::new(b"club").unwrap(),
        mode: RenameMode::Replace,
    };
    all.ask(Some(2), request).await.unwrap();
    for _ in 0..2 {
        let (_, greeting) = world.client(&scoped, Some((welcome.session, welcome.key))).await;
        assert!(matches!(&greeting, Greeting::Welcome(again) if again.root.ino == welcome.root.ino), "{greeting:?}");
        world.restart().await;
    }
}

#[tokio::test]
async fn mount_that_vanishes_while_it_is_greeted_leaves_no_session() {
    let world = World::with_grace(Duration::from_millis(100));
    *world.register.slow.lock().unwrap() = Some((world.token.clone(), Duration::from_millis(300)));
    let (_dialer, connection) = world.connection().await;
    let greeting = connection.call(&codec::encode(&hello(&world.token)), Duration::from_millis(100)).await;
    assert!(greeting.is_err());
    connection.close("gone");
    world.sessions_become(1).await;
    world.sessions_become(0).await;
}

#[tokio::test]
async fn session_of_a_volume_that_nobody_mounts_after_a_restart_is_closed() {
    let mut world = World::with_grace(Duration::from_millis(500));
    let (client, welcome) = world.welcome(&world.token).await;
    client.create(1, "file").await.unwrap();
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.server.as_ref().unwrap().volume_use().is_empty(), "nobody opened the volume");
    let (_, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
    let (client, _) = world.welcome(&world.token).await;
    assert_eq!(client.create(1, "file").await, Err(Refused::Error(Errno::EEXIST)));
}

#[tokio::test]
async fn leaked_token_leaves_sessions_to_others() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let volumes = HostedVolumes::open(folder.path(), 1 << 20, Arc::new(Journal::new())).unwrap();
    let other = VolumeToken::generate();
    world.grant(&other, "/", "");
    let grants = world.register.grants.lock().unwrap().clone();
    let volume = volumes.volume(&grants[0].1.volume).await.unwrap();
    let admit = |(token, grant): &(VolumeToken, TokenGrant)| {
        let holder = Holder {
            token: token.clone(),
            mark: Authenticator::new(world.register.clone(), SETTINGS, &[0; 32]).mark(token),
            bounds: Bounds::of(grant).unwrap(),
            grant: Arc::new(grant.clone()),
            requested: MountFlags::default(),
            place: String::new(),
        };
        let session = Session::new(SessionId(Uuid::new_v4()), InodeId::ROOT, holder, Instant::now());
        volume.admit(&Arc::new(session), 0)
    };
    for _ in 0..1024 {
        admit(&grants[0]).unwrap();
    }
    assert!(admit(&grants[0]).err().unwrap().contains("1024"));
    admit(&grants[1]).unwrap();
}

#[tokio::test]
async fn mount_that_is_over_ends_its_session_and_one_that_is_cut_off_does_not() {
    let world = World::new();
    let (over, _) = world.welcome(&world.token).await;
    let (cut_off, welcome) = world.welcome(&world.token).await;
    cut_off.connection.close("the network");
    over.connection.finish("unmounted");
    world.sessions_become(1).await;
    let (_, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
}

#[tokio::test]
async fn token_has_the_mounts_that_it_may_and_a_new_one_in_the_same_place_follows_a_lost_one() {
    let mut world = World::new();
    world.change(|grant| grant.mounts_max = 1);
    let (first, greeting) = world.client_at("host:/mnt").await;
    let Greeting::Welcome(welcome) = greeting else { panic!("{greeting:?}") };
    let full = |greeting: &Greeting| matches!(greeting, Greeting::Sorry(SessionRefusal::TooManySessions, reason) if reason.contains("(1)"));
    let (_, greeting) = world.client(&world.token, None).await;
    assert!(full(&greeting), "{greeting:?}");
    // After a restart the mount that may come back still counts.
    world.restart().await;
    let (_, greeting) = world.client(&world.token, None).await;
    assert!(full(&greeting), "{greeting:?}");
    let resume = Some((welcome.session, welcome.key));
    let (again, greeting) =
        world.greeted(&Hello { place: "host:/mnt".to_owned(), resume, ..hello(&world.token) }).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    drop(first);
    again.connection.close("the network");
    let (_, greeting) = world.client(&world.token, None).await;
    assert!(full(&greeting), "{greeting:?}");
    let (_next, greeting) = world.client_at("host:/mnt").await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    let (_, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
}

#[tokio::test]
async fn mount_that_is_silent_is_followed_by_another_in_its_place() {
    let world = World::new();
    let (silent, greeting) = world.client_at("host:/mnt").await;
    let Greeting::Welcome(welcome) = greeting else { panic!("{greeting:?}") };
    silent.create(1, "file").await.unwrap();
    let (next, greeting) = world.client_at("host:/mnt").await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    assert_eq!(silent.event().await, Event::Ping, "it is asked, and answers here a little late");
    next.create(1, "other").await.unwrap();
    let (_elsewhere, _) = world.client_at("host:/other").await;
    let (third, _) = world.client_at("host:/mnt").await;
    world.sessions_become(2).await;
    for ended in [&silent, &next] {
        assert_eq!(ended.create(2, "late").await, Err(Refused::SessionEnded));
    }
    third.create(1, "third").await.unwrap();
    let (_, greeting) = world.client(&world.token, Some((welcome.session, welcome.key))).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::SessionUnknown, _)), "{greeting:?}");
}

#[tokio::test]
async fn mount_that_answers_goes_on_beside_another_in_its_place() {
    let world = World::new();
    let (first, _) = world.client_at("host:/mnt").await;
    let answering = {
        let connection = first.connection.clone();
        tokio::spawn(async move { connection.next_event().await.map(drop) })
    };
    let (next, _) = world.client_at("host:/mnt").await;
    answering.await.unwrap().unwrap();
    // Both are asked by the next one.
    let (_third, _) = world.client_at("host:/mnt").await;
    let connections = [&first, &next].map(|client| client.connection.clone());
    let asked = connections.map(|connection| tokio::spawn(async move { connection.next_event().await.map(drop) }));
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    first.create(1, "first").await.unwrap();
    next.create(1, "next").await.unwrap();
}

#[tokio::test]
async fn token_that_expires_ends_its_session_at_that_moment() {
    let world = World::new();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let expires = now() as i64 + 3;
    world.change(|grant| grant.expires = Some(expires));
    let (client, _) = world.welcome(&world.token).await;
    client.create(1, "file").await.unwrap();
    assert!(client.ended().await.contains("expired at"));
    assert!((0.0..0.5).contains(&(now() - expires as f64)), "{}", now() - expires as f64);
    let (_, greeting) = world.client(&world.token, None).await;
    assert!(
        matches!(&greeting, Greeting::Sorry(SessionRefusal::TokenRejected, reason) if reason.contains("expired at")),
        "{greeting:?}"
    );
}

#[tokio::test]
async fn told_change_ends_a_session_though_the_answer_about_its_token_is_young() {
    let world = World::with_settings(Duration::from_secs(60), LONG);
    let other = VolumeToken::generate();
    world.grant(&other, "/", "");
    let ((client, _), (kept, _)) = (world.welcome(&world.token).await, world.welcome(&other).await);
    let id = world.register.grants.lock().unwrap()[0].1.token_id;
    world.register.grants.lock().unwrap().remove(0);
    let told = Instant::now();
    let line = FeedLine::Change { sequence: 1, change: Change::TokenGone(id) };
    let acting = world.server.as_ref().unwrap().ear().tell(line).await.unwrap();
    assert!(client.ended().await.contains("deleted"));
    assert!(told.elapsed() < Duration::from_millis(500), "{:?}", told.elapsed());
    assert_eq!(client.create(1, "late").await, Err(Refused::SessionEnded));
    tokio::time::timeout(SOON, acting).await.expect("a mount that does not hang up is not waited for without end");
    kept.create(1, "file").await.unwrap();
    let (_, greeting) = world.client(&world.token, None).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
}

#[tokio::test]
async fn missed_changes_are_made_up_for_when_the_feed_is_back() {
    let world = World::with_settings(Duration::from_secs(60), LONG);
    let (client, _) = world.welcome(&world.token).await;
    world.change(|grant| grant.flags = "ro".to_owned());
    let position = proto::feed::FeedPosition { feed: Uuid::new_v4(), sequence: 9 };
    let ear = world.server.as_ref().unwrap().ear();
    ear.tell(FeedLine::Start { position, complete: false }).await;
    assert!(client.flags().await.ro);
    assert_eq!(client.create(1, "file").await, Err(Refused::Error(Errno::EROFS)));
    world.change(|grant| grant.flags = String::new());
    let acting = ear.tell(FeedLine::Gap { sequence: 12 }).await.unwrap();
    let (flags, ()) = tokio::join!(client.flags(), acting);
    assert!(!flags.ro, "the server acts by it when the mount does");
    client.create(2, "file").await.unwrap();
}

#[tokio::test]
async fn token_that_changes_while_it_is_greeted_opens_no_stale_session() {
    let world = World::with_settings(Duration::from_secs(60), LONG);
    *world.register.slow.lock().unwrap() = Some((world.token.clone(), Duration::from_millis(300)));
    let id = world.register.grants.lock().unwrap()[0].1.token_id;
    let greeting = async { world.client(&world.token, None).await.1 };
    let changing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.register.grants.lock().unwrap().remove(0);
        let line = FeedLine::Change { sequence: 1, change: Change::TokenGone(id) };
        world.server.as_ref().unwrap().ear().tell(line).await;
    };
    let (greeting, ()) = tokio::join!(greeting, changing);
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
}

#[tokio::test]
async fn usage_is_counted() {
    let world = World::new();
    let (client, _) = world.welcome(&world.token).await;
    client.create(1, "file").await.unwrap();
    let usage = world.server.as_ref().unwrap().volume_use();
    assert_eq!((usage[0].inodes_used, usage[0].sessions), (2, 1));
}

#[tokio::test]
async fn reply_says_what_the_server_took_and_what_of_it_the_disk_did() {
    let world = World::new();
    let (client, _) = world.welcome(&world.token).await;
    let took = async |request: Request| {
        let frame = RequestFrame { operation: None, caller: Caller::ROOT, request };
        let begin = std::time::Instant::now();
        let reply = client.connection.call(&codec::encode(&frame), SOON).await.unwrap();
        let reply: ReplyFrame = codec::decode(&reply).unwrap();
        assert!(u128::from(reply.took.micros) <= begin.elapsed().as_micros(), "{reply:?}");
        assert!(reply.took.disk_micros <= reply.took.micros, "{reply:?}");
        reply.took
    };
    assert_eq!(took(Request::GetAttr { ino: InodeId::ROOT }).await.disk_micros, 0);
    assert!(took(Request::Sync).await.disk_micros > 0);
}
