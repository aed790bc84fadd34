//! What the command `memmap` shows of processes, shared memory, locks and the system. Not exported to users.
//!
//! Rows of words, which `lib/cli/system.ts` reads: typed objects of a few kinds made the binary 60 KB larger (measured). Where
//! processes could not be looked at, their number is a row of its own, the first.

use memmap_core::diagnosis::{self, Process, Seen};
use memmap_core::sys;
use napi::bindgen_prelude::Uint8Array;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;

type Rows = Vec<Vec<String>>;

fn seen<T>(seen: Seen<T>, each: impl FnMut(T) -> Vec<String>) -> Rows {
    let mut rows = vec![vec![seen.hidden.to_string()]];
    rows.extend(seen.found.into_iter().map(each));
    rows
}

/// Two words for each, at the end of a row.
fn with_processes(mut row: Vec<String>, processes: Vec<Process>) -> Vec<String> {
    for Process { pid, command } in processes {
        row.extend([pid.to_string(), command]);
    }
    row
}

fn flag(is: bool) -> String {
    u8::from(is).to_string()
}

/// A number, or nothing.
fn known(number: Option<u64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

/// The maps of a process.
#[napi]
pub fn process_maps(env: Env, pid: u32) -> Result<Vec<Vec<String>>> {
    call(env, || {
        let maps = diagnosis::maps(pid)?.into_iter().map(|map| {
            let path = map.path.to_string_lossy().into_owned();
            let (start, end, offset) = (map.start.to_string(), map.end.to_string(), known(map.offset));
            vec![start, end, offset, map.permissions, map.kind.name().into(), path, known(map.resident)]
        });
        Ok(maps.collect())
    })
}

/// The processes that have the addon loaded, but for this one.
#[napi]
pub fn addon_users(env: Env) -> Result<Vec<Vec<String>>> {
    call(env, || {
        Ok(seen(diagnosis::users()?, |user| {
            let row = vec![user.owner, user.maps.to_string(), user.mapped.to_string()];
            with_processes(row, vec![user.process])
        }))
    })
}

/// All shared memory that has a name.
#[napi]
pub fn named_segments(env: Env) -> Result<Vec<Vec<String>>> {
    call(env, || {
        Ok(seen(diagnosis::segments()?, |segment| {
            let numbers = [u64::from(segment.mode), segment.byte_length, segment.allocated].map(|one| one.to_string());
            let mut row = vec![segment.name, flag(segment.allowed), segment.owner, known(segment.since)];
            row.extend(numbers);
            with_processes(row, segment.processes)
        }))
    })
}

/// The locks of a file.
#[napi]
pub fn file_locks(env: Env, path: Uint8Array) -> Result<Vec<Vec<String>>> {
    call(env, || {
        Ok(seen(diagnosis::locks(&sys::path_from_bytes(&path))?, |lock| {
            let mut row = vec![lock.family.name().into(), flag(lock.exclusive), flag(lock.waits)];
            row.extend([lock.extent.start, lock.extent.end].map(|number| number.to_string()));
            row.push(known(lock.owner.map(|owner| owner.position)));
            row.push(known(lock.owner.map(|owner| owner.number.into())));
            with_processes(row, lock.processes)
        }))
    })
}

/// Limits and settings of the system: a name and a value each.
#[napi]
pub fn machine(env: Env) -> Result<Vec<Vec<String>>> {
    call(env, || Ok(diagnosis::machine().into_iter().map(|(name, value)| vec![name.into(), value]).collect()))
}
