//! The workflow document: what a user writes, checked and compiled.

pub mod model;

pub mod format;

pub mod parse;

pub mod graph;

pub mod document_schema;

pub mod expression;

pub mod schema;

pub mod fault;

pub mod nearest;
