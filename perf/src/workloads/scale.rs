//! A volume of many inodes: how fast it fills, what it takes on disk and in memory, how soon it is back after a crash, and
//! how long reads of names and attributes take that nobody read before.
//!
//! Filled once for all rounds, through the engine's ordinary operations without a network. What follows goes to the server,
//! in a process of its own, over QUIC on loopback.

mod ask;
mod engine;
mod fill;
mod plan;
mod serve;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub(crate) use self::ask::Questions;
pub(crate) use self::engine::Lookups;
pub(crate) use self::fill::Fill;
pub(crate) use self::serve::Serve;

use self::plan::Plan;
use crate::crew::{Crew, Site};
use crate::job::Job;
use crate::report::Kind;
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};

/// Inodes of a volume, if nobody said how many.
pub const INODES: u64 = 10_000_000;
/// Time that filling may take for each inode, in seconds.
const FILL_EACH_MAX: f64 = 200e-6;
/// Time that a server may take to be back, in seconds.
const START_MAX: f64 = 120.0;

/// See the module.
struct Scale {
    inodes: u64,
    /// The volume's folder and what filling it took, once it is filled.
    filled: Option<(PathBuf, Tally)>,
}

pub(crate) fn all(inodes: u64) -> Vec<Box<dyn Work>> {
    vec![Box::new(Scale { inodes, filled: None })]
}

impl Work for Scale {
    fn figures(&self) -> Vec<Figure> {
        let count = millions(self.inodes);
        let figure = |id: &str, words: &str, unit| {
            Figure::new(format!("scale.{count}.{id}"), format!("{count} inodes, {words}"), unit)
        };
        vec![
            figure("fill", "made through the engine, once", Unit::Files),
            figure("disk", "on disk for each", Unit::Size),
            figure("engine-lookup.p50", "engine, look up at random, half within", Unit::Seconds),
            figure("engine-lookup.p99", "engine, look up at random, 99 % within", Unit::Seconds),
            figure("restart", "from kill -9 of the server to the first answer", Unit::Seconds),
            figure("first-lookup.p50", "look up at random, nothing cached, half within", Unit::Seconds),
            figure("first-lookup.p99", "look up at random, nothing cached, 99 % within", Unit::Seconds),
            figure("lookup.p50", "look up at random, half within", Unit::Seconds),
            figure("lookup.p99", "look up at random, 99 % within", Unit::Seconds),
            figure("lookup.p999", "look up at random, 99.9 % within", Unit::Seconds),
            figure("getattr.p99", "attributes at random, 99 % within", Unit::Seconds),
            figure("list", "list a directory with a tenth of them", Unit::Files),
            figure("lookups", "look up at random, 16 under way", Unit::Operations),
            figure("memory", "resident memory of the server", Unit::Size),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind == Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let plan = Plan::of(self.inodes);
        if self.filled.is_none() {
            let folder = field.folder(0);
            let tally = fill(field.site, plan, &folder)?;
            self.filled = Some((folder, tally));
        }
        let (folder, filled) = self.filled.as_ref().context("it was just filled")?;
        let mut found = vec![Found::of(Unit::Files, filled.clone()), Found::of(Unit::Size, disk(folder, self.inodes)?)];
        found.extend(without_server(field, plan, folder)?);
        found.extend(with_server(field, plan, folder)?);
        Ok(found)
    }
}

/// Fills the volume and has the process killed, as in a crash.
fn fill(site: &Site, plan: Plan, folder: &Path) -> Result<Tally> {
    let mut crew = Crew::start(site, vec![(Job::ScaleFill(Fill { plan }), folder.to_owned())])?;
    crew.phase(plan.inodes() as f64 * FILL_EACH_MAX + START_MAX)
}

/// Bytes below `folder`, as a size for each inode.
fn disk(folder: &Path, inodes: u64) -> Result<Tally> {
    Ok(Tally { bytes: serve::size(folder)?, operations: inodes, ..Tally::default() })
}

fn without_server(field: &Field<'_>, plan: Plan, folder: &Path) -> Result<Vec<Found>> {
    let lookups = Lookups { plan, seconds: field.seconds, seed: field.seed.raw() };
    let mut crew = Crew::start(field.site, vec![(Job::ScaleEngine(lookups), folder.to_owned())])?;
    let lookups = field.phase(&mut crew, Unit::Operations)?;
    Ok(vec![lookups.quantile(0.5)?, lookups.quantile(0.99)?])
}

fn with_server(field: &Field<'_>, plan: Plan, folder: &Path) -> Result<Vec<Found>> {
    let mut server = Crew::start(field.site, vec![(Job::ScaleServe(Serve {}), folder.to_owned())])?;
    let started = server.phase(START_MAX)?;
    let questions = Questions { plan, seconds: field.seconds, seed: field.seed.raw() };
    let mut client = Crew::start(field.site, vec![(Job::ScaleAsk(questions), folder.to_owned())])?;
    let mut restart = client.phase(START_MAX)?;
    restart.seconds += started.seconds;
    let first = field.phase(&mut client, Unit::Operations)?;
    let lookup = field.phase(&mut client, Unit::Operations)?;
    let getattr = field.phase(&mut client, Unit::Operations)?;
    let list = field.phase(&mut client, Unit::Files)?;
    let lookups = field.phase(&mut client, Unit::Operations)?;
    let peak = server.phase(START_MAX)?.rss_peak;
    let memory = Tally { bytes: peak, operations: 1, ..Tally::default() };
    Ok(vec![
        Found::of(Unit::Seconds, restart),
        first.quantile(0.5)?,
        first.quantile(0.99)?,
        lookup.quantile(0.5)?,
        lookup.quantile(0.99)?,
        lookup.quantile(0.999)?,
        getattr.quantile(0.99)?,
        list,
        lookups,
        Found::of(Unit::Size, memory),
    ])
}

/// A number for ids and titles: millions where they are whole.
fn millions(inodes: u64) -> String {
    if inodes.is_multiple_of(1_000_000) { format!("{}M", inodes / 1_000_000) } else { inodes.to_string() }
}
