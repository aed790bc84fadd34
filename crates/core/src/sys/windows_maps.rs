//! The maps of this user's processes on Windows. Run by this project's own CI under wine only.
//!
//! What is not told: the position of a view in its file, the name of shared memory and who made it, and the arguments of a process
//! by any documented call. A region of this package that was closed stays mapped until nobody holds its addresses, and looks as
//! before.

use std::ffi::OsString;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr;

use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Security::LookupAccountSidW;
use windows_sys::Win32::Storage::FileSystem::QueryDosDeviceW;
use windows_sys::Win32::System::Memory::{
    VirtualQueryEx, MEMORY_BASIC_INFORMATION, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, PAGE_EXECUTE,
    PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY,
};
use windows_sys::Win32::System::ProcessStatus::{K32EnumProcesses, K32GetMappedFileNameW};
use windows_sys::Win32::System::Threading::{
    OpenProcess, QueryFullProcessImageNameW, PROCESS_QUERY_INFORMATION, PROCESS_VM_READ,
};

use super::windows::{page_size, ESRCH};
use super::windows_memory::{in_working_set, with_user};
use super::Identity;
use crate::diagnosis::{have_addon, is_addon, MapFacts, MapKind, Process, Seen, User};
use crate::{Error, Result};

/// The longest path of the system's, in its characters.
const LONGEST: usize = 1 << 15;
/// Of so many pages of a process it is asked whether they are in memory, a good second's work; of the rest it is not known.
const MOST_PAGES: usize = 1 << 22;

/// A process to be looked at; the system's number of the error where it may not be.
///
/// # References
/// - [OpenProcess](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocess)
fn open(pid: u32) -> std::result::Result<OwnedHandle, win::WIN32_ERROR> {
    // SAFETY: plain numbers; the error is asked for before any other call.
    let (handle, outcome) =
        unsafe { (OpenProcess(PROCESS_QUERY_INFORMATION | PROCESS_VM_READ, 0, pid), win::GetLastError()) };
    if handle.is_null() {
        return Err(outcome);
    }
    // SAFETY: the handle is new, so nobody else owns it.
    Ok(unsafe { OwnedHandle::from_raw_handle(handle.cast()) })
}

/// What a call writes into room for so many characters, whose number it answers, 0 where it fails.
fn text(call: impl FnOnce(*mut u16, u32) -> u32) -> Vec<u16> {
    let mut room = vec![0; LONGEST];
    let length = call(room.as_mut_ptr(), LONGEST as u32);
    room.truncate(length as usize);
    room
}

/// The drives by the names that the system has for their volumes.
///
/// # References
/// - [QueryDosDeviceW](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-querydosdevicew)
fn drives() -> Vec<(u16, Vec<u16>)> {
    let volume = |letter: u8| {
        let letter = u16::from(letter);
        let drive = [letter, u16::from(b':'), 0];
        // SAFETY: the name is NUL-terminated, and the room as long as said.
        let mut names = text(|room, length| unsafe { QueryDosDeviceW(drive.as_ptr(), room, length) });
        // The first is in force.
        names.truncate(names.iter().position(|&unit| unit == 0)?);
        (!names.is_empty()).then_some((letter, names))
    };
    (b'A'..=b'Z').filter_map(volume).collect()
}

/// The path of a file by the name of its volume; that name itself where no drive is of it.
fn with_drive(name: Vec<u16>, drives: &[(u16, Vec<u16>)]) -> PathBuf {
    let on = |(_, volume): &&(u16, Vec<u16>)| {
        name.strip_prefix(volume.as_slice()).is_some_and(|rest| rest.first() == Some(&u16::from(b'\\')))
    };
    let name = match drives.iter().find(on) {
        Some((letter, volume)) => [&[*letter, u16::from(b':')], &name[volume.len()..]].concat(),
        // Wine names the drive itself.
        None => name.strip_prefix(&br"\??\".map(u16::from)).map(<[u16]>::to_vec).unwrap_or(name),
    };
    OsString::from_wide(&name).into()
}

/// As Linux writes them. What is written to a view that copies stays with the process, also where it was written already.
fn permissions(facts: &MEMORY_BASIC_INFORMATION) -> String {
    let mut letters = *b"---p";
    let rights = if facts.State == MEM_RESERVE { 0 } else { facts.Protect & 0xff };
    let runs = matches!(rights, PAGE_EXECUTE | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY);
    let writes = matches!(rights, PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY);
    let copies = matches!(facts.AllocationProtect & 0xff, PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY);
    for (at, has, letter) in [
        (0, writes || matches!(rights, PAGE_READONLY | PAGE_EXECUTE_READ), b'r'),
        (1, writes, b'w'),
        (2, runs, b'x'),
        (3, facts.Type == MEM_MAPPED && !copies, b's'),
    ] {
        if has {
            letters[at] = letter;
        }
    }
    String::from_utf8_lossy(&letters).into_owned()
}

fn kind(facts: &MEMORY_BASIC_INFORMATION, path: &Path) -> MapKind {
    match facts.Type {
        MEM_IMAGE if path.file_name().is_some_and(|name| is_addon(name.as_encoded_bytes())) => MapKind::Addon,
        MEM_IMAGE => MapKind::Program,
        MEM_MAPPED if path.as_os_str().is_empty() => MapKind::Shared,
        MEM_MAPPED => MapKind::File,
        _ => MapKind::Private,
    }
}

/// The maps of an open process; none of one that has ended. Neighbours in one view, with the same permissions, are one map.
///
/// # References
/// - [VirtualQueryEx](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualqueryex)
/// - [GetMappedFileNameW](https://learn.microsoft.com/windows/win32/api/psapi/nf-psapi-getmappedfilenamew)
fn maps(process: &OwnedHandle, drives: &[(u16, Vec<u16>)]) -> Vec<MapFacts> {
    let handle = process.as_raw_handle().cast();
    let mut facts = MEMORY_BASIC_INFORMATION::default();
    let mut maps: Vec<MapFacts> = Vec::new();
    let (mut view, mut path) = (ptr::null_mut(), PathBuf::new());
    loop {
        let next = facts.BaseAddress.wrapping_byte_add(facts.RegionSize);
        // SAFETY: an address of the other process, which is only looked up, and a structure as long as said.
        if unsafe { VirtualQueryEx(handle, next, &raw mut facts, size_of_val(&facts)) } == 0 {
            return maps;
        }
        if facts.State == MEM_FREE {
            continue;
        }
        let (start, permissions) = (facts.BaseAddress as u64, permissions(&facts));
        let end = start + facts.RegionSize as u64;
        // What is reserved is nowhere.
        let resident = (facts.State == MEM_RESERVE).then_some(0);
        if facts.AllocationBase == view {
            if let Some(last) = maps
                .last_mut()
                .filter(|last| (last.end, &last.permissions, last.resident) == (start, &permissions, resident))
            {
                last.end = end;
                continue;
            }
        } else {
            view = facts.AllocationBase;
            path = if facts.Type == MEM_PRIVATE {
                PathBuf::new()
            } else {
                // SAFETY: as above; the room is as long as said.
                with_drive(text(|room, length| unsafe { K32GetMappedFileNameW(handle, view, room, length) }), drives)
            };
        }
        maps.push(MapFacts {
            start,
            end,
            permissions,
            offset: None,
            identity: Identity { device: 0, file: 0 },
            kind: kind(&facts, &path),
            path: path.clone(),
            resident,
        });
    }
}

/// The maps of a process, with what of them is in its working set.
pub fn maps_of(pid: u32) -> Result<Vec<MapFacts>> {
    let process = open(pid).map_err(|outcome| {
        let none = outcome == win::ERROR_INVALID_PARAMETER;
        Error::raw("OpenProcess", if none { ESRCH } else { outcome as i32 })
    })?;
    let mut maps = maps(&process, &drives());
    let mut left = MOST_PAGES;
    for map in maps.iter_mut().filter(|map| map.resident.is_none()) {
        let len = (map.end - map.start) as usize;
        if let Some(rest) = left.checked_sub(len / page_size()) {
            left = rest;
            let mut pages = 0_u64;
            let told = in_working_set(process.as_raw_handle().cast(), map.start as usize, len, &mut |_| pages += 1);
            map.resident = told.ok().map(|()| pages * page_size() as u64);
        }
    }
    Ok(maps)
}

/// All processes.
///
/// # References
/// - [EnumProcesses](https://learn.microsoft.com/windows/win32/api/psapi/nf-psapi-enumprocesses)
fn pids() -> Result<Vec<u32>> {
    let mut pids = vec![0; 1024];
    loop {
        let mut used = 0;
        let size = size_of_val(pids.as_slice()) as u32;
        // SAFETY: the room is as long as said.
        if unsafe { K32EnumProcesses(pids.as_mut_ptr(), size, &raw mut used) } == 0 {
            return Err(Error::last("EnumProcesses"));
        }
        // Where all is used there may be more.
        if used < size {
            pids.truncate(used as usize / size_of::<u32>());
            return Ok(pids);
        }
        pids.resize(2 * pids.len(), 0);
    }
}

/// The name of the user whose process it is; empty where that is not told.
///
/// # References
/// - [LookupAccountSidW](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-lookupaccountsidw)
fn owner(process: &OwnedHandle) -> String {
    let mut name = [0; 256];
    let mut domain = [0; 256];
    let (mut length, mut domain_length, mut usage) = (name.len() as u32, domain.len() as u32, 0);
    let found = with_user(process.as_raw_handle().cast(), |user| {
        // SAFETY: a user that the system has told, and room as long as said.
        unsafe {
            LookupAccountSidW(
                ptr::null(),
                user,
                name.as_mut_ptr(),
                &raw mut length,
                domain.as_mut_ptr(),
                &raw mut domain_length,
                &raw mut usage,
            )
        }
    });
    let length = if found.is_ok_and(|found| found != 0) { length as usize } else { 0 };
    String::from_utf16_lossy(&name[..length])
}

/// The path of a process's program: what it was started with beside is told by no documented call.
///
/// # References
/// - [QueryFullProcessImageNameW](https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-queryfullprocessimagenamew)
fn program(process: &OwnedHandle) -> String {
    let name = text(|room, mut length| {
        // SAFETY: the room is as long as said; the call says how much of it is used.
        let told = unsafe { QueryFullProcessImageNameW(process.as_raw_handle().cast(), 0, room, &raw mut length) };
        if told == 0 {
            0
        } else {
            length
        }
    });
    String::from_utf16_lossy(&name)
}

/// Processes that have the addon loaded. Who may not be looked at is counted.
pub fn users_of_addon() -> Result<Seen<User>> {
    let drives = drives();
    let mut seen = Seen { found: Vec::new(), hidden: 0 };
    for pid in pids()?.into_iter().filter(|&pid| pid != std::process::id()) {
        match open(pid) {
            Ok(process) => {
                let maps = maps(&process, &drives);
                if have_addon(&maps) {
                    let command = program(&process);
                    seen.found.push(User::new(Process { pid, command }, owner(&process), &maps));
                }
            }
            Err(outcome) => seen.hidden += u32::from(outcome == win::ERROR_ACCESS_DENIED),
        }
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use windows_sys::Win32::System::Memory::{MEM_COMMIT, PAGE_NOACCESS};

    use super::*;

    fn wide(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn a_path_is_on_the_drive_of_its_volume_and_on_no_other() {
        let volumes = [("C", r"\Device\HarddiskVolume1"), ("D", r"\Device\HarddiskVolume12")];
        let drives = volumes.map(|(letter, volume)| (wide(letter)[0], wide(volume)));
        for (name, path) in [
            (r"\Device\HarddiskVolume1\a\b.node", r"C:\a\b.node"),
            (r"\Device\HarddiskVolume12\a", r"D:\a"),
            (r"\Device\HarddiskVolume123\a", r"\Device\HarddiskVolume123\a"),
            (r"\Device\HarddiskVolume1", r"\Device\HarddiskVolume1"),
            (r"\??\Z:\a", r"Z:\a"),
            ("", ""),
        ] {
            assert_eq!(with_drive(wide(name), &drives), PathBuf::from(path));
        }
    }

    #[test]
    fn permissions_are_those_of_the_pages_and_of_the_view() {
        for (state, kind, made, rights, letters) in [
            (MEM_COMMIT, MEM_MAPPED, PAGE_READWRITE, PAGE_READWRITE, "rw-s"),
            (MEM_COMMIT, MEM_MAPPED, PAGE_READONLY, PAGE_READONLY, "r--s"),
            (MEM_COMMIT, MEM_MAPPED, PAGE_WRITECOPY, PAGE_READWRITE, "rw-p"),
            (MEM_COMMIT, MEM_IMAGE, PAGE_EXECUTE_WRITECOPY, PAGE_EXECUTE_READ, "r-xp"),
            (MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE, PAGE_READWRITE | 0x100, "rw-p"),
            (MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE, PAGE_NOACCESS, "---p"),
            (MEM_COMMIT, MEM_PRIVATE, PAGE_READWRITE, PAGE_EXECUTE, "--xp"),
            (MEM_RESERVE, MEM_PRIVATE, PAGE_READWRITE, PAGE_READWRITE, "---p"),
        ] {
            let facts = MEMORY_BASIC_INFORMATION {
                AllocationProtect: made,
                State: state,
                Protect: rights,
                Type: kind,
                ..Default::default()
            };
            assert_eq!(permissions(&facts), letters);
        }
    }
}
