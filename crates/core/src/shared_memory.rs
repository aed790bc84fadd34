//! Memory that other processes have too: by its name, by its descriptor, or by a handle in the same process.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::region::{to_len, Kind, Plan, Sizing};
use crate::sys;
use crate::{Access, Error, Region, Result};

/// Longest name, on every system: macOS has 31 with the slash.
const LONGEST_NAME: usize = 30;

/// How named memory is made.
#[derive(Debug, Clone, Copy)]
pub struct NameOptions {
    /// Permissions, exactly: no umask takes from them.
    pub mode: u32,
    /// Whoever made it removes the name at close.
    pub unlink_on_close: bool,
}

/// What [`open_or_create`] did.
#[derive(Debug)]
pub struct Opened {
    /// The memory.
    pub region: Region,
    /// This call made it.
    pub created: bool,
}

/// Whether it is a name that memory can have here.
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(allowed) && !matches!(name, "." | "..")
}

fn check_name(name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid_name(format!(
        "A name has 1 to {LONGEST_NAME} of the characters A-Z a-z 0-9 . _ - and is not '.' or '..'. Received {name:?}"
    )))
}

fn check_length(len: usize) -> Result<()> {
    if len == 0 {
        return Err(Error::out_of_range("The value of \"byteLength\" is out of range. It must be >= 1. Received 0"));
    }
    Ok(())
}

fn plan(name: Option<&str>, access: Access, sizing: Sizing) -> Plan {
    Plan {
        kind: Kind::SharedMemory,
        access,
        offset: 0,
        wanted: None,
        huge_pages: false,
        guard: true,
        label: name.map(PathBuf::from),
        wipe: false,
        pin: false,
        sizing,
    }
}

fn region(object: File, plan: Plan, len: usize) -> Result<Region> {
    let mapping = plan.map(Some(&object), true, len).map_err(|error| error.at(plan.label.as_deref()))?;
    Ok(Region::new(mapping, Some(Arc::new(object)), plan))
}

/// Makes named memory; `EEXIST` if the name is taken.
pub fn create(name: &str, len: usize, options: NameOptions) -> Result<Region> {
    check_name(name)?;
    check_length(len)?;
    let label = PathBuf::from(name);
    let object = sys::create_named(name, len as u64, options.mode).map_err(|error| error.at(Some(&label)))?;
    let mut plan = plan(Some(name), Access::Write, sys::NAMED_SIZING);
    // Where the system rounds lengths to pages, the creator still sees what it asked for.
    plan.wanted = (!sys::NAMED_LENGTHS_ARE_EXACT).then_some(len as u64);
    let mut region = region(object, plan, len).inspect_err(|_| {
        let _ = sys::unlink_named(name);
    })?;
    region.unlink = options.unlink_on_close.then(|| name.to_owned());
    Ok(region)
}

/// Opens named memory; `ENOENT` if there is none. A length is checked, and trims what the system rounded.
pub fn open(name: &str, access: Access, len: Option<u64>) -> Result<Region> {
    check_name(name)?;
    let label = PathBuf::from(name);
    let object = sys::open_named(name, access == Access::Write).map_err(|error| error.at(Some(&label)))?;
    let there = sys::inspect_shared(&object).map_err(|error| error.at(Some(&label)))?.length;
    let shown = len.unwrap_or(there);
    let rounded = shown.div_ceil(sys::page_size() as u64) * sys::page_size() as u64;
    let fits = if sys::NAMED_LENGTHS_ARE_EXACT { shown == there } else { rounded == there || shown == there };
    if !fits {
        return Err(Error::out_of_range(format!(
            "The value of \"options.byteLength\" is out of range. It must be {there}, the length of the memory. Received {shown}"
        )));
    }
    let mut plan = plan(Some(name), access, sys::NAMED_SIZING);
    plan.wanted = len.filter(|_| !sys::NAMED_LENGTHS_ARE_EXACT);
    region(object, plan, to_len(shown)?)
}

/// Opens named memory, or makes it. Two processes that race get the same, whole.
pub fn open_or_create(name: &str, len: usize, options: NameOptions) -> Result<Opened> {
    check_name(name)?;
    check_length(len)?;
    let mut last = Error::closed();
    // Others may make and remove the name in between, so a few rounds.
    for _ in 0..100 {
        match open(name, Access::Write, Some(len as u64)) {
            Ok(region) => return Ok(Opened { region, created: false }),
            Err(error) if error.code() == "ENOENT" => {}
            Err(error) => return Err(error),
        }
        match create(name, len, options) {
            Ok(region) => return Ok(Opened { region, created: true }),
            Err(error) if error.code() == "EEXIST" => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Memory without a name; growable, or sealed at its length where the system can.
pub fn anonymous(len: usize, growable: bool) -> Result<Region> {
    check_length(len)?;
    let object = sys::create_anonymous(len as u64, growable)?;
    let sizing = match (growable, sys::ANONYMOUS_SIZING) {
        (true, sizing) => sizing,
        (false, _) => Sizing::Fixed("The memory has a fixed length; make it with growable: true"),
    };
    let mut plan = plan(None, Access::Write, sizing);
    plan.wanted = (!sys::NAMED_LENGTHS_ARE_EXACT).then_some(len as u64);
    region(object, plan, len)
}

/// The memory behind a descriptor that was handed to this process. The descriptor stays the caller's.
pub fn from_descriptor(descriptor: i32, access: Access) -> Result<Region> {
    if !sys::SHARED_BY_DESCRIPTOR {
        return Err(Error::unavailable("Shared memory has no descriptor on this system: open it by its name"));
    }
    let object = sys::duplicate(descriptor)?;
    let len = to_len(sys::inspect_shared(&object)?.length)?;
    let sizing = sys::sizing_of(&object);
    let region = region(object, plan(None, access, sizing), len).map_err(|error| {
        if error.code() == "EACCES" {
            return error.advise("the descriptor is open for reading only: use access 'read'");
        }
        error
    })?;
    Ok(region)
}

/// Removes a name. Who has the memory keeps it.
pub fn unlink(name: &str) -> Result<()> {
    check_name(name)?;
    sys::unlink_named(name).map_err(|error| error.at(Some(&PathBuf::from(name))))
}
