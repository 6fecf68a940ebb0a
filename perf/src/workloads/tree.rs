//! A tree of files as programmers have them: unpacked, copied, searched and removed by the programs everybody uses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Files of a given tree at the most, and their bytes.
const FILES_MAX: u64 = 100_000;
const BYTES_MAX: u64 = 4 << 30;
/// A phase is not bounded by time but by the tree: so long it may take.
const SECONDS_MAX: f64 = 600.0;

/// The phases, in order.
const PHASES: [(&str, &str); 4] =
    [("untar", "tar -xf"), ("copy", "cp -a"), ("grep", "grep -r, one word"), ("remove", "rm -rf")];

/// See the module.
struct Tree {
    /// Made from the seed where none is given.
    files: u64,
    given: Option<PathBuf>,
}

pub(crate) fn all(size: Size, given: Option<&Path>) -> Vec<Box<dyn Work>> {
    let files = match size {
        Size::Quick => 250,
        Size::Full => 4000,
    };
    vec![Box::new(Tree { files, given: given.map(Path::to_owned) })]
}

impl Work for Tree {
    fn figures(&self) -> Vec<Figure> {
        let figure = |(id, words): &(&str, &str)| {
            Figure::new(format!("tree.{id}"), *words, Unit::Files).bounded_by(Kind::NullFuse)
        };
        PHASES.iter().map(figure).collect()
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let archive = field.local.join("tree.tar");
        let handling = Handles { archive, files: self.files, given: self.given.clone(), seed: field.fixed_seed.raw() };
        let mut crew = Crew::start(field.site, vec![(Job::Tree(handling), field.folder(0))])?;
        let phase = |_: &(&str, &str)| field.phase_within(&mut crew, Unit::Files, SECONDS_MAX);
        let found = PHASES.iter().map(phase).collect::<Result<Vec<_>>>()?;
        crew.clean()?;
        Ok(found)
    }
}

/// What the process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Handles {
    /// The tree; packed where it is not yet.
    archive: PathBuf,
    files: u64,
    given: Option<PathBuf>,
    seed: u64,
}

impl Handles {
    pub(crate) fn in_folder(self, folder: &Path) -> Handling {
        Handling { job: self, folder: folder.to_owned(), files: 0 }
    }
}

pub(crate) struct Handling {
    job: Handles,
    folder: PathBuf,
    files: u64,
}

impl Duty for Handling {
    fn prepare(&mut self) -> Result<()> {
        let count = self.job.archive.with_extension("count");
        if !count.exists() {
            let made = self.job.archive.with_extension("folder");
            let source = self.job.given.as_deref().unwrap_or(&made);
            if self.job.given.is_none() {
                make(&made, self.job.files, Seed::new(self.job.seed)).context("making a tree")?;
            }
            let files = counted(source)?;
            run(Command::new("tar").arg("-cf").arg(&self.job.archive).arg("-C").arg(source).arg("."))?;
            std::fs::write(&count, files.to_string())?;
        }
        self.files = std::fs::read_to_string(count)?.parse().context("the count of files")?;
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let (tree, copy) = (self.folder.join("tree"), self.folder.join("copy"));
        match PHASES[number].0 {
            "untar" => {
                std::fs::create_dir(&tree)?;
                run(Command::new("tar").arg("-xf").arg(&self.job.archive).arg("-C").arg(&tree))?;
            }
            "copy" => run(Command::new("cp").arg("-a").arg(&tree).arg(&copy))?,
            "grep" => search(&copy)?,
            _ => run(Command::new("rm").arg("-rf").arg(&copy))?,
        }
        tally.operations = self.files;
        Ok(())
    }
}

/// Files of `tree`, of which there must not be too many.
fn counted(tree: &Path) -> Result<u64> {
    let (mut files, mut bytes, mut folders) = (0, 0, vec![tree.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| format!("tree {}", folder.display()))? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                files += 1;
                bytes += metadata.len();
            }
            let fits = files <= FILES_MAX && bytes <= BYTES_MAX;
            ensure!(fits, "tree {}: more than {FILES_MAX} files or {BYTES_MAX} bytes", tree.display());
        }
    }
    ensure!(files > 0, "tree {}: no file in it", tree.display());
    Ok(files)
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("program {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().lines().next().unwrap_or_default().to_owned();
    ensure!(output.status.success(), "{program} failed ({}): {said}", output.status);
    Ok(())
}

/// Searches for a word that is not there, so every file is read to its end.
fn search(tree: &Path) -> Result<()> {
    let mut grep = Command::new("grep");
    let output = grep.args(["-r", "-q", "--binary-files=text", ABSENT]).arg(tree).output().context("program grep")?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    ensure!(output.status.code() == Some(1) && said.is_empty(), "grep failed ({}): {said}", output.status);
    Ok(())
}

/// No tree has this word.
const ABSENT: &str = "k8q2vz0xw5_no_such_word";

/// Makes a tree shaped like sources: many small files, few large ones, text that compresses.
fn make(tree: &Path, files: u64, mut seed: Seed) -> std::io::Result<()> {
    let mut folder = tree.to_owned();
    for number in 0..files {
        if number % FILES_PER_FOLDER == 0 {
            let branch = seed.below(8);
            folder = tree.join(format!("crate-{branch}/module-{}/part-{number}", seed.below(6)));
            std::fs::create_dir_all(&folder)?;
        }
        std::fs::write(folder.join(format!("file-{number}.rs")), text(&mut seed))?;
    }
    Ok(())
}

const FILES_PER_FOLDER: u64 = 12;

/// Half of the files have up to 4 KiB, one in fifty up to 512 KiB.
fn text(seed: &mut Seed) -> String {
    let len_max = match seed.below(100) {
        0..50 => 4 << 10,
        50..85 => 16 << 10,
        85..98 => 64 << 10,
        _ => 512 << 10,
    };
    let len = (seed.below(len_max) + 64) as usize;
    let mut text = String::with_capacity(len + 16);
    while text.len() < len {
        text.push_str(WORDS[seed.below(WORDS.len() as u64) as usize]);
        text.push(if seed.below(9) == 0 { '\n' } else { ' ' });
    }
    text
}

const WORDS: [&str; 24] = [
    "let",
    "fn",
    "self",
    "match",
    "impl",
    "return",
    "struct",
    "value",
    "result",
    "error",
    "//",
    "the",
    "of",
    "=",
    "{",
    "}",
    "->",
    "=>",
    "0x1f",
    "buffer.len()",
    "Some(number)",
    "context",
    "&mut",
    "#[test]",
];

#[cfg(test)]
mod tests;
