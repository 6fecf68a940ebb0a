//! A run from its begin to its end.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fsd::Transport;

use crate::ceilings::null_fuse::Floor;
use crate::crew::Site;
use crate::environment::Environment;
use crate::method::{fits, order};
use crate::progress::Progress;
use crate::report::{self, Ceiling, Failure, Kind, Method, Report, Series};
use crate::seed::Seed;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::subject::{RunFolder, Subject};
use crate::work::{Bound, Field, Figure, Size, Work};
use crate::workloads::scale::INODES;
use crate::{ceilings, workloads};

/// A quick run ends within this time: no round is begun that would not.
const QUICK_MAX: Duration = Duration::from_secs(112);

/// Measures as `settings` say, prints the table and writes the report.
///
/// # Errors
/// Something could not be started or measured, or a signal ended the run. What was started is taken away either way.
pub fn run(settings: &Settings) -> Result<()> {
    let begin = Instant::now();
    let stop = Stop::catch()?;
    let site = Site { executable: settings.executable.clone(), stop: stop.clone() };
    let works = choose(settings)?;
    std::fs::create_dir_all(&settings.output)
        .with_context(|| format!("output folder {}", settings.output.display()))?;
    let folder = RunFolder::make(&settings.data_folder)?;
    // Dropped before the folder: workloads hold systems that lie in it.
    let mut works = works;
    let progress = Progress::begin();
    progress.say("starting what is measured");
    let subjects = subjects(settings, &site, folder.path())?;
    let mut bench = Bench::new(settings, site, folder.path(), subjects, progress);
    bench.plan(&works);
    bench.measure(&mut works, begin)?;
    let mut report = bench.end();
    report.method.took = begin.elapsed().as_secs_f64();
    drop(works);
    drop(folder);
    report::print(&report)?;
    save(&report, &settings.output)?;
    conclude(&report)
}

/// Lines about what could not be measured; an error where it was what the run is about.
fn conclude(report: &Report) -> Result<()> {
    for Failure { workload, subject, reason } in &report.failures {
        eprintln!("flexfs: {workload} on {subject} could not be measured: {reason}");
    }
    let missing = report.measured().filter_map(|subject| {
        let count = report.failures.iter().filter(|failure| failure.subject == subject.name).count();
        (count > 0).then(|| format!("{count} of {}", subject.name))
    });
    let missing: Vec<String> = missing.collect();
    ensure!(missing.is_empty(), "workloads that could not be measured: {}", missing.join(", "));
    Ok(())
}

fn save(report: &Report, output: &Path) -> Result<()> {
    let (json, page) = (output.join(report::SAMPLES), output.join(report::PAGE));
    report::save(report, &json)?;
    report::save_page(report, &page)?;
    report::emit(&format!("\nall samples: {}\nto look at:  {}\n", json.display(), page.display()))
}

/// Checks a word that is to choose workloads.
///
/// # Errors
/// No id begins with it; the line says which there are.
pub fn check_only(word: &str) -> Result<String, String> {
    let mut groups: Vec<String> = Vec::new();
    for figure in [Size::Quick, Size::Full]
        .iter()
        .flat_map(|size| everything(*size, None, INODES))
        .flat_map(|work| work.figures())
    {
        if figure.id.starts_with(word) {
            return Ok(word.to_owned());
        }
        let group = figure.id.split('.').next().unwrap_or_default();
        if groups.iter().all(|known| known != group) {
            groups.push(group.to_owned());
        }
    }
    Err(format!("no workload begins so; the groups are {}", groups.join(", ")))
}

/// Ceilings first: what follows is measured against them.
fn everything(size: Size, tree: Option<&Path>, inodes: u64) -> Vec<Box<dyn Work>> {
    let mut works = ceilings::all(size);
    works.extend(workloads::all(size, tree, inodes));
    works
}

/// The workloads of this run.
fn choose(settings: &Settings) -> Result<Vec<Box<dyn Work>>> {
    let size = if settings.quick { Size::Quick } else { Size::Full };
    let mut works = everything(size, settings.tree.as_deref(), settings.inodes);
    if !settings.only.is_empty() {
        // A figure without what bounds it says little.
        let wanted: Vec<String> = works
            .iter()
            .flat_map(|work| work.figures())
            .filter(|figure| settings.only.iter().any(|word| figure.id.starts_with(word)))
            .flat_map(|figure| {
                let bounds = figure.bound.map(|bound| bound.parts).unwrap_or_default();
                bounds.into_iter().map(|(id, _)| id).chain([figure.id])
            })
            .collect();
        works.retain(|work| work.figures().iter().any(|figure| wanted.contains(&figure.id)));
        ensure!(!works.is_empty(), "workloads {:?}: a quick run has none of them", settings.only);
    }
    Ok(works)
}

fn subjects(settings: &Settings, site: &Site, folder: &Path) -> Result<Vec<Subject>> {
    let mut subjects = Vec::new();
    if settings.targets.is_empty() {
        for variant in &settings.variants {
            subjects.push(Subject::up(site, folder, variant)?);
        }
    } else {
        subjects.push(Subject::foreign(settings)?);
    }
    subjects.push(Subject::disk(&folder.join("disk"))?);
    subjects.push(Subject::memory(&folder.join("memory"))?);
    for floor in floors(settings, &subjects) {
        subjects.push(Subject::null(site, folder, floor)?);
    }
    subjects.push(Subject::machine(&folder.join("machine"))?);
    Ok(subjects)
}

/// What to measure without anything behind it: in a quick run the transports of the mounts only. Where transports are
/// compared, or time is no matter, also what it would be if the kernel had the files itself.
fn floors(settings: &Settings, subjects: &[Subject]) -> Vec<Floor> {
    let available = Transport::available();
    let used = |transport: &Transport| {
        let name = transport.to_string();
        subjects.iter().any(|subject| subject.record.transport.as_ref() == Some(&name))
    };
    let used: Vec<Transport> = available.iter().copied().filter(used).collect();
    let transports = match (settings.quick, used.is_empty()) {
        (false, _) => &available[..],
        (true, false) => &used[..],
        (true, true) => &available[..1],
    };
    let mut floors: Vec<Floor> = transports.iter().map(|&transport| Floor { transport, passthrough: false }).collect();
    // The kernel takes such files from root only.
    if rustix::process::geteuid().is_root() && (!settings.quick || transports.len() > 1) {
        floors.push(Floor { transport: available[0], passthrough: true });
    }
    floors
}

/// A run in progress.
struct Bench<'a> {
    settings: &'a Settings,
    site: Site,
    /// Folder of the run.
    local: &'a Path,
    subjects: Vec<Subject>,
    progress: Progress,
    report: Report,
    seconds: f64,
    /// Measurements so far: names their folders.
    count: u64,
}

impl<'a> Bench<'a> {
    fn new(settings: &'a Settings, site: Site, local: &'a Path, subjects: Vec<Subject>, progress: Progress) -> Self {
        let seconds = settings.seconds.unwrap_or(if settings.quick { 0.2 } else { 2.0 });
        let Settings { quick, seed, .. } = *settings;
        let method = Method { quick, rounds: 0, took: 0.0, seconds, seed, only: settings.only.clone() };
        let records = subjects.iter().map(|subject| subject.record.clone()).collect();
        let report = Report::new(Environment::learn(&settings.command), method, records);
        Self { settings, site, local, subjects, progress, report, seconds, count: 0 }
    }

    /// Makes an empty series for each figure of each subject, in the order of the report.
    fn plan(&mut self, works: &[Box<dyn Work>]) {
        for work in works {
            for figure in work.figures() {
                for subject in self.subjects.iter().filter(|subject| work.runs_on(subject)) {
                    let ceiling = figure.bound.as_ref().filter(|_| subject.record.kind == Kind::Measured);
                    self.report.series.push(Series {
                        workload: figure.id.clone(),
                        title: figure.title.clone(),
                        subject: subject.record.name.clone(),
                        unit: figure.unit,
                        ceiling: ceiling.map(|bound| self.ceiling(bound, subject)),
                        samples: Vec::new(),
                    });
                }
            }
        }
    }

    /// What bounds a figure of `subject`; of several null servers the one of its transport.
    fn ceiling(&self, bound: &Bound, subject: &Subject) -> Ceiling {
        let of_kind = |kind: &Kind| {
            let mut others = self.subjects.iter().filter(|other| other.record.kind == *kind);
            let first = others.clone().next();
            others.find(|other| other.record.transport == subject.record.transport).or(first)
        };
        let parts = bound.parts.iter().filter_map(|(id, kind)| Some((id.clone(), of_kind(kind)?.record.name.clone())));
        Ceiling { rule: bound.rule, parts: parts.collect() }
    }

    fn measure(&mut self, works: &mut [Box<dyn Work>], begin: Instant) -> Result<()> {
        let rounds = self.settings.rounds.unwrap_or(if self.settings.quick { 3 } else { 7 });
        self.progress.expect(u64::from(rounds + 1) * self.turns(works));
        // A round nobody counts fills caches, makes connections and lets clocks of CPUs rise.
        let usual = std::mem::replace(&mut self.seconds, WARM_UP * self.report.method.seconds);
        self.round(works, 0)?;
        self.seconds = usual;
        let mut longest = Duration::ZERO;
        for round in 1..=rounds {
            if self.settings.quick && !fits(begin.elapsed(), longest, QUICK_MAX) {
                if self.report.method.rounds == 0 {
                    bail!("no round ends within {} s: choose fewer workloads with --only", QUICK_MAX.as_secs());
                }
                self.progress.say("no time for another round");
                break;
            }
            let start = Instant::now();
            self.round(works, round)?;
            longest = longest.max(start.elapsed());
            self.report.method.rounds = round;
        }
        Ok(())
    }

    fn turns(&self, works: &[Box<dyn Work>]) -> u64 {
        let turns = |work: &dyn Work| self.subjects.iter().filter(|subject| work.runs_on(subject)).count();
        works.iter().map(|work| turns(work.as_ref()) as u64).sum()
    }

    /// Everything once, each workload on all its subjects in turn. Round 0 is not counted.
    fn round(&mut self, works: &mut [Box<dyn Work>], round: u32) -> Result<()> {
        for (index, work) in works.iter_mut().enumerate() {
            let able: Vec<usize> =
                (0..self.subjects.len()).filter(|subject| work.runs_on(&self.subjects[*subject])).collect();
            for place in order(round, index, able.len()) {
                self.turn(work.as_mut(), able[place], round)?;
            }
        }
        Ok(())
    }

    fn turn(&mut self, work: &mut dyn Work, subject: usize, round: u32) -> Result<()> {
        let figures = work.figures();
        let subject = &self.subjects[subject];
        let name = subject.record.name.clone();
        self.site.stop.check()?;
        self.progress.turn(round, &figures[0].title, &name);
        if self.report.failures.iter().any(|failure| failure.subject == name && failure.workload == figures[0].id) {
            return Ok(());
        }
        self.count += 1;
        let field = Field {
            site: &self.site,
            subject,
            name: format!("flexfs-bench-{}-{}", std::process::id(), self.count),
            seconds: self.seconds,
            seed: Seed::new(self.report.method.seed).part(round.into()),
            fixed_seed: Seed::new(self.report.method.seed),
            local: self.local,
        };
        let start = Instant::now();
        let measured = work.measure(&field);
        tracing::debug!(workload = figures[0].id, subject = name, took = ?start.elapsed(), "turn");
        match measured {
            Ok(found) if round > 0 => {
                ensure!(found.len() == figures.len(), "{}: {} figures were found", figures[0].id, found.len());
                for (figure, found) in figures.iter().zip(found) {
                    let mut sample = found.sample;
                    sample.round = round;
                    let series = self.report.series.iter_mut();
                    let mut series = series.filter(|series| series.workload == figure.id && series.subject == name);
                    series.next().expect("every figure was planned").samples.push(sample);
                }
            }
            Ok(_) => {}
            Err(error) => {
                self.site.stop.check()?;
                self.fail(&figures, &name, &format!("{error:#}"));
            }
        }
        Ok(())
    }

    /// What failed once is not tried again, and half of its samples are none.
    fn fail(&mut self, figures: &[Figure], subject: &str, reason: &str) {
        for figure in figures {
            self.report.series.retain(|series| series.workload != figure.id || series.subject != subject);
        }
        self.report.failures.push(Failure {
            workload: figures[0].id.clone(),
            subject: subject.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Ends what was started.
    fn end(self) -> Report {
        let Self { subjects, progress, report, .. } = self;
        progress.say("ending what was started");
        drop(subjects);
        report
    }
}

/// Part of the usual time that the round nobody counts takes.
const WARM_UP: f64 = 0.25;
