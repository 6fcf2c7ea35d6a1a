//! How fast modules are called, beside a native closure.
fn main() {}
