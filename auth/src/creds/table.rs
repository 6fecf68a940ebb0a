//! The text of a credentials file: a flat TOML table of strings.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::TokenError;

/// The keys of a file, taken out one by one.
pub(super) struct Fields {
    table: toml::Table,
    asked: Vec<&'static str>,
}

impl Fields {
    /// Reads `text`. The error is a line number: the TOML library would repeat the line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let table = text.parse::<toml::Table>().map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
            format!("line {line} is no TOML: key = \"value\" is needed")
        })?;
        Ok(Self { table, asked: Vec::new() })
    }

    /// The text of `key`, which may be absent but not empty.
    pub(super) fn optional_text(&mut self, key: &'static str) -> Result<Option<String>, String> {
        self.asked.push(key);
        match self.table.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            Some(_) => Err(format!("the value of `{key}` must be a text in quotes, not empty")),
        }
    }

    /// The text of `key`, which must be there.
    pub(super) fn text(&mut self, key: &'static str) -> Result<String, String> {
        self.optional_text(key)?.ok_or_else(|| format!("`{key}` is missing: {key} = \"value\" is needed"))
    }

    /// The CA of the admin server. To be asked for before the fingerprint, in whose place it stands.
    pub(super) fn ca(&mut self) -> Result<Option<PathBuf>, String> {
        let ca = self.optional_text("adminCA")?;
        if ca.is_some() && self.table.contains_key("adminFingerprint") {
            return Err("`adminFingerprint` and `adminCA` exclude each other: take one of them away".to_owned());
        }
        Ok(ca.map(PathBuf::from))
    }

    /// Certificate and key to show to the admin server: both or none.
    pub(super) fn client(&mut self) -> Result<Option<(PathBuf, PathBuf)>, String> {
        match (self.optional_text("clientCert")?, self.optional_text("clientKey")?) {
            (Some(certificate), Some(key)) => Ok(Some((certificate.into(), key.into()))),
            (None, None) => Ok(None),
            (Some(_), None) => Err("`clientKey` is missing: the key of `clientCert` is needed".to_owned()),
            (None, Some(_)) => Err("`clientCert` is missing: the certificate of `clientKey` is needed".to_owned()),
        }
    }

    /// The token at `key`.
    pub(super) fn token<T>(
        &mut self,
        key: &'static str,
        parse: fn(&str) -> Result<T, TokenError>,
    ) -> Result<T, String> {
        let text = Zeroizing::new(self.text(key)?);
        parse(&text).map_err(|error| error.to_string())
    }

    /// Refuses a file with keys that nobody asked for: a misspelled key must not pass for an absent one.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.table.keys().next() {
            None => Ok(()),
            Some(key) => Err(format!("key `{key}` is unknown: known are {}", self.asked.join(", "))),
        }
    }
}

/// A file in the making.
#[derive(Default)]
pub(super) struct Table {
    text: Zeroizing<String>,
}

impl Table {
    /// Adds `key` where it has a value.
    pub(super) fn with(mut self, key: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let value = Zeroizing::new(toml::Value::String(value.to_owned()).to_string());
            for part in [key, " = ", &value, "\n"] {
                self.text.push_str(part);
            }
        }
        self
    }

    pub(super) fn into_text(self) -> Zeroizing<String> {
        self.text
    }
}
