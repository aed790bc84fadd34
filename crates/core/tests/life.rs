//! Living owners: numbers that are one owner's alone, and locks of other programs, which say nothing about them.

mod common;

use std::sync::atomic::{AtomicU32, Ordering};

use common::{options, Folder};
use memmap_core::life::{self, Lives, NOBODY};
use memmap_core::{mmap_file, shared_memory, Access, Region, Source};

fn memory() -> Region {
    shared_memory::anonymous(4096, false).unwrap()
}

fn lives_in(region: &Region) -> Lives {
    let mark = AtomicU32::new(0);
    let name = life::name_of(region, &mark).unwrap();
    Lives::new(region, &name).unwrap()
}

/// Draws from a counter, as from one in the memory.
fn drawn(lives: &Lives, position: u64, counter: &AtomicU32) -> u32 {
    lives.draw(position, || counter.fetch_add(1, Ordering::SeqCst), |_| false).unwrap().unwrap()
}

#[test]
fn an_owner_lives_until_it_ends_and_others_see_it() {
    let region = memory();
    let counter = AtomicU32::new(0);
    let (one, other) = (lives_in(&region), lives_in(&region));
    let id = drawn(&one, 64, &counter);
    assert_eq!(id, 1);
    assert!(one.is_alive(64, id).unwrap() && other.is_alive(64, id).unwrap());
    assert!(!other.is_alive(96, id).unwrap(), "at another place");
    assert!(!other.is_alive(64, id + 1).unwrap());
    one.end(64, id);
    assert!(!one.is_alive(64, id).unwrap() && !other.is_alive(64, id).unwrap());
    let id = drawn(&one, 64, &counter);
    drop(one);
    assert!(!other.is_alive(64, id).unwrap(), "its isolate has ended");
    assert!(!other.is_alive(64, NOBODY).unwrap() && !other.is_alive(64, 0).unwrap());
}

#[test]
fn a_number_that_is_in_use_or_named_in_the_memory_is_left_out() {
    let region = memory();
    let (one, other) = (lives_in(&region), lives_in(&region));
    let counter = AtomicU32::new(0);
    assert_eq!(drawn(&one, 0, &counter), 1);
    // Somebody has wiped the memory.
    counter.store(0, Ordering::SeqCst);
    let named = other.draw(0, || counter.fetch_add(1, Ordering::SeqCst), |id| id == 2 || id == 3).unwrap();
    assert_eq!(named, Some(4), "1 is in use, 2 and 3 are dead owners'");
    assert!(!one.is_alive(0, 2).unwrap(), "who is dead stays dead");
    // Where the counter begins again.
    counter.store(u32::MAX, Ordering::SeqCst);
    for _ in 0..3 {
        let id = drawn(&other, 32, &counter);
        assert!(id > 0 && id < NOBODY);
        other.end(32, id);
    }
    let all_taken = other.draw(0, || 0, |_| false).unwrap();
    assert_eq!(all_taken, None, "there is an end to trying");
}

#[test]
fn owners_at_neighbouring_places_are_told_apart() {
    let region = memory();
    let (one, other) = (lives_in(&region), lives_in(&region));
    let places: Vec<u64> = (0..100).map(|place| place * life::SPACING).collect();
    let last = AtomicU32::new(NOBODY - 2);
    // The last number of one place and the first of the next are as near to each other as two can be.
    let ids: Vec<u32> = places
        .iter()
        .enumerate()
        .map(|(at, &place)| {
            let counter = AtomicU32::new(if at % 2 == 0 { last.load(Ordering::SeqCst) } else { 0 });
            drawn(&one, place, &counter)
        })
        .collect();
    assert!(places.iter().zip(&ids).all(|(&place, &id)| other.is_alive(place, id).unwrap()));
    for (&place, &id) in places.iter().zip(&ids).step_by(2) {
        one.end(place, id);
    }
    for (at, (&place, &id)) in places.iter().zip(&ids).enumerate() {
        assert_eq!(other.is_alive(place, id).unwrap(), at % 2 == 1);
    }
}

#[test]
fn memory_that_nobody_else_has_and_places_too_far_out_are_refused() {
    let private = memmap_core::private_memory::allocate(4096, Default::default());
    let code = |region: &Region| life::name_of(region, &AtomicU32::new(0)).unwrap_err().code();
    assert_eq!(code(&private.unwrap()), "ERR_INVALID_STATE");
    let folder = Folder::new();
    let path = folder.file("f", &[0; 100]);
    let open = |access, keep_open| {
        let options = memmap_core::OpenOptions { keep_open, ..options(access) };
        mmap_file::open(Source::Path(&path), options).unwrap()
    };
    assert_eq!(code(&open(Access::Copy, true)), "ERR_INVALID_STATE");
    assert_eq!(code(&open(Access::Write, false)), "ERR_INVALID_STATE");
    let lives = lives_in(&open(Access::Write, true));
    assert_eq!(lives.draw(1 << 42, || 0, |_| false).unwrap_err().code(), "ERR_OUT_OF_RANGE");
    assert_eq!(lives.draw((1 << 42) - 8, || 0, |_| false).unwrap(), Some(1));
}

#[cfg(unix)]
mod foreign {
    use super::*;
    use memmap_core::range_lock::{self, Extent, Kind, LockFile, Mode, Wanted};
    use std::os::fd::AsRawFd;
    use std::sync::Arc;

    /// As Python's `lockf`: of the process, from a byte on, so many or all.
    fn lockf(file: &std::fs::File, kind: libc::c_short, start: i64, len: i64) -> bool {
        // SAFETY: plain numbers.
        let mut what: libc::flock = unsafe { std::mem::zeroed() };
        (what.l_type, what.l_start, what.l_len) = (kind, start, len);
        // SAFETY: a descriptor of the test's, and a structure that outlives the call.
        unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &raw mut what) == 0 }
    }

    #[test]
    fn a_lock_of_another_program_makes_nobody_look_alive_and_nobody_dead() {
        let folder = Folder::new();
        let path = folder.file("f", &[0; 4096]);
        let region = mmap_file::open(Source::Path(&path), options(Access::Write)).unwrap();
        let foreign = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let (one, other) = (lives_in(&region), lives_in(&region));
        let counter = AtomicU32::new(0);
        let id = drawn(&one, 0, &counter);
        assert!(!lockf(&foreign, libc::F_WRLCK as _, 0, 0), "all of the file is not to be had beside an owner");
        assert!(!lockf(&foreign, libc::F_RDLCK as _, 0, 0));
        assert!(lockf(&foreign, libc::F_WRLCK as _, 0, 1 << 62), "all that files have is");
        assert!(other.is_alive(0, id).unwrap());
        one.end(0, id);
        for kind in [libc::F_WRLCK, libc::F_RDLCK] {
            assert!(lockf(&foreign, kind as _, 0, 0));
            assert!(!other.is_alive(0, id).unwrap(), "a wide lock is no owner's");
            assert_eq!(other.draw(0, || counter.fetch_add(1, Ordering::SeqCst), |_| false).unwrap(), None);
        }
        assert!(lockf(&foreign, libc::F_UNLCK as _, 0, 0));
        // Of just the byte, but of a process.
        assert!(lockf(&foreign, libc::F_WRLCK as _, (1 << 62) + i64::from(id), 1));
        assert!(!other.is_alive(0, id).unwrap());
        assert!(lockf(&foreign, libc::F_UNLCK as _, 0, 0));
        assert!(drawn(&other, 0, &counter) > id);
    }

    #[test]
    fn locks_of_files_end_before_the_owners() {
        let folder = Folder::new();
        let path = folder.file("f", &[0; 4096]);
        let region = mmap_file::open(Source::Path(&path), options(Access::Write)).unwrap();
        let (one, other) = (lives_in(&region), lives_in(&region));
        let file = LockFile::open(Source::Path(&path), Kind::Range, Mode::Exclusive, false).map(Arc::new).unwrap();
        let wanted = |start| Wanted {
            owner: 1,
            kind: Kind::Range,
            mode: Mode::Exclusive,
            extent: Extent { start, end: Extent::FOREVER },
        };
        let counter = AtomicU32::new(0);
        let first = drawn(&one, 0, &counter);
        let lock = range_lock::try_lock(&file, wanted(0)).unwrap().expect("owners are in nobody's way");
        let second = drawn(&one, 32, &counter);
        assert!(other.is_alive(0, first).unwrap() && other.is_alive(32, second).unwrap());
        range_lock::release(lock);
        assert!(other.is_alive(0, first).unwrap() && other.is_alive(32, second).unwrap());
        let far = range_lock::try_lock(&file, wanted(1 << 53)).unwrap();
        assert!(far.is_some());
        range_lock::release(far.unwrap());
        range_lock::end_owner(1);
    }
}
