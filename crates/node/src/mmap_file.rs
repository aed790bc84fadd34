//! Opening, looking at, refreshing and closing a mapped file.

use std::path::PathBuf;

use memmap_core::{sys, Access, Create, Error, Mapping, MmapFile, OpenOptions, Source};
use napi::bindgen_prelude::Float64ArraySlice;
use napi::{Env, Result};
use napi_derive::napi;

use crate::errors::call;
use crate::regions;

const CREATE: u32 = 1;
const EXCLUSIVE: u32 = 2;
const SPARSE: u32 = 4;
const KEEP_OPEN: u32 = 8;
const HUGE_PAGES: u32 = 16;
const GUARD: u32 = 32;

/// What TypeScript wants to know of a mapping, in the order `lib/memory.ts` reads it.
fn describe(mapping: &Mapping, out: &mut [f64]) -> memmap_core::Result<()> {
    let takes_stores = f64::from(u8::from(mapping.takes_stores()));
    let facts = [mapping.len() as f64, mapping.lead() as f64, f64::from(mapping.cell().index()), takes_stores];
    let place = out.get_mut(..facts.len()).ok_or_else(|| Error::OutOfRange("no room for the answer".into()))?;
    place.copy_from_slice(&facts);
    Ok(())
}

/// Opens and maps a file: by `path`, by the bytes of its path, or by a descriptor. A negative length means to
/// the end of the file. Fills `out` and returns the region's number.
#[napi]
#[allow(
    clippy::too_many_arguments,
    reason = "an options object would cost 600 ns to read; only lib/mmap-file.ts calls this"
)]
pub fn open_file(
    env: Env,
    path: Option<String>,
    raw_path: Option<&[u8]>,
    descriptor: i32,
    access: u32,
    offset: f64,
    length: f64,
    flags: u32,
    mode: u32,
    mut out: Float64ArraySlice,
) -> Result<f64> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let path = path.map(PathBuf::from).or_else(|| raw_path.map(sys::path_from_bytes));
        let options = OpenOptions {
            access: match access {
                0 => Access::Read,
                1 => Access::Write,
                _ => Access::Copy,
            },
            offset: offset as u64,
            length: (length >= 0.0).then_some(length as u64),
            create: match flags & (CREATE | EXCLUSIVE) {
                0 => Create::No,
                CREATE => Create::IfMissing,
                _ => Create::Exclusive,
            },
            mode,
            sparse: flags & SPARSE != 0,
            keep_open: flags & KEEP_OPEN != 0,
            huge_pages: flags & HUGE_PAGES != 0,
            guard: flags & GUARD != 0,
        };
        let file = MmapFile::open(path.as_deref().map_or(Source::Descriptor(descriptor), Source::Path), options)?;
        describe(file.mapping(), out)?;
        Ok(regions::insert(file))
    })
}

/// Bytes in the file now.
#[napi]
pub fn file_size(env: Env, region: f64) -> Result<f64> {
    call(env, || regions::with(region, |file| file.file_size().map(|size| size as f64)))
}

/// Whether the path names another file by now.
#[napi]
pub fn replaced(env: Env, region: f64) -> Result<bool> {
    call(env, || regions::with(region, |file| Ok(file.replaced())))
}

/// Maps again at the file's present length. If anything changed, the buffers over the old memory are taken from
/// JavaScript, the old memory is closed, and `out` is filled anew.
#[napi]
pub fn refresh(env: Env, region: f64, mut out: Float64ArraySlice) -> Result<bool> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let Some(old) = regions::with(region, MmapFile::refresh)? else { return Ok(false) };
        old.close();
        describe(&*regions::mapping(region)?, out)?;
        Ok(true)
    })
}

/// Closes a region, whose buffers were detached before; or lets go of one that was collected.
#[napi]
pub fn close(env: Env, region: f64, collected: bool) -> Result<()> {
    call(env, || {
        match regions::remove(region) {
            // A live Buffer made from a collected region goes on working: the memory is only let go of.
            Some(file) if collected => drop(file),
            Some(file) => file.close(),
            None => {}
        }
        Ok(())
    })
}
