//! Object ids: only what was granted to a session, once, can become part of a file.

use proto::{
    BlockChange, BlockIndex, Commit, Copied, Errno, ObjectId, Refused, Reply, Request, Rewrite, Source, Timespec,
};
use tests::WireClient;

use super::stage::{Hands, Stage, commit_of, piece};

const EPERM: Result<Reply, Refused> = Err(Refused::Error(Errno::EPERM));

#[tokio::test]
async fn commit_takes_only_ids_that_were_granted_to_its_session() {
    let mut stage = Stage::set().await;
    let things = stage.things.clone();
    let first = stage.scoped.grant(4).await;
    let before = stage.picture().await;
    let strangers = [
        ObjectId(0),
        ObjectId(1),
        ObjectId(u64::MAX),
        things.honest_object,
        ObjectId(things.honest_object.0 + 15),
        things.foreign_object,
        ObjectId(first.0 + 4),
    ];
    for stranger in strangers {
        assert_eq!(stage.scoped.ask(commit_of(things.mine, &[stranger])).await, EPERM, "{stranger}");
        // One that is good does not carry another along, in either order.
        for objects in [[first, stranger], [stranger, first]] {
            assert_eq!(stage.scoped.ask(commit_of(things.mine, &objects)).await, EPERM, "{objects:?}");
        }
        assert_eq!(stage.scoped.ask(rewrite(&things, stranger, first)).await, EPERM, "a rewrite as {stranger}");
    }
    assert_eq!(stage.scoped.ask(commit_of(things.mine, &[first, first])).await, EPERM, "twice in one commit");
    assert_eq!(stage.picture().await, before);

    stage.scoped.done(commit_of(things.mine, &[first])).await;
    assert_eq!(stage.scoped.ask(commit_of(things.mine, &[first])).await, EPERM, "twice");
    let next = ObjectId(first.0 + 1);
    stage.scoped.done(Request::GrantObjects { count: 1, given_back: vec![next] }).await;
    assert_eq!(stage.scoped.ask(commit_of(things.mine, &[next])).await, EPERM, "after it was given back");
    stage.honest.done(commit_of(things.secret, &[things.honest_object])).await;
}

/// A commit of `object` to the attacker's file that says it holds copies of what `source` holds.
fn rewrite(things: &super::stage::Things, object: ObjectId, source: ObjectId) -> Request {
    let copied = vec![Copied { start: 0, end: 100, source: Source::Object(source) }];
    Request::Commit(Commit {
        ino: things.mine,
        changes: vec![BlockChange::Rewrite(BlockIndex(0), Rewrite { piece: piece(object), copied })],
        inline: None,
        base_version: 0,
        size_min: 100,
        mtime: Timespec::default(),
        durable: false,
    })
}

#[tokio::test]
async fn rewrite_that_names_the_object_of_another_file_gets_nothing_of_it() {
    let mut stage = Stage::set().await;
    let things = stage.things.clone();
    stage.honest.done(commit_of(things.secret, &[things.honest_object])).await;
    let before = stage.honest.content_words(things.secret).await;
    let mine = stage.scoped.grant(1).await;
    stage.scoped.done(rewrite(&things, mine, things.honest_object)).await;
    let layout = Request::GetLayout { ino: things.mine, first: BlockIndex(0), count: 8 };
    let Reply::Layout(_, layout) = stage.scoped.done(layout).await else { panic!("a layout") };
    assert_eq!(layout.blocks, [], "copies count only where the file itself shows what was copied");
    assert_eq!(stage.honest.content_words(things.secret).await, before);
}

#[tokio::test]
async fn ids_of_a_session_that_is_over_are_dead() {
    let stage = Stage::set().await;
    let doomed = stage.cluster.create_token(&stage.volume, "/team", "");
    let mut first = WireClient::open(&stage.cluster, &doomed).await;
    let granted = first.grant(8).await;
    stage.cluster.run_beside(&["configure", "delete", "volume-token", &doomed, "--force"]).await.success();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while first.ask(Request::StatFs).await != Err(Refused::SessionEnded) {
        assert!(std::time::Instant::now() < deadline, "the session outlives its token");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut scoped = stage.scoped;
    assert_eq!(scoped.ask(commit_of(stage.things.mine, &[granted])).await, EPERM);
}

#[tokio::test]
async fn hoarding_ids_ends_at_a_bound_of_the_session() {
    let mut stage = Stage::set().await;
    let hoard = async |client: &mut WireClient| {
        for round in 0..64 {
            match client.ask(Request::GrantObjects { count: 4096, given_back: Vec::new() }).await {
                Ok(_) => {}
                Err(refused) => return (round, refused),
            }
        }
        panic!("no end of ids")
    };
    // 65,536 ids that are not committed, less those that the stage's own commits left over.
    assert_eq!(hoard(&mut stage.scoped).await, (16, Refused::Error(Errno::EAGAIN)));
    stage.honest.grant(4096).await;
}
