//! The volume in the engine, without a server: opened from the folder, and looked up in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use proto::Request;
use serde::{Deserialize, Serialize};

use super::fill;
use super::plan::{Picks, Plan};
use super::serve::{CACHE_MAX, forget_pages};
use crate::direct::{Direct, open_volume};
use crate::seed::Seed;
use crate::tally::{Tally, Until};
use crate::worker::Duty;

/// Opens the volume in `folder`, or makes one, and a session of it.
pub(super) fn open(folder: &Path) -> Result<Direct> {
    Direct::open(Arc::new(open_volume(&folder.join("db"), CACHE_MAX)?))
}

/// Looks files up at random.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lookups {
    pub(super) plan: Plan,
    pub(super) seconds: f64,
    pub(super) seed: u64,
}

impl Lookups {
    pub(crate) fn in_folder(self, folder: &Path) -> Looking {
        Looking { job: self, folder: folder.to_owned(), direct: None }
    }
}

pub(crate) struct Looking {
    job: Lookups,
    folder: PathBuf,
    direct: Option<Direct>,
}

impl Duty for Looking {
    fn prepare(&mut self) -> Result<()> {
        forget_pages(&self.folder)?;
        self.direct = Some(open(&self.folder)?);
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let direct = self.direct.as_mut().context("the volume was opened")?;
        let Lookups { plan, seconds, seed } = self.job;
        let mut picks = Picks::new(plan, fill::read_dirs(&self.folder)?, Seed::new(seed));
        let until = Until::seconds(seconds);
        while until.is_ahead() {
            let pick = picks.next()?;
            tally.time(|| direct.ask(Request::Lookup { parent: pick.dir, name: pick.name }))?;
        }
        Ok(())
    }
}
