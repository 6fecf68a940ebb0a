//! Recovery: how long an application waits when all servers are killed and started again at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::subject::{Subject, Up};
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Work before the servers are killed, and after they are back.
const CALM: Duration = Duration::from_millis(300);
/// An outage that is longer has no end.
const SECONDS_MAX: f64 = 60.0;

/// See the module.
#[derive(Default)]
struct Recovery {
    /// Systems of its own, one for each variant: other workloads do without crashes.
    systems: BTreeMap<String, Up>,
}

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::<Recovery>::default()]
}

impl Work for Recovery {
    /// No part of the machine bounds it: what the servers have to recover is little and differs.
    fn figures(&self) -> Vec<Figure> {
        let words = "longest wait of a writer while all servers are killed and started again";
        vec![Figure::new("recovery.outage", words, Unit::Seconds)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.system().is_some()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let name = &field.subject.record.name;
        if !self.systems.contains_key(name) {
            let like = field.subject.system().context("a recovery needs a system of this run")?;
            let folder = field.local.join(format!("recovery-{name}"));
            self.systems.insert(name.clone(), Up::start(field.site, &folder, like.variant())?);
        }
        let up = self.systems.get_mut(name).context("it was just started")?;
        let enough = field.local.join(format!("{}-enough", field.name));
        let beats = Beats { enough: enough.clone() };
        let mut crew = Crew::start(field.site, vec![(Job::Beat(beats), up.other_mount().join(&field.name))])?;
        crew.go()?;
        field.site.stop.sleep(CALM)?;
        up.crash_and_restart()?;
        field.site.stop.sleep(CALM)?;
        File::create(&enough).with_context(|| format!("file {}", enough.display()))?;
        let mut tallies = crew.results(SECONDS_MAX)?;
        crew.clean()?;
        let tally = tallies.pop().context("one worker has one result")?;
        Ok(vec![Found::of(Unit::Seconds, tally)])
    }
}

/// Writes small files, each on disk before the next, until told that it is enough.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Beats {
    /// Exists when it is enough.
    enough: PathBuf,
}

impl Beats {
    pub(crate) fn in_folder(self, folder: &Path) -> Beating {
        Beating { job: self, folder: folder.to_owned() }
    }
}

pub(crate) struct Beating {
    job: Beats,
    folder: PathBuf,
}

impl Duty for Beating {
    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let until = Until::seconds(SECONDS_MAX);
        let mut longest = Duration::ZERO;
        let mut count = 0;
        while !self.job.enough.exists() {
            ensure!(until.is_ahead(), "the servers are not back after {SECONDS_MAX} s");
            let start = Instant::now();
            tally.time(|| self.beat(count)).context("writing through the crash")?;
            longest = longest.max(start.elapsed());
            count += 1;
        }
        // Whoever waited must at least get what was acknowledged.
        for number in 0..count {
            let content = std::fs::read_to_string(self.path(number)).context("what was written before the crash")?;
            ensure!(content == number.to_string(), "file {number} holds {content:?} after the crash");
        }
        tally.seconds = longest.as_secs_f64();
        tally.operations = 1;
        Ok(())
    }
}

impl Beating {
    fn beat(&self, number: u64) -> std::io::Result<()> {
        let mut file = File::create_new(self.path(number))?;
        file.write_all(number.to_string().as_bytes())?;
        file.sync_all()
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("beat-{number}"))
    }
}
