//! What Linux and macOS tell in the same way: limits of processes, names of users, locks in the way of one's own.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;

use super::unix_life::FIRST;
use super::unix_locks::{byte, F_OFD_GETLK};
use crate::diagnosis::{LockFacts, LockFamily, Owner};
use crate::life::place_of;
use crate::range_lock::Extent;
use crate::{Error, Result};

/// What ulimit sets for processes: the ones that stand in the way of maps, by name; `unlimited` or bytes.
///
/// # References
/// - [getrlimit(2)](https://man7.org/linux/man-pages/man2/getrlimit.2.html)
pub(super) fn limits_of_process() -> Vec<(&'static str, String)> {
    let limits = [
        ("addressSpaceLimit", libc::RLIMIT_AS),
        ("dataLimit", libc::RLIMIT_DATA),
        ("pinLimit", libc::RLIMIT_MEMLOCK),
        ("descriptorLimit", libc::RLIMIT_NOFILE),
    ];
    let asked = limits.into_iter().filter_map(|(name, resource)| {
        let mut limit = MaybeUninit::<libc::rlimit>::uninit();
        // SAFETY: the call fills the structure when it returns 0.
        let limit = unsafe { (libc::getrlimit(resource, limit.as_mut_ptr()) == 0).then(|| limit.assume_init()) }?;
        let unlimited = limit.rlim_cur == libc::RLIM_INFINITY;
        Some((name, if unlimited { "unlimited".into() } else { limit.rlim_cur.to_string() }))
    });
    asked.collect()
}

/// The name of a user; the number where there is none.
///
/// # References
/// - [getpwuid_r(3)](https://man7.org/linux/man-pages/man3/getpwnam.3.html)
pub(super) fn name_of_user(user: u32) -> String {
    let mut room = vec![0; 16 * 1024];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = ptr::null_mut();
    // SAFETY: the room is as long as said, and the name points into it.
    unsafe {
        let failed = libc::getpwuid_r(user, entry.as_mut_ptr(), room.as_mut_ptr(), room.len(), &raw mut found);
        if failed != 0 || found.is_null() {
            return user.to_string();
        }
        CStr::from_ptr((*found).pw_name).to_string_lossy().into_owned()
    }
}

/// The owner of a mutex whose lock this is.
pub(super) fn owner_of(extent: Extent) -> Option<Owner> {
    let key = extent.start.checked_sub(FIRST)?;
    let (position, number) = place_of(key);
    Some(Owner { position, number })
}

/// As the locks of this package without an end have it.
pub(super) fn without_end(extent: Extent) -> Extent {
    if extent.end == FIRST || i64::try_from(extent.end).is_err() {
        return Extent { end: Extent::FOREVER, ..extent };
    }
    extent
}

/// The locks of ranges that an exclusive one of ours would have to wait for, one after the other. Nothing is locked by it. Of locks
/// that lie over one another the system tells one, and it tells none of the file as such.
///
/// # References
/// - [F_OFD_GETLK](https://man7.org/linux/man-pages/man2/F_OFD_GETLK.2const.html)
pub(super) fn locks_in_the_way(file: &File) -> Result<Vec<LockFacts>> {
    let mut locks = Vec::new();
    let mut from = 0;
    while from < i64::MAX {
        let mut found = byte(libc::F_WRLCK as _, from as u64);
        found.l_len = 0;
        // SAFETY: a descriptor we own, and a structure that outlives the call.
        if unsafe { libc::fcntl(file.as_raw_fd(), F_OFD_GETLK, &raw mut found) } != 0 {
            return Err(Error::system("fcntl", &io::Error::last_os_error()));
        }
        if found.l_type == libc::F_UNLCK as libc::c_short {
            break;
        }
        let start = u64::try_from(found.l_start).unwrap_or(0);
        let end = if found.l_len == 0 { Extent::FOREVER } else { start.saturating_add_signed(found.l_len) };
        let extent = without_end(Extent { start: start.max(from as u64), end });
        locks.push(LockFacts {
            family: LockFamily::Unknown,
            exclusive: found.l_type == libc::F_WRLCK as libc::c_short,
            waits: false,
            extent,
            owner: owner_of(extent),
            processes: Vec::new(),
        });
        match i64::try_from(end) {
            Ok(end) if end > from => from = end,
            _ => break,
        }
    }
    Ok(locks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::range_lock::Mode;
    use crate::sys::unix_locks::{control, type_of, F_OFD_SETLK};

    #[test]
    fn what_is_in_the_way_is_found_range_by_range_and_not_what_is_ones_own() {
        let path = std::env::temp_dir().join(format!("memmap-in-the-way-{}", std::process::id()));
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (theirs, ours) = (open(), open());
        std::fs::remove_file(&path).unwrap();
        let ranges = [
            (Extent { start: 0, end: 10 }, Mode::Shared),
            (Extent { start: 20, end: 30 }, Mode::Exclusive),
            (Extent { start: 1 << 40, end: Extent::FOREVER }, Mode::Shared),
        ];
        for (extent, mode) in ranges {
            control(&theirs, F_OFD_SETLK, type_of(mode), extent).unwrap();
        }
        let found = locks_in_the_way(&ours).unwrap();
        let found: Vec<_> = found.iter().map(|lock| (lock.extent, lock.exclusive)).collect();
        let expected = ranges.map(|(extent, mode)| (extent, mode == Mode::Exclusive));
        assert_eq!(found, expected);
        assert!(locks_in_the_way(&theirs).unwrap().is_empty());
    }

    #[test]
    fn the_bytes_of_owners_say_where_their_mutex_is() {
        let extent = Extent { start: FIRST + (((64 / 32) << 24) | 7), end: u64::MAX };
        assert_eq!(owner_of(extent), Some(Owner { position: 64, number: 7 }));
        assert_eq!(owner_of(Extent { start: FIRST - 1, end: FIRST }), None);
    }

    #[test]
    fn users_have_names_or_are_numbers() {
        assert_eq!(name_of_user(0), "root");
        assert_eq!(name_of_user(4_000_000_001), "4000000001");
    }
}
