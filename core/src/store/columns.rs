//! Reading a row column by column, each as what it should be.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::time::Timestamp;
use crate::value::{Payload, json_text};

use super::StoreError;
use super::database::{Cell, Row};

/// Takes the cells of a row from left to right.
pub(crate) struct Columns {
    cells: std::vec::IntoIter<Cell>,
    table: &'static str,
}

impl Columns {
    pub(crate) fn of(row: Row, table: &'static str) -> Self {
        Self { cells: row.into_iter(), table }
    }

    fn next(&mut self) -> Result<Cell, StoreError> {
        self.cells.next().ok_or_else(|| self.corrupt("a column is missing"))
    }

    /// An error about this row.
    pub(crate) fn corrupt(&self, what: &str) -> StoreError {
        StoreError::Corrupt(format!("table {}: {what}", self.table))
    }

    pub(crate) fn text(&mut self) -> Result<Arc<str>, StoreError> {
        match self.next()? {
            Cell::Text(text) => Ok(text),
            other => Err(self.corrupt(&format!("expected text, found {other:?}"))),
        }
    }

    pub(crate) fn text_or_null(&mut self) -> Result<Option<Arc<str>>, StoreError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            other => Err(self.corrupt(&format!("expected text or null, found {other:?}"))),
        }
    }

    pub(crate) fn int(&mut self) -> Result<i64, StoreError> {
        match self.next()? {
            Cell::Integer(number) => Ok(number),
            other => Err(self.corrupt(&format!("expected an integer, found {other:?}"))),
        }
    }

    pub(crate) fn int_or_null(&mut self) -> Result<Option<i64>, StoreError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Integer(number) => Ok(Some(number)),
            other => Err(self.corrupt(&format!("expected an integer or null, found {other:?}"))),
        }
    }

    pub(crate) fn small(&mut self) -> Result<u32, StoreError> {
        let number = self.int()?;
        u32::try_from(number).map_err(|_| self.corrupt(&format!("{number} is out of range")))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.int()?))
    }

    pub(crate) fn time_or_null(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.int_or_null()?.map(Timestamp::from_millis))
    }

    pub(crate) fn payload(&mut self) -> Result<Payload, StoreError> {
        Ok(Payload::trusted(self.text()?))
    }

    pub(crate) fn payload_or_null(&mut self) -> Result<Option<Payload>, StoreError> {
        Ok(self.text_or_null()?.map(Payload::trusted))
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, StoreError> {
        let text = self.text()?;
        serde_json::from_str(&text).map_err(|error| self.corrupt(&error.to_string()))
    }

    pub(crate) fn json_or_null<T: DeserializeOwned>(&mut self) -> Result<Option<T>, StoreError> {
        match self.text_or_null()? {
            None => Ok(None),
            Some(text) => {
                serde_json::from_str(&text).map(Some).map_err(|error| self.corrupt(&error.to_string()))
            }
        }
    }
}

/// The cell of `idx`: which element of a fan-out an instance is for, -1 for a task without one.
pub(crate) fn element_cell(index: Option<u32>) -> Cell {
    Cell::Integer(index.map_or(-1, i64::from))
}

/// The JSON text of plain data.
pub(crate) fn json_cell<T: serde::Serialize + ?Sized>(value: &T) -> Cell {
    Cell::Text(json_text(value).expect("plain data has a JSON text"))
}

impl From<Timestamp> for Cell {
    fn from(time: Timestamp) -> Self {
        Cell::Integer(time.as_millis())
    }
}

impl From<&Payload> for Cell {
    fn from(payload: &Payload) -> Self {
        Cell::Text(payload.text())
    }
}

impl From<crate::time::Duration> for Cell {
    fn from(duration: crate::time::Duration) -> Self {
        Cell::Integer(duration.as_millis() as i64)
    }
}
