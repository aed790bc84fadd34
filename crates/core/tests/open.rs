//! Opening and mapping: every access, any offset, files that are not there, files that are empty.

mod common;

use std::fs;
use std::sync::Arc;

use common::{all, code, numbered, open, options, Folder};
use memmap_core::{mmap_file, Access, Create, Error, ErrorKind, OpenOptions, Source};

const EVERY_ACCESS: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

#[test]
fn every_access_shows_the_bytes_of_the_file() {
    let folder = Folder::new();
    let content = numbered(200_000);
    let path = folder.file("f", &content);
    for access in EVERY_ACCESS {
        let file = open(&path, access);
        assert_eq!(file.mapping().len(), content.len());
        assert_eq!(file.mapping().access(), access);
        assert!(!file.mapping().is_empty());
        assert!(file.mapping().equals(&content).unwrap());
        assert_eq!(all(file.mapping()), content);
        assert_eq!(file.file_size().unwrap(), content.len() as u64);
        file.close();
    }
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn what_is_written_reaches_the_file_with_access_write_only() {
    let folder = Folder::new();
    let path = folder.file("f", &[7; 10_000]);

    let read = open(&path, Access::Read);
    assert!(matches!(read.mapping().write(0, b"x").map_err(Error::into_kind), Err(ErrorKind::ReadOnly)));
    assert!(matches!(read.mapping().fill(0, 1, b"x").map_err(Error::into_kind), Err(ErrorKind::ReadOnly)));
    assert!(matches!(read.mapping().move_within(0, 1, 1).map_err(Error::into_kind), Err(ErrorKind::ReadOnly)));

    let copy = open(&path, Access::Copy);
    assert!(copy.mapping().is_private());
    copy.mapping().write(5000, b"mine").unwrap();
    assert_eq!(&all(copy.mapping())[4999..5005], b"\x07mine\x07");
    assert_eq!(fs::read(&path).unwrap(), [7; 10_000]);

    let write = open(&path, Access::Write);
    assert!(!write.mapping().is_private());
    write.mapping().write(4094, b"ours").unwrap();
    let mut expected = vec![7; 10_000];
    expected[4094..4098].copy_from_slice(b"ours");
    assert_eq!(fs::read(&path).unwrap(), expected);
    assert_eq!(all(open(&path, Access::Read).mapping()), expected);
}

#[test]
fn others_writes_stay_visible_through_every_access_on_pages_nobody_stored_to() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 20_000]);
    let read = open(&path, Access::Read);
    let write = open(&path, Access::Write);
    assert_eq!(all(read.mapping()), [1; 20_000]);
    write.mapping().fill(0, 20_000, &[2]).unwrap();
    assert_eq!(all(read.mapping()), [2; 20_000]);
}

#[test]
fn a_window_starts_at_any_byte_and_its_memory_at_a_page() {
    let folder = Folder::new();
    let content = numbered(300_000);
    let path = folder.file("f", &content);
    for offset in [0, 1, 4095, 4096, 4097, 65_535, 65_536, 65_537, 131_073, 299_999, 300_000] {
        for access in EVERY_ACCESS {
            let whole = OpenOptions { offset: offset as u64, ..options(access) };
            let file = mmap_file::open(Source::Path(&path), whole).unwrap();
            assert!(file.mapping().equals(&content[offset..]).unwrap(), "{offset} {access:?}");
            assert_eq!(file.mapping().base() as usize % common::page(), 0);
            assert_eq!(file.mapping().position() + file.mapping().lead() as u64, offset as u64);

            let length = (content.len() - offset).min(1000);
            let part = OpenOptions { length: Some(length as u64), ..whole };
            let file = mmap_file::open(Source::Path(&path), part).unwrap();
            assert!(file.mapping().equals(&content[offset..offset + length]).unwrap(), "{offset} {access:?}");
        }
    }
}

#[test]
fn an_empty_file_is_an_empty_region() {
    let folder = Folder::new();
    let path = folder.file("f", b"");
    for access in EVERY_ACCESS {
        let file = open(&path, access);
        let mapping = file.mapping();
        assert!(mapping.is_empty());
        assert!(mapping.base().is_null());
        mapping.read(0, &mut []).unwrap();
        assert_eq!(code(mapping.read(0, &mut [0])), "ERR_OUT_OF_RANGE");
        assert!(mapping.equals(b"").unwrap());
        assert!(!mapping.equals(b"x").unwrap());
        assert_eq!(mapping.index_of(0, 0, b"x").unwrap(), None);
        assert_eq!(mapping.index_of(0, 0, b"").unwrap(), Some(0));
        assert_eq!(mapping.last_index_of(0, 0, b"").unwrap(), Some(0));
        assert_eq!(mapping.count(0, 0, b"x").unwrap(), 0);
        file.flush(0, 0).run(true).unwrap();
        assert!(!mapping.faulted());
        let held = Arc::clone(mapping);
        file.close();
        assert_eq!(code(held.check()), "ERR_REGION_CLOSED");
    }
    let nothing = OpenOptions { length: Some(0), ..options(Access::Write) };
    let other = folder.file("g", b"abc");
    assert!(mmap_file::open(Source::Path(&other), nothing).unwrap().mapping().is_empty());
    assert_eq!(fs::read(&other).unwrap(), b"abc");
}

#[test]
fn read_and_copy_never_make_a_file_longer() {
    let folder = Folder::new();
    let path = folder.file("f", b"0123456789");
    for access in [Access::Read, Access::Copy] {
        for (offset, length) in [(0, 11), (5, 6), (10, 1), (11, 0), (0, u64::MAX), (u64::MAX, 1), (1 << 62, 1 << 62)] {
            let wanted = OpenOptions { offset, length: Some(length), ..options(access) };
            let outcome = mmap_file::open(Source::Path(&path), wanted);
            assert_eq!(code(outcome), "ERR_OUT_OF_RANGE", "{offset} {length} {access:?}");
            assert_eq!(fs::read(&path).unwrap(), b"0123456789");
        }
    }
    for access in EVERY_ACCESS {
        let behind = OpenOptions { offset: 11, ..options(access) };
        assert_eq!(code(mmap_file::open(Source::Path(&path), behind)), "ERR_OUT_OF_RANGE");
    }
    for (offset, length) in [(0, u64::MAX), (u64::MAX, 1), (i64::MAX as u64, 1)] {
        let wanted = OpenOptions { offset, length: Some(length), ..options(Access::Write) };
        assert_eq!(code(mmap_file::open(Source::Path(&path), wanted)), "ERR_OUT_OF_RANGE");
    }
    assert_eq!(fs::read(&path).unwrap(), b"0123456789");
}

#[test]
fn a_longer_length_makes_the_file_longer_and_its_new_part_zero() {
    let folder = Folder::new();
    for sparse in [false, true] {
        let path = folder.file("f", b"abc");
        let wanted = OpenOptions { offset: 2, length: Some(100_000), sparse, ..options(Access::Write) };
        let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
        assert_eq!(file.mapping().len(), 100_000);
        let mut expected = b"abc".to_vec();
        expected.resize(100_002, 0);
        assert!(file.mapping().equals(&expected[2..]).unwrap());
        file.mapping().write(99_999, b"z").unwrap();
        expected[100_001] = b'z';
        file.close();
        assert_eq!(fs::read(&path).unwrap(), expected);
    }
}

#[test]
fn a_file_is_made_when_it_is_missing_and_that_was_asked_for() {
    let folder = Folder::new();
    let path = folder.join("new");
    let wanted = |create| OpenOptions { create, length: Some(10), ..options(Access::Write) };

    let missing = mmap_file::open(Source::Path(&path), wanted(Create::No)).unwrap_err();
    assert_eq!(missing.code(), "ENOENT");
    let ErrorKind::System(facts) = missing.kind() else { panic!("{missing:?}") };
    assert_eq!((facts.syscall, facts.path.as_deref()), ("open", Some(path.as_path())));
    assert!(missing.to_string().contains("no such file or directory, open"), "{missing}");

    mmap_file::open(Source::Path(&path), wanted(Create::IfMissing)).unwrap().mapping().write(0, b"kept").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"kept\0\0\0\0\0\0");
    mmap_file::open(Source::Path(&path), wanted(Create::IfMissing)).unwrap().close();
    assert_eq!(code(mmap_file::open(Source::Path(&path), wanted(Create::Exclusive))), "EEXIST");
    assert_eq!(fs::read(&path).unwrap(), b"kept\0\0\0\0\0\0");

    let other = folder.join("other");
    mmap_file::open(Source::Path(&other), wanted(Create::Exclusive)).unwrap().close();
    assert_eq!(fs::read(&other).unwrap(), [0; 10]);
}

#[test]
fn a_file_that_the_failing_call_made_is_removed() {
    let folder = Folder::new();
    let path = folder.join("new");
    for create in [Create::IfMissing, Create::Exclusive] {
        for mode in [0o666, 0o444] {
            let wanted = OpenOptions { create, mode, offset: 10, ..options(Access::Write) };
            assert_eq!(code(mmap_file::open(Source::Path(&path), wanted)), "ERR_OUT_OF_RANGE");
            assert!(!path.exists());
        }
    }
    let old = folder.file("old", b"abc");
    let wanted = OpenOptions { create: Create::IfMissing, offset: 10, ..options(Access::Write) };
    assert_eq!(code(mmap_file::open(Source::Path(&old), wanted)), "ERR_OUT_OF_RANGE");
    assert_eq!(fs::read(&old).unwrap(), b"abc");
}

#[test]
fn a_file_made_with_a_mode_nobody_may_write_can_be_written_by_the_region_that_made_it() {
    let folder = Folder::new();
    let path = folder.join("new");
    let wanted = OpenOptions { create: Create::Exclusive, mode: 0o444, length: Some(3), ..options(Access::Write) };
    let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
    file.mapping().write(0, b"abc").unwrap();
    file.close();
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert!(fs::metadata(&path).unwrap().permissions().readonly());
}

#[test]
fn a_directory_is_refused() {
    let folder = Folder::new();
    for access in EVERY_ACCESS {
        let error = mmap_file::open(Source::Path(folder.path()), options(access)).unwrap_err();
        assert_eq!(error.code(), "EISDIR", "{access:?}");
        let ErrorKind::System(facts) = error.kind() else { panic!("{error:?}") };
        assert_eq!(facts.path.as_deref(), Some(folder.path()));
    }
}

#[test]
fn without_a_descriptor_the_memory_works_and_what_needs_one_says_so() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    for access in EVERY_ACCESS {
        let mut file =
            mmap_file::open(Source::Path(&path), OpenOptions { keep_open: false, ..options(access) }).unwrap();
        assert_eq!(all(file.mapping()), [1; 5000]);
        assert_eq!(code(file.file_size()), "ERR_INVALID_STATE");
        assert_eq!(code(file.refresh()), "ERR_INVALID_STATE");
        file.flush(0, 5000).run(true).unwrap();
        file.flush(0, 5000).run(false).unwrap();
        assert!(!file.replaced());
        file.close();
    }
}

#[test]
fn without_the_guard_everything_else_is_the_same() {
    let folder = Folder::new();
    let content = numbered(70_001);
    let path = folder.file("f", &content);
    for access in EVERY_ACCESS {
        let wanted = OpenOptions { guard: false, huge_pages: true, ..options(access) };
        let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
        assert_eq!(all(file.mapping()), content);
        file.close();
    }
}

#[test]
fn a_closed_region_that_a_task_still_holds_says_so() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 5000]);
    for guard in [true, false] {
        let file = mmap_file::open(Source::Path(&path), OpenOptions { guard, ..options(Access::Write) }).unwrap();
        let (held, flush) = (Arc::clone(file.mapping()), file.flush(0, 5000));
        file.close();
        assert_eq!(code(held.check()), "ERR_REGION_CLOSED");
        assert_eq!(code(held.write(0, b"x")), "ERR_REGION_CLOSED");
        assert_eq!(code(held.fill(0, 1, b"x")), "ERR_REGION_CLOSED");
        assert_eq!(code(held.move_within(0, 1, 1)), "ERR_REGION_CLOSED");
        // What was written waits in the file alone; that the region was closed, its caller says.
        flush.run(true).unwrap();
        // Closing again, by another holder, changes nothing.
        Arc::clone(&held).close();
        assert_eq!(code(held.check()), "ERR_REGION_CLOSED");
        drop((held, flush));
        assert_eq!(fs::read(&path).unwrap(), [1; 5000]);
    }
}
