//! The maps of this user's processes on macOS, of all to root. Checked by the compiler and clippy; never run here.
//!
//! What is not told: the name of shared memory and who made it, and the position of a private map in its file, which changes when
//! it is written to. A closed region of this package is private memory here.

use std::ffi::{c_int, c_void, CStr};
use std::io;
use std::mem::{offset_of, MaybeUninit};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use super::unix::{page_size, path_from_bytes};
use super::unix_diagnosis::name_of_user;
use super::Identity;
use crate::diagnosis::{have_addon, is_addon, tell_programs, MapFacts, MapKind, Process, Seen, User};
use crate::{Error, Result};

/// `struct proc_regionwithpathinfo` of `<sys/proc_info.h>`, which the libc crate does not have.
#[repr(C)]
struct Region {
    protection: u32,
    max_protection: u32,
    inheritance: u32,
    flags: u32,
    offset: u64,
    behavior: u32,
    user_wired_count: u32,
    user_tag: u32,
    pages_resident: u32,
    /// Of other pages, of the object that is mapped, and how it is shared.
    others: [u32; 10],
    address: u64,
    size: u64,
    vnode: libc::vnode_info_path,
}

const _: () =
    assert!(offset_of!(Region, address) == 80 && offset_of!(Region, vnode) == 96 && size_of::<Region>() == 1272);

/// Of `<sys/proc_info.h>`: what is asked for, and a map that is one of maps.
const PROC_PIDREGIONPATHINFO: c_int = 8;
const PROC_REGION_SUBMAP: u32 = 1;
/// Of `<mach/vm_inherit.h>`: a child has the same memory. So it is for all that was mapped by MAP_SHARED.
const VM_INHERIT_SHARE: u32 = 0;

/// What the system says of a process; its number of the error where it says nothing.
///
/// # Safety
/// The flavour fills a `T`, or less.
unsafe fn ask<T>(pid: u32, flavor: c_int, argument: u64) -> std::result::Result<T, c_int> {
    let pid = c_int::try_from(pid).map_err(|_| libc::ESRCH)?;
    let mut room = MaybeUninit::<T>::zeroed();
    // SAFETY: the room is as long as said; all zeros, it is a value even where the call fills less.
    unsafe {
        if libc::proc_pidinfo(pid, flavor, argument, room.as_mut_ptr().cast(), size_of::<T>() as c_int) <= 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO));
        }
        Ok(room.assume_init())
    }
}

/// The part of an array of characters before its zero.
fn text(room: &[u8]) -> &[u8] {
    CStr::from_bytes_until_nul(room).map_or(&[], CStr::to_bytes)
}

fn facts(region: &Region) -> MapFacts {
    let name: Vec<u8> = region.vnode.vip_path.as_flattened().iter().map(|unit| unit.cast_unsigned()).collect();
    let path = path_from_bytes(text(&name));
    let shared = region.inheritance == VM_INHERIT_SHARE;
    let letters = [
        (region.protection & libc::VM_PROT_READ as u32, 'r', '-'),
        (region.protection & libc::VM_PROT_WRITE as u32, 'w', '-'),
        (region.protection & libc::VM_PROT_EXECUTE as u32, 'x', '-'),
        (u32::from(shared), 's', 'p'),
    ];
    let file = path.file_name().is_some();
    MapFacts {
        start: region.address,
        end: region.address + region.size,
        permissions: letters.map(|(has, letter, other)| if has == 0 { other } else { letter }).iter().collect(),
        offset: (file && shared).then_some(region.offset),
        identity: Identity {
            device: u64::from(region.vnode.vip_vi.vi_stat.vst_dev),
            file: region.vnode.vip_vi.vi_stat.vst_ino,
        },
        kind: match path.file_name() {
            Some(name) if is_addon(name.as_bytes()) => MapKind::Addon,
            Some(_) => MapKind::File,
            // The system's libraries, and the kernel's page: the same maps in all processes.
            None if region.flags & PROC_REGION_SUBMAP != 0 => MapKind::System,
            None if shared => MapKind::Shared,
            None => MapKind::Private,
        },
        path,
        // The system does not look into maps of maps.
        resident: (region.flags & PROC_REGION_SUBMAP == 0)
            .then(|| (u64::from(region.pages_resident) * page_size() as u64).min(region.size)),
    }
}

/// The maps of a process; the system's number of the error where it may not be looked at.
fn maps(pid: u32) -> std::result::Result<Vec<MapFacts>, c_int> {
    let mut maps: Vec<MapFacts> = Vec::new();
    loop {
        let from = maps.last().map_or(0, |map| map.end);
        // SAFETY: this flavour fills that structure.
        match unsafe { ask::<Region>(pid, PROC_PIDREGIONPATHINFO, from) } {
            Ok(region) if region.size > 0 && region.address >= from => maps.push(facts(&region)),
            // Behind the last one; or the process has ended meanwhile.
            Err(code) if code != libc::EINVAL && maps.is_empty() => return Err(code),
            _ => break,
        }
    }
    tell_programs(&mut maps);
    Ok(maps)
}

/// The maps of a process, with what the system says is in memory of each.
///
/// # References
/// - [proc_pidinfo](https://github.com/apple-oss-distributions/xnu/blob/main/libsyscall/wrappers/libproc/libproc.h), `PROC_PIDREGIONPATHINFO`
pub fn maps_of(pid: u32) -> Result<Vec<MapFacts>> {
    maps(pid).map_err(|code| Error::raw("proc_pidinfo", code))
}

/// All processes.
///
/// # References
/// - [proc_listallpids](https://github.com/apple-oss-distributions/xnu/blob/main/libsyscall/wrappers/libproc/libproc.h)
fn pids() -> Result<Vec<c_int>> {
    // SAFETY: without room it says how many there are, and a few more.
    let count = unsafe { libc::proc_listallpids(ptr::null_mut(), 0) };
    let mut pids = vec![0; usize::try_from(count).unwrap_or(0)];
    // SAFETY: the room is as long as said.
    let count = unsafe { libc::proc_listallpids(pids.as_mut_ptr().cast(), size_of_val(pids.as_slice()) as c_int) };
    if count <= 0 {
        return Err(Error::last("proc_listallpids"));
    }
    pids.truncate(count as usize);
    Ok(pids)
}

/// A process by the path of its program.
fn process(pid: u32) -> Process {
    let mut room = [0_u8; libc::PROC_PIDPATHINFO_MAXSIZE as usize];
    // SAFETY: the room is as long as said.
    unsafe { libc::proc_pidpath(pid as c_int, room.as_mut_ptr().cast::<c_void>(), room.len() as u32) };
    Process { pid, command: String::from_utf8_lossy(text(&room)).into_owned() }
}

fn owner(pid: u32) -> String {
    // SAFETY: this flavour fills that structure.
    let facts = unsafe { ask::<libc::proc_bsdinfo>(pid, libc::PROC_PIDTBSDINFO, 0) };
    facts.map_or_else(|_| String::new(), |facts| name_of_user(facts.pbi_uid))
}

/// Processes that have the addon mapped. Who may not be looked at is counted.
pub fn users_of_addon() -> Result<Seen<User>> {
    let mut seen = Seen { found: Vec::new(), hidden: 0 };
    for pid in pids()?.into_iter().map(c_int::cast_unsigned).filter(|&pid| pid != std::process::id()) {
        match maps(pid) {
            Ok(maps) if have_addon(&maps) => seen.found.push(User::new(process(pid), owner(pid), &maps)),
            Ok(_) => {}
            Err(code) => seen.hidden += u32::from(code == libc::EPERM),
        }
    }
    Ok(seen)
}
