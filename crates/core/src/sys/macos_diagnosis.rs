//! What macOS tells of locks, names and limits. Checked by the compiler and clippy; never run here.

use std::path::Path;

use super::unix_diagnosis::{limits_of_process, locks_in_the_way};
use super::OpenHow;
use crate::diagnosis::{LockFacts, Seen, Segment};
use crate::{Error, Result};

/// Names of shared memory are in no list.
pub fn named_segments(_allowed: fn(&str) -> bool) -> Result<Seen<Segment>> {
    Err(Error::unavailable("macOS has no list of the names of shared memory; memmap shm rm NAME removes one"))
}

/// The ranges that are in the way; not who has them, and not who waits.
pub fn locks_of(path: &Path) -> Result<Seen<LockFacts>> {
    let how = OpenHow { write: true, create: false, exclusive: false, mode: 0 };
    let (file, _) = super::open(path, how)?;
    super::inspect(&file)?;
    Ok(Seen { found: locks_in_the_way(&file)?, hidden: 0 })
}

/// What ulimit sets.
pub fn machine() -> Vec<(&'static str, String)> {
    limits_of_process()
}
