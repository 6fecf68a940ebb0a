//! Lines of a mount table (fstab(5)), as text in and text out.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::failure::usage;
use crate::{cli, dispatch};

/// One volume's line.
#[derive(Debug)]
pub(super) struct Entry {
    name: String,
    mount_point: String,
    options: String,
    /// Name and options as mount(8) will hand them on.
    volume: String,
    plain_options: String,
}

impl Entry {
    /// The line for volume `name` on `mount_point`.
    pub(super) fn new(
        name: &str,
        mount_point: &Path,
        creds_file: Option<&Path>,
        mount_options: Option<&str>,
    ) -> Result<Self> {
        let mut options = String::from("_netdev,nofail");
        if let Some(creds_file) = creds_file {
            let creds_file = creds_file.to_str().context("--credsFile is not UTF-8")?;
            if creds_file.contains(',') {
                return Err(usage(format!("--credsFile {creds_file}: mount options cannot carry a comma")));
            }
            options.push_str(&format!(",credsFile={creds_file}"));
        }
        if let Some(more) = mount_options.filter(|more| !more.is_empty()) {
            options.push_str(&format!(",{more}"));
        }
        let mount_point = mount_point.to_str().context("the mount point is not UTF-8")?;
        Ok(Self {
            name: escape(name)?,
            mount_point: escape(mount_point)?,
            options: escape(&options)?,
            volume: name.to_owned(),
            plain_options: options,
        })
    }

    /// Refuses options that the mount would refuse at every boot.
    pub(super) fn check(&self) -> Result<()> {
        let words = ["mount.flexfs", &self.volume, "/", "-o", &self.plain_options];
        dispatch::read(words.into_iter().map(Into::into).collect()).and_then(|line| cli::check(&line))
    }

    /// The line, without its end.
    pub(super) fn line(&self) -> String {
        format!("{} {} flexfs {} 0 0", self.name, self.mount_point, self.options)
    }

    /// `table` with this line; `None` where it is there already. Another line for the mount point is replaced only
    /// where `force` says so.
    pub(super) fn add_to(&self, table: &str, force: bool) -> Result<Option<String>> {
        let others: Vec<&str> = table.lines().filter(|line| mount_point_of(line) == Some(&self.mount_point)).collect();
        if others == [self.line()] {
            return Ok(None);
        }
        if let (Some(other), false) = (others.first(), force) {
            bail!("the mount point is taken by the line `{}`: give --force to replace it", other.trim());
        }
        let kept = table.lines().filter(|line| mount_point_of(line) != Some(&self.mount_point));
        Ok(Some(joined(kept.chain([self.line().as_str()]))))
    }

    /// `table` without the lines of this volume on this mount point; `None` where there are none.
    pub(super) fn remove_from(&self, table: &str) -> Option<String> {
        let kept: Vec<&str> = table.lines().filter(|line| !self.is_named_by(line)).collect();
        (kept.len() < table.lines().count()).then(|| joined(kept.into_iter()))
    }

    fn is_named_by(&self, line: &str) -> bool {
        let mut fields = line.split_ascii_whitespace();
        let fields = [fields.next(), fields.next(), fields.next()];
        fields == [Some(self.name.as_str()), Some(self.mount_point.as_str()), Some("flexfs")]
    }
}

/// The second field of a line that is no comment.
fn mount_point_of(line: &str) -> Option<&str> {
    let mut fields = line.split_ascii_whitespace();
    fields.next().filter(|first| !first.starts_with('#'))?;
    fields.next()
}

fn joined<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// `text` as one field: blanks and backslashes in the octal form that mount(8) reads.
fn escape(text: &str) -> Result<String> {
    if text.is_empty() || text.contains(|c: char| c.is_control() && c != '\t') {
        return Err(usage(format!(
            "{text:?}: a text without control characters, and not empty, is needed in /etc/fstab"
        )));
    }
    let escape = |c: char| match c {
        ' ' | '\t' | '\\' => format!("\\{:03o}", u32::from(c)),
        // At the beginning of a line it would make a comment of it.
        '#' => "\\043".to_owned(),
        c => c.to_string(),
    };
    Ok(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests;
