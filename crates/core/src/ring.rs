//! A bounded ring of records in shared memory, for any number of producers and consumers.
//!
//! The algorithm is in [`queue`], which knows no mapping; [`member`] is one participant's part of a ring in a region.

mod member;
pub mod queue;

pub use member::*;
