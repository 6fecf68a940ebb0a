use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::{BlockStoreSettings, Compression, VolumeId, VolumeSettings};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::*;

/// An authority whose answers and delays the test decides.
struct Oracle {
    answer: Mutex<Result<TokenGrant, AuthorityError>>,
    questions: AtomicUsize,
    /// A question takes one permit before it is answered.
    gate: Semaphore,
}

impl TokenAuthority for Arc<Oracle> {
    async fn validate(&self, _token: &VolumeToken) -> Result<TokenGrant, AuthorityError> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let answer = self.answer.lock().unwrap().clone();
        self.gate.acquire().await.unwrap().forget();
        answer
    }
}

impl Oracle {
    fn answers(&self, answer: Result<TokenGrant, AuthorityError>) {
        *self.answer.lock().unwrap() = answer;
    }

    fn asked(&self) -> usize {
        self.questions.load(Ordering::SeqCst)
    }
}

const SETTINGS: AuthenticatorSettings = AuthenticatorSettings {
    positive_ttl: Duration::from_secs(60),
    negative_ttl: Duration::from_secs(5),
    grace: Duration::from_secs(600),
    entries_max: 100,
};

fn grant() -> TokenGrant {
    TokenGrant {
        token_id: Uuid::from_u128(7),
        volume: VolumeSettings {
            id: VolumeId(Uuid::from_u128(1)),
            name: "data".to_owned(),
            block_size: 4 << 20,
            compression: Compression::Lz4,
            retention_secs: 0,
            blocks_max: 0,
            inodes_max: 0,
            block_store: BlockStoreSettings {
                api_code: "local".to_owned(),
                address: "/blocks".to_owned(),
                bucket: "b".to_owned(),
                prefix: String::new(),
            },
        },
        mount_path: "/".to_owned(),
        flags: String::new(),
    }
}

/// An authenticator, its authority with `permits` answers let through, a token and the start of time.
struct World {
    oracle: Arc<Oracle>,
    authenticator: Arc<Authenticator<Arc<Oracle>>>,
    token: VolumeToken,
    start: Instant,
}

fn world(permits: usize) -> World {
    let oracle = Arc::new(Oracle {
        answer: Mutex::new(Ok(grant())),
        questions: AtomicUsize::new(0),
        gate: Semaphore::new(permits),
    });
    let authenticator = Arc::new(Authenticator::new(Arc::clone(&oracle), SETTINGS));
    World { oracle, authenticator, token: VolumeToken::generate(), start: Instant::now() }
}

impl World {
    async fn ask_at(&self, secs: u64) -> Result<Arc<TokenGrant>, AuthError> {
        self.authenticator.authenticate(&self.token, self.start + Duration::from_secs(secs)).await
    }

    /// A caller in a task of its own.
    fn caller(&self) -> tokio::task::JoinHandle<Result<Arc<TokenGrant>, AuthError>> {
        let (authenticator, token, now) = (Arc::clone(&self.authenticator), self.token.clone(), self.start);
        tokio::spawn(async move { authenticator.authenticate(&token, now).await })
    }

    /// Lets every task run until it waits.
    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
}

fn away() -> Result<TokenGrant, AuthorityError> {
    Err(AuthorityError::Unavailable("connection refused".to_owned()))
}

#[tokio::test]
async fn hundred_callers_share_one_question() {
    let world = world(0);
    let callers: Vec<_> = (0..100).map(|_| world.caller()).collect();
    world.settle().await;
    assert_eq!(world.oracle.asked(), 1);
    world.oracle.gate.add_permits(1);
    for caller in callers {
        assert_eq!(*caller.await.unwrap().unwrap(), grant());
    }
    assert_eq!(world.oracle.asked(), 1);
}

#[tokio::test]
async fn cancelled_leader_leaves_the_question_to_a_follower() {
    let world = world(0);
    let leader = world.caller();
    world.settle().await;
    let followers: Vec<_> = (0..10).map(|_| world.caller()).collect();
    world.settle().await;
    leader.abort();
    assert!(leader.await.unwrap_err().is_cancelled());
    world.oracle.gate.add_permits(1);
    for follower in followers {
        follower.await.unwrap().unwrap();
    }
    assert_eq!(world.oracle.asked(), 2);
}

#[tokio::test]
async fn different_tokens_do_not_wait_for_each_other() {
    let world = world(0);
    let slow = world.caller();
    world.settle().await;
    let caller = {
        let (authenticator, token, now) = (Arc::clone(&world.authenticator), VolumeToken::generate(), world.start);
        tokio::spawn(async move { authenticator.authenticate(&token, now).await })
    };
    world.settle().await;
    assert_eq!(world.oracle.asked(), 2);
    world.oracle.gate.add_permits(2);
    slow.await.unwrap().unwrap();
    caller.await.unwrap().unwrap();
}

#[tokio::test]
async fn good_token_is_asked_about_again_after_its_time() {
    let world = world(10);
    world.ask_at(0).await.unwrap();
    world.ask_at(59).await.unwrap();
    assert_eq!(world.oracle.asked(), 1);
    world.oracle.answers(Err(AuthorityError::Rejected));
    assert_eq!(world.ask_at(60).await, Err(AuthError::Rejected));
    assert_eq!(world.oracle.asked(), 2);
}

#[tokio::test]
async fn bad_token_is_remembered_for_a_shorter_time() {
    let world = world(10);
    world.oracle.answers(Err(AuthorityError::Rejected));
    assert_eq!(world.ask_at(0).await, Err(AuthError::Rejected));
    assert_eq!(world.ask_at(4).await, Err(AuthError::Rejected));
    assert_eq!(world.oracle.asked(), 1);
    world.oracle.answers(Ok(grant()));
    world.ask_at(5).await.unwrap();
}

#[tokio::test]
async fn good_token_opens_within_the_grace_while_the_authority_is_away() {
    let world = world(100);
    world.ask_at(0).await.unwrap();
    world.oracle.answers(away());
    for secs in [60, 300, 659] {
        world.ask_at(secs).await.unwrap();
    }
    let error = world.ask_at(660).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable("connection refused".to_owned()));
    world.oracle.answers(Ok(grant()));
    world.ask_at(661).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unknown_token_gets_no_grace_and_an_absent_authority_few_questions() {
    let world = world(100);
    world.oracle.answers(away());
    for _ in 0..10 {
        assert!(matches!(world.ask_at(0).await, Err(AuthError::Unavailable(_))));
    }
    assert_eq!(world.oracle.asked(), 1);
    world.oracle.answers(Ok(grant()));
    world.ask_at(1).await.unwrap();
}

#[tokio::test]
async fn rejection_ends_the_grace() {
    let world = world(100);
    world.ask_at(0).await.unwrap();
    world.oracle.answers(Err(AuthorityError::Rejected));
    assert_eq!(world.ask_at(60).await, Err(AuthError::Rejected));
    world.oracle.answers(away());
    assert!(matches!(world.ask_at(65).await, Err(AuthError::Unavailable(_))));
}

#[tokio::test(start_paused = true)]
async fn authority_that_swallows_questions_is_not_asked_again_at_once() {
    let world = world(0);
    world.oracle.answers(away());
    let caller = world.caller();
    tokio::time::sleep(Duration::from_secs(10)).await;
    world.oracle.gate.add_permits(2);
    caller.await.unwrap().unwrap_err();
    world.ask_at(10).await.unwrap_err();
    assert_eq!(world.oracle.asked(), 1);
    world.ask_at(11).await.unwrap_err();
    assert_eq!(world.oracle.asked(), 2);
}

#[tokio::test]
async fn flood_of_wrong_tokens_stays_bounded_and_costs_no_good_one_its_place() {
    let world = world(10_000);
    world.ask_at(0).await.unwrap();
    world.oracle.answers(Err(AuthorityError::Rejected));
    for _ in 0..1000 {
        let wrong = VolumeToken::generate();
        assert_eq!(world.authenticator.authenticate(&wrong, world.start).await, Err(AuthError::Rejected));
        assert!(world.authenticator.slots.len() <= SETTINGS.entries_max);
    }
    let asked = world.oracle.asked();
    world.ask_at(1).await.unwrap();
    assert_eq!(world.oracle.asked(), asked);
}

#[tokio::test]
async fn many_good_tokens_stay_bounded_and_the_oldest_go_first() {
    let world = world(10_000);
    for age in 0..150 {
        let token = VolumeToken::generate();
        let now = world.start + Duration::from_millis(age);
        world.authenticator.authenticate(&token, now).await.unwrap();
        assert!(world.authenticator.slots.len() <= SETTINGS.entries_max);
    }
    world.ask_at(1).await.unwrap();
    assert!(world.authenticator.slots.len() > SETTINGS.entries_max / 2);
}

#[tokio::test]
async fn nothing_shows_a_token() {
    let world = world(10);
    world.oracle.answers(away());
    let error = world.ask_at(0).await.unwrap_err();
    let shown = format!("{error} {error:?} {:?} {}", world.authenticator, AuthError::Rejected);
    assert!(!shown.contains(world.token.expose()), "{shown}");
    assert!(world.authenticator.slots.iter().all(|slot| slot.key()[..] != world.token.expose().as_bytes()[..32]));
}
