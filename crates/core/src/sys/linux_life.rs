//! Where Linux keeps the locks of living owners: at the memory's own object, also where that has no name.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use crate::{Error, Result};

/// Only this process needs to tell one piece of memory from another.
pub fn life_name(_file: bool, object: &File, _label: Option<&Path>, _mark: impl FnOnce() -> u32) -> Result<String> {
    let identity = super::inspect(object)?.identity;
    Ok(format!("{:x}-{:x}", identity.device, identity.file))
}

/// The object, opened anew. The open file description that the memory is mapped by may be that of another isolate, or of
/// another process that was given the descriptor: a lock of it would live for as long as any of them.
pub(super) fn life_file(object: &File, _name: &str) -> Result<File> {
    match super::description_of_our_own(object.as_raw_fd())? {
        (file, true) => Ok(file),
        (_, false) => Err(Error::lock_unsupported(
            "The memory cannot be opened again by this process, which owners in it are known by: open it by its name or path, \
             as a user who may"
                ,
        )),
    }
}
