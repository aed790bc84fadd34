//! The atomics that algorithms in shared memory are written with: the processor's, or those of loom, which tries every
//! order in which threads could see them.

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic;
