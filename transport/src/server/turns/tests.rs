use futures_util::FutureExt;

use super::*;

const fn of(account: u128, token: u128) -> Holder {
    Holder { account, token }
}

/// Takes turns for `holder` until there is none for it.
fn greedy(pool: &Arc<Pool>, holder: Holder) -> Vec<Share> {
    std::iter::from_fn(|| pool.share_now(holder)).collect()
}

fn is_clean(pool: &Pool, turns: usize) -> bool {
    pool.books().are_clean(turns)
}

#[test]
fn token_takes_no_more_than_it_leaves_to_others_of_its_account_and_the_account_to_others() {
    let pool = Pool::new(64);
    let one = greedy(&pool, of(1, 1));
    assert_eq!(one.len(), 22, "a third");
    let more: Vec<_> = (2..100).flat_map(|token| greedy(&pool, of(1, token))).collect();
    assert_eq!(one.len() + more.len(), 32, "half of them are all that an account has");
    let of_two: Vec<_> = (0..100).flat_map(|token| greedy(&pool, of(2, token))).collect();
    assert_eq!(of_two.len(), 16, "the other one came when nobody else was there");
    assert!(!greedy(&pool, of(3, 1)).is_empty(), "a third one finds some");
    let rest: Vec<_> = (3..1000).flat_map(|account| greedy(&pool, of(account, 1))).collect();
    assert_eq!(one.len() + more.len() + of_two.len() + rest.len(), 64, "a turn for whoever has none, to the last");
    drop((one, more, of_two, rest));
    assert!(is_clean(&pool, 64), "who went away left something: {pool:?}");
}

#[test]
fn turn_that_is_given_back_goes_to_accounts_and_tokens_in_turn_and_in_order_within_each() {
    let pool = Pool::new(2);
    let (first, second) = (pool.share_now(of(1, 1)).unwrap(), pool.share_now(of(2, 1)).unwrap());
    let holders = [of(1, 1), of(1, 1), of(1, 2), of(3, 1)];
    let mut waiting = holders.map(|holder| Box::pin(pool.share(holder)));
    let mut got = |number: usize| waiting[number].as_mut().now_or_never();
    assert!((0..4).all(|number| got(number).is_none()));
    drop(first);
    let third = got(0).expect("the one that waited first");
    assert!((1..4).all(|number| got(number).is_none()));
    drop(third);
    let fourth = got(3).expect("another account's");
    assert!((1..3).all(|number| got(number).is_none()));
    drop(fourth);
    let fifth = got(2).expect("another token of the account");
    drop(second);
    assert!(got(1).is_none(), "its account has as many as are free");
    drop(fifth);
    assert!(got(1).is_some());
    drop(waiting);
    assert!(is_clean(&pool, 2), "{pool:?}");
}

#[test]
fn turns_of_who_stopped_waiting_go_to_the_next() {
    let pool = Pool::new(2);
    let one = pool.share_now(of(1, 1)).unwrap();
    let other = pool.share_now(of(2, 2)).unwrap();
    let mut given_up = Box::pin(pool.share(of(1, 1)));
    let mut stays = Box::pin(pool.share(of(1, 1)));
    assert!(given_up.as_mut().now_or_never().is_none() && stays.as_mut().now_or_never().is_none());
    assert!(one.is_wanted() && !other.is_wanted());
    drop(given_up);
    drop(one);
    let share = stays.as_mut().now_or_never().expect("nobody is before it any more");
    assert!(!share.is_wanted());
    // Given to one that goes away without looking at it.
    let mut late = Box::pin(pool.share(of(3, 3)));
    assert!(late.as_mut().now_or_never().is_none());
    drop(other);
    drop(late);
    drop((share, stays));
    assert!(is_clean(&pool, 2), "{pool:?}");
}

#[test]
fn many_that_wait_are_all_served_at_last() {
    let pool = Pool::new(8);
    let mut held = greedy(&pool, of(0, 0));
    let holder = |number: u128| of(number % 7, number % 50);
    let mut waiting: Vec<_> = (0..1000).map(|number| Box::pin(pool.share(holder(number)))).collect();
    let mut served = 0;
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain_mut(|share| match share.as_mut().now_or_never() {
            Some(share) => {
                held.push(share);
                false
            }
            None => true,
        });
        served += before - waiting.len();
        assert!(held.len() <= 8, "{} turns of eight", held.len());
        assert!(!held.is_empty(), "{served} served, and nobody comes to a turn any more");
        held.clear();
    }
    drop(waiting);
    assert!(is_clean(&pool, 8), "{pool:?}");
}

#[tokio::test]
async fn connection_has_a_few_of_its_tokens_turns() {
    let pool = Pool::new(64);
    let turns = Turns::new(Arc::clone(&pool), of(1, 1));
    let had: Vec<_> = std::iter::from_fn(|| turns.turn_now()).collect();
    assert_eq!(had.len(), LONG_CALLS_MAX);
    assert!(Turns::new(pool, of(1, 1)).turn_now().is_some(), "another connection of the same token");
}

#[tokio::test(start_paused = true)]
async fn turn_that_does_not_get_on_is_lost_when_others_wait_and_at_last() {
    let pool = Pool::new(2);
    let turns = Turns::new(Arc::clone(&pool), of(1, 1));
    let idle = turns.turn_now().unwrap();
    let mut busy = Turns::new(Arc::clone(&pool), of(2, 1)).turn_now().unwrap();
    let began = Instant::now();
    let lost = idle.lasts(std::future::pending::<()>()).await;
    assert_eq!((lost, began.elapsed().as_secs()), (Err(CallError::Deadline), 20), "nobody waited");

    let (idle, began) = (Turn { since: Instant::now(), ..idle }, Instant::now());
    busy.since = began;
    let third = Turns::new(Arc::clone(&pool), of(3, 1));
    let mut waiting = Box::pin(third.turn());
    assert!(waiting.as_mut().now_or_never().is_none());
    assert_eq!(idle.lasts(std::future::pending::<()>()).await, Err(CallError::Crowded));
    assert_eq!(began.elapsed(), FAIR);
    // Four seconds at the slowest pace.
    busy.note(4 * PACE);
    assert_eq!(busy.lasts(std::future::ready(())).await, Ok(()));
    assert_eq!(busy.lasts(tokio::time::sleep(Duration::from_secs(3))).await, Ok(()));
    assert_eq!(busy.lasts(std::future::pending::<()>()).await, Err(CallError::Crowded));
    assert_eq!(began.elapsed(), FAIR + Duration::from_secs(4));
    drop(idle);
    assert!(waiting.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn turn_is_not_waited_for_without_end() {
    let pool = Pool::new(2);
    let _all = [of(1, 1), of(2, 1)].map(|holder| pool.share_now(holder).unwrap());
    let began = Instant::now();
    let turn = Turns::new(Arc::clone(&pool), of(3, 1)).turn().await.map(drop);
    assert_eq!((turn, began.elapsed()), (Err(CallError::Crowded), WAIT_MAX));
}

#[tokio::test(start_paused = true)]
async fn turn_of_who_trickles_is_over_as_well() {
    let pool = Pool::new(2);
    let turns = [of(1, 1), of(2, 1)].map(|holder| Turns::new(Arc::clone(&pool), holder));
    let [mut slow, other] = turns.map(|turns| turns.turn_now().unwrap());
    let mut trickle = async |seconds: u64| {
        let began = Instant::now();
        while began.elapsed().as_secs() < seconds {
            slow.lasts(tokio::time::sleep(Duration::from_millis(100))).await?;
            slow.note(1);
        }
        Ok(())
    };
    assert_eq!(trickle(3).await, Ok(()), "nobody waits");
    let waiting = tokio::spawn(async move { Turns::new(pool, of(3, 1)).turn().await.map(drop) });
    assert_eq!(trickle(3).await, Err(CallError::Crowded));
    drop(other);
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(trickle(30).await, Err(CallError::Deadline));
}

#[test]
fn turns_are_wanted_by_those_only_whom_they_would_help() {
    let pool = Pool::new(64);
    let mut mine = greedy(&pool, of(1, 1));
    let mut more = Box::pin(pool.share(of(1, 1)));
    assert!(more.as_mut().now_or_never().is_none());
    assert!(mine[0].is_wanted(), "one of its own would do");
    let beside = pool.share_now(of(2, 1)).unwrap();
    assert!(!beside.is_wanted(), "its token has as many as it may, whoever else gives one back");
    drop(more);
    assert!(!mine[0].is_wanted());
    mine.clear();
    drop(beside);
    assert!(is_clean(&pool, 64), "{pool:?}");
}

#[test]
fn places_of_who_stopped_waiting_do_not_pile_up() {
    let pool = Pool::new(2);
    let held = greedy(&pool, of(1, 1));
    for _ in 0..100 {
        let mut waiting = Box::pin(pool.share(of(1, 1)));
        assert!(waiting.as_mut().now_or_never().is_none());
    }
    assert!(format!("{pool:?}").matches("Sender").count() <= 2, "{pool:?}");
    drop(held);
    assert!(is_clean(&pool, 2), "{pool:?}");
}
