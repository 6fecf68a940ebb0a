//! What metadata servers hear of unasked.

use std::time::{Duration, Instant};

use proto::feed::{Change, FeedLine, FeedPosition};
use serde_json::json;
use transport::rest::Lines;
use uuid::Uuid;

use super::world::{World, text, unknown_id};

async fn line(lines: &mut Lines) -> Option<FeedLine> {
    let line = tokio::time::timeout(Duration::from_secs(10), lines.next()).await.unwrap().unwrap()?;
    Some(serde_json::from_slice(&line).unwrap())
}

/// The next line that is no sign of life.
async fn change(lines: &mut Lines) -> Option<FeedLine> {
    loop {
        match line(lines).await {
            Some(FeedLine::Beat) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn every_change_of_a_token_or_a_volume_is_told_at_once() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let volume = text(&world.volume(root, &stores, "data").await, "id");
    let mut lines = world.feed(&stores.meta_token, &[]).await;
    let Some(FeedLine::Start { position, complete: false }) = line(&mut lines).await else { panic!("a start") };
    // Whoever changes something does not wait for a server that acts by all that is to come.
    let all = FeedPosition { sequence: 1000, ..position };
    world.put(&stores.meta_token, "/v1/meta-stores/self/acts", json!(all)).await.done();

    let made = world.post(root, "/v1/configure/volume-tokens", json!({ "volume_id": volume })).await.ok();
    let (token, volume_id): (Uuid, Uuid) = (text(&made, "id").parse().unwrap(), volume.parse().unwrap());
    let path = format!("/v1/configure/volume-tokens/{token}");
    world.put(root, &path, json!({ "flags": "ro" })).await.done();
    world.put(root, &path, json!({ "flags": "nonsense" })).await.refused(400, &["nonsense"]);
    world.put(root, "/v1/configure/volumes/data", json!({ "max_inodes": 5 })).await.done();
    let stored = format!("/v1/configure/block-stores/{}", stores.block);
    world.put(root, &stored, json!({ "address": "/other" })).await.done();
    world.delete(root, &path).await.done();
    world.delete(root, "/v1/configure/volumes/data").await.done();
    for wanted in [
        Change::TokenChanged(token),
        Change::TokenChanged(token),
        Change::VolumeChanged(volume_id),
        Change::VolumeChanged(volume_id),
        Change::TokenGone(token),
        Change::VolumeGone(volume_id),
    ] {
        match change(&mut lines).await {
            Some(FeedLine::Change { change, .. }) => assert_eq!(change, wanted),
            other => panic!("{other:?} instead of {wanted:?}"),
        }
    }
    assert_eq!(line(&mut lines).await, Some(FeedLine::Beat));
}

#[tokio::test]
async fn feed_goes_on_where_it_broke_off_and_begins_anew_after_a_restart() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let mut lines = world.feed(&stores.meta_token, &[]).await;
    let Some(FeedLine::Start { position, .. }) = line(&mut lines).await else { panic!("a start") };
    drop(lines);
    world.volume(root, &stores, "data").await;
    let (feed, sequence) = (position.feed.to_string(), position.sequence.to_string());
    let place = [("feed", feed.as_str()), ("sequence", sequence.as_str())];
    let mut lines = world.feed(&stores.meta_token, &place).await;
    assert!(matches!(line(&mut lines).await, Some(FeedLine::Start { complete: true, .. })));
    assert!(matches!(change(&mut lines).await, Some(FeedLine::Change { .. })));
    drop(lines);
    let world = world.reopen().await;
    let mut lines = world.feed(&stores.meta_token, &place).await;
    assert!(matches!(line(&mut lines).await, Some(FeedLine::Start { complete: false, .. })));
}

#[tokio::test]
async fn change_is_answered_when_those_who_listen_act_by_it_and_after_a_bound() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let mut lines = world.feed(&stores.meta_token, &[]).await;
    let Some(FeedLine::Start { position, .. }) = line(&mut lines).await else { panic!("a start") };
    let begin = Instant::now();
    world.volume(root, &stores, "slow").await;
    assert!(begin.elapsed() > Duration::from_secs(1), "nobody acts: {:?}", begin.elapsed());
    let Some(FeedLine::Change { sequence, .. }) = change(&mut lines).await else { panic!("a change") };
    let acts = async {
        let Some(FeedLine::Change { sequence: next, .. }) = change(&mut lines).await else { panic!("a change") };
        assert_eq!(next, sequence + 1);
        let foreign = json!(FeedPosition { feed: Uuid::new_v4(), sequence: 1000 });
        world.put(&stores.meta_token, "/v1/meta-stores/self/acts", foreign).await.done();
        let place = json!(FeedPosition { sequence: next, ..position });
        let begin = Instant::now();
        world.put(&stores.meta_token, "/v1/meta-stores/self/acts", place).await.done();
        begin
    };
    let update = world.put(root, "/v1/configure/volumes/slow", json!({ "max_inodes": 5 }));
    let (update, acted) = tokio::join!(update, acts);
    update.done();
    assert!(acted.elapsed() < Duration::from_secs(1), "{:?}", acted.elapsed());
}

#[tokio::test]
async fn feed_is_for_metadata_servers_and_ends_with_their_token() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let path = "/v1/meta-stores/self/changes";
    world.get(root, path).await.refused(401, &["metadata token"]);
    world.get(&stores.meta_token, &format!("{path}?sequence=5")).await.refused(400, &["`feed`"]);
    let mut lines = world.feed(&stores.meta_token, &[]).await;
    line(&mut lines).await.unwrap();
    let store = format!("/v1/configure/meta-stores/{}", stores.meta);
    world.put(root, &store, json!({ "token": unknown_id() })).await.done();
    assert_eq!(change(&mut lines).await, None);
}

#[tokio::test]
async fn server_with_a_listener_stops_at_once() {
    let world = World::new().await;
    let stores = world.stores().await;
    let mut lines = world.feed(&stores.meta_token, &[]).await;
    line(&mut lines).await.unwrap();
    let begin = Instant::now();
    world.close().await;
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert_eq!(change(&mut lines).await, None);
}
