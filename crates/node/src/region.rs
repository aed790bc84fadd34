//! What every kind of region can do, beside its bytes: change its length, its protection, its place in memory.

use memmap_core::advice::Advice;
use memmap_core::region::Kind;
use memmap_core::{handle, Access, Protection, Region};
use napi::bindgen_prelude::{Float64ArraySlice, Uint8Array};
use napi::{Env, Result};
use napi_derive::napi;

use crate::array_buffer::Raw;
use crate::background::{register, run_in_background};
use crate::errors::call;
use crate::{mutex, read_ahead, regions, ring, wait};

/// The access that a number from `lib/` stands for.
pub fn access_of(number: u32) -> Access {
    match number {
        0 => Access::Read,
        1 => Access::Write,
        _ => Access::Copy,
    }
}

/// Maps again at the object's present length. If anything changed, the old memory is closed and `out` is filled anew;
/// the caller then detaches its buffers.
#[napi]
pub fn refresh(env: Env, region: f64, mut out: Float64ArraySlice) -> Result<bool> {
    // SAFETY: `out` is lib/memory.ts's own array, and no JavaScript runs during this call.
    let out = unsafe { out.as_mut() };
    call(env, || {
        read_ahead::stop(region);
        let Some(old) = regions::with(region, Region::refresh)? else { return Ok(false) };
        regions::replace(env, region, old, out)?;
        Ok(true)
    })
}

/// Changes the length; the old memory is closed and `out` is filled anew.
#[napi]
pub fn resize(env: Env, region: f64, byte_length: f64, mut out: Float64ArraySlice) -> Result<()> {
    // SAFETY: as in `refresh`.
    let out = unsafe { out.as_mut() };
    call(env, || {
        read_ahead::stop(region);
        let old = regions::with(region, |region| region.resize(byte_length as u64))?;
        regions::replace(env, region, old, out)
    })
}

/// Changes the protection, by its number; the old memory is closed and `out` is filled anew.
#[napi]
pub fn protect(env: Env, region: f64, protection: u32, mut out: Float64ArraySlice) -> Result<()> {
    // SAFETY: as in `refresh`.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let protection = match protection {
            0 => Protection::None,
            1 => Protection::Read,
            2 => Protection::Write,
            _ => Protection::Execute,
        };
        read_ahead::stop(region);
        let old = regions::with(region, |region| region.protect(protection))?;
        regions::replace(env, region, old, out)
    })
}

/// Closes a region, whose buffers were detached before; or lets go of one that was collected.
#[napi]
pub fn close(env: Env, region: f64, collected: bool) -> Result<()> {
    call(env, || {
        read_ahead::stop(region);
        ring::region_closed(region);
        wait::region_closed(region);
        let number = region;
        let removed = regions::remove(region);
        if let Some(region) = &removed {
            mutex::region_closed(number, region);
        }
        match removed {
            // A live Buffer made from a collected region goes on working: the memory is only let go of.
            Some(region) if collected => region.abandon(),
            Some(region) => region.close(),
            None => {}
        }
        Ok(())
    })
}

/// Tells the system how the memory will be used; false where it has no such advice.
#[napi]
pub fn advise(env: Env, region: f64, advice: u32, start: f64, end: f64) -> Result<bool> {
    call(env, || {
        let advice = match advice {
            0 => Advice::Normal,
            1 => Advice::Random,
            2 => Advice::Sequential,
            3 => Advice::WillNeed,
            4 => Advice::DontNeed,
            5 => Advice::Cold,
            6 => Advice::PageOut,
            7 => Advice::HugePage,
            _ => Advice::NoHugePage,
        };
        regions::mapping(region)?.advise(advice, start as usize, end as usize)
    })
}

/// Keeps a part of the region in memory.
#[napi]
pub fn pin(env: Env, region: f64, start: f64, end: f64) -> Result<()> {
    call(env, || regions::mapping(region)?.pin(start as usize, end as usize))
}

/// Lets it go again.
#[napi]
pub fn unpin(env: Env, region: f64, start: f64, end: f64) -> Result<()> {
    call(env, || regions::mapping(region)?.unpin(start as usize, end as usize))
}

/// Which pages are in memory.
#[napi(object)]
pub struct ResidencyFacts {
    /// Whether the system says.
    pub known: bool,
    /// How many pages there are.
    pub pages: f64,
    /// How many of them are in memory.
    pub resident: f64,
    /// A bit a page.
    pub bits: Uint8Array,
}

/// Which pages of a part of the region are in memory.
#[napi]
pub fn residency(env: Env, region: f64, start: f64, end: f64) -> Result<ResidencyFacts> {
    call(env, || {
        let facts = regions::with(region, |region| region.residency(start as usize, end as usize))?;
        Ok(ResidencyFacts {
            known: facts.known,
            pages: facts.pages as f64,
            resident: facts.resident as f64,
            bits: facts.bits.into(),
        })
    })
}

/// Brings a part of the region into memory; resolves with nothing, or with the error to throw.
#[napi(ts_return_type = "Promise<Error | null>")]
pub fn prefetch(env: Env, region: f64, start: f64, end: f64, ticket: u32) -> Result<Raw> {
    run_in_background(env, || {
        let work = regions::with(region, |region| Ok(region.prefetch(start as usize, end as usize)))?;
        register(ticket, &work.control);
        Ok(move || work.run())
    })
}

/// Offers the region to other isolates; what they must say to get it.
#[napi]
pub fn share(env: Env, region: f64) -> Result<String> {
    call(env, || {
        let (number, secret) = regions::with(region, Region::share)?;
        Ok(format!("{number:x}-{secret:016x}"))
    })
}

/// Attaches to a region that was offered: 0 for a file, 1 for shared memory. Negative where the handle is stale.
#[napi]
pub fn attach(env: Env, kind: u32, key: String, mut out: Float64ArraySlice) -> Result<f64> {
    // SAFETY: as in `refresh`.
    let out = unsafe { out.as_mut() };
    call(env, || {
        let kind = if kind == 0 { Kind::MmapFile } else { Kind::SharedMemory };
        let parts = key.split_once('-').and_then(|(number, secret)| {
            Some((u64::from_str_radix(number, 16).ok()?, u64::from_str_radix(secret, 16).ok()?))
        });
        let Some((number, secret)) = parts else { return Ok(-1.0) };
        match handle::attach(kind, number, secret)? {
            Some(region) => regions::adopt(region, out),
            None => Ok(-1.0),
        }
    })
}

/// Path or name of a region, if it has one.
#[napi]
pub fn label(env: Env, region: f64) -> Result<Option<String>> {
    call(env, || regions::with(region, |region| Ok(region.label().map(|label| label.to_string_lossy().into_owned()))))
}

/// The descriptor of the memory; none where the system has no such thing.
#[napi]
pub fn descriptor(env: Env, region: f64) -> Result<Option<i32>> {
    call(env, || regions::with(region, |region| Ok(region.descriptor())))
}
