//! Threads that take, wait for, give up and give back locks at random, and a count of who has which byte: nobody ever has
//! one that somebody else has alone.

mod common;
#[path = "common/locks.rs"]
mod locks;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::{emulated, open, Folder};
use locks::{at, end_of, file_of, free, from, queued, range, seed, until, whole, Random, ALL, LONG};
use memmap_core::range_lock::{
    cancel, downgrade, end_owner, release, start, try_lock, wait, Extent, Kind, LockFile, Mode, Wanted,
};
use memmap_core::Access;
use Mode::{Exclusive, Shared};

const TIME: Duration = Duration::from_secs(2);
/// Bytes with a count of their own; the last one stands for all that follow.
const BYTES: u64 = 12;
/// What somebody counts who has a byte alone.
const ALONE: u64 = 1 << 32;

/// Who has which byte, as those who have them say: after they got them, and before they give them back.
#[derive(Default)]
struct Counts {
    bytes: [AtomicU64; BYTES as usize],
    file: AtomicU64,
}

impl Counts {
    fn of(&self, kind: Kind, extent: Extent) -> impl Iterator<Item = &AtomicU64> {
        let bytes = if kind == Kind::Range { extent.start..extent.end.min(BYTES) } else { 0..0 };
        let file = (kind == Kind::File).then_some(&self.file);
        bytes.map(|byte| &self.bytes[byte as usize]).chain(file)
    }

    fn taken(&self, Wanted { kind, mode, extent, .. }: Wanted) {
        for count in self.of(kind, extent) {
            let before = count.fetch_add(if mode == Exclusive { ALONE } else { 1 }, Ordering::SeqCst);
            let fits = if mode == Exclusive { before == 0 } else { before < ALONE };
            assert!(fits, "{kind:?} {mode:?} {extent:?}: {} have it alone, {} not", before / ALONE, before % ALONE);
        }
    }

    fn gives_back(&self, Wanted { kind, mode, extent, .. }: Wanted) {
        for count in self.of(kind, extent) {
            count.fetch_sub(if mode == Exclusive { ALONE } else { 1 }, Ordering::SeqCst);
        }
    }

    /// Says less than what is so for a moment, since others may be let in at once.
    fn downgrades(&self, Wanted { kind, extent, .. }: Wanted) {
        for count in self.of(kind, extent) {
            count.fetch_sub(ALONE - 1, Ordering::SeqCst);
        }
    }
}

fn some_extent(random: &mut Random) -> Extent {
    let start = random.below(BYTES);
    let end = start + 1 + random.below(BYTES / 2);
    if end >= BYTES {
        from(start)
    } else {
        at(start, end)
    }
}

/// What one thread does until the time is over; how many locks it had.
fn one_thread(owner: u64, mut random: Random, files: &[Arc<LockFile>], counts: &Counts) -> u64 {
    let deadline = Instant::now() + TIME;
    let mut had = 0;
    let mut held: Vec<(u64, Wanted)> = Vec::new();
    while Instant::now() < deadline {
        let kind = if random.below(5) == 0 { Kind::File } else { Kind::Range };
        let extent = if kind == Kind::File { ALL } else { some_extent(&mut random) };
        let wanted = Wanted { owner, kind, mode: random.mode(), extent };
        let file = &files[random.below(files.len() as u64) as usize];
        let got =
            if random.below(3) == 0 { try_lock(file, wanted).unwrap() } else { waited_for(file, wanted, &mut random) };
        if let Some(id) = got {
            counts.taken(wanted);
            had += 1;
            held.push((id, wanted));
        }
        random.spin(30);
        if !held.is_empty() && random.below(5) == 0 {
            let index = random.below(held.len() as u64) as usize;
            let (id, wanted) = &mut held[index];
            if wanted.mode == Exclusive {
                counts.downgrades(*wanted);
                wanted.mode = Shared;
            }
            downgrade(*id).unwrap();
        }
        // What two have and want of each other they wait for no longer than a wait lasts here.
        while held.len() > 2 || (!held.is_empty() && random.below(3) > 0) {
            let (id, wanted) = held.swap_remove(random.below(held.len() as u64) as usize);
            counts.gives_back(wanted);
            release(id);
        }
        if random.below(200) == 0 {
            held.drain(..).for_each(|(_, wanted)| counts.gives_back(wanted));
            end_owner(owner);
        }
    }
    held.drain(..).for_each(|(_, wanted)| counts.gives_back(wanted));
    end_owner(owner);
    had
}

fn waited_for(file: &Arc<LockFile>, wanted: Wanted, random: &mut Random) -> Option<u64> {
    let started = start(file, wanted, false).unwrap();
    let limit = Duration::from_micros(random.below(1500));
    let held = match random.below(3) {
        0 => {
            let done = end_of(started.id);
            random.spin(100);
            done.recv_timeout(limit).is_ok_and(|outcome| outcome.is_ok())
        }
        1 => wait(started.id, limit).unwrap(),
        _ => started.held,
    };
    if held {
        return Some(started.id);
    }
    // It may have come just now.
    cancel(started.id);
    None
}

/// Does the same with the system's own calls, so that the threads' waits are true ones.
#[cfg(target_os = "linux")]
fn outsider(path: &Path, mut random: Random, counts: &Counts) -> u64 {
    let outsider = locks::Outsider::new(path);
    let deadline = Instant::now() + TIME;
    let mut had = 0;
    while Instant::now() < deadline {
        let kind = if random.below(5) == 0 { Kind::File } else { Kind::Range };
        let wanted = Wanted { owner: 0, kind, mode: random.mode(), extent: some_extent(&mut random) };
        let got = match (kind, wanted.mode) {
            (Kind::Range, mode) => outsider.try_lock(mode, wanted.extent),
            (Kind::File, mode) => outsider.try_lock_file(mode),
        };
        if got {
            counts.taken(wanted);
            had += 1;
            random.spin(200);
            counts.gives_back(wanted);
            match kind {
                Kind::Range => outsider.unlock(wanted.extent),
                Kind::File => outsider.unlock_file(),
            }
        }
        random.spin(50);
    }
    had
}

#[cfg(not(target_os = "linux"))]
fn outsider(_path: &Path, _random: Random, _counts: &Counts) -> u64 {
    0
}

#[test]
fn nobody_has_a_byte_that_somebody_else_has_alone() {
    let seed = seed();
    let folder = Folder::new();
    let path = folder.file("f", &[1; 4]);
    let region = open(&path, Access::Write);
    let counts = Counts::default();
    let common = [Arc::new(LockFile::of_region(&region).unwrap()), Arc::new(LockFile::of_region(&region).unwrap())];
    let had: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|index| {
                let (path, counts) = (&path, &counts);
                // Of their own, and two of one description that all of them have.
                let files = [file_of(path), Arc::clone(&common[0]), Arc::clone(&common[1])];
                scope.spawn(move || one_thread(81_000 + index, Random(seed ^ (index << 40)), &files, counts))
            })
            .chain([scope.spawn(|| outsider(&path, Random(!seed), &counts))])
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    println!("locks: {had:?}");
    assert!(had[..4].iter().all(|&had| had > if emulated() { 10 } else { 100 }), "{had:?}");
    // The thread of a wait that was given up at the very end may have to give back what it got.
    let file = file_of(&path);
    until("nobody has any", || free(&file, Exclusive, ALL));
    until("nobody has the file", || try_lock(&file, whole(1, Exclusive)).unwrap().map(release).is_some());
    assert!(counts.bytes.iter().chain([&counts.file]).all(|count| count.load(Ordering::SeqCst) == 0));
}

#[test]
fn a_lock_goes_round_among_threads_that_wait_without_one_being_left_out() {
    let folder = Folder::new();
    let path = folder.join("f");
    let rounds = if emulated() { 200 } else { 2000 };
    let counts = Counts::default();
    thread::scope(|scope| {
        for owner in 82_000..82_004 {
            let (path, counts) = (&path, &counts);
            scope.spawn(move || {
                let file = file_of(path);
                let wanted = range(owner, Exclusive, at(0, 1));
                for _ in 0..rounds {
                    let began = start(&file, wanted, true).unwrap();
                    assert!(wait(began.id, LONG).unwrap());
                    counts.taken(wanted);
                    counts.gives_back(wanted);
                    release(began.id);
                }
            });
        }
    });
    let last = file_of(&path);
    let lock = try_lock(&last, range(1, Exclusive, ALL)).unwrap().unwrap();
    let next = queued(&last, range(2, Exclusive, ALL));
    release(lock);
    assert!(wait(next, Duration::ZERO).unwrap());
    release(next);
}
