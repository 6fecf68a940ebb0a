//! The report as a file.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{FORMAT, Report};

/// Longest report that is read, in bytes: thousands of series with hundreds of rounds.
const LEN_MAX: u64 = 256 << 20;

/// Writes `report` to `path`.
pub(crate) fn save(report: &Report, path: &Path) -> Result<()> {
    let text = serde_json::to_string(report).context("a report is JSON")?;
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads the report at `path`.
pub(crate) fn load(path: &Path) -> Result<Report> {
    let context = || format!("report {}", path.display());
    let len = std::fs::metadata(path).with_context(context)?.len();
    ensure!(len <= LEN_MAX, "report {}: {len} bytes are more than any report has ({LEN_MAX})", path.display());
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).with_context(context)?)
        .with_context(|| format!("report {}: not JSON; name a results.json of `flexfs bench run`", path.display()))?;
    let format = &value["format"];
    ensure!(
        format.as_u64() == Some(u64::from(FORMAT)),
        "report {}: its format is {format}, this program reads {FORMAT}",
        path.display()
    );
    serde_json::from_value(value).with_context(|| format!("report {}: not of format {FORMAT}", path.display()))
}
