//! The workflow document: what a user writes, checked and compiled.
