//! What the server counts about itself, for whoever scrapes it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Durations, Sheet, Source};
use proto::Request;

use super::hosted::HostedVolumes;

/// How long one thread took for requests, by their number. Three kilobytes.
#[derive(Debug, Default)]
pub(super) struct RequestTimes([Durations; Request::NAMES.len()]);

impl RequestTimes {
    /// Counts a request of the kind `number`. For the thread that the table belongs to.
    pub(super) fn record(&self, number: usize, took: Duration) {
        self.0[number].record(took);
    }
}

/// The numbers of a metadata server.
#[derive(Clone, Debug)]
pub struct MetaMetrics {
    threads: Vec<Arc<RequestTimes>>,
    volumes: Arc<HostedVolumes>,
}

impl MetaMetrics {
    pub(super) fn new(threads: usize, volumes: Arc<HostedVolumes>) -> Self {
        let threads = std::iter::repeat_with(Arc::<RequestTimes>::default).take(threads).collect();
        Self { threads, volumes }
    }

    /// The table of serving thread `index`.
    pub(super) fn thread(&self, index: usize) -> Arc<RequestTimes> {
        Arc::clone(&self.threads[index])
    }

    fn show_database(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let database = self.volumes.database_use();
        sheet.gauge("flexfs_meta_db_disk_usage_bytes", "Bytes of the database on disk", database.disk)?;
        sheet.gauge("flexfs_meta_db_cache_bytes", "Memory of the cache of table blocks", database.cache)?;
        sheet.gauge("flexfs_meta_db_compactions_running", "Merges of tables under way", database.compactions)?;
        sheet.gauge("flexfs_meta_db_flushes_waiting", "Tables in memory that are to be written", database.flushes)?;
        let Some((capacity, available)) = self.volumes.space.sizes() else { return Ok(()) };
        let capacity_help = "Size of the disk that the database's folder is on";
        sheet.gauge("flexfs_meta_db_folder_disk_capacity_bytes", capacity_help, capacity)?;
        sheet.gauge("flexfs_meta_db_folder_disk_available_bytes", "Bytes that are free there", available)
    }
}

impl Source for MetaMetrics {
    fn show(&self, sheet: &mut Sheet<'_>) -> fmt::Result {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        sheet.info("flexfs_meta_info", "The metadata server", &version)?;
        let threads = self.threads.iter().map(|thread| thread.0.as_slice());
        let help = "From reading a request to answering it";
        sheet.durations("flexfs_meta_rpc_duration_seconds", help, "rpc", &Request::NAMES, threads)?;
        let volumes: Vec<_> = self.volumes.usage().into_iter().map(|used| (used.volume_id.to_string(), used)).collect();
        let mut each = |name, help, value: fn(&proto::rest::VolumeUse) -> u64| {
            let values = volumes.iter().map(|(id, used)| (vec![("volume", id.as_str())], value(used)));
            sheet.gauges(name, help, &values.collect::<Vec<_>>())
        };
        each("flexfs_meta_sessions", "Sessions of a volume, by its id", |used| used.sessions.into())?;
        each("flexfs_meta_inodes", "Inodes of a volume", |used| used.inodes_used)?;
        each("flexfs_meta_data_bytes", "Bytes that the files of a volume occupy", |used| used.bytes_used)?;
        self.show_database(sheet)
    }
}
