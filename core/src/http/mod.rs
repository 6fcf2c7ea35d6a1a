//! The HTTP ring: from a request to a typed call, and from a typed answer to a response.
//!
//! [`exchange`] walks one request through. The [`catalogue`] says what an operation is, [`operations`] has the
//! rows; a handler sees a [`call`] and gives an [`answer`] or a [`problem`].

pub mod exchange;

pub mod base_path;

pub mod catalogue;
pub mod operations;

pub mod route;

pub mod negotiate;

pub mod content;

pub mod call;

pub mod parameter;

pub mod query;
mod query_text;

mod strict;

pub mod page;

pub mod answer;

pub mod problem;
mod slug;

pub mod problems_page;

pub mod reply;

pub mod etag;

pub mod body;

pub mod limits;

#[cfg(test)]
mod exchange_tests;
#[cfg(test)]
pub(crate) mod sample;
