//! One thread's part of the sessions.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use auth::VolumeToken;
use futures_util::future::try_join_all;
use futures_util::stream::{FuturesUnordered, TryStreamExt as _};
use proto::{InodeId, Request};
use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval_at};
use transport::client::Dialer;
use transport::cpus::pin;

use super::{file, runtime};
use crate::session::{Server, Session};
use crate::tally::{Tally, Until};

/// Time between two reads of a session that has other things to do: mounts that work, but not as fast as they can.
pub(super) const ASK_EVERY: Duration = Duration::from_millis(100);

/// How eagerly sessions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// One read after the other.
    Fast,
    /// One in [`ASK_EVERY`].
    Calm,
}

/// Time for telling the server that connections are closed.
const FAREWELL: Duration = Duration::from_millis(50);
/// Sessions that share a socket. A mount has one for each of its threads; a thousand of those would keep the load
/// generator busy with their memory.
const SESSIONS_PER_SOCKET: usize = 16;

/// A thread's runtime, on its CPU as a mount's is, with the sessions that live in it.
pub(super) struct Lane {
    runtime: Runtime,
    cpu: usize,
    /// Numbers of its sessions: session n reads file n.
    numbers: Range<u32>,
    dialers: Vec<Arc<Dialer>>,
    sessions: Vec<Session>,
}

impl Lane {
    /// A lane with its sockets, and no session yet.
    pub(super) fn new(numbers: Range<u32>, cpu: usize, server: &Server) -> Result<Self> {
        let runtime = runtime()?;
        let dialers = {
            let _runtime = runtime.enter();
            (0..numbers.len().div_ceil(SESSIONS_PER_SOCKET)).map(|_| server.dialer()).collect::<Result<_>>()?
        };
        Ok(Self { runtime, cpu, numbers, dialers, sessions: Vec::new() })
    }

    /// Opens all at once and keeps them.
    pub(super) fn open(&mut self, server: &Server, token: &VolumeToken) -> Result<Tally> {
        let Self { runtime, cpu, numbers, dialers, sessions } = self;
        pin(*cpu);
        runtime.block_on(async {
            let open = async |dialer| {
                let start = Instant::now();
                let session = Session::open_from(dialer, server, token, "session storm").await;
                session.map(|session| (session, start.elapsed()))
            };
            let sockets = dialers.iter().cycle().take(numbers.len());
            let opening: FuturesUnordered<_> = sockets.map(|dialer| open(Arc::clone(dialer))).collect();
            let opened: Vec<_> = opening.try_collect().await?;
            let mut tally = Tally { operations: opened.len() as u64, ..Tally::default() };
            for (session, took) in opened {
                tally.latency.record(took);
                sessions.push(session);
            }
            Ok(tally)
        })
    }

    /// Has every session look up its file, again and again for `seconds`.
    pub(super) fn read(&self, folder: InodeId, seconds: f64, pace: Pace) -> Result<Tally> {
        pin(self.cpu);
        self.runtime.block_on(async {
            let (start, until) = (Instant::now(), Until::seconds(seconds));
            let reading = self.sessions.iter().zip(self.numbers.clone());
            let reading = reading.map(|(session, number)| self.read_one(session, number, folder, until, pace));
            let mut whole = Tally::default();
            for tally in try_join_all(reading).await? {
                whole.join(&tally);
            }
            whole.seconds = start.elapsed().as_secs_f64();
            Ok(whole)
        })
    }

    async fn read_one(
        &self,
        session: &Session,
        number: u32,
        folder: InodeId,
        until: Until,
        pace: Pace,
    ) -> Result<Tally> {
        let lookup = Request::Lookup { parent: folder, name: file(number)? };
        let mut tally = Tally::default();
        // Spread over the time between two reads.
        let place = f64::from(number - self.numbers.start) / f64::from(self.numbers.end - self.numbers.start);
        let begin = tokio::time::Instant::now() + ASK_EVERY.mul_f64(place);
        let mut turns = interval_at(begin, ASK_EVERY);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while until.is_ahead() {
            if pace == Pace::Calm {
                turns.tick().await;
            }
            let start = Instant::now();
            session.ask(lookup.clone()).await?;
            tally.latency.record(start.elapsed());
            tally.operations += 1;
        }
        Ok(tally)
    }

    /// Ends all connections.
    pub(super) fn close(&mut self) {
        self.sessions.iter().for_each(Session::close);
        // The farewell is on its way when the runtime has had its turn.
        self.runtime.block_on(async { tokio::time::sleep(FAREWELL).await });
        self.sessions.clear();
    }
}
