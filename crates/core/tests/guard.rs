//! Pages that vanish: an error with the right offset, and a process that lives.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{all, code, lives, numbered, open, options, page, Folder};
use memmap_core::{mmap_file, Access, Error, ErrorKind, Mapping, OpenOptions, Source};

const EVERY_ACCESS: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

fn truncate(path: &Path, length: usize) {
    File::options().write(true).open(path).unwrap().set_len(length as u64).unwrap();
}

fn byte(mapping: &Mapping, at: usize) -> u8 {
    // SAFETY: inside the region, which the caller holds; the guard answers for its pages.
    unsafe { mapping.address(at).read_volatile() }
}

fn first_fault(mapping: &Mapping) -> Option<usize> {
    match mapping.check().map_err(Error::into_kind) {
        Err(ErrorKind::Faulted { offset, .. }) => Some(offset as usize),
        Err(other) => panic!("{other:?}"),
        Ok(()) => None,
    }
}

#[test]
fn a_truncated_file_is_an_error_at_the_first_byte_that_was_missed() {
    lives("a_truncated_file_is_an_error_at_the_first_byte_that_was_missed", || {
        let folder = Folder::new();
        let content = numbered(20 * page());
        for keep_open in [true, false] {
            for access in EVERY_ACCESS {
                for offset in [0, 100, page() + 1] {
                    let path = folder.file("f", &content);
                    let wanted = OpenOptions { offset: offset as u64, keep_open, ..options(access) };
                    let mut file = mmap_file::open(Source::Path(&path), wanted).unwrap();
                    truncate(&path, 10 * page());
                    let mapping = file.mapping().clone();
                    assert_eq!(byte(&mapping, 0), content[offset]);
                    assert_eq!(first_fault(&mapping), None, "nothing was missed yet");
                    assert!(!mapping.faulted());

                    let at = 13 * page() + 5 - offset;
                    assert_eq!(byte(&mapping, at), 0);
                    assert_eq!(first_fault(&mapping), Some(at), "{access:?} {offset}");
                    assert!(mapping.faulted());

                    // From there on there are zeros, before it the file's bytes, and the first fault stays the first.
                    let end = mapping.len() - 1;
                    assert_eq!((byte(&mapping, end), byte(&mapping, 11 * page() - offset)), (0, 0));
                    assert_eq!(byte(&mapping, 5 * page()), content[offset + 5 * page()]);
                    assert_eq!(first_fault(&mapping), Some(at));

                    assert_eq!(code(mapping.read(0, &mut [0])), "ERR_REGION_FAULTED");
                    assert_eq!(code(mapping.index_of(0, 1, b"x")), "ERR_REGION_FAULTED");
                    assert_eq!(code(mapping.equals(b"x")), "ERR_REGION_FAULTED");
                    assert_eq!(code(file.flush(0, 1).run(true)), "ERR_REGION_FAULTED");
                    if access != Access::Read {
                        assert_eq!(code(mapping.write(0, b"x")), "ERR_REGION_FAULTED");
                    }
                    assert_eq!(std::fs::metadata(&path).unwrap().len(), 10 * page() as u64);

                    if keep_open {
                        // A fresh, honest look at what is there.
                        drop(mapping);
                        file.refresh().unwrap().unwrap().close();
                        assert_eq!(all(file.mapping()), &content[offset..10 * page()]);
                        assert!(!file.mapping().faulted());
                    }
                }
            }
        }
    });
}

#[test]
fn the_calls_that_copy_and_search_throw_instead_of_taking_zeros() {
    lives("the_calls_that_copy_and_search_throw_instead_of_taking_zeros", || {
        let folder = Folder::new();
        let len = 20 * page();
        // An answer that nobody uses is never worked out: the compiler would leave the memory alone.
        fn used<T>(answer: T) {
            std::hint::black_box(answer);
        }
        type Call = fn(&Mapping) -> memmap_core::Result<()>;
        let calls: [(&str, Call); 8] = [
            ("read", |mapping| {
                let mut target = vec![0; mapping.len() - 1];
                mapping.read(1, &mut target).map(|()| used(target))
            }),
            ("write", |mapping| mapping.write(1, &vec![1; mapping.len() - 1])),
            ("fill", |mapping| mapping.fill(1, mapping.len() - 1, b"ab")),
            ("move", |mapping| mapping.move_within(0, mapping.len() as u64 / 2, mapping.len() / 2)),
            ("equals", |mapping| mapping.equals(&vec![b'x'; mapping.len()]).map(used)),
            ("indexOf", |mapping| mapping.index_of(1, mapping.len() as u64, b"y").map(used)),
            ("lastIndexOf", |mapping| mapping.last_index_of(1, mapping.len() as u64, b"yz").map(used)),
            ("count", |mapping| mapping.count(1, mapping.len() as u64, b"x").map(used)),
        ];
        for access in [Access::Write, Access::Copy] {
            for (name, call) in calls {
                let path = folder.file("f", &vec![b'x'; len]);
                let file = open(&path, access);
                truncate(&path, 10 * page());
                let outcome = call(file.mapping());
                let Err(ErrorKind::Faulted { offset, .. }) = outcome.map_err(Error::into_kind) else {
                    panic!("{name} {access:?}")
                };
                assert!((10 * page()..len).contains(&(offset as usize)), "{name}: {offset}");
                // memmove(3) may go either way.
                if matches!(name, "equals" | "indexOf" | "count") {
                    assert_eq!(offset as usize / page(), 10, "{name} goes upwards");
                }
            }
        }
    });
}

#[test]
fn pages_of_a_private_copy_that_were_written_are_lost_with_the_file() {
    lives("pages_of_a_private_copy_that_were_written_are_lost_with_the_file", || {
        let folder = Folder::new();
        let path = folder.file("f", &numbered(10 * page()));
        let file = open(&path, Access::Copy);
        file.mapping().fill(0, 10 * page(), b"x").unwrap();
        truncate(&path, page());
        assert_eq!(byte(file.mapping(), 5 * page()), 0);
        assert_eq!(first_fault(file.mapping()), Some(5 * page()));
        assert_eq!(byte(file.mapping(), 0), b'x');
    });
}

#[test]
fn stores_to_replaced_pages_stay_in_this_process() {
    lives("stores_to_replaced_pages_stay_in_this_process", || {
        let folder = Folder::new();
        for access in EVERY_ACCESS {
            let path = folder.file("f", &numbered(10 * page()));
            let file = open(&path, access);
            truncate(&path, 0);
            // SAFETY: inside the region, which is held; the guard answers for its pages.
            unsafe { file.mapping().address(page()).write_volatile(7) };
            assert_eq!(byte(file.mapping(), page()), 7);
            truncate(&path, 10 * page());
            assert_eq!(byte(file.mapping(), page()), 7, "the file's new pages do not come back by themselves");
            assert!(std::fs::read(&path).unwrap().iter().all(|&byte| byte == 0));
        }
    });
}

#[test]
fn a_thousand_faults_cost_few_maps() {
    lives("a_thousand_faults_cost_few_maps", || {
        let folder = Folder::new();
        let path = folder.file("f", &vec![1; 2000 * page()]);
        let file = open(&path, Access::Write);
        truncate(&path, 0);
        let before = memmap_core::sys::map_count().unwrap();
        // Downwards, so that every touch is a fault: the one before it replaced only what lies above.
        for number in (0..1000).rev() {
            assert_eq!(byte(file.mapping(), number * 2 * page()), 0);
        }
        let after = memmap_core::sys::map_count().unwrap();
        assert!(after <= before + 50, "{after} maps after {before}");
        assert_eq!(first_fault(file.mapping()), Some(1998 * page()));

        // And a thousand regions, one fault each.
        let path = folder.file("g", &vec![1; 4 * page()]);
        let wanted = OpenOptions { keep_open: false, ..options(Access::Read) };
        let files: Vec<_> = (0..1000).map(|_| mmap_file::open(Source::Path(&path), wanted).unwrap()).collect();
        truncate(&path, 0);
        let before = memmap_core::sys::map_count().unwrap();
        assert!(files.iter().all(|file| byte(file.mapping(), 0) == 0 && file.mapping().faulted()));
        let after = memmap_core::sys::map_count().unwrap();
        assert!(after <= before + 50, "{after} maps after {before}");
    });
}

#[test]
fn many_threads_may_fault_on_the_same_pages_at_once() {
    lives("many_threads_may_fault_on_the_same_pages_at_once", || {
        let folder = Folder::new();
        let path = folder.file("f", &vec![1; 64 * page()]);
        for round in 0..100 {
            truncate(&path, 64 * page());
            let file = open(&path, EVERY_ACCESS[round % 3]);
            truncate(&path, 0);
            let barrier = std::sync::Barrier::new(4);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (file, barrier) = (&file, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        for step in 0..64 {
                            let at = (step * 7 + thread * 16) % 64 * page();
                            assert_eq!(byte(file.mapping(), at), 0);
                            // Flag first, then map: whoever reads a replaced zero also reads the flag.
                            assert!(file.mapping().faulted());
                        }
                    });
                }
            });
        }
    });
}

/// Ranges of the threads whose faults are not ours, for the handler below.
static FOREIGN: [(AtomicUsize, AtomicUsize); 2] =
    [(AtomicUsize::new(0), AtomicUsize::new(0)), (AtomicUsize::new(0), AtomicUsize::new(0))];
static SUPPLIED: AtomicU64 = AtomicU64::new(0);

/// A handler that was there before ours, and looks after ranges of its own.
extern "C" fn theirs(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel's own information; only calls that a handler may make.
    unsafe {
        let address = (*info).si_addr() as usize;
        let known = |range: &(AtomicUsize, AtomicUsize)| {
            (range.0.load(Ordering::SeqCst)..range.1.load(Ordering::SeqCst)).contains(&address)
        };
        if !FOREIGN.iter().any(known) {
            libc::_exit(99);
        }
        SUPPLIED.fetch_add(1, Ordering::SeqCst);
        let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let place = (address & !(page - 1)) as *mut libc::c_void;
        libc::mmap(place, page, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
    }
}

#[test]
fn no_fault_is_taken_for_anothers_while_regions_come_and_go() {
    lives("no_fault_is_taken_for_anothers_while_regions_come_and_go", || {
        // SAFETY: a zeroed sigaction is valid, and `theirs` has the signature that SA_SIGINFO asks for.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = theirs as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
        }
        let folder = Folder::new();
        let healthy = folder.file("healthy", &numbered(8 * page()));
        let content = numbered(8 * page());
        let gone = folder.file("gone", &vec![1; 8 * page()]);
        truncate(&gone, page());
        let stop = AtomicBool::new(false);
        let expected = AtomicU64::new(0);
        let faults = AtomicU64::new(0);
        let opened = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (stop, expected, faults, opened) = (&stop, &expected, &faults, &opened);
            let (healthy, gone, content, folder) = (&healthy, &gone, &content, &folder);
            for thread in 0..3 {
                // Regions without a fault, mapped where faulted and foreign ones just were.
                scope.spawn(move || {
                    let mut round = thread;
                    while !stop.load(Ordering::Relaxed) {
                        let wanted = OpenOptions { guard: round % 3 != 0, ..options(EVERY_ACCESS[round % 3]) };
                        let file = mmap_file::open(Source::Path(healthy), wanted).unwrap();
                        assert!(file.mapping().equals(content).unwrap());
                        file.close();
                        opened.fetch_add(1, Ordering::Relaxed);
                        round += 1;
                    }
                });
            }
            for thread in 0..2 {
                scope.spawn(move || {
                    let path = folder.file(&format!("shrinks{thread}"), b"");
                    while !stop.load(Ordering::Relaxed) {
                        truncate(&path, 8 * page());
                        let file = open(&path, Access::Read);
                        truncate(&path, 0);
                        assert_eq!(byte(file.mapping(), 3 * page() + 1), 0);
                        assert_eq!(first_fault(file.mapping()), Some(3 * page() + 1));
                        faults.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            for range in &FOREIGN {
                scope.spawn(move || {
                    let file = File::open(gone).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        let map = memmap2::MmapOptions::new().len(8 * page()).map_raw_read_only(&file).unwrap();
                        let start = map.as_ptr() as usize;
                        range.0.store(start, Ordering::SeqCst);
                        range.1.store(start + 8 * page(), Ordering::SeqCst);
                        for number in 1..8 {
                            expected.fetch_add(1, Ordering::SeqCst);
                            // SAFETY: inside the map; `theirs` answers for its pages.
                            assert_eq!(unsafe { map.as_ptr().add(number * page()).read_volatile() }, 0);
                        }
                        range.1.store(0, Ordering::SeqCst);
                    }
                });
            }
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                std::thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(SUPPLIED.load(Ordering::SeqCst), expected.load(Ordering::SeqCst), "every foreign fault went there");
        for count in [&expected, &faults, &opened] {
            assert!(count.load(Ordering::Relaxed) > 20, "the threads did run");
        }
    });
}

#[test]
fn without_the_guard_a_vanished_page_ends_the_process() {
    // That is what `guard: false` asks for; it also shows that the tests above test anything.
    static PLACE: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
    common::dies_of_sigbus("without_the_guard_a_vanished_page_ends_the_process", || {
        let path = {
            let folder = Folder::new();
            let path = folder.file("f", &vec![1; 4 * page()]);
            let file =
                mmap_file::open(Source::Path(&path), OpenOptions { guard: false, ..options(Access::Read) }).unwrap();
            truncate(&path, 0);
            PLACE.store(file.mapping().base(), Ordering::SeqCst);
            std::mem::forget(file);
            path
        };
        assert!(!path.exists());
        // SAFETY: still mapped, since the region was forgotten; that there is no page is the test.
        unsafe { PLACE.load(Ordering::SeqCst).read_volatile() };
    });
}
