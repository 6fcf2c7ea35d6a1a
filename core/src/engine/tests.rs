//! The engine as tables (state, command, now → events) and as properties of random runs.

mod script;
mod stored;

mod properties;
mod retrying;
mod runs;
mod signals;
mod size;
mod tasks;
