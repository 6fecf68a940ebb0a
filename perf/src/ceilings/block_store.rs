//! The local block store without a mount: whole objects in and out, as the daemon's uploads and reads do it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use block::{BlockStore as _, LocalStore};
use bytes::Bytes;
use proto::ObjectId;
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Length of an object: a block of a volume with default settings.
const OBJECT_LEN: usize = 4 << 20;
/// Objects under way at once: uploads of one file.
const AT_ONCE: u64 = 4;
/// A slow store gets so many times the usual time.
const TIME_FACTOR: f64 = 10.0;

/// See the module.
struct BlockStore {
    objects: u64,
}

pub(super) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let objects = match size {
        Size::Quick => 24,
        Size::Full => 256,
    };
    vec![Box::new(BlockStore { objects })]
}

impl Work for BlockStore {
    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("block-store.put", "block store, put, 4 MiB objects, 4 at once", Unit::Bytes),
            Figure::new("block-store.get", "block store, get, 4 MiB objects, 4 at once", Unit::Bytes),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind == Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let seconds = field.seconds * TIME_FACTOR;
        let job = Job::Objects(Objects { objects: self.objects, seconds, seed: field.seed.raw() });
        let mut crew = Crew::start(field.site, vec![(job, field.folder(0))])?;
        let put = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        let get = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        crew.clean()?;
        Ok(vec![put, get])
    }
}

/// Phase 0 puts objects, phase 1 gets them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Objects {
    objects: u64,
    /// Longest time of a phase.
    seconds: f64,
    seed: u64,
}

impl Objects {
    pub(crate) fn in_folder(self, folder: &Path) -> Moving {
        Moving { job: self, folder: folder.to_owned(), store: None, body: Bytes::new(), stored: 0 }
    }
}

pub(crate) struct Moving {
    job: Objects,
    folder: PathBuf,
    store: Option<(Runtime, LocalStore)>,
    body: Bytes,
    stored: u64,
}

impl Duty for Moving {
    fn prepare(&mut self) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
        self.store = Some((runtime, LocalStore::open(&self.folder)?));
        let mut body = vec![0; OBJECT_LEN];
        Seed::new(self.job.seed).fill(&mut body);
        self.body = body.into();
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let (runtime, store) = self.store.as_ref().context("the store was opened")?;
        let until = Until::seconds(self.job.seconds);
        let count = if number == 0 { self.job.objects } else { self.stored };
        let mut next = 1;
        while next <= count && until.is_ahead() {
            let ids: Vec<ObjectId> = (next..=count.min(next + AT_ONCE - 1)).map(ObjectId).collect();
            next += ids.len() as u64;
            let body = &self.body;
            let moved = runtime.block_on(futures(&ids, |id| async move {
                let start = std::time::Instant::now();
                if number == 0 {
                    store.put(id, vec![body.clone()]).await?;
                } else {
                    store.get(id, 0..OBJECT_LEN as u64).await?;
                }
                Ok::<_, block::StoreError>(start.elapsed())
            }))?;
            for duration in moved {
                tally.latency.record(duration);
                tally.operations += 1;
                tally.bytes += OBJECT_LEN as u64;
            }
        }
        self.stored = next - 1;
        Ok(())
    }
}

/// Runs `work` for all of `ids` at once.
async fn futures<T, E, F: Future<Output = Result<T, E>>>(
    ids: &[ObjectId],
    work: impl Fn(ObjectId) -> F,
) -> Result<Vec<T>, E> {
    futures_util::future::try_join_all(ids.iter().map(|id| work(*id))).await
}
