//! What the command `memmap` shows of processes, shared memory, locks and the system. Not exported to users.
//!
//! All of it is [`Rows`], which `lib/cli/system.ts` reads. Where processes could not be looked at, their number is a row of its
//! own, the first.

use std::fmt::Display;

use memmap_core::diagnosis::{self, Process, Seen};
use memmap_core::sys;
use napi::bindgen_prelude::Uint8Array;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::rows::{Known, Rows};

fn seen<T>(seen: Seen<T>, mut each: impl FnMut(&mut Rows, T)) -> String {
    let mut rows = Rows::default();
    rows.add(&[&seen.hidden]);
    seen.found.into_iter().for_each(|one| each(&mut rows, one));
    rows.finish()
}

/// A row, with two words for each process at its end.
fn with_processes(rows: &mut Rows, words: &[&dyn Display], processes: &[Process]) {
    let ends = processes.iter().flat_map(|Process { pid, command }| [pid as &dyn Display, command]);
    rows.add(&words.iter().copied().chain(ends).collect::<Vec<_>>());
}

/// The maps of a process.
#[napi]
pub fn process_maps(env: Env, pid: u32) -> Result<String> {
    call(env, || {
        let mut rows = Rows::default();
        for map in diagnosis::maps(pid)? {
            let (path, offset, resident) = (map.path.to_string_lossy(), Known(map.offset), Known(map.resident));
            rows.add(&[&map.start, &map.end, &offset, &map.permissions, &map.kind.name(), &path, &resident]);
        }
        Ok(rows.finish())
    })
}

/// The processes that have the addon loaded, but for this one.
#[napi]
pub fn addon_users(env: Env) -> Result<String> {
    call(env, || {
        Ok(seen(diagnosis::users()?, |rows, user| {
            with_processes(rows, &[&user.owner, &user.maps, &user.mapped], &[user.process]);
        }))
    })
}

/// All shared memory that has a name.
#[napi]
pub fn named_segments(env: Env) -> Result<String> {
    call(env, || {
        Ok(seen(diagnosis::segments()?, |rows, segment| {
            let (allowed, since) = (u8::from(segment.allowed), Known(segment.since));
            let numbers = [u64::from(segment.mode), segment.byte_length, segment.allocated];
            let [mode, length, allocated] = &numbers;
            with_processes(
                rows,
                &[&segment.name, &allowed, &segment.owner, &since, mode, length, allocated],
                &segment.processes,
            );
        }))
    })
}

/// The locks of a file.
#[napi]
pub fn file_locks(env: Env, path: Uint8Array) -> Result<String> {
    call(env, || {
        Ok(seen(diagnosis::locks(&sys::path_from_bytes(&path))?, |rows, lock| {
            let (exclusive, waits) = (u8::from(lock.exclusive), u8::from(lock.waits));
            let position = Known(lock.owner.map(|owner| owner.position));
            let number = Known(lock.owner.map(|owner| owner.number.into()));
            let (family, extent) = (lock.family.name(), lock.extent);
            with_processes(
                rows,
                &[&family, &exclusive, &waits, &extent.start, &extent.end, &position, &number],
                &lock.processes,
            );
        }))
    })
}

/// Limits and settings of the system: a name and a value each.
#[napi]
pub fn machine(env: Env) -> Result<String> {
    call(env, || {
        let mut rows = Rows::default();
        diagnosis::machine().into_iter().for_each(|(name, value)| rows.add(&[&name, &value]));
        Ok(rows.finish())
    })
}
