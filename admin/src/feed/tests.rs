use super::*;

fn changed(number: u128) -> Note {
    Note::Changed(Change::TokenChanged(Uuid::from_u128(number)))
}

fn line(sequence: u64, number: u128) -> FeedLine {
    FeedLine::Change { sequence, change: Change::TokenChanged(Uuid::from_u128(number)) }
}

async fn start(listener: &mut Listener) -> (FeedPosition, bool) {
    match listener.next().await {
        Some(FeedLine::Start { position, complete }) => (position, complete),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn listener_hears_every_change_in_order_and_signs_of_life() {
    let feed = Arc::new(Feed::default());
    feed.publish(vec![changed(1)]);
    let mut listener = feed.listen(Uuid::nil(), None).unwrap();
    let (position, complete) = start(&mut listener).await;
    assert_eq!((position.sequence, complete), (1, false));
    feed.publish(vec![changed(2), changed(3)]);
    assert_eq!(listener.next().await, Some(line(2, 2)));
    assert_eq!(listener.next().await, Some(line(3, 3)));
    assert_eq!(listener.next().await, Some(FeedLine::Beat));
    feed.publish(vec![changed(4)]);
    assert_eq!(listener.next().await, Some(line(4, 4)));
}

#[tokio::test(start_paused = true)]
async fn listener_that_comes_back_hears_what_it_missed() {
    let feed = Arc::new(Feed::default());
    let mut listener = feed.listen(Uuid::nil(), None).unwrap();
    let (position, _) = start(&mut listener).await;
    drop(listener);
    feed.publish(vec![changed(1), changed(2)]);
    let after = Some(FeedPosition { sequence: 1, ..position });
    let mut listener = feed.listen(Uuid::nil(), after).unwrap();
    assert!(start(&mut listener).await.1);
    assert_eq!(listener.next().await, Some(line(2, 2)));
}

#[tokio::test(start_paused = true)]
async fn place_of_another_life_or_of_the_future_is_not_trusted() {
    let feed = Arc::new(Feed::default());
    feed.publish(vec![changed(1)]);
    let strange = FeedPosition { feed: Uuid::nil(), sequence: 1 };
    let future = FeedPosition { feed: feed.life, sequence: 2 };
    for after in [strange, future] {
        let mut listener = feed.listen(Uuid::nil(), Some(after)).unwrap();
        let (position, complete) = start(&mut listener).await;
        assert_eq!((position, complete), (FeedPosition { feed: feed.life, sequence: 1 }, false));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_listener_is_told_of_the_gap_and_goes_on_behind_it() {
    let feed = Arc::new(Feed::default());
    let mut listener = feed.listen(Uuid::nil(), None).unwrap();
    let (position, _) = start(&mut listener).await;
    feed.publish((0..=KEPT_MAX as u128).map(changed).collect());
    assert_eq!(listener.next().await, Some(FeedLine::Gap { sequence: 1 }));
    assert_eq!(listener.next().await, Some(line(2, 1)));
    assert!(feed.kept().notes.len() <= KEPT_MAX);
    let mut again = feed.listen(Uuid::nil(), Some(position)).unwrap();
    assert!(!start(&mut again).await.1, "what it missed is not all kept");
}

#[tokio::test(start_paused = true)]
async fn listener_with_a_token_that_ended_hears_no_more_and_others_do() {
    let feed = Arc::new(Feed::default());
    let (store, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut listeners = [store, other].map(|store| feed.listen(store, None).unwrap());
    for listener in &mut listeners {
        start(listener).await;
    }
    feed.publish(vec![Note::ServerToken(store), changed(5)]);
    assert_eq!(listeners[0].next().await, None);
    assert_eq!(listeners[1].next().await, Some(line(2, 5)));
    feed.close();
    assert_eq!(listeners[1].next().await, None);
}

#[tokio::test(start_paused = true)]
async fn change_is_acted_on_when_all_who_listen_say_so_or_went_away() {
    let feed = Arc::new(Feed::default());
    let (store, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut listener = feed.listen(store, None).unwrap();
    let lost = feed.listen(other, None).unwrap();
    let (position, _) = start(&mut listener).await;
    feed.publish(vec![changed(1), changed(2)]);
    let acted = async |sequence| {
        let begin = Instant::now();
        feed.acted_on(sequence).await;
        begin.elapsed() < ACT_MAX
    };
    assert!(!acted(1).await, "neither does");
    feed.acts(store, FeedPosition { sequence: 1, ..position });
    feed.acts(store, FeedPosition { feed: Uuid::nil(), sequence: 9 });
    assert!(!acted(1).await, "one does");
    drop(lost);
    assert!(acted(1).await);
    assert!(!acted(2).await);
    feed.acts(store, FeedPosition { sequence: 2, ..position });
    assert!(acted(2).await);
}

#[tokio::test]
async fn listeners_are_bounded_and_give_their_place_back() {
    let feed = Arc::new(Feed::default());
    let listeners: Vec<_> = (0..LISTENERS_MAX).map(|_| feed.listen(Uuid::nil(), None).unwrap()).collect();
    assert!(feed.listen(Uuid::nil(), None).is_none());
    drop(listeners);
    assert!(feed.listen(Uuid::nil(), None).is_some());
}

#[tokio::test(start_paused = true)]
async fn new_token_of_a_metadata_server_is_no_change_that_others_act_by() {
    let feed = Arc::new(Feed::default());
    assert_eq!(feed.newest(), 0);
    feed.publish(vec![changed(1), Note::ServerToken(Uuid::nil())]);
    assert_eq!(feed.newest(), 1);
    feed.publish(vec![changed(2)]);
    assert_eq!(feed.newest(), 3);
}
