//! The HTTP ring: from a request to a typed call, and from a typed answer to a response.

pub mod body;
