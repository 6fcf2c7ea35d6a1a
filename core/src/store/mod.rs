//! State: the database trait and the SQL.

pub mod database;
