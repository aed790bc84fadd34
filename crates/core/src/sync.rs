//! The atomics that the ring's algorithm is written with: the processor's. Its models (`tests/ring_models.rs`) compile the same
//! file with those of loom in this place.

pub(crate) use std::sync::atomic;
