//! `Columns`: names and values, from which every statement on a single table is made.

use rusqlite::types::Value;
use rusqlite::{Row, params_from_iter};
use uuid::Uuid;

use super::Tx;
use crate::api::ApiError;

/// Rows a list may have. More must be filtered: a list is one answer in memory.
const ROWS_MAX: usize = 10_000;

/// Columns with a value each: those to insert or change, or the condition that all are equal. Names are literals of this
/// program, values are bound.
#[derive(Default)]
pub(crate) struct Columns {
    names: Vec<&'static str>,
    values: Vec<Value>,
}

impl Columns {
    /// Adds a column.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.names.push(name);
        self.values.push(value.into());
        self
    }

    /// Adds a column where it has a value: `None` leaves it out of a change or a condition.
    pub(crate) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds the columns of `other`.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.names.extend(other.names);
        self.values.extend(other.values);
        self
    }

    /// Inserts a row with these values.
    pub(crate) fn insert(self, tx: &Tx<'_>, table: &str) -> Result<(), ApiError> {
        let places = vec!["?"; self.names.len()].join(", ");
        let statement = format!("INSERT INTO {table} ({}) VALUES ({places})", self.names.join(", "));
        tx.sql.execute(&statement, params_from_iter(self.values))?;
        Ok(())
    }

    /// Gives these values to the rows where `key` holds. Returns how many there were.
    pub(crate) fn update(self, tx: &Tx<'_>, table: &str, key: Self) -> Result<usize, ApiError> {
        if self.names.is_empty() {
            return key.count(tx, table);
        }
        let changes = self.names.iter().map(|name| format!("{name} = ?")).collect::<Vec<_>>().join(", ");
        let statement = format!("UPDATE {table} SET {changes}{}", key.condition());
        Ok(tx.sql.execute(&statement, params_from_iter(self.values.into_iter().chain(key.values)))?)
    }

    /// Deletes the rows where these values hold. Returns how many there were.
    pub(crate) fn delete(self, tx: &Tx<'_>, table: &str) -> Result<usize, ApiError> {
        let statement = format!("DELETE FROM {table}{}", self.condition());
        Ok(tx.sql.execute(&statement, params_from_iter(self.values))?)
    }

    /// Counts the rows where these values hold.
    pub(crate) fn count(self, tx: &Tx<'_>, table: &str) -> Result<usize, ApiError> {
        let statement = format!("SELECT count(*) FROM {table}{}", self.condition());
        let count: i64 = tx.sql.query_row(&statement, params_from_iter(self.values), |row| row.get(0))?;
        Ok(usize::try_from(count).expect("a count is not negative"))
    }

    /// Reads the rows where these values hold, in the order `order`. Refuses more than [`ROWS_MAX`].
    pub(crate) fn select<T>(
        self,
        tx: &Tx<'_>,
        table: &str,
        order: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, ApiError> {
        let statement = format!("SELECT * FROM {table}{} ORDER BY {order} LIMIT {}", self.condition(), ROWS_MAX + 1);
        let mut statement = tx.sql.prepare_cached(&statement)?;
        let rows = statement.query_map(params_from_iter(self.values), read)?.collect::<Result<Vec<T>, _>>()?;
        if rows.len() > ROWS_MAX {
            return Err(ApiError::bad(format!("the list exceeds {ROWS_MAX} rows: give a filter, such as ?name=NAME")));
        }
        Ok(rows)
    }

    /// Reads the row where these values hold, which are a key.
    pub(crate) fn find<T>(
        self,
        tx: &Tx<'_>,
        table: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ApiError> {
        Ok(self.select(tx, table, "1", read)?.into_iter().next())
    }

    fn condition(&self) -> String {
        match self.names.as_slice() {
            [] => String::new(),
            names => format!(" WHERE {} = ?", names.join(" = ? AND ")),
        }
    }
}

/// A UUID column.
pub(crate) fn uuid(row: &Row<'_>, name: &str) -> rusqlite::Result<Uuid> {
    let index = row.as_ref().column_index(name)?;
    let text: String = row.get(index)?;
    Uuid::try_parse(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, Box::new(error)))
}

/// A column that a constraint keeps from being negative.
pub(crate) fn number(row: &Row<'_>, name: &str) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(name)?.unsigned_abs())
}
