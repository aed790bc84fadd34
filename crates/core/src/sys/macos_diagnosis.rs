//! What macOS tells. Checked by the compiler and clippy; never run here.

use std::path::Path;

use super::unix_diagnosis::{limits_of_process, locks_in_the_way};
use super::OpenHow;
use crate::diagnosis::{LockFacts, MapFacts, Seen, Segment, User};
use crate::{Error, Result};

/// Another process's maps take rights that macOS gives to its own tools.
pub fn maps_of(_pid: u32) -> Result<Vec<MapFacts>> {
    Err(Error::unavailable("macOS shows the maps of a process to its own tools only: vmmap PID lists them"))
}

/// As for maps.
pub fn users_of_addon() -> Result<Seen<User>> {
    Err(Error::unavailable(
        "macOS shows the maps of processes to its own tools only: lsof -c node | grep memmap lists who has the addon",
    ))
}

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
