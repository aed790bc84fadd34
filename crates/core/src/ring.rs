//! A bounded ring of records in shared memory, for any number of producers and consumers.
//!
//! What lies in memory is in [`layout`], the algorithm in [`queue`] and [`seats`]: none of them knows a mapping. [`member`] is
//! one participant's part of a ring in a region.

pub mod layout;
mod member;
pub mod queue;
mod seats;

pub use member::*;
