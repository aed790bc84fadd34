//! Closing while somebody still holds addresses.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use common::{code, open, options, Folder};
use memmap_core::{mmap_file, Access, Mapping, OpenOptions, Source};

const EVERY_ACCESS: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

fn maps() -> String {
    let mut maps = String::new();
    File::open("/proc/self/maps").unwrap().read_to_string(&mut maps).unwrap();
    maps
}

fn mapped(path: &Path) -> bool {
    maps().contains(path.to_str().unwrap())
}

fn open_descriptors(path: &Path) -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links.flatten().filter(|link| std::fs::read_link(link.path()).is_ok_and(|to| to == path)).count()
}

fn closed_but_held(path: &Path, access: Access, guard: bool) -> Arc<Mapping> {
    let file = mmap_file::open(Source::Path(path), OpenOptions { guard, ..options(access) }).unwrap();
    let held = Arc::clone(file.mapping());
    file.close();
    held
}

#[test]
fn what_nobody_holds_is_unmapped_at_once() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 50_000]);
    for access in EVERY_ACCESS {
        let file = open(&path, access);
        assert!(mapped(&path));
        assert_eq!(open_descriptors(&path), 1);
        file.close();
        assert!(!mapped(&path));
        assert_eq!(open_descriptors(&path), 0);
    }
}

#[test]
fn the_file_is_let_go_at_once_though_somebody_holds_the_addresses() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 50_000]);
    for guard in [true, false] {
        for access in EVERY_ACCESS {
            let held = closed_but_held(&path, access, guard);
            assert!(!mapped(&path), "{access:?}");
            assert_eq!(open_descriptors(&path), 0);
            let (base, end) = (held.base() as usize, held.base() as usize + held.len());
            // The addresses stay taken: nothing else may be mapped there while somebody holds them.
            let taken = |line: &str| {
                let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
                let number = |digits| usize::from_str_radix(digits, 16).unwrap();
                number(from) <= base && number(to) >= end
            };
            assert!(maps().lines().any(taken));
            drop(held);
        }
    }
}

#[test]
fn what_was_written_before_closing_is_in_the_file() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 50_000]);
    let file = open(&path, Access::Write);
    file.mapping().fill(0, 50_000, b"z").unwrap();
    let held = Arc::clone(file.mapping());
    file.close();
    assert_eq!(std::fs::read(&path).unwrap(), [b'z'; 50_000]);
    drop(held);
}

#[test]
fn the_kernel_gets_no_bytes_out_of_a_closed_region_and_puts_none_in() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 50_000]);
    let other = folder.file("other", &[9; 60_000]);
    let target = File::options().read(true).write(true).open(&other).unwrap();
    for access in EVERY_ACCESS {
        let held = closed_but_held(&path, access, true);
        // SAFETY: the range is held; what is wrong with it is for the kernel to say.
        let written = unsafe { libc::write(target.as_raw_fd(), held.base().cast(), held.len()) };
        assert_eq!((written, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EFAULT)));
        // SAFETY: as above.
        let read = unsafe { libc::read(target.as_raw_fd(), held.base().cast(), held.len()) };
        assert_eq!((read, std::io::Error::last_os_error().raw_os_error()), (-1, Some(libc::EFAULT)));
    }
    assert_eq!(std::fs::read(&other).unwrap(), [9; 60_000]);
    assert_eq!(std::fs::read(&path).unwrap(), [1; 50_000]);
}

#[test]
fn a_read_that_waits_when_its_target_is_closed_harms_nobody() {
    let folder = Folder::new();
    let path = folder.file("f", &[1; 4096]);
    let file = open(&path, Access::Write);
    let held = Arc::clone(file.mapping());
    let (pipe, mut other_end) = std::io::pipe().unwrap();
    let reader = std::thread::spawn(move || {
        // SAFETY: the range is held until the call is back.
        let read = unsafe { libc::read(pipe.as_raw_fd(), held.base().cast(), held.len()) };
        let cause = std::io::Error::last_os_error().raw_os_error();
        drop(held);
        (read, cause)
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    file.close();
    // Whatever is mapped next gets other addresses.
    let next: Vec<_> = (0..10).map(|_| open(&path, Access::Write)).collect();
    other_end.write_all(&[7; 4096]).unwrap();
    assert_eq!(reader.join().unwrap(), (-1, Some(libc::EFAULT)));
    assert!(next.iter().all(|file| file.mapping().equals(&[1; 4096]).unwrap()));
}

#[test]
fn a_touch_of_a_closed_region_reads_zeros_and_the_process_lives() {
    const NAME: &str = "a_touch_of_a_closed_region_reads_zeros_and_the_process_lives";
    common::lives(NAME, || {
        let folder = Folder::new();
        let path = folder.file("f", &[1; 50_000]);
        for guard in [true, false] {
            for access in EVERY_ACCESS {
                let held = closed_but_held(&path, access, guard);
                for at in [49_999, 20_000, 0, 4096, 12_345] {
                    // SAFETY: the range is held; the guard answers for its pages.
                    assert_eq!(unsafe { held.address(at).read_volatile() }, 0, "{access:?}");
                    // SAFETY: as above.
                    unsafe { held.address(at).write_volatile(5) };
                }
                let mut bytes = [3; 100];
                assert_eq!(code(held.read(0, &mut bytes)), "ERR_REGION_CLOSED");
                assert_eq!(code(held.index_of(0, 50_000, b"\x05")), "ERR_REGION_CLOSED");
            }
        }
        assert_eq!(std::fs::read(&path).unwrap(), [1; 50_000]);
    });
}

#[test]
fn a_closed_region_is_safe_though_another_handler_was_put_in_front_of_ours() {
    const NAME: &str = "a_closed_region_is_safe_though_another_handler_was_put_in_front_of_ours";
    common::lives(NAME, || {
        let folder = Folder::new();
        let path = folder.file("f", &[1; 50_000]);
        let file = open(&path, Access::Read);
        // SAFETY: plain default action, as a runtime may set it.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        let held = Arc::clone(file.mapping());
        file.close();
        // SAFETY: the range is held; the guard answers for its pages.
        assert_eq!(unsafe { held.address(100).read_volatile() }, 0);
    });
}

#[test]
fn the_addresses_go_with_the_last_holder() {
    const NAME: &str = "the_addresses_go_with_the_last_holder";
    common::lives(NAME, || {
        let folder = Folder::new();
        let path = folder.file("f", &[1; 50_000]);
        let before = memmap_core::sys::map_count().unwrap();
        let held: Vec<_> = (0..300).map(|number| closed_but_held(&path, EVERY_ACCESS[number % 3], true)).collect();
        let closed = memmap_core::sys::map_count().unwrap();
        assert!(closed < before + 100, "neighbours are one map: {closed} after {before}");
        assert!(maps().contains("memmap-closed"));
        drop(held);
        assert!(!maps().contains("memmap-closed"));
        let after = memmap_core::sys::map_count().unwrap();
        assert!(after <= before + 8, "{after} after {before}");
    });
}

#[test]
fn tasks_under_way_never_take_zeros_for_an_answer() {
    const NAME: &str = "tasks_under_way_never_take_zeros_for_an_answer";
    common::lives(NAME, || {
        let folder = Folder::new();
        let content = vec![b'x'; 4 << 20];
        let path = folder.file("f", &content);
        for round in 0..60 {
            let wanted = OpenOptions { guard: round % 2 == 0, ..options(EVERY_ACCESS[round % 3]) };
            let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    let held = Arc::clone(file.mapping());
                    scope.spawn(move || loop {
                        match held.count(0, 4 << 20, b"x") {
                            Ok(count) => assert_eq!(count, 4 << 20),
                            Err(error) => {
                                assert_eq!(error.code(), "ERR_REGION_CLOSED");
                                return;
                            }
                        }
                    });
                }
                std::thread::sleep(std::time::Duration::from_micros(200 * round as u64 % 3000));
                file.close();
            });
        }
    });
}
