//! The workflow document: what a user writes, checked and compiled.

pub mod expression;

pub mod fault;
