//! Waiting in the kernel: thousands of waits that are given up, and grants that come just then.

#![cfg(target_os = "linux")]

mod common;
#[path = "common/locks.rs"]
mod locks;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{emulated, lives, skipped, Folder};
use locks::{
    at, end_of, file_of, free, kernel_locks, queued, range, seed, threads, tried, until, whole, Outsider, Random, ALL,
    LONG,
};
use memmap_core::range_lock::{cancel, release, start, try_lock, wait, when_done, Kind, Mode};
use Mode::{Exclusive, Shared};

/// The list may leave some out, or tell of them twice, while other files' locks come and go: what it tells three times
/// running is so.
fn kernel_has(path: &Path, count: usize) {
    let mut last = Vec::new();
    until(&format!("the kernel has {count} locks"), || {
        last.push(kernel_locks(path).len());
        last.len() > 2 && last[last.len() - 3..].iter().all(|&found| found == count)
    });
}

fn rounds(many: u64) -> u64 {
    if emulated() {
        many / 20
    } else {
        many
    }
}

/// Whether the kernel tells which locks a file has, as it does not on every file system.
fn tells(path: &Path, locks: usize) -> bool {
    let told = (0..10).any(|_| kernel_locks(path).len() == locks);
    if !told {
        skipped("/proc/locks does not tell of this file's locks");
    }
    told
}

#[test]
fn of_ten_thousand_waits_given_up_none_is_stuck_and_none_is_leaked() {
    lives("of_ten_thousand_waits_given_up_none_is_stuck_and_none_is_leaked", || {
        const AT_ONCE: u64 = 200;
        let mut random = Random(seed());
        let folder = Folder::new();
        let path = folder.join("f");
        let holder = Outsider::new(&path);
        assert!(holder.try_lock(Exclusive, ALL));
        let tells = tells(&path, 1);
        let files = [file_of(&path), file_of(&path)];
        let before = threads();
        let (ended, mut waited, mut most) = (Arc::new(AtomicU32::new(0)), 0, 0);
        let began = Instant::now();
        for _ in 0..rounds(50) {
            // Two for each range: one of them in the kernel, one behind it.
            let mut waits: Vec<u64> = (0..AT_ONCE)
                .map(|index| {
                    let part = index / 2 * 10;
                    let file = &files[random.below(2) as usize];
                    let id = queued(file, range(1, random.mode(), at(part, part + 10)));
                    let ended = Arc::clone(&ended);
                    when_done(
                        id,
                        Box::new(move |outcome| {
                            outcome.unwrap();
                            ended.fetch_add(1, Ordering::Relaxed);
                        }),
                    );
                    id
                })
                .collect();
            // Some have reached the kernel by then, some are on their way.
            random.spin(2000);
            most = most.max(threads() - before);
            while !waits.is_empty() {
                cancel(waits.swap_remove(random.below(waits.len() as u64) as usize));
                waited += 1;
            }
        }
        let cancelled = began.elapsed();
        until("all threads are gone", || threads() == before);
        println!(
            "{waited} waits, {most} threads at most: given up in {cancelled:?}, all gone after {:?}",
            began.elapsed()
        );
        assert_eq!(ended.load(Ordering::Relaxed), waited);
        assert!(most > 10, "the waits were in the kernel");
        if tells {
            kernel_has(&path, 1); // The holder's, and nobody who waits.
        }
        holder.unlock(ALL);
        assert!(free(&files[0], Exclusive, ALL) && holder.could(Exclusive, ALL));
        if tells {
            kernel_has(&path, 0);
        }
    });
}

#[test]
fn a_lock_that_is_granted_while_the_wait_is_given_up_is_given_back() {
    let mut random = Random(seed());
    let folder = Folder::new();
    let path = folder.join("f");
    let (holder, file) = (Outsider::new(&path), file_of(&path));
    let mut granted = 0;
    for _ in 0..rounds(2000) {
        // The thread of the round before may only now get the lock that nobody wants any more, and give it back.
        until("the holder has it again", || holder.try_lock(Exclusive, ALL));
        let id = queued(&file, range(1, random.mode(), at(0, 10)));
        let done = end_of(id);
        random.spin(200);
        thread::scope(|scope| {
            scope.spawn(|| holder.unlock(ALL));
            random.spin(100);
            granted += u32::from(wait(id, Duration::ZERO).unwrap());
            cancel(id);
        });
        done.recv_timeout(LONG).unwrap().unwrap();
        until("nobody has it", || holder.could(Exclusive, ALL));
    }
    println!("{granted} had been told of it before");
}

/// The state in which somebody outside has bytes 5 to 10, one lock of a description bytes 0 to 5, and another of the same
/// description waits for both parts; then both are released, so far apart that the kernel has granted the wait but nobody
/// here knows yet: what is given back then must not be what was just granted.
fn granted_while_another_lock_of_the_description_is_released(kind: Kind) {
    let mut random = Random(seed());
    let folder = Folder::new();
    let path = folder.join("f");
    let (holder, probe) = (Outsider::new(&path), Outsider::new(&path));
    let file = file_of(&path);
    let lost = |round| panic!("round {round}: the lock is held, and the kernel has let go of it");
    for round in 0..rounds(5000) {
        match kind {
            Kind::Range => {
                assert!(holder.try_lock(Exclusive, at(5, 10)));
                let early = tried(&file, Shared, at(0, 5)).unwrap();
                let id = queued(&file, range(1, Shared, at(0, 10)));
                random.spin(100);
                holder.unlock(at(5, 10));
                random.spin(100);
                release(early);
                if random.below(2) == 0 && probe.try_lock(Exclusive, at(0, 1)) {
                    // Not granted yet, or granted and partly given back with the other: nothing of that may stay.
                    if wait(id, Duration::from_micros(200)).unwrap() {
                        lost(round);
                    }
                    cancel(id);
                    probe.unlock(at(0, 1));
                    until("nothing of it stays", || probe.could(Exclusive, ALL));
                    until("nobody waits for it", || free(&file, Exclusive, ALL));
                    continue;
                }
                assert!(wait(id, LONG).unwrap());
                if probe.could(Exclusive, at(0, 1)) {
                    lost(round);
                }
                release(id);
            }
            Kind::File => {
                assert!(holder.try_lock_file(Exclusive));
                let id = queued(&file, whole(1, Shared));
                random.spin(100);
                holder.unlock_file();
                random.spin(60);
                try_lock(&file, whole(1, Shared)).unwrap().into_iter().for_each(release);
                assert!(wait(id, LONG).unwrap());
                if probe.try_lock_file(Exclusive) {
                    lost(round);
                }
                release(id);
            }
        }
    }
}

#[test]
fn a_range_just_granted_stays_when_another_lock_of_the_description_is_released() {
    granted_while_another_lock_of_the_description_is_released(Kind::Range);
}

#[test]
fn a_file_just_granted_stays_when_another_lock_of_the_description_is_released() {
    granted_while_another_lock_of_the_description_is_released(Kind::File);
}

#[test]
fn many_waits_that_end_well_leave_no_thread_and_no_lock() {
    lives("many_waits_that_end_well_leave_no_thread_and_no_lock", || {
        let folder = Folder::new();
        let path = folder.join("f");
        let (holder, file) = (Outsider::new(&path), file_of(&path));
        let before = threads();
        for _ in 0..rounds(20).max(1) {
            assert!(holder.try_lock(Exclusive, ALL));
            let waits: Vec<u64> = (0..100).map(|part| queued(&file, range(1, Exclusive, at(part, part + 1)))).collect();
            let done: Vec<_> = waits.iter().map(|&id| end_of(id)).collect();
            assert!(threads() > before);
            holder.unlock(ALL);
            for done in done {
                done.recv_timeout(LONG).unwrap().unwrap();
            }
            for byte in [0, 50, 99] {
                assert!(!holder.could(Shared, at(byte, byte + 1)));
            }
            waits.into_iter().for_each(release);
            assert!(holder.could(Exclusive, ALL));
        }
        until("all threads are gone", || threads() == before);
    });
}

#[test]
fn one_range_has_one_thread_however_many_wait_for_it() {
    lives("one_range_has_one_thread_however_many_wait_for_it", || {
        let folder = Folder::new();
        let path = folder.join("f");
        let (holder, file) = (Outsider::new(&path), file_of(&path));
        assert!(holder.try_lock(Shared, at(9, 10)));
        let before = threads();
        let waits: Vec<u64> = (0..300).map(|owner| queued(&file, range(owner, Exclusive, at(0, 10)))).collect();
        let (sender, receiver) = channel();
        for &id in &waits {
            let sender = sender.clone();
            when_done(id, Box::new(move |outcome| sender.send(outcome.map(|()| id)).unwrap()));
        }
        assert!(threads() <= before + 1);
        holder.unlock(at(9, 10));
        for id in waits {
            assert_eq!(receiver.recv_timeout(LONG).unwrap().unwrap(), id, "in their order");
            release(id);
        }
        assert!(start(&file, range(1, Exclusive, ALL), false).unwrap().held);
    });
}
