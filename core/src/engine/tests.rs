//! The engine as tables (state, command, now → events) and as properties of random runs.

mod script;
mod stored;

mod retrying;
mod runs;
