//! Mutexes and semaphores as isolates use them: each thread here is one, with a region of its own. Also processes that die.

mod common;
#[path = "common/isolate.rs"]
mod isolate;

use std::sync::{Arc, Barrier};
use std::thread;

use common::{alone, emulated, Folder};
use isolate::Isolate;
use memmap_core::mutex::{Attempt, Manner};
use memmap_core::owners::Kind;
use memmap_core::semaphore::Answer;
use memmap_core::{Error, ErrorKind};

const COUNTER: u64 = 8192;

#[test]
fn threads_with_regions_of_their_own_count_by_what_is_no_atomic() {
    let rounds: u32 = if emulated() { 2000 } else { 20_000 };
    let folder = Folder::new();
    let path = folder.file("f", &[0; 16_384]);
    let barrier = Arc::new(Barrier::new(4));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (path, barrier) = (path.clone(), Arc::clone(&barrier));
            thread::spawn(move || {
                let mut isolate = Isolate::new(&path, 64, Kind::Mutex).unwrap();
                barrier.wait();
                for _ in 0..rounds {
                    assert!(!isolate.lock());
                    isolate.write(COUNTER, isolate.read(COUNTER) + 1);
                    isolate.release();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(Isolate::new(&path, 64, Kind::Mutex).unwrap().read(COUNTER), 4 * rounds);
}

#[test]
fn an_isolate_that_ends_inside_is_dead_and_one_that_closes_its_region_is_not() {
    let folder = Folder::new();
    let path = folder.file("f", &[0; 16_384]);
    let isolate = || Isolate::new(&path, 0, Kind::Mutex).unwrap();
    let (mut one, mut other) = (isolate(), isolate());
    assert!(!one.lock());
    assert!(matches!(one.attempt(Manner::default()).unwrap(), Some(Attempt::Own)));
    let asks = Manner { asks: true, ..Manner::default() };
    assert!(matches!(other.attempt(asks).unwrap(), Some(Attempt::Busy { .. })));
    drop(one);
    assert!(other.lock(), "the next one is told");
    other.release();
    assert!(!other.lock(), "and only once");
    // Its region is closed: it is still its own, and can be given back.
    let Isolate { mut owners, region, number, .. } = other;
    owners.region_closed(1, &region);
    region.close();
    let mut third = isolate();
    assert!(matches!(third.attempt(asks).unwrap(), Some(Attempt::Busy { .. })));
    owners.release_remains(number).unwrap();
    assert!(!third.lock());
    assert!(matches!(owners.release_remains(number).map_err(Error::into_kind), Err(ErrorKind::Closed)));
}

#[test]
fn a_process_that_is_ended_inside_is_dead() {
    const PATH: &str = "MEMMAP_TEST_MUTEX";
    let name = "a_process_that_is_ended_inside_is_dead";
    let folder = Folder::new();
    let path = folder.file("f", &[0; 16_384]);
    let kind = Kind::Mutex;
    let mut here = Isolate::new(&path, 128, kind).unwrap();
    for _ in 0..3 {
        // The child finds the path where the parent has put it.
        std::env::set_var(PATH, std::env::var_os(PATH).unwrap_or_else(|| path.clone().into()));
        let ended = alone(name, || {
            let path = std::path::PathBuf::from(std::env::var_os(PATH).unwrap());
            let mut inside = Isolate::new(&path, 128, kind).unwrap();
            inside.lock();
            std::mem::forget(inside);
            std::process::abort();
        });
        assert!(ended.is_some_and(|output| !output.status.success()));
        assert!(here.lock(), "it was in it when it ended");
        here.release();
        assert!(!here.lock());
        here.release();
    }
}

#[test]
fn permits_are_counted_given_back_by_anybody_and_recovered_from_the_dead() {
    let folder = Folder::new();
    let path = folder.file("f", &[0; 16_384]);
    let isolate = || Isolate::new(&path, 64, Kind::Semaphore).unwrap();
    let (mut one, mut other) = (isolate(), isolate());
    one.acquire(3);
    one.acquire(3);
    other.acquire(3);
    let asks = Manner { asks: true, ..Manner::default() };
    let full = other.owners.acquire(other.number, &mut other.region, 64, 3, asks).unwrap();
    assert!(matches!(full, Some(Answer::NoneLeft { .. })));
    assert_eq!(other.give_back(4).unwrap_err().code(), "ERR_OUT_OF_RANGE");
    other.give_back(2).unwrap();
    other.acquire(3);
    assert_eq!(other.recover(), 0);
    drop(one);
    assert_eq!(other.recover(), 1);
    assert_eq!(other.recover(), 0);
    other.give_back(1).unwrap();
    assert_eq!(other.give_back(1).unwrap_err().code(), "ERR_OUT_OF_RANGE");
}

#[test]
fn no_more_threads_than_permits_are_inside() {
    let rounds: u32 = if emulated() { 200 } else { 2000 };
    let folder = Folder::new();
    let path = folder.file("f", &[0; 16_384]);
    let inside = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (path, inside) = (path.clone(), Arc::clone(&inside));
            thread::spawn(move || {
                let mut isolate = Isolate::new(&path, 0, Kind::Semaphore).unwrap();
                for _ in 0..rounds {
                    isolate.acquire(2);
                    assert!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst) < 2);
                    thread::yield_now();
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    isolate.give_back(1).unwrap();
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut last = Isolate::new(&path, 0, Kind::Semaphore).unwrap();
    assert_eq!(last.give_back(1).unwrap_err().code(), "ERR_OUT_OF_RANGE", "all came back");
}

#[test]
fn what_is_none_is_refused_and_left_as_it_is() {
    let folder = Folder::new();
    let mut content = vec![0; 16_384];
    content[4096] = 1;
    content[5000] = 1;
    let path = folder.file("f", &content);
    let code = |offset, kind| Isolate::new(&path, offset, kind).err().map(|error| error.code());
    assert_eq!(code(4096, Kind::Mutex), Some("ERR_SHARED_STATE_INVALID"));
    assert_eq!(code(4096 + 64, Kind::Semaphore), Some("ERR_SHARED_STATE_INVALID"));
    assert_eq!(code(3, Kind::Mutex), Some("ERR_OUT_OF_RANGE"));
    assert_eq!(code(16_384 - 60, Kind::Mutex), Some("ERR_OUT_OF_RANGE"));
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(code(0, Kind::Mutex), None);
    assert_eq!(code(0, Kind::Semaphore), Some("ERR_SHARED_STATE_INVALID"));
}
