//! The C library's mutex in shared memory, of the kind that survives its owner where there is one.

use std::fs::File;
use std::io;
use std::sync::Barrier;

use memmap2::{MmapOptions, MmapRaw};

use crate::{timed, Answer};

/// A mutex at the start of a file that is mapped.
struct Mapped(MmapRaw);

impl Mapped {
    fn new(path: &str) -> io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        file.set_len(4096)?;
        let map = Self(MmapOptions::new().map_raw(&file)?);
        // SAFETY: a page of our own, that nobody else uses as a mutex yet.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&raw mut attributes);
            libc::pthread_mutexattr_setpshared(&raw mut attributes, libc::PTHREAD_PROCESS_SHARED);
            #[cfg(target_os = "linux")]
            libc::pthread_mutexattr_setrobust(&raw mut attributes, libc::PTHREAD_MUTEX_ROBUST);
            libc::pthread_mutex_init(map.mutex(), &raw const attributes);
        }
        Ok(map)
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.0.as_mut_ptr().cast()
    }

    fn pairs(&self, times: usize, counter: *mut u32) {
        for _ in 0..times {
            // SAFETY: the mutex was made by `new`; the counter lies in the same page and is its holder's.
            unsafe {
                libc::pthread_mutex_lock(self.mutex());
                counter.write_volatile(counter.read_volatile().wrapping_add(1));
                libc::pthread_mutex_unlock(self.mutex());
            }
        }
    }

    fn counter(&self) -> *mut u32 {
        // SAFETY: inside of the page.
        unsafe { self.0.as_mut_ptr().add(1024).cast() }
    }
}

/// Taken and given back, again and again.
pub fn pairs(path: &str, times: usize) -> Answer {
    let map = Mapped::new(path)?;
    let (nanoseconds, ()) = timed(times, || map.pairs(times, map.counter()));
    std::fs::remove_file(path)?;
    Ok((nanoseconds, times.to_string()))
}

/// The same by two threads at once; nanoseconds for one of all their sections.
pub fn contended(path: &str, times: usize) -> Answer {
    let map = Mapped::new(path)?;
    let barrier = Barrier::new(2);
    let (nanoseconds, ()) = timed(2 * times, || {
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    barrier.wait();
                    map.pairs(times, map.counter());
                });
            }
        });
    });
    std::fs::remove_file(path)?;
    Ok((nanoseconds, (2 * times).to_string()))
}
