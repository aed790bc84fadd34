//! Opening what is no file, and descriptors.

#![cfg(unix)]

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use common::{all, code, options, Folder};
use memmap_core::{mmap_file, Access, Create, Error, ErrorKind, OpenOptions, Source};

const EVERY_ACCESS: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

fn refused(source: Source<'_>) -> Vec<String> {
    let one = |access| {
        let error = mmap_file::open(source, options(access)).unwrap_err();
        if let (Source::Path(path), ErrorKind::System(facts)) = (source, error.kind()) {
            assert_eq!(facts.path.as_deref(), Some(path));
        }
        error.code().to_owned()
    };
    EVERY_ACCESS.into_iter().map(one).collect()
}

#[test]
fn a_pipe_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let path = folder.join("pipe");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: `name` ends with NUL and outlives the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    assert_eq!(refused(Source::Path(&path)), ["ENODEV"; 3]);

    let (reader, _writer) = std::io::pipe().unwrap();
    assert_eq!(refused(Source::Descriptor(reader.as_raw_fd())), ["ENODEV"; 3]);
}

#[test]
fn a_socket_and_a_device_are_refused() {
    let folder = Folder::new();
    let path = folder.join("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(refused(Source::Path(&path)), ["ENODEV"; 3]);
    let (socket, _other) = UnixStream::pair().unwrap();
    assert_eq!(refused(Source::Descriptor(socket.as_raw_fd())), ["ENODEV"; 3]);

    assert_eq!(refused(Source::Path(Path::new("/dev/null"))), ["ENODEV"; 3]);
    let device = File::open("/dev/zero").unwrap();
    assert_eq!(refused(Source::Descriptor(device.as_raw_fd())), ["ENODEV"; 3]);

    let directory = File::open(folder.path()).unwrap();
    assert_eq!(refused(Source::Descriptor(directory.as_raw_fd())), ["EISDIR"; 3]);
}

#[test]
fn what_is_no_descriptor_is_refused() {
    assert_eq!(refused(Source::Descriptor(-1)), ["EBADF"; 3]);
    assert_eq!(refused(Source::Descriptor(i32::MAX)), ["EBADF"; 3]);
}

#[test]
fn a_path_with_a_nul_byte_is_refused() {
    assert_eq!(refused(Source::Path(Path::new("a\0b"))), ["EINVAL"; 3]);
}

#[test]
fn the_callers_descriptor_may_be_closed_after_opening() {
    let folder = Folder::new();
    let path = folder.file("f", &[3; 5000]);
    for access in EVERY_ACCESS {
        let theirs = File::options().read(true).write(true).open(&path).unwrap().into_raw_fd();
        let mut file = mmap_file::open(Source::Descriptor(theirs), options(access)).unwrap();
        // SAFETY: taken out of its File above, so it is ours to close.
        assert_eq!(unsafe { libc::close(theirs) }, 0);
        assert_eq!(all(file.mapping()), [3; 5000]);
        assert_eq!(file.file_size().unwrap(), 5000);
        assert!(file.refresh().unwrap().is_none());
        assert!(!file.replaced(), "there is no path that could name another file");
        file.flush(0, 5000).run(true).unwrap();
    }
}

#[test]
fn a_descriptor_must_allow_what_the_access_needs() {
    let folder = Folder::new();
    let path = folder.file("f", &[3; 5000]);
    let reader = File::open(&path).unwrap();
    for (access, expected) in [(Access::Read, None), (Access::Copy, None), (Access::Write, Some("EACCES"))] {
        let outcome = mmap_file::open(Source::Descriptor(reader.as_raw_fd()), options(access));
        assert_eq!(outcome.as_ref().err().map(Error::code), expected, "{access:?}");
        if let Err(error) = outcome {
            assert!(error.to_string().contains("'r+'"), "{error}");
        }
    }
    let writer = File::options().write(true).open(&path).unwrap();
    assert_eq!(refused(Source::Descriptor(writer.as_raw_fd())), ["EACCES"; 3]);

    // The file is made longer before it is mapped: a map that is refused takes that back.
    let wanted = OpenOptions { length: Some(1 << 20), ..options(Access::Write) };
    assert_eq!(code(mmap_file::open(Source::Descriptor(writer.as_raw_fd()), wanted)), "EACCES");
    assert_eq!(std::fs::read(&path).unwrap(), [3; 5000]);
}

#[test]
fn a_file_is_made_through_a_dangling_link_and_left_there_by_a_failure() {
    let folder = Folder::new();
    let (link, target) = (folder.join("link"), folder.join("target"));
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let wanted = OpenOptions { create: Create::IfMissing, length: Some(3), ..options(Access::Write) };
    mmap_file::open(Source::Path(&link), wanted).unwrap().mapping().write(0, b"abc").unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"abc");
    assert!(link.is_symlink());
}

#[test]
fn the_mode_is_that_of_the_file_made() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.join("new");
    let wanted = OpenOptions { create: Create::Exclusive, mode: 0o600, ..options(Access::Write) };
    mmap_file::open(Source::Path(&path), wanted).unwrap().close();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
}
