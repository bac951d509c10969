//! Ahead-of-time graph optimisation.
