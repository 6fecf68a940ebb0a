//! What a mount counts about itself, for whoever scrapes it.
//!
//! Each serving thread has a table of its own, which it writes to without asking another core. A mount that nobody scrapes has
//! none and reads no clock for it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{Counter, Durations, Sheet, Source};

use crate::adapter::Operation;
use crate::session::Serving;

/// What one thread counted. Seven kilobytes.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    times: Times,
    read: Counter,
    written: Counter,
}

/// By the operation's number. Larger than what arrays have defaults for.
#[derive(Debug)]
struct Times([Durations; Operation::NAMES.len()]);

impl Default for Times {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Durations::default()))
    }
}

impl Meter {
    /// Counts an operation by its number. For the thread that the meter belongs to, as all of these.
    pub(crate) fn record(&self, operation: usize, took: Duration) {
        self.times.0[operation].record(took);
    }

    /// Counts bytes that programs read.
    pub(crate) fn note_read(&self, bytes: u64) {
        self.read.add(bytes);
    }

    /// Counts bytes that programs wrote.
    pub(crate) fn note_written(&self, bytes: u64) {
        self.written.add(bytes);
    }
}

/// The meters of a mount's threads.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Vec<Arc<Meter>>>);

impl Meters {
    /// A meter for one more thread.
    pub(crate) fn join(&self) -> Arc<Meter> {
        let meter = Arc::<Meter>::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&meter));
        meter
    }

    fn all(&self) -> Vec<Arc<Meter>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The numbers of a mount.
#[derive(Debug)]
pub struct MountMetrics {
    pub(crate) serving: Arc<Serving>,
    pub(crate) volume: String,
    pub(crate) transport: String,
    pub(crate) runtime: String,
}

impl Source for MountMetrics {
    fn show(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let Self { serving, volume, transport, runtime } = self;
        let labels: [(&str, &str); 4] = [
            ("volume", volume),
            ("transport", transport),
            ("runtime", runtime),
            ("version", env!("CARGO_PKG_VERSION")),
        ];
        sheet.info("flexfs_mount_info", "The mount", &labels)?;
        let meters = serving.meters.as_ref().map(Meters::all).unwrap_or_default();
        let times = meters.iter().map(|meter| meter.times.0.as_slice());
        let help = "From taking an operation up to its end";
        sheet.durations("flexfs_mount_operation_duration_seconds", help, "operation", &Operation::NAMES, times)?;
        let sum = |of: fn(&Meter) -> &Counter| meters.iter().map(|meter| of(meter).get()).sum();
        let (read, written) = (sum(|meter| &meter.read), sum(|meter| &meter.written));
        sheet.counter("flexfs_mount_read_bytes", "Bytes that programs read past the kernel's pages", read)?;
        sheet.counter("flexfs_mount_written_bytes", "Bytes that programs wrote", written)?;
        let data = serving.state.data.usage();
        sheet.counter("flexfs_mount_cache_hits", "Frames of objects found in memory", data.hits)?;
        sheet.counter(
            "flexfs_mount_cache_misses",
            "Frames of objects not found there, read ahead or asked for",
            data.misses,
        )?;
        sheet.gauge("flexfs_mount_cache_bytes", "Memory of cached frames", data.cached)?;
        sheet.gauge("flexfs_mount_dirty_bytes", "Written bytes that are not committed yet", data.dirty)?;
        let reconnects = serving.session.reconnects();
        sheet.counter("flexfs_mount_reconnects", "Connections to the metadata server made again", reconnects)
    }
}
