//! Writing back.

mod common;

use common::{code, open, options, Folder};
use memmap_core::{mmap_file, Access, OpenOptions, Source};

#[test]
fn any_part_of_a_region_can_be_flushed() {
    let folder = Folder::new();
    let path = folder.file("f", &[0; 300_000]);
    for offset in [0, 1, 65_537] {
        let wanted = OpenOptions { offset, ..options(Access::Write) };
        let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
        let len = file.mapping().len();
        file.mapping().fill(0, len, b"x").unwrap();
        for (start, end) in [(0, len), (1, 2), (4095, 4097), (70_000, 140_001), (len - 1, len), (5, 5), (9, 3)] {
            file.flush(start, end).run(true).unwrap();
            file.flush(start, end).run(false).unwrap();
        }
    }
    assert!(std::fs::read(&path).unwrap()[1..].iter().all(|&byte| byte == b'x'));
}

#[test]
fn a_flush_has_nothing_to_do_where_nothing_reaches_the_file() {
    let folder = Folder::new();
    let path = folder.file("f", &[0; 5000]);
    for access in [Access::Read, Access::Copy] {
        let file = open(&path, access);
        file.flush(0, 5000).run(true).unwrap();
        file.flush(0, 5000).run(false).unwrap();
    }
}

#[test]
fn a_range_outside_of_the_region_is_refused_and_is_no_failed_flush() {
    let folder = Folder::new();
    let file = open(&folder.file("f", &[0; 5000]), Access::Write);
    assert_eq!(code(file.flush(0, 5001).run(true)), "ERR_OUT_OF_RANGE");
    assert_eq!(code(file.flush(5, usize::MAX).run(false)), "ERR_OUT_OF_RANGE");
    file.flush(0, 5000).run(true).unwrap();
}

#[cfg(unix)] // A mapped file cannot be shortened on Windows.
#[test]
fn what_the_region_cuts_off_itself_is_no_fault_of_a_flush_under_way() {
    let folder = Folder::new();
    let path = folder.file("f", &[0; 300_000]);
    let mut file = open(&path, Access::Write);
    let under_way = [file.flush(0, 300_000), file.flush(299_990, 300_000), file.flush(0, 10)];
    // Nobody has closed the old mapping yet: so it is for as long as JavaScript still sees it.
    let old = file.resize(100).unwrap();
    for flush in under_way {
        flush.run(true).unwrap();
    }
    assert_eq!(code(old.count(0, 300_000, b"x")), "ERR_REGION_CLOSED");
    old.close();
    file.flush(0, 100).run(true).unwrap();
    // What somebody else cuts off is one.
    let under_way = file.flush(0, 100);
    std::fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let _ = file.mapping().count(0, 100, b"x");
    assert_eq!(code(under_way.run(true)), "ERR_REGION_FAULTED");
}

#[cfg(target_os = "linux")]
#[test]
fn after_one_failed_flush_the_region_stays_failed() {
    // A disk that fails cannot be had here, so the descriptor becomes that of a pipe, which no system can sync.
    const NAME: &str = "after_one_failed_flush_the_region_stays_failed";
    common::lives(NAME, || {
        use memmap_core::{Error, ErrorKind};
        use std::os::fd::AsRawFd;
        let folder = Folder::new();
        let path = folder.file("f", &[0; 5000]);
        let mut file = open(&path, Access::Write);
        file.flush(0, 10).run(true).unwrap();
        let names_it = |number: &i32| std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|to| to == path);
        let number = (3..100).find(names_it).unwrap();
        let original = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let (pipe, _other) = std::io::pipe().unwrap();
        // SAFETY: descriptors of this process; nobody else runs in it.
        unsafe { libc::dup2(pipe.as_raw_fd(), number) };
        let failed = file.flush(0, 10).run(true).unwrap_err();
        assert!(matches!(failed.kind(), ErrorKind::System(facts) if facts.syscall == "fdatasync"), "{failed:?}");
        // SAFETY: as above.
        unsafe { libc::dup2(original.as_raw_fd(), number) };
        assert!(matches!(file.flush(0, 10).run(true).map_err(Error::into_kind), Err(ErrorKind::FlushFailed)));
        assert!(matches!(file.flush(0, 10).run(false).map_err(Error::into_kind), Err(ErrorKind::FlushFailed)));
        assert_eq!(Error::flush_failed().code(), "EIO");
        // Mapping again brings no lost write back.
        original.set_len(9000).unwrap();
        file.refresh().unwrap().unwrap().close();
        assert!(matches!(file.flush(0, 10).run(true).map_err(Error::into_kind), Err(ErrorKind::FlushFailed)));
        open(&path, Access::Write).flush(0, 10).run(true).unwrap();
    });
}
