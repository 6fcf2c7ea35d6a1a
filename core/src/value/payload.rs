//! A value as the database holds it: JSON text, shared, parsed only when somebody looks inside.

use std::sync::Arc;

/// The compact JSON text of a value, binary as `{"$binary": …}`, members by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Arc<str>);
