//! Where macOS keeps the locks of living owners: shared memory takes none there, so in a file beside. Checked by the compiler
//! and clippy; never run here.

use std::ffi::{CStr, OsStr};
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Files are told apart by their numbers, shared memory by a random one that is kept in it: it has no number here.
pub fn life_name(file: bool, object: &File, _label: Option<&Path>, mark: impl FnOnce() -> u32) -> Result<String> {
    if !file {
        return Ok(format!("m-{:08x}", mark()));
    }
    let identity = super::inspect(object)?.identity;
    Ok(format!("{:x}-{:x}", identity.device, identity.file))
}

/// An empty file of that name, in the folder that the system keeps for this user's caches: the one for temporary files is
/// swept, and owners whose file is gone would look dead. It is left there.
pub(super) fn life_file(_object: &File, name: &str) -> Result<File> {
    let path = caches()?.join(format!("memmap-owners-{name}"));
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&path)
        .map_err(|cause| Error::system("open", &cause).at(Some(&path)))
}

/// The same for all processes of a user, whatever their environment.
///
/// # References
/// - [confstr(3)](https://developer.apple.com/library/archive/documentation/System/Conceptual/ManPages_iPhoneOS/man3/confstr.3.html)
fn caches() -> Result<PathBuf> {
    let mut room = [0_u8; libc::PATH_MAX as usize];
    // SAFETY: the room is as long as said.
    let length = unsafe { libc::confstr(libc::_CS_DARWIN_USER_CACHE_DIR, room.as_mut_ptr().cast(), room.len()) };
    if length == 0 || length > room.len() {
        return Err(Error::last("confstr"));
    }
    let folder = CStr::from_bytes_until_nul(&room).map_err(|_| Error::raw("confstr", libc::EINVAL))?;
    Ok(PathBuf::from(OsStr::from_bytes(folder.to_bytes())))
}
