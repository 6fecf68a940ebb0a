use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::*;
use crate::adapter::Create;
use crate::ops::create::create;
use crate::ops::open::open;
use crate::ops::tests::{DIR, READ_ONLY, attr, empty_layout, name, world_with};

const NOT_OPEN: Claim = Claim { ino: DIR, count: 0, write: false };

/// A server with one file. It counts opens as the protocol says, whether or not its answers arrive.
#[derive(Default)]
struct Server {
    count: Cell<u32>,
    /// What becomes of the next requests, where it is not the usual.
    fates: RefCell<VecDeque<Fate>>,
    asked: RefCell<Vec<Request>>,
    /// Lets each claim go through.
    claims: Option<Semaphore>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Answered,
    /// Not carried out.
    Lost,
    /// Carried out; the answer was lost.
    AnswerLost,
}

impl Server {
    fn with_fates(fates: impl IntoIterator<Item = Fate>) -> Self {
        Self { fates: RefCell::new(fates.into_iter().collect()), ..Default::default() }
    }

    fn count(&self) -> u32 {
        self.count.get()
    }

    fn claimed(&self) -> Vec<Claim> {
        let asked = self.asked.borrow();
        let claims =
            |request: &Request| if let Request::Reclaim { claims } = request { claims.clone() } else { vec![] };
        asked.iter().flat_map(claims).collect()
    }

    fn carry_out(&self, request: &Request) -> Reply {
        let count = self.count.get();
        match request {
            Request::Open { .. } | Request::Create { .. } => {
                self.count.set(count + 1);
                Reply::Opened(attr(1, 0o644), empty_layout(1))
            }
            Request::Release { closes } => {
                self.count.set(count - closes.iter().map(|close| close.count).sum::<u32>());
                Reply::Done
            }
            Request::Reclaim { claims } => {
                let claim = claims[0];
                self.count.set(if claim.count == 0 { 0 } else { claim.count.max(count) });
                Reply::Claimed { gone: vec![] }
            }
            other => panic!("not asked for: {other:?}"),
        }
    }
}

impl MetaClient for &Server {
    async fn call(&self, _caller: &Caller, request: Request) -> Result<Reply, Errno> {
        self.asked.borrow_mut().push(request.clone());
        if let (Some(claims), Request::Reclaim { .. }) = (&self.claims, &request) {
            claims.acquire().await.unwrap().forget();
        }
        let fate = self.fates.borrow_mut().pop_front().unwrap_or(Fate::Answered);
        let reply = (fate != Fate::Lost).then(|| self.carry_out(&request));
        reply.filter(|_| fate != Fate::AnswerLost).ok_or(Errno::EIO)
    }
}

async fn open_file(cx: &Cx<&Server>) -> HandleId {
    match open(cx, READ_ONLY).await.unwrap() {
        Answer::Opened { handle, .. } => handle,
        other => panic!("no handle: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn close_whose_answer_is_lost_does_not_stay_open_at_the_server() {
    for fate in [Fate::Lost, Fate::AnswerLost] {
        let server = Server::with_fates([Fate::Answered, fate]);
        let cx = world_with("", &server);
        let handle = open_file(&cx).await;
        release(&cx, handle).await.unwrap();
        assert_eq!((server.count(), server.claimed()), (0, vec![NOT_OPEN]));
    }
}

#[tokio::test(start_paused = true)]
async fn lost_close_takes_no_other_handle_of_the_file_away() {
    let server = Server::with_fates([Fate::Answered, Fate::Answered, Fate::Lost]);
    let cx = world_with("", &server);
    let (first, second) = (open_file(&cx).await, open_file(&cx).await);
    release(&cx, first).await.unwrap();
    assert_eq!((server.count(), server.claimed()), (2, vec![]));
    release(&cx, second).await.unwrap();
    assert_eq!((server.count(), server.claimed()), (0, vec![NOT_OPEN]));
}

#[tokio::test(start_paused = true)]
async fn open_whose_answer_is_lost_does_not_stay_open_at_the_server() {
    let server = Server::with_fates([Fate::AnswerLost]);
    let cx = world_with("", &server);
    assert_eq!(open(&cx, READ_ONLY).await, Err(Errno::EIO));
    assert_eq!(server.count(), 1);
    settle(&cx).await;
    assert_eq!((server.count(), server.claimed()), (0, vec![NOT_OPEN]));
}

#[tokio::test(start_paused = true)]
async fn claim_that_fails_is_made_again() {
    let server = Server::with_fates([Fate::Answered, Fate::Lost, Fate::Lost]);
    let cx = world_with("", &server);
    let handle = open_file(&cx).await;
    release(&cx, handle).await.unwrap();
    assert_eq!(server.count(), 1);
    settle(&cx).await;
    assert_eq!((server.count(), server.claimed()), (0, vec![NOT_OPEN; 2]));
}

#[tokio::test(start_paused = true)]
async fn lone_close_leaves_soon() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open_file(&cx).await;
    let before = tokio::time::Instant::now();
    release(&cx, handle).await.unwrap();
    assert!(before.elapsed() >= GATHER && before.elapsed() < 2 * GATHER);
}

#[tokio::test(start_paused = true)]
async fn closes_that_arrive_cost_no_claim() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open_file(&cx).await;
    release(&cx, handle).await.unwrap();
    settle(&cx).await;
    assert_eq!((server.count(), server.claimed()), (0, vec![]));
}

#[tokio::test(start_paused = true)]
async fn file_created_while_it_is_claimed_as_not_open_is_held_when_the_create_returns() {
    let server = Server { claims: Some(Semaphore::new(0)), ..Server::with_fates([Fate::AnswerLost]) };
    let cx = world_with("", &server);
    assert_eq!(open(&cx, READ_ONLY).await, Err(Errno::EIO));
    let by_name = async {
        // The claim waits to go through.
        tokio::task::yield_now().await;
        let created = create(&cx, Create { name: name("f"), perm: 0o644, exclusive: false, open: READ_ONLY }).await;
        assert!(created.is_ok());
        assert_eq!(server.count(), 1, "used without being held");
    };
    let passage = async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        server.claims.as_ref().unwrap().add_permits(2);
    };
    tokio::join!(settle(&cx), by_name, passage);
    assert_eq!(server.claimed(), [NOT_OPEN, Claim { count: 1, ..NOT_OPEN }]);
}
