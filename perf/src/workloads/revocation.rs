//! Revocation: how long a mount goes on after its token was deleted.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use auth::creds::MountCreds;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::admin::Admin;
use crate::crew::Crew;
use crate::job::Job;
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// A mount that goes on for longer is not cut at all.
const CUT_MAX: Duration = Duration::from_secs(30);
/// How often the mount is asked.
const LOOK: Duration = Duration::from_micros(200);

/// See the module.
struct Revocation;

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::new(Revocation)]
}

impl Work for Revocation {
    /// Nothing of the machine bounds it: word has to travel from one server to the other and on to the mount.
    fn figures(&self) -> Vec<Figure> {
        vec![Figure::new("revocation.cut", "from deleting a token to the first refusal of its mount", Unit::Seconds)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.system().is_some()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let up = field.subject.system().context("a revocation needs a system of this run")?;
        let folder = field.local.join(&field.name);
        let mount = folder.join("doomed-mnt");
        let revoke = Revoke { data: up.data(), creds: folder.join("creds"), mount: mount.clone() };
        let mut crew = Crew::start(field.site, vec![(Job::Revoke(revoke.clone()), folder.clone())])?;
        let doomed = up.mount_beside(&folder, "doomed", &revoke.creds)?;
        let found = field.phase_within(&mut crew, Unit::Seconds, CUT_MAX.as_secs_f64());
        drop(doomed);
        let found = found?;
        crew.clean()?;
        Ok(vec![found])
    }
}

/// Makes a token, and deletes it in the phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Revoke {
    /// Data folder of the system.
    data: PathBuf,
    /// Credentials file to write.
    creds: PathBuf,
    /// Where a mount with these credentials is.
    mount: PathBuf,
}

impl Revoke {
    pub(crate) fn at_work(self) -> Revoking {
        Revoking { job: self, ready: None }
    }
}

pub(crate) struct Revoking {
    job: Revoke,
    ready: Option<(Runtime, Admin, MountCreds)>,
}

impl Duty for Revoking {
    fn prepare(&mut self) -> Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("starting the runtime")?;
        let admin = Admin::of(&self.job.data)?;
        let creds = runtime.block_on(admin.create_token())?;
        creds.save(&self.job.creds, false)?;
        self.ready = Some((runtime, admin, creds));
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let (runtime, admin, creds) = self.ready.as_ref().context("a token was made")?;
        self.look().context("the mount before its token is deleted")?;
        let start = Instant::now();
        runtime.block_on(admin.delete_token(&creds.token))?;
        while self.look().is_ok() {
            ensure!(start.elapsed() < CUT_MAX, "the mount goes on {} s after its token was deleted", CUT_MAX.as_secs());
            std::thread::sleep(LOOK);
        }
        tally.seconds = start.elapsed().as_secs_f64();
        tally.operations = 1;
        Ok(())
    }
}

impl Revoking {
    /// Asks the mount for something that the kernel does not know.
    fn look(&self) -> std::io::Result<()> {
        statx(CWD, &self.job.mount, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS)?;
        Ok(())
    }
}
