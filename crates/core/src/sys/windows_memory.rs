//! Anonymous and named memory, protection, pinning and limits on Windows. Run by this project's own CI under wine only.

use std::ffi::{c_void, CStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use memmap2::{MmapOptions, MmapRaw};
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, TokenUser, PSECURITY_DESCRIPTOR, PSID, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    CreateFileMappingW, GetProcessWorkingSetSizeEx, MapViewOfFile, OpenFileMappingW, PrefetchVirtualMemory,
    UnmapViewOfFile, VirtualLock, VirtualProtect, VirtualQuery, VirtualUnlock, FILE_MAP_COPY, FILE_MAP_READ,
    FILE_MAP_WRITE, MEMORY_BASIC_INFORMATION, MEMORY_MAPPED_VIEW_ADDRESS, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE,
    PAGE_EXECUTE_WRITECOPY, PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, PAGE_WRITECOPY, WIN32_MEMORY_RANGE_ENTRY,
};
use windows_sys::Win32::System::ProcessStatus::{
    QueryWorkingSetEx, PSAPI_WORKING_SET_EX_BLOCK, PSAPI_WORKING_SET_EX_INFORMATION,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::windows::page_size;
use super::{FileFacts, FileMap, Identity};
use crate::advice::Advice;
use crate::limits::Support;
use crate::region::Sizing;
use crate::{Access, Error, Protection, Result};

/// A file that is mapped cannot be made shorter here.
pub const SHORTENS_MAPPED_FILES: bool = false;
/// The system rounds lengths of shared memory up to pages.
pub const NAMED_LENGTHS_ARE_EXACT: bool = false;
const FIXED: &str = "Windows gives shared memory its length for good when it is made";
/// Fixed when made.
pub const NAMED_SIZING: Sizing = Sizing::NotHere(FIXED);
/// Fixed when made.
pub const ANONYMOUS_SIZING: Sizing = Sizing::NotHere(FIXED);

/// A mapped range: memmap2's, or a view of a section of the page file.
#[derive(Debug)]
pub enum Memory {
    /// A file, or memory of this process alone.
    Mapped(MmapRaw),
    /// Shared memory.
    View(View),
}

/// A view of a section, unmapped when dropped.
#[derive(Debug)]
pub struct View(pub(super) *mut u8);

// SAFETY: an address; who may use it is the mapping's business, as for memmap2's own ranges.
unsafe impl Send for View {}
// SAFETY: as above.
unsafe impl Sync for View {}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: the view was made for this value alone, whose holders are all gone.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: self.0.cast() }) };
    }
}

impl From<MmapRaw> for Memory {
    fn from(map: MmapRaw) -> Self {
        Self::Mapped(map)
    }
}

impl Memory {
    /// First address.
    pub fn as_mut_ptr(&self) -> *mut u8 {
        match self {
            Self::Mapped(map) => map.as_mut_ptr(),
            Self::View(view) => view.0,
        }
    }
}

/// Zeroed memory of this process alone.
pub fn map_anonymous(len: usize, _huge_pages: bool) -> Result<FileMap> {
    let map = MmapOptions::new().len(len).map_anon().map_err(|cause| Error::system("mmap", &cause))?;
    Ok(FileMap { memory: MmapRaw::from(map).into(), writable: true, private: true })
}

/// A view of shared memory from its start.
///
/// # References
/// - [MapViewOfFile](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-mapviewoffile)
pub fn map_shared(object: &File, len: usize, access: Access, _huge_pages: bool) -> Result<FileMap> {
    let view = |rights: u32| {
        // SAFETY: a handle we own; a length beyond the section is refused.
        let view = unsafe { MapViewOfFile(object.as_raw_handle().cast(), rights, 0, 0, len) }.Value;
        if view.is_null() {
            return Err(io::Error::last_os_error());
        }
        Ok(Memory::View(View(view.cast())))
    };
    let refused = |cause: io::Error| Error::system("mmap", &cause);
    match access {
        Access::Write => Ok(FileMap { memory: view(FILE_MAP_WRITE).map_err(refused)?, writable: true, private: false }),
        Access::Copy => Ok(FileMap { memory: view(FILE_MAP_COPY).map_err(refused)?, writable: true, private: true }),
        // As for files: copy-on-write if the system charges that much, so that a stray write harms nobody.
        Access::Read => match view(FILE_MAP_COPY) {
            Ok(memory) => Ok(FileMap { memory, writable: true, private: true }),
            Err(_) => Ok(FileMap { memory: view(FILE_MAP_READ).map_err(refused)?, writable: false, private: false }),
        },
    }
}

pub(super) fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().chain([0]).collect()
}

/// Hands over the user that a process runs as.
///
/// # References
/// - [OpenProcessToken](https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocesstoken)
/// - [GetTokenInformation](https://learn.microsoft.com/windows/win32/api/securitybaseapi/nf-securitybaseapi-gettokeninformation), `TokenUser`
pub(super) fn with_user<T>(process: win::HANDLE, take: impl FnOnce(PSID) -> T) -> Result<T> {
    let failed = || Error::last("GetTokenInformation");
    let mut token: win::HANDLE = ptr::null_mut();
    // SAFETY: a bad handle is an error; the call fills `token` when it returns non-zero.
    if unsafe { OpenProcessToken(process, TOKEN_QUERY, &raw mut token) } == 0 {
        return Err(failed());
    }
    // SAFETY: the handle is new, so nobody else owns it.
    let token = unsafe { OwnedHandle::from_raw_handle(token.cast()) };
    // Room for the structure and the longest user there is, aligned for it.
    let mut room = [0_u64; 32];
    let mut used = 0;
    // SAFETY: the room is as long as said; the structure in it points into it, and both outlive `take`.
    unsafe {
        let size = size_of_val(&room) as u32;
        let place = room.as_mut_ptr();
        if GetTokenInformation(token.as_raw_handle().cast(), TokenUser, place.cast(), size, &raw mut used) == 0 {
            return Err(failed());
        }
        Ok(take((*place.cast::<TOKEN_USER>()).User.Sid))
    }
}

/// The user this process runs as, in the words of security descriptors.
fn user() -> Result<String> {
    // SAFETY: the pseudo handle of this process.
    with_user(unsafe { GetCurrentProcess() }, |user| {
        let mut text = ptr::null_mut();
        // SAFETY: a user that the system has told; the text ends with a zero, and is given back after it was copied.
        unsafe {
            if ConvertSidToStringSidW(user, &raw mut text) == 0 {
                return Err(Error::last("GetTokenInformation"));
            }
            let length = (0..).take_while(|&at| *text.add(at) != 0).count();
            let user = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
            win::LocalFree(text.cast());
            Ok(user)
        }
    })?
}

fn create_section(name: Option<&str>, len: u64) -> Result<File> {
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    // Full access for this user, none for anybody else.
    let rules = wide(&format!("D:P(A;;GA;;;{})", user()?));
    // SAFETY: NUL-terminated text in, a descriptor to be given back by LocalFree out.
    let converted = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            rules.as_ptr(),
            SDDL_REVISION_1,
            &raw mut descriptor,
            ptr::null_mut(),
        )
    };
    if converted == 0 {
        return Err(Error::last("CreateFileMapping"));
    }
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor,
        bInheritHandle: 0,
    };
    let name = name.map(|name| wide(&format!("Local\\{name}")));
    // SAFETY: all pointers outlive the call; INVALID_HANDLE_VALUE means the page file.
    let (handle, outcome) = unsafe {
        let handle = CreateFileMappingW(
            win::INVALID_HANDLE_VALUE,
            &raw const attributes,
            PAGE_READWRITE,
            (len >> 32) as u32,
            len as u32,
            name.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
        );
        let outcome = win::GetLastError();
        win::LocalFree(descriptor.cast());
        (handle, outcome)
    };
    if handle.is_null() {
        return Err(Error::raw("CreateFileMapping", outcome as i32));
    }
    // SAFETY: the handle is new, so nobody else owns it.
    let object = unsafe { File::from_raw_handle(handle.cast()) };
    if outcome == win::ERROR_ALREADY_EXISTS {
        return Err(Error::raw("CreateFileMapping", outcome as i32));
    }
    Ok(object)
}

/// Makes named memory, for this user's processes of this session. Nobody ever sees half of it.
///
/// # References
/// - [CreateFileMappingW](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-createfilemappingw)
pub fn create_named(name: &str, len: u64, _mode: u32) -> Result<File> {
    create_section(Some(name), len)
}

/// Makes memory without a name.
pub fn create_anonymous(len: u64, growable: bool) -> Result<File> {
    if growable {
        return Err(Error::unavailable(FIXED));
    }
    create_section(None, len)
}

/// Opens named memory that is there.
///
/// # References
/// - [OpenFileMappingW](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-openfilemappingw)
pub fn open_named(name: &str, write: bool) -> Result<File> {
    let rights = if write { FILE_MAP_READ | FILE_MAP_WRITE } else { FILE_MAP_READ | FILE_MAP_COPY };
    let name = wide(&format!("Local\\{name}"));
    // SAFETY: the name is NUL-terminated and outlives the call.
    let handle = unsafe { OpenFileMappingW(rights, 0, name.as_ptr()) };
    if handle.is_null() {
        return Err(Error::last("OpenFileMapping"));
    }
    // SAFETY: the handle is new, so nobody else owns it.
    Ok(unsafe { File::from_raw_handle(handle.cast()) })
}

/// Names go with their last holder here: says only whether there is one.
pub fn unlink_named(name: &str) -> Result<()> {
    open_named(name, false).map(drop)
}

/// What the system says of the pages at an address, which may be any.
///
/// # References
/// - [VirtualQuery](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualquery)
fn facts_of(address: *mut u8) -> Result<MEMORY_BASIC_INFORMATION> {
    let mut facts = MaybeUninit::<MEMORY_BASIC_INFORMATION>::uninit();
    // SAFETY: the call reads no memory of ours, and fills the structure when it returns non-zero.
    unsafe {
        if VirtualQuery(address.cast(), facts.as_mut_ptr(), size_of::<MEMORY_BASIC_INFORMATION>()) == 0 {
            return Err(Error::last("VirtualQuery"));
        }
        Ok(facts.assume_init())
    }
}

/// What the system says of shared memory: only its length, in whole pages, which a view of all of it shows.
pub fn inspect_shared(object: &File) -> Result<FileFacts> {
    let map = map_shared(object, 0, Access::Read, false)?;
    let length = facts_of(map.memory.as_mut_ptr())?.RegionSize;
    Ok(FileFacts { length: length as u64, identity: Identity { device: 0, file: 0 } })
}

/// Shared memory has no descriptor here.
pub const SHARED_BY_DESCRIPTOR: bool = false;

/// What may become of the length of an object that somebody handed over.
pub fn sizing_of(_object: &File) -> Sizing {
    NAMED_SIZING
}

/// Shortens a file that nobody has mapped.
pub fn shorten(file: &File, to: u64) -> Result<()> {
    file.set_len(to).map_err(|cause| Error::system("ftruncate", &cause))
}

/// Takes back what was allocated behind `end`, for a file that was to be no longer than `to`.
pub fn give_back(file: &File, end: u64, to: u64) {
    if file.metadata().is_ok_and(|facts| (end..=to).contains(&facts.len())) {
        // A failure is being reported already, and the caller can do nothing about this one.
        let _ = file.set_len(end);
    }
}

/// Changes what pages allow.
///
/// # Safety
/// The range is the caller's own, and nobody relies on rights that it takes away.
///
/// # References
/// - [VirtualProtect](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualprotect)
pub unsafe fn protect(address: *mut u8, len: usize, protection: Protection) -> Result<()> {
    let made_for = || facts_of(address).map(|facts| facts.AllocationProtect);
    let flags = match protection {
        Protection::None => PAGE_NOACCESS,
        Protection::Read => PAGE_READONLY,
        // A view that was made for copies is never allowed to write through.
        Protection::Write if matches!(made_for()?, PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY) => PAGE_WRITECOPY,
        Protection::Write => PAGE_READWRITE,
        // More than a view was made for is refused, for reasons that the system does not tell.
        Protection::Execute if !matches!(made_for()?, PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY) => {
            return Err(Error::unavailable(
                "Windows lets only memory be executed that was made for it: PrivateMemory is, files and SharedMemory are not",
            ));
        }
        Protection::Execute => PAGE_EXECUTE_READ,
    };
    let mut before = 0;
    // SAFETY: the caller's promise.
    if unsafe { VirtualProtect(address.cast(), len, flags, &raw mut before) } == 0 {
        return Err(Error::last("VirtualProtect"));
    }
    Ok(())
}

/// Of madvise's advice Windows has `willneed`: PrefetchVirtualMemory.
///
/// # Safety
/// The range is mapped.
///
/// # References
/// - [PrefetchVirtualMemory](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-prefetchvirtualmemory)
pub unsafe fn advise(address: *mut u8, len: usize, advice: Advice) -> Result<bool> {
    match advice {
        Advice::Normal => Ok(true),
        // SAFETY: the caller's promise.
        Advice::WillNeed => Ok(unsafe { prefetch(address, len) }),
        _ => Ok(false),
    }
}

unsafe fn prefetch(address: *mut u8, len: usize) -> bool {
    let range = WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: address.cast(), NumberOfBytes: len };
    // SAFETY: the caller's range is mapped; the entry outlives the call.
    unsafe { PrefetchVirtualMemory(GetCurrentProcess(), 1, &raw const range, 0) != 0 }
}

/// Brings pages in.
///
/// # Safety
/// The range is mapped and readable.
pub unsafe fn populate(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        prefetch(address, len);
        for at in (0..len).step_by(page_size()) {
            address.add(at).read_volatile();
        }
    }
}

/// Keeps pages in memory.
///
/// # Safety
/// The range is mapped.
///
/// # References
/// - [VirtualLock](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtuallock)
pub unsafe fn pin(address: *mut u8, len: usize, _by_reading: bool) -> Result<()> {
    // SAFETY: the caller's promise; no memory changes.
    if unsafe { VirtualLock(address.cast(), len) } == 0 {
        return Err(Error::last("VirtualLock"));
    }
    Ok(())
}

/// Lets pages go again. Pages that were not pinned are no mistake.
///
/// # Safety
/// The range is mapped.
///
/// # References
/// - [VirtualUnlock](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-virtualunlock)
pub unsafe fn unpin(address: *mut u8, len: usize) -> Result<()> {
    // SAFETY: the caller's promise; no memory changes.
    if unsafe { VirtualUnlock(address.cast(), len) } == 0 {
        let cause = io::Error::last_os_error();
        if cause.raw_os_error() != Some(win::ERROR_NOT_LOCKED as i32) {
            return Err(Error::system("VirtualUnlock", &cause));
        }
    }
    Ok(())
}

/// Calls `each` with the number of each page of a range, of whichever process, that is in its working set.
///
/// # References
/// - [QueryWorkingSetEx](https://learn.microsoft.com/windows/win32/api/psapi/nf-psapi-queryworkingsetex)
pub(super) fn in_working_set(
    process: win::HANDLE,
    address: usize,
    len: usize,
    each: &mut dyn FnMut(usize),
) -> Result<()> {
    const PAGES: usize = 1 << 14;
    let page = page_size();
    let pages = len.div_ceil(page);
    for first in (0..pages).step_by(PAGES) {
        let mut block: Vec<_> = (first..pages.min(first + PAGES))
            .map(|number| PSAPI_WORKING_SET_EX_INFORMATION {
                VirtualAddress: ptr::without_provenance_mut(address + number * page),
                VirtualAttributes: PSAPI_WORKING_SET_EX_BLOCK::default(),
            })
            .collect();
        let size = u32::try_from(size_of_val(block.as_slice())).unwrap_or(u32::MAX);
        // SAFETY: the block is as long as said, and filled by the call, which only looks the addresses up.
        if unsafe { QueryWorkingSetEx(process, block.as_mut_ptr().cast::<c_void>(), size) } == 0 {
            return Err(Error::last("QueryWorkingSetEx"));
        }
        for (index, entry) in block.iter().enumerate() {
            // SAFETY: a union of numbers, whose lowest bit says that the page is there.
            if unsafe { entry.VirtualAttributes.Flags } & 1 != 0 {
                each(first + index);
            }
        }
    }
    Ok(())
}

/// Sets a bit for each page in this process's working set.
///
/// # Safety
/// The range is mapped, and `bits` has a bit for each of its pages.
pub unsafe fn residency(address: *mut u8, len: usize, bits: &mut [u8]) -> Result<bool> {
    // SAFETY: the pseudo handle of this process.
    let process = unsafe { GetCurrentProcess() };
    in_working_set(process, address as usize, len, &mut |page| bits[page / 8] |= 1 << (page % 8))?;
    Ok(true)
}

/// The working set is this process's own business.
pub fn tells_residency(_file: &File) -> bool {
    true
}

/// Zeros memory so that no compiler leaves it out.
///
/// # Safety
/// The range is mapped and writable, and nobody relies on what is in it.
pub unsafe fn zero(address: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { address.write_bytes(0, len) };
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// Windows has no such advice for ordinary dumps.
pub fn leave_out_of_dumps(_address: *mut u8, _len: usize) {}

/// What VirtualLock allows: the least working set, less a few pages of overhead.
///
/// # References
/// - [GetProcessWorkingSetSizeEx](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-getprocessworkingsetsizeex)
pub fn pinnable() -> Option<u64> {
    let (mut least, mut most, mut flags) = (0, 0, 0);
    // SAFETY: the call fills the three numbers when it returns non-zero.
    let told =
        unsafe { GetProcessWorkingSetSizeEx(GetCurrentProcess(), &raw mut least, &raw mut most, &raw mut flags) };
    (told != 0).then_some(least as u64)
}

/// Windows does not say.
pub fn shared_memory_left() -> Option<u64> {
    None
}

/// A function that the program itself exports.
///
/// # References
/// - [GetProcAddress](https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getprocaddress)
pub fn symbol_of_host(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: both take NUL-terminated names; null is the program itself.
    let found = unsafe { GetProcAddress(GetModuleHandleW(ptr::null()), name.as_ptr().cast()) }?;
    Some(found as *mut c_void)
}

/// What Windows can do.
pub fn capabilities() -> Vec<(&'static str, Support)> {
    use Support::{Absent, Emulated, Native};
    vec![
        ("windowsOfReadRegions", Native),
        ("faultGuard", Emulated),
        ("namedSharedMemory", Native),
        ("exactNamedLengths", Absent),
        ("namedResize", Absent),
        ("descriptorOfSharedMemory", Absent),
        ("sealedSharedMemory", Native),
        ("allocateOnExtend", Native),
        ("resizeMappedFile", Absent),
        ("fileLocks", Native),
        ("lockWaits", Emulated),
        ("wait", Emulated),
        ("waitAsync", Emulated),
        ("advise", Emulated),
        ("prefetch", Native),
        ("residency", Native),
        ("pin", Native),
        ("protect", Native),
        ("leaveOutOfCoreDumps", Absent),
        ("mapCount", Absent),
    ]
}

/// Whether a name is still this object's: nobody can tell here.
pub fn names(_name: &str, _object: &File) -> bool {
    true
}
