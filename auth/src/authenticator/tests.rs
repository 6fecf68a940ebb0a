use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proto::{BlockStoreSettings, VolumeId, VolumeSettings};
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

const KEY: MarkKey = [7; 32];

fn grant() -> TokenGrant {
    let block_store = BlockStoreSettings::local("/blocks", "b");
    let volume = VolumeSettings::new(VolumeId(Uuid::from_u128(1)), "data", 4 << 20, block_store);
    TokenGrant::whole(Uuid::from_u128(7), volume)
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
    let authenticator = Arc::new(Authenticator::new(Arc::clone(&oracle), SETTINGS, &KEY));
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
    assert_eq!(world.ask_at(60).await, Err(AuthError::Ended));
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
    for secs in [60, 300, 599] {
        world.ask_at(secs).await.unwrap();
    }
    let error = world.ask_at(600).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable("connection refused".to_owned()));
    world.oracle.answers(Ok(grant()));
    world.ask_at(601).await.unwrap();
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
    assert_eq!(world.ask_at(60).await, Err(AuthError::Ended));
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
    assert!(world.authenticator.slots.iter().all(|slot| slot.key().0[..] != world.token.expose().as_bytes()[..32]));
}

#[tokio::test]
async fn token_that_changed_is_asked_about_at_once_and_has_no_grace() {
    let world = world(100);
    world.ask_at(0).await.unwrap();
    world.oracle.answers(away());
    world.authenticator.heed(&Change::TokenChanged(Uuid::from_u128(8)));
    world.ask_at(1).await.unwrap();
    for change in [Change::TokenGone(Uuid::from_u128(7)), Change::VolumeChanged(Uuid::from_u128(1))] {
        world.oracle.answers(Ok(grant()));
        world.ask_at(2).await.unwrap();
        world.oracle.answers(away());
        world.authenticator.heed(&change);
        assert!(matches!(world.ask_at(2).await, Err(AuthError::Unavailable(_))), "{change:?}");
        world.authenticator.heed(&change);
    }
}

#[tokio::test]
async fn answer_that_a_change_overtook_is_not_given() {
    let world = world(0);
    let caller = world.caller();
    world.settle().await;
    world.oracle.answers(Err(AuthorityError::Rejected));
    world.authenticator.heed(&Change::TokenGone(Uuid::from_u128(7)));
    world.oracle.gate.add_permits(2);
    assert_eq!(caller.await.unwrap(), Err(AuthError::Rejected));
    assert_eq!(world.oracle.asked(), 2);
}

#[tokio::test]
async fn token_that_is_made_after_it_was_tried_opens_at_once() {
    let world = world(100);
    world.oracle.answers(Err(AuthorityError::Rejected));
    world.ask_at(0).await.unwrap_err();
    world.oracle.answers(Ok(grant()));
    world.authenticator.heed(&Change::TokenChanged(Uuid::from_u128(7)));
    world.ask_at(0).await.unwrap();
}

#[tokio::test]
async fn doubt_asks_again_and_leaves_the_grace() {
    let world = world(100);
    let first = world.ask_at(0).await.unwrap();
    world.authenticator.doubt_all();
    world.oracle.answers(away());
    world.ask_at(1).await.unwrap();
    assert_eq!(world.oracle.asked(), 2);
    world.oracle.answers(Ok(grant()));
    let again = world.ask_at(2).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again), "an answer that tells nothing new is the same");
    world.oracle.answers(away());
    world.authenticator.doubt_all();
    assert!(world.ask_at(602).await.is_err());
}

#[tokio::test]
async fn grant_is_held_until_a_change_comes() {
    let world = world(100);
    let granted = world.ask_at(0).await.unwrap();
    let mark = world.authenticator.mark(&world.token);
    assert!(world.authenticator.holds(&mark, &granted) && world.authenticator.knows(&mark, world.start));
    world.authenticator.heed(&Change::VolumeGone(Uuid::from_u128(1)));
    assert!(!world.authenticator.holds(&mark, &granted) && !world.authenticator.knows(&mark, world.start));
}

#[tokio::test]
async fn restart_keeps_what_is_left_of_the_grace_and_no_token() {
    let world = world(100);
    world.ask_at(0).await.unwrap();
    world.oracle.answers(away());
    let remembered = world.authenticator.remember(world.start + Duration::from_secs(500));
    assert_eq!((remembered.len(), remembered[0].age), (1, Duration::from_secs(500)));
    assert!(!format!("{remembered:?}").contains(world.token.expose()));
    let next = Authenticator::new(Arc::clone(&world.oracle), SETTINGS, &KEY);
    let start = world.start + Duration::from_secs(1000);
    next.recall(remembered.clone(), start);
    next.authenticate(&world.token, start + Duration::from_secs(99)).await.unwrap();
    let late = next.authenticate(&world.token, start + Duration::from_secs(101)).await;
    assert!(matches!(late, Err(AuthError::Unavailable(_))), "{late:?}");
    let stranger = Authenticator::new(Arc::clone(&world.oracle), SETTINGS, &[8; 32]);
    stranger.recall(remembered, start);
    stranger.authenticate(&world.token, start).await.unwrap_err();
}

#[tokio::test]
async fn token_recalled_is_asked_about_where_the_authority_is_there() {
    let world = world(100);
    world.ask_at(0).await.unwrap();
    let next = Authenticator::new(Arc::clone(&world.oracle), SETTINGS, &KEY);
    next.recall(world.authenticator.remember(world.start), world.start);
    world.oracle.answers(Err(AuthorityError::Rejected));
    assert_eq!(next.authenticate(&world.token, world.start).await, Err(AuthError::Ended));
}
