//! The client of the large volume: one session, as a mount's thread.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use futures_util::future::try_join_all;
use proto::dirent::DirRecords;
use proto::limits::READDIR_BYTES_MAX;
use proto::{InodeId, Reply, Request};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use super::fill;
use super::plan::{Picks, Plan};
use super::serve::there;
use crate::seed::Seed;
use crate::session::Session;
use crate::tally::{Tally, Until};
use crate::worker::Duty;

/// Requests under way in the last phase.
const AT_ONCE: u64 = 16;

/// Phase 0 gets a first answer, 1 and 2 look files up, 3 asks for attributes, 4 lists the large directory, 5 looks files up
/// side by side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Questions {
    pub(super) plan: Plan,
    pub(super) seconds: f64,
    pub(super) seed: u64,
}

impl Questions {
    pub(crate) fn in_folder(self, folder: &Path) -> Asking {
        Asking { job: self, folder: folder.to_owned(), ready: None }
    }
}

pub(crate) struct Asking {
    job: Questions,
    folder: PathBuf,
    ready: Option<(Runtime, Session)>,
}

impl Duty for Asking {
    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        if number == 0 {
            return self.begin(tally);
        }
        let (runtime, session) = self.ready.as_ref().context("the session was opened")?;
        let until = Until::seconds(self.job.seconds);
        runtime.block_on(async {
            match number {
                1 | 2 => look_up(session, self.picks(number as u64)?, until, tally).await,
                3 => get_attrs(session, self.picks(3)?, until, tally).await,
                4 => list(session, self.picks(4)?.large(), until, tally).await,
                _ => {
                    let lanes = (0..AT_ONCE).map(async |lane| {
                        let mut tally = Tally::default();
                        look_up(session, self.picks(5 + lane)?, until, &mut tally).await?;
                        anyhow::Ok(tally)
                    });
                    try_join_all(lanes).await?.iter().for_each(|lane| tally.join(lane));
                    Ok(())
                }
            }
        })
    }
}

impl Asking {
    fn begin(&mut self, tally: &mut Tally) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
        let session = runtime.block_on(async {
            let (server, token) = there(&self.folder)?;
            let session = Session::open(&server, &token, "scale").await?;
            look_up_one(&session, &mut self.picks(0)?).await?;
            anyhow::Ok(session)
        })?;
        tally.operations = 1;
        self.ready = Some((runtime, session));
        Ok(())
    }

    fn picks(&self, part: u64) -> Result<Picks> {
        let Questions { plan, seed, .. } = self.job;
        Ok(Picks::new(plan, fill::read_dirs(&self.folder)?, Seed::new(seed).part(part)))
    }
}

async fn look_up(session: &Session, mut picks: Picks, until: Until, tally: &mut Tally) -> Result<()> {
    while until.is_ahead() {
        let start = std::time::Instant::now();
        look_up_one(session, &mut picks).await?;
        tally.latency.record(start.elapsed());
        tally.operations += 1;
    }
    Ok(())
}

async fn look_up_one(session: &Session, picks: &mut Picks) -> Result<()> {
    let pick = picks.next()?;
    match session.ask(Request::Lookup { parent: pick.dir, name: pick.name }).await? {
        Reply::Entry(attr) => ensure!(attr.ino == pick.ino, "file {} was expected, not {}", pick.ino, attr.ino),
        other => bail!("a file was expected: {other:?}"),
    }
    Ok(())
}

async fn get_attrs(session: &Session, mut picks: Picks, until: Until, tally: &mut Tally) -> Result<()> {
    while until.is_ahead() {
        let ino = picks.next()?.ino;
        let start = std::time::Instant::now();
        session.ask(Request::GetAttr { ino }).await?;
        tally.latency.record(start.elapsed());
        tally.operations += 1;
    }
    Ok(())
}

/// Page after page, with attributes, from the start again where the end comes too soon.
async fn list(session: &Session, ino: InodeId, until: Until, tally: &mut Tally) -> Result<()> {
    let mut offset = 0;
    while until.is_ahead() {
        let request = Request::ReadDir { ino, offset, bytes_max: READDIR_BYTES_MAX, attrs: true };
        let start = std::time::Instant::now();
        let Reply::Names { records, end } = session.ask(request).await? else { bail!("names were expected") };
        tally.latency.record(start.elapsed());
        let (count, last) = DirRecords::new(&records).fold((0, 0), |(count, _), record| (count + 1, record.offset));
        tally.operations += count;
        offset = if end { 0 } else { last };
    }
    Ok(())
}
