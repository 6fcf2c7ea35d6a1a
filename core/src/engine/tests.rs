//! Tables of the engine: (state, command, now) → events.
