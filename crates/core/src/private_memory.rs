//! Memory of one isolate.

use crate::region::{Kind, Plan, Sizing};
use crate::{Access, Error, Region, Result};

/// How it is allocated.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllocateOptions {
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Keep it in memory.
    pub pin: bool,
    /// Zero it before it is given back, and leave it out of core dumps.
    pub wipe: bool,
}

/// Allocates zeroed memory.
pub fn allocate(len: usize, options: AllocateOptions) -> Result<Region> {
    if len == 0 {
        return Err(Error::out_of_range("The value of \"byteLength\" is out of range. It must be >= 1. Received 0"));
    }
    let plan = Plan {
        kind: Kind::PrivateMemory,
        access: Access::Write,
        offset: 0,
        wanted: None,
        huge_pages: options.huge_pages,
        guard: true,
        label: None,
        wipe: options.wipe,
        pin: options.pin,
        sizing: Sizing::Allocated,
    };
    let mapping = plan.map(None, false, len)?;
    Ok(Region::new(mapping, None, plan))
}
