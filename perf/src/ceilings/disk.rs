//! The disk without a mount: a file of its own file system, past the page cache, and the page cache by itself.

use anyhow::Result;

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::subject::Subject;
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::workloads::random::{Access, Accesses};
use crate::workloads::sequential::Stream;

/// See the module.
struct Disk {
    bytes: u64,
}

pub(super) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let bytes = match size {
        Size::Quick => 96 << 20,
        Size::Full => 1 << 30,
    };
    vec![Box::new(Disk { bytes })]
}

/// Blocks of the sequential figures.
const BLOCK: u32 = 1 << 20;
/// Blocks of the random figures.
const SMALL: u32 = 4 << 10;
/// A slow disk gets so many times the usual time for the sequential figures.
const TIME_FACTOR: f64 = 10.0;

impl Work for Disk {
    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("disk.write", "disk, sequential write, O_DIRECT and fsync", Unit::Bytes),
            Figure::new("disk.read", "disk, sequential read, O_DIRECT", Unit::Bytes),
            Figure::new("disk.random-read", "disk, random read, 4 KiB, O_DIRECT", Unit::Operations),
            Figure::new("disk.write-synced", "disk, write and fsync, 4 KiB", Unit::Operations),
            Figure::new("disk.cached-read", "page cache, sequential read", Unit::Bytes),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind == Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let (write, read) = self.stream(field, true)?;
        let random = self.access(field, Access::Read)?;
        let synced = self.access(field, Access::WriteSynced)?;
        let (_, cached) = self.stream(field, false)?;
        Ok(vec![write, read, random, synced, cached])
    }
}

impl Disk {
    fn stream(&self, field: &Field<'_>, direct: bool) -> Result<(Found, Found)> {
        let seconds = field.seconds * TIME_FACTOR;
        let stream = Stream { file: 0, bytes: self.bytes, block: BLOCK, direct, seconds, seed: field.seed.raw() };
        let mut crew = Crew::start(field.site, vec![(Job::Stream(stream), field.folder(0))])?;
        let write = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        let read = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        crew.clean()?;
        Ok((write, read))
    }

    fn access(&self, field: &Field<'_>, access: Access) -> Result<Found> {
        let accesses = Accesses {
            file: 0,
            access,
            bytes: self.bytes,
            block: SMALL,
            depth: 1,
            direct: access == Access::Read,
            seconds: field.seconds,
            seed: field.seed.raw(),
        };
        let mut crew = Crew::start(field.site, vec![(Job::Access(accesses), field.folder(0))])?;
        let found = field.phase(&mut crew, Unit::Operations)?;
        crew.clean()?;
        Ok(found)
    }
}
