//! The catalogue in the words of others: descriptions of the API made from the table that routes requests.

pub mod openapi;
mod parameters;

mod components;
