//! Tables and key-value lists for a terminal.

use comfy_table::{Cell, ContentArrangement, Table, presets};

/// A table with `headers`, one line for each of `rows`. No borders, so that columns can be cut by other programs.
pub(crate) fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = plain();
    table.set_header(headers.iter().map(|header| header.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|text| Cell::new(harmless(text))));
    }
    lines(&table)
}

/// Keys and values, one pair a line.
pub(crate) fn list(pairs: &[(String, String)]) -> String {
    let mut table = plain();
    for (key, value) in pairs {
        table.add_row([Cell::new(format!("{key}:")), Cell::new(harmless(value))]);
    }
    lines(&table)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table's lines without the padding around them.
fn lines(table: &Table) -> String {
    let columns = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n");
    columns.collect()
}

/// Text from a server must not drive the terminal it is shown on.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
