//! The tokens that this test program used, and where none of them may be seen.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;

/// Every token that was made or tried by this process.
static TOKENS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a token, if `text` may be one.
pub(crate) fn note(text: &str) {
    let is_token = uuid::Uuid::try_parse(text).is_ok_and(|uuid| uuid.to_string() == text);
    if is_token {
        TOKENS.lock().expect("no code under this lock panics").insert(text.to_owned());
    }
}

/// Remembers the tokens in what a program printed: the values of `token`.
pub(crate) fn note_in(json: &Value) {
    match json {
        Value::Object(fields) => {
            fields.get("token").and_then(Value::as_str).map(note);
            fields.values().for_each(note_in);
        }
        Value::Array(items) => items.iter().for_each(note_in),
        _ => {}
    }
}

/// Remembers the tokens that a command line names after `--token`.
pub(crate) fn note_arguments(words: &[String]) {
    for pair in words.windows(2).filter(|pair| pair[0] == "--token") {
        note(&pair[1]);
    }
}

/// Fails if a token is in `text`, which `what` is. In a test that fails already it is only told.
#[track_caller]
pub(crate) fn none_in(what: &str, text: &str) {
    let tokens = TOKENS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(token) = tokens.iter().find(|token| text.contains(token.as_str())) else { return };
    let line = text.lines().find(|line| line.contains(token.as_str())).unwrap_or_default();
    let told = format!("a token is seen in {what}: {}", line.replace(token.as_str(), "<TOKEN>"));
    drop(tokens);
    if std::thread::panicking() { eprintln!("{told}") } else { panic!("{told}") }
}

/// Fails if a token is in a file below `folder`, but for credentials files and what is on another file system.
#[track_caller]
pub(crate) fn none_below(folder: &Path) {
    let Ok(device) = fs::symlink_metadata(folder).map(|folder| folder.dev()) else { return };
    visit(folder, device, &mut |path| {
        // Journals of the metadata database are mostly room for more.
        let mut bytes = Vec::new();
        let begin = File::open(path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes));
        if begin.is_ok() {
            none_in(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
    });
}

/// So much of a file is looked at, in bytes.
const FILE_MAX: u64 = 4 << 20;

fn visit(folder: &Path, device: u64, each: &mut impl FnMut(&Path)) {
    for path in fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        let is_creds = path.components().any(|part| part.as_os_str().to_string_lossy().contains("creds"));
        // What applications wrote is theirs.
        let is_data = path.file_name().is_some_and(|name| name == "blocks");
        if found.dev() != device || is_creds || is_data {
            continue;
        }
        match found.is_dir() {
            true => visit(&path, device, each),
            false if found.is_file() => each(&path),
            false => {}
        }
    }
}

#[cfg(test)]
mod tests;
