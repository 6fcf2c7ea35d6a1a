//! (to be written)
pub struct Locations;
