use futures_util::FutureExt;

use super::*;

/// Takes turns for `holder` until it has to wait.
fn greedy(pool: &Arc<Pool>, holder: u128) -> Vec<Share> {
    std::iter::from_fn(|| pool.share(holder).now_or_never()).collect()
}

fn is_unused(pool: &Pool, turns: usize) -> bool {
    let books = pool.books();
    books.free == turns && books.holders.is_empty() && books.waiting.is_empty()
}

#[test]
fn holder_takes_no_more_than_it_leaves_to_others() {
    let pool = Pool::new(64);
    let one = greedy(&pool, 1);
    assert_eq!(one.len(), 32);
    let two = greedy(&pool, 2);
    assert_eq!(two.len(), 16, "the first one came when nobody else was there");
    let rest: Vec<_> = (3..100).flat_map(|holder| greedy(&pool, holder)).collect();
    assert_eq!(rest.len(), 16, "a turn for whoever has none, to the last");
    drop((one, two, rest));
    assert!(is_unused(&pool, 64), "who went away left something: {pool:?}");
}

#[test]
fn turn_that_is_given_back_goes_to_holders_in_turn_and_in_order_within_each() {
    let pool = Pool::new(2);
    let first = pool.share(1).now_or_never().unwrap();
    let mut waiting: Vec<_> = [1, 1, 2, 2].iter().map(|holder| Box::pin(pool.share(*holder))).collect();
    let mut got = |number: usize| waiting[number].as_mut().now_or_never();
    // The second turn is free, and holder 1 has one already; holder 2 has none.
    assert!(got(0).is_none());
    let second = got(2).expect("one is free for who has none");
    assert!(got(1).is_none() && got(3).is_none());
    drop(first);
    let third = got(0).expect("the one that waited first");
    assert!(got(1).is_none() && got(3).is_none());
    drop(third);
    let fourth = got(1).expect("holder 2 has one");
    drop((second, fourth));
    assert!(got(3).is_some());
    drop(waiting);
    assert!(is_unused(&pool, 2), "{pool:?}");
}

#[test]
fn turns_of_who_stopped_waiting_go_to_the_next() {
    let pool = Pool::new(2);
    let one = pool.share(1).now_or_never().unwrap();
    let other = pool.share(2).now_or_never().unwrap();
    let mut given_up = Box::pin(pool.share(1));
    let mut stays = Box::pin(pool.share(1));
    assert!(given_up.as_mut().now_or_never().is_none() && stays.as_mut().now_or_never().is_none());
    drop(given_up);
    drop(one);
    let share = stays.as_mut().now_or_never().expect("nobody is before it any more");
    // Given to one that goes away without looking at it.
    let mut late = Box::pin(pool.share(3));
    assert!(late.as_mut().now_or_never().is_none());
    drop(other);
    drop(late);
    drop((share, stays));
    assert!(is_unused(&pool, 2), "{pool:?}");
}

#[test]
fn many_that_wait_are_all_served_at_last() {
    let pool = Pool::new(8);
    let mut held = greedy(&pool, 0);
    let mut waiting: Vec<_> = (0..1000_u128).map(|number| Box::pin(pool.share(number % 50))).collect();
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
    assert!(is_unused(&pool, 8), "{pool:?}");
}

#[tokio::test]
async fn connection_has_a_few_of_its_holders_turns() {
    let pool = Pool::new(64);
    let mut turns = Turns::of_stranger();
    turns.take_from(Arc::clone(&pool), 1);
    let had: Vec<_> = std::iter::from_fn(|| turns.turn().now_or_never()).collect();
    assert_eq!(had.len(), LONG_CALLS_MAX);
    let mut of_another = Turns::of_stranger();
    of_another.take_from(pool, 1);
    assert!(of_another.turn().now_or_never().is_some(), "another connection of the same holder");
}
