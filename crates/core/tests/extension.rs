//! Making a file longer: allocated unless it is to be sparse, and everything as it was when there is no space.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::CString;
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::{code, options, Folder};
use memmap_core::{mmap_file, Access, Create, Error, ErrorKind, OpenOptions, Region, Source};

fn blocks(path: &Path) -> u64 {
    std::fs::metadata(path).unwrap().blocks() * 512
}

fn longer(path: &Path, length: u64, sparse: bool) -> memmap_core::Result<Region> {
    mmap_file::open(Source::Path(path), OpenOptions { length: Some(length), sparse, ..options(Access::Write) })
}

#[test]
fn the_new_part_has_its_space() {
    let folder = Folder::new();
    for old in [0, 100, 4096, 10_000] {
        let path = folder.file("f", &vec![1; old]);
        longer(&path, 5 << 20, false).unwrap().close();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5 << 20);
        assert!(blocks(&path) >= 5 << 20, "{old}: {}", blocks(&path));
    }
}

#[test]
fn a_sparse_file_stays_so() {
    let folder = Folder::new();
    let path = folder.file("f", b"abc");
    longer(&path, 1 << 30, true).unwrap().close();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 30);
    assert!(blocks(&path) < 1 << 20);
    // Growing it by a page gives that page its space and no other.
    longer(&path, (1 << 30) + 4096, false).unwrap().close();
    assert!((4096..1 << 20).contains(&blocks(&path)), "{}", blocks(&path));
}

#[test]
fn growing_a_sparse_file_of_512_mebibytes_by_a_page_leaves_it_sparse_elsewhere() {
    let folder = Folder::new();
    let path = folder.join("f");
    File::create(&path).unwrap().set_len(512 << 20).unwrap();
    let file = longer(&path, (512 << 20) + 4096, false).unwrap();
    assert_eq!(file.mapping().len(), (512 << 20) + 4096);
    assert!((4096..1 << 20).contains(&blocks(&path)), "{}", blocks(&path));
}

/// A file system of 1 MiB, gone when dropped; none where this process may not make one.
struct Small(PathBuf);

impl Small {
    fn mount(folder: &Folder) -> Option<Self> {
        let path = folder.join("small");
        std::fs::create_dir(&path).unwrap();
        let target = CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: every string ends with NUL and outlives the call.
        let done =
            unsafe { libc::mount(c"none".as_ptr(), target.as_ptr(), c"tmpfs".as_ptr(), 0, c"size=1m".as_ptr().cast()) };
        if done != 0 {
            let cause = std::io::Error::last_os_error();
            common::skipped(&format!("no file system can be filled: no tmpfs can be mounted here: {cause}"));
            return None;
        }
        Some(Self(path))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let target = CString::new(self.0.to_str().unwrap()).unwrap();
        // SAFETY: the string ends with NUL and outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn without_space_it_is_enospc_and_the_file_is_as_it_was() {
    let folder = Folder::new();
    let Some(small) = Small::mount(&folder) else { return };
    for old in [0, 1, 4096, 300_000] {
        let path = small.0.join("old");
        let content = common::numbered(old);
        std::fs::write(&path, &content).unwrap();
        let before = blocks(&path);
        for length in [(1 << 20) + 1, 2 << 20, 1 << 40] {
            let error = longer(&path, length, false).unwrap_err();
            assert_eq!(error.code(), "ENOSPC");
            let ErrorKind::System(facts) = error.kind() else { panic!("{error:?}") };
            assert_eq!((facts.syscall, facts.path.as_deref()), ("fallocate", Some(path.as_path())));
            assert!(error.to_string().contains("the file is as it was"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), content);
            assert_eq!(blocks(&path), before);
        }
        // What does fit still goes.
        longer(&path, 900 << 10, false).unwrap().close();
        assert!(blocks(&path) >= 900 << 10);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn without_space_a_file_that_the_call_made_is_removed() {
    let folder = Folder::new();
    let Some(small) = Small::mount(&folder) else { return };
    let path = small.0.join("new");
    for create in [Create::IfMissing, Create::Exclusive] {
        let wanted = OpenOptions { create, length: Some(2 << 20), ..options(Access::Write) };
        assert_eq!(code(mmap_file::open(Source::Path(&path), wanted)), "ENOSPC");
        assert!(!path.exists());
    }
    let wanted = OpenOptions { create: Create::Exclusive, length: Some(1 << 20), ..options(Access::Write) };
    mmap_file::open(Source::Path(&path), wanted).unwrap().close();
    assert!(path.exists(), "all of the space is free");
}

#[test]
fn a_store_that_finds_no_space_is_an_error_at_its_page_and_a_thousand_cost_few_maps() {
    const NAME: &str = "a_store_that_finds_no_space_is_an_error_at_its_page_and_a_thousand_cost_few_maps";
    common::lives(NAME, || {
        let folder = Folder::new();
        let Some(small) = Small::mount(&folder) else { return };
        let path = small.0.join("f");
        let wanted =
            OpenOptions { create: Create::Exclusive, length: Some(64 << 20), sparse: true, ..options(Access::Write) };
        let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
        let mapping = file.mapping();
        mapping.fill(0, 100, b"first").unwrap();
        let Err(ErrorKind::Faulted { offset, .. }) = mapping.fill(0, 2 << 20, b"x").map_err(Error::into_kind) else {
            panic!("there is no space for it")
        };
        assert!((500 << 10..=1 << 20).contains(&offset), "{offset}");
        assert_eq!(offset % 4096, 0);

        let before = memmap_core::sys::map_count().unwrap();
        for number in 0..1000 {
            // Every second page, so that no two replaced pages become one map.
            let at = (2 << 20) + number * 2 * 4096 + 7;
            // SAFETY: inside the region, which this test holds.
            unsafe { mapping.address(at).write_volatile(1) };
        }
        let after = memmap_core::sys::map_count().unwrap();
        assert!(after <= before + 50, "{after} maps after {before}");
        let Err(ErrorKind::Faulted { offset: still, .. }) = mapping.check().map_err(Error::into_kind) else {
            panic!("it stays faulted")
        };
        assert_eq!(still, offset, "the first fault is the one that is told");
        assert_eq!(code(file.flush(0, 1).run(true)), "ERR_REGION_FAULTED");
    });
}

#[test]
fn what_was_allocated_is_given_back_when_the_end_cannot_be_moved() {
    const NAME: &str = "what_was_allocated_is_given_back_when_the_end_cannot_be_moved";
    common::lives(NAME, || {
        let folder = Folder::new();
        let path = folder.file("f", &[1; 5000]);
        let before = blocks(&path);
        // A limit that stops the end of the file, and nothing that lies beyond it.
        let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: 1 << 20 };
        // SAFETY: this process's own limit; the signal for passing it is ignored, so it is an error.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
        }
        assert_eq!(code(longer(&path, 5 << 20, false)), "EFBIG");
        assert_eq!(std::fs::read(&path).unwrap(), [1; 5000]);
        assert_eq!(blocks(&path), before);
        longer(&path, 1 << 20, false).unwrap().close();
    });
}

#[test]
fn what_others_appended_is_not_cut_off() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 100]);
    let file = File::options().read(true).write(true).open(&path).unwrap();
    // As if the file had been 10 bytes long when it was looked at.
    for sparse in [true, false] {
        memmap_core::sys::extend(&file, 10, 50, sparse).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [1; 100]);
    }
}
