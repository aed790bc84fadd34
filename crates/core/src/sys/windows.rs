//! Windows. Run by this project's own CI under wine only.

use std::ffi::c_void;
use std::fs::{File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use memmap2::{MmapOptions, MmapRaw};
use windows_sys::Win32::Foundation as win;
use windows_sys::Win32::Storage::FileSystem::{
    FileAllocationInfo, FlushFileBuffers, GetFileInformationByHandle, GetFileType, SetFileInformationByHandle,
    BY_HANDLE_FILE_INFORMATION, FILE_ALLOCATION_INFO, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_TYPE_DISK,
};
use windows_sys::Win32::System::LibraryLoader::{
    GetModuleHandleExW, GetModuleHandleW, GetProcAddress, GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
    GET_MODULE_HANDLE_EX_FLAG_PIN,
};
use windows_sys::Win32::System::Memory::FlushViewOfFile;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::{FileFacts, FileMap, Identity, OpenHow};
use crate::{Access, Error, Result};

/// Reading or writing failed in the device.
pub const EIO: i32 = win::ERROR_IO_DEVICE as i32;
/// No memory or addresses left.
pub const ENOMEM: i32 = win::ERROR_NOT_ENOUGH_MEMORY as i32;
/// The thing cannot do this: here, be mapped.
pub const ENODEV: i32 = win::ERROR_BAD_DEVICE as i32;
/// No space left.
pub const ENOSPC: i32 = win::ERROR_DISK_FULL as i32;
/// The handle is none, or not for this.
pub const EBADF: i32 = win::ERROR_INVALID_HANDLE as i32;
/// Permission denied.
pub const EACCES: i32 = win::ERROR_ACCESS_DENIED as i32;
/// No such address, or no page there.
pub const EFAULT: i32 = win::ERROR_NOACCESS as i32;
/// There is no such process. No number of the system's, which says ERROR_INVALID_PARAMETER: bit 29 is left to programs.
pub(super) const ESRCH: i32 = NO_PROCESS as i32;
const NO_PROCESS: u32 = 1 << 29;
/// What libuv calls EISDIR.
const EISDIR: i32 = win::ERROR_INVALID_FUNCTION as i32;

/// Node's code, Node's number and libuv's words for an error number of the system, as libuv maps them.
pub fn errno(raw: i32) -> (&'static str, i32, &'static str) {
    match raw as u32 {
        NO_PROCESS => ("ESRCH", -4040, "no such process"),
        win::ERROR_ACCESS_DENIED | win::ERROR_NOACCESS => ("EACCES", -4092, "permission denied"),
        win::ERROR_LOCK_VIOLATION | win::ERROR_SHARING_VIOLATION | win::ERROR_USER_MAPPED_FILE => {
            ("EBUSY", -4082, "resource busy or locked")
        }
        win::ERROR_INVALID_HANDLE => ("EBADF", -4083, "bad file descriptor"),
        win::ERROR_FILE_EXISTS | win::ERROR_ALREADY_EXISTS => ("EEXIST", -4075, "file already exists"),
        win::ERROR_FILE_NOT_FOUND
        | win::ERROR_PATH_NOT_FOUND
        | win::ERROR_INVALID_NAME
        | win::ERROR_INVALID_DRIVE
        | win::ERROR_BAD_PATHNAME
        | win::ERROR_MOD_NOT_FOUND => ("ENOENT", -4058, "no such file or directory"),
        win::ERROR_INVALID_FUNCTION => ("EISDIR", -4068, "illegal operation on a directory"),
        win::ERROR_BAD_DEVICE => ("ENODEV", -4059, "no such device"),
        win::ERROR_DISK_FULL | win::ERROR_HANDLE_DISK_FULL | win::ERROR_DISK_QUOTA_EXCEEDED => {
            ("ENOSPC", -4055, "no space left on device")
        }
        win::ERROR_NOT_ENOUGH_MEMORY | win::ERROR_OUTOFMEMORY | win::ERROR_COMMITMENT_LIMIT => {
            ("ENOMEM", -4057, "not enough memory")
        }
        win::ERROR_TOO_MANY_OPEN_FILES => ("EMFILE", -4066, "too many open files"),
        win::ERROR_FILENAME_EXCED_RANGE => ("ENAMETOOLONG", -4064, "name too long"),
        win::ERROR_INVALID_PARAMETER | win::ERROR_FILE_INVALID | win::ERROR_MAPPED_ALIGNMENT => {
            ("EINVAL", -4071, "invalid argument")
        }
        win::ERROR_NOT_SUPPORTED => ("ENOTSUP", -4049, "operation not supported on socket"),
        win::ERROR_PRIVILEGE_NOT_HELD => ("EPERM", -4048, "operation not permitted"),
        win::ERROR_WRITE_PROTECT => ("EROFS", -4043, "read-only file system"),
        win::ERROR_IO_DEVICE | win::ERROR_CRC | win::ERROR_READ_FAULT | win::ERROR_WRITE_FAULT => {
            ("EIO", -4070, "i/o error")
        }
        _ => ("UNKNOWN", -4094, "unknown error"),
    }
}

fn system_info() -> &'static SYSTEM_INFO {
    struct Shared(SYSTEM_INFO);
    // SAFETY: plain numbers and addresses that nobody follows.
    unsafe impl Send for Shared {}
    // SAFETY: as above; never changed after it was filled.
    unsafe impl Sync for Shared {}
    static INFO: OnceLock<Shared> = OnceLock::new();
    &INFO
        .get_or_init(|| {
            let mut info = MaybeUninit::uninit();
            // SAFETY: the call fills the structure and cannot fail.
            Shared(unsafe {
                GetSystemInfo(info.as_mut_ptr());
                info.assume_init()
            })
        })
        .0
}

/// Bytes in a page.
///
/// # References
/// - [GetSystemInfo](https://learn.microsoft.com/windows/win32/api/sysinfoapi/nf-sysinfoapi-getsysteminfo)
pub fn page_size() -> usize {
    system_info().dwPageSize as usize
}

/// How many cores this process may run on.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What the position of a map in its file must be a multiple of.
pub fn granularity() -> usize {
    system_info().dwAllocationGranularity as usize
}

/// Opens a file, shared with everybody as Node's own `fs` does; also whether this call made it.
///
/// # References
/// - [CreateFileW](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-createfilew)
pub fn open(path: &Path, how: OpenHow) -> Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(how.write);
    let refused = |cause: io::Error| {
        let directory = cause.raw_os_error() == Some(EACCES) && path.is_dir();
        let raw = if directory { EISDIR } else { cause.raw_os_error().unwrap_or(EIO) };
        Error::raw("open", raw).at(Some(path))
    };
    if how.mode & 0o200 == 0 {
        // As libuv: a mode without the owner's write bit makes a read-only file. This handle may write all the same.
        options.attributes(FILE_ATTRIBUTE_READONLY);
    }
    let make = || options.clone().create_new(true).open(path);
    if how.exclusive {
        return make().map(|file| (file, true)).map_err(refused);
    }
    if !how.create {
        return options.open(path).map(|file| (file, false)).map_err(refused);
    }
    // Two steps, to know whether the file is ours to remove if a later step fails. Others may make or
    // remove it in between, so a few rounds.
    for _ in 0..8 {
        match options.open(path) {
            Ok(file) => return Ok((file, false)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Err(cause) => return Err(refused(cause)),
        }
        match make() {
            Ok(file) => return Ok((file, true)),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(refused(cause)),
        }
    }
    options.create(true).open(path).map(|file| (file, false)).map_err(refused)
}

/// Removes a file that we made, for a call that failed for another reason: there is nobody to tell.
pub fn remove(path: &Path) {
    if std::fs::remove_file(path).is_err() {
        // Older systems, and wine, remove nothing that is read-only.
        if let Ok(facts) = std::fs::metadata(path) {
            let mut permissions = facts.permissions();
            #[expect(clippy::permissions_set_readonly_false, reason = "only on Unix would that let everybody write")]
            permissions.set_readonly(false);
            let _ = std::fs::set_permissions(path, permissions);
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A handle of our own for a file the caller has open.
///
/// Node's descriptors are numbers of its own C runtime, which only its own function can look up.
///
/// # References
/// - [DuplicateHandle](https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-duplicatehandle)
pub fn duplicate(descriptor: i32) -> Result<File> {
    type GetOsfhandle = unsafe extern "C" fn(i32) -> win::HANDLE;
    // SAFETY: both take NUL-terminated names; null is the program itself.
    let lookup = unsafe { GetProcAddress(GetModuleHandleW(std::ptr::null()), c"uv_get_osfhandle".as_ptr().cast()) }
        .ok_or_else(|| {
            Error::unavailable("This runtime does not tell the handle behind a descriptor; open the file by its path")
        })?;
    // SAFETY: libuv documents this signature; it answers INVALID_HANDLE_VALUE for a bad descriptor.
    let theirs =
        unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, GetOsfhandle>(lookup)(descriptor) };
    let mut ours: win::HANDLE = std::ptr::null_mut();
    // INVALID_HANDLE_VALUE is also the pseudo handle of this process, so it must not reach DuplicateHandle;
    // -2 is what the C runtime says of a descriptor without a handle.
    if theirs == win::INVALID_HANDLE_VALUE || theirs as isize == -2 {
        return Err(Error::raw("dup", win::ERROR_INVALID_HANDLE as i32));
    }
    // SAFETY: handles of this process; a stale one is an error.
    let done = unsafe {
        let process = GetCurrentProcess();
        win::DuplicateHandle(process, theirs, process, &raw mut ours, 0, 0, win::DUPLICATE_SAME_ACCESS)
    };
    if done == 0 {
        return Err(Error::last("dup"));
    }
    // SAFETY: the handle is new, so nobody else owns it.
    Ok(unsafe { File::from_raw_handle(ours.cast()) })
}

fn information(file: &File) -> io::Result<BY_HANDLE_FILE_INFORMATION> {
    let mut facts = MaybeUninit::uninit();
    // SAFETY: the call fills the structure when it returns non-zero.
    unsafe {
        if GetFileInformationByHandle(file.as_raw_handle().cast(), facts.as_mut_ptr()) == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(facts.assume_init())
    }
}

fn identity(facts: &BY_HANDLE_FILE_INFORMATION) -> Identity {
    Identity {
        device: u64::from(facts.dwVolumeSerialNumber),
        file: (u64::from(facts.nFileIndexHigh) << 32) | u64::from(facts.nFileIndexLow),
    }
}

/// What the system says of an open file, refusing all that is not a regular one.
///
/// # References
/// - [GetFileInformationByHandle](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-getfileinformationbyhandle)
pub fn inspect(file: &File) -> Result<FileFacts> {
    // SAFETY: any handle may be asked.
    if unsafe { GetFileType(file.as_raw_handle().cast()) } != FILE_TYPE_DISK {
        return Err(Error::raw("mmap", ENODEV).advise("only regular files can be mapped"));
    }
    let facts = information(file).map_err(|cause| Error::system("fstat", &cause))?;
    if facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        return Err(Error::raw("mmap", EISDIR));
    }
    Ok(FileFacts {
        length: (u64::from(facts.nFileSizeHigh) << 32) | u64::from(facts.nFileSizeLow),
        identity: identity(&facts),
    })
}

/// Not told beforehand here: mapping and extending say `EACCES` themselves.
pub fn takes_writes(_file: &File) -> bool {
    true
}

/// A path from its bytes, which are UTF-8 here, as everywhere in Node on Windows.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// Which file a path names now.
pub fn identity_of(path: &Path) -> Option<Identity> {
    let file = OpenOptions::new().access_mode(0).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path).ok()?;
    information(&file).ok().map(|facts| identity(&facts))
}

/// Maps a part of a file; `offset` is a multiple of the allocation granularity.
///
/// `read` is a copy-on-write view, so that a stray write through a JavaScript view lands in a page of this
/// process. Windows charges the whole length for it; where it will not, the view is truly read-only.
///
/// # References
/// - [MapViewOfFile](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-mapviewoffile), `FILE_MAP_COPY`
pub fn map_file(file: &File, offset: u64, len: usize, access: Access, _huge_pages: bool) -> Result<FileMap> {
    let mut options = MmapOptions::new();
    options.offset(offset).len(len);
    let refused = |cause: io::Error| Error::system("mmap", &cause);
    // memmap2 asks that nobody changes the file under a slice. We never make a slice that we rely on to stay
    // the same: others may change any byte at any time, and every reader in this crate gives only a wrong
    // answer about bytes then, never a wrong address.
    let (memory, writable, private) = match access {
        // SAFETY: as said above; other processes, and this one's views, may change the bytes.
        Access::Read => match unsafe { options.map_copy(file) } {
            Ok(map) => (MmapRaw::from(map).into(), true, true),
            Err(cause) if errno(cause.raw_os_error().unwrap_or(0)).0 == "ENOMEM" => {
                (options.map_raw_read_only(file).map_err(refused)?.into(), false, false)
            }
            Err(cause) => return Err(refused(cause)),
        },
        Access::Write => (options.map_raw(file).map_err(refused)?.into(), true, false),
        // SAFETY: as for `Read`.
        Access::Copy => (MmapRaw::from(unsafe { options.map_copy(file) }.map_err(refused)?).into(), true, true),
    };
    Ok(FileMap { memory, writable, private })
}

/// A view cannot be replaced in one step here, and in two another thread could get its addresses: the
/// file stays mapped until nobody holds them.
///
/// # Safety
/// None is needed: nothing is done.
pub unsafe fn retire(_address: *mut u8, _len: usize, _guarded: bool) -> bool {
    false
}

/// Makes a file longer, its new part zero and really there. On failure it is as it was.
///
/// # References
/// - [SetFileInformationByHandle](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-setfileinformationbyhandle), `FileAllocationInfo`
pub fn extend(file: &File, _from: u64, to: u64, sparse: bool) -> Result<()> {
    // Both calls below also shorten: others may have appended in the meantime.
    if file.metadata().is_ok_and(|facts| facts.len() >= to) {
        return Ok(());
    }
    if !sparse {
        let size = i64::try_from(to).map_err(|_| Error::raw("fallocate", ENOSPC))?;
        let allocation = FILE_ALLOCATION_INFO { AllocationSize: size };
        // SAFETY: the structure belongs to the class and outlives the call.
        let done = unsafe {
            SetFileInformationByHandle(
                file.as_raw_handle().cast(),
                FileAllocationInfo,
                (&raw const allocation).cast::<c_void>(),
                size_of::<FILE_ALLOCATION_INFO>() as u32,
            )
        };
        let cause = io::Error::last_os_error();
        // Some file systems do not know the class; setting the length allocates there.
        let unknown = [win::ERROR_INVALID_PARAMETER, win::ERROR_NOT_SUPPORTED, win::ERROR_CALL_NOT_IMPLEMENTED];
        if done == 0 && !unknown.map(|code| Some(code as i32)).contains(&cause.raw_os_error()) {
            return Err(Error::system("fallocate", &cause));
        }
    }
    file.set_len(to).map_err(|cause| Error::system("ftruncate", &cause))
}

/// Writes a range back to its file; with `wait`, until it is on stable storage.
///
/// # References
/// - [FlushViewOfFile](https://learn.microsoft.com/windows/win32/api/memoryapi/nf-memoryapi-flushviewoffile)
/// - [FlushFileBuffers](https://learn.microsoft.com/windows/win32/api/fileapi/nf-fileapi-flushfilebuffers)
pub fn flush(file: Option<&File>, _position: u64, address: *mut u8, len: usize, wait: bool) -> Result<()> {
    // SAFETY: the caller holds the mapping, so the range is mapped; flushing changes no memory.
    if unsafe { FlushViewOfFile(address.cast::<c_void>().cast_const(), len) } == 0 {
        return Err(Error::last("msync"));
    }
    if let Some(file) = file.filter(|_| wait) {
        // SAFETY: a handle we own.
        if unsafe { FlushFileBuffers(file.as_raw_handle().cast()) } == 0 {
            return Err(Error::last("fsync"));
        }
    }
    Ok(())
}

/// There are no signals here: nothing to put back.
pub fn reinstall_guard() -> bool {
    false
}

/// Now.
pub fn milliseconds_since_1970() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_millis() as u64
}

/// Not asked by handle here: by the file's path.
pub fn space_left(_descriptor: i32) -> Option<u64> {
    None
}

/// A mapped file cannot become shorter here.
pub fn length_of_descriptor(_descriptor: i32) -> Option<u64> {
    None
}

/// A view cannot be replaced in one step here: see [`super::touching`] for what is done instead.
///
/// # Safety
/// None is needed: nothing is done.
pub unsafe fn map_zeros_over(_address: usize, _len: usize, _writable: bool) -> bool {
    false
}

/// Windows has handles, not descriptors.
pub fn descriptor_of(_file: &File) -> Option<i32> {
    None
}

/// Windows sets no limit on the number of views that we could run into.
pub fn map_limit() -> Option<usize> {
    None
}

/// Not counted on Windows.
pub fn map_count() -> Option<usize> {
    None
}

/// Keeps this library in memory for good: Node unloads an addon that only a worker had loaded, and a
/// thread of ours would then run into nothing.
///
/// # References
/// - [GetModuleHandleExW](https://learn.microsoft.com/windows/win32/api/libloaderapi/nf-libloaderapi-getmodulehandleexw)
pub fn pin_image() {
    let mut module = std::ptr::null_mut();
    // SAFETY: with FROM_ADDRESS the "name" is any address inside the image.
    unsafe {
        GetModuleHandleExW(
            GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
            pin_image as *const () as *const u16,
            &raw mut module,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_are_named_as_node_names_them() {
        assert_eq!(errno(win::ERROR_FILE_NOT_FOUND as i32), ("ENOENT", -4058, "no such file or directory"));
        assert_eq!(errno(ENODEV).0, "ENODEV");
        assert_eq!(errno(ENOMEM).0, "ENOMEM");
        assert_eq!(errno(ENOSPC).0, "ENOSPC");
        assert_eq!(errno(EACCES).0, "EACCES");
        assert_eq!(errno(EIO).0, "EIO");
        assert_eq!(errno(EISDIR).0, "EISDIR");
        assert_eq!(errno(-1).0, "UNKNOWN");
    }
}
