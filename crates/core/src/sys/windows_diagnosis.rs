//! What Windows tells of locks, names and limits: nothing, to programs like this one.

use std::path::Path;

use crate::diagnosis::{LockFacts, Seen, Segment};
use crate::{Error, Result};

fn not_here<T>(what: &str) -> Result<T> {
    Err(Error::unavailable(what))
}

/// Names of sections are in no list that programs may read.
pub fn named_segments(_allowed: fn(&str) -> bool) -> Result<Seen<Segment>> {
    not_here("Windows has no list of the names of shared memory for programs; a name goes with its last holder")
}

/// Locks can only be tried, and a lock that is tried binds everybody while it is.
pub fn locks_of(_path: &Path) -> Result<Seen<LockFacts>> {
    not_here(
        "Windows does not tell who has locked what of a file, and to find out by locking would be in the way of everybody; \
         Sysinternals Handle tells who has the file open",
    )
}

/// Nothing that could be changed for maps.
pub fn machine() -> Vec<(&'static str, String)> {
    Vec::new()
}
