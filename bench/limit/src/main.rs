//! What the machine can do: the work of the benchmark's rows in a plain loop over a plain map.
//!
//! A command a line on standard input, its words between tabs; an answer a line on standard output: nanoseconds
//! for one operation and a result to compare, or `error` and why. The process stays, so that its runs can be put
//! between those of others, and so do its maps, which are of the kinds that memmap makes: `read` is private and
//! may be stored to, `write` is shared.

use std::collections::HashMap;
use std::error::Error;
use std::ffi::CString;
use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufRead, Write};
use std::rc::Rc;
use std::time::Instant;

use memchr::{memchr, memchr_iter, memmem};
use memmap2::{MmapMut, MmapOptions, MmapRaw};
use regex::bytes::RegexBuilder;

#[cfg(target_os = "linux")]
mod futexes;
mod locks;
mod mutex;
mod shared;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
/// Nanoseconds for one operation, and what came out.
type Answer = Result<(f64, String)>;

#[derive(Default)]
struct Kept {
    read: HashMap<String, MmapMut>,
    write: HashMap<String, MmapRaw>,
    indexes: HashMap<String, Rc<[u32]>>,
}

impl Kept {
    fn read(&mut self, path: &str) -> Result<&[u8]> {
        if !self.read.contains_key(path) {
            // SAFETY: the benchmark's own files, which nobody changes meanwhile.
            let map = unsafe { MmapOptions::new().no_reserve_swap().map_copy(&File::open(path)?)? };
            self.read.insert(path.to_owned(), map);
        }
        Ok(&self.read[path])
    }

    fn write(&mut self, path: &str) -> Result<(*mut u8, usize)> {
        if !self.write.contains_key(path) {
            let file = File::options().read(true).write(true).open(path)?;
            self.write.insert(path.to_owned(), MmapOptions::new().no_reserve_swap().map_raw(&file)?);
        }
        let map = &self.write[path];
        Ok((map.as_mut_ptr(), map.len()))
    }

    /// Numbers of random 8-byte words, little-endian and 32 bits each.
    fn indexes(&mut self, path: &str) -> Result<Rc<[u32]>> {
        if !self.indexes.contains_key(path) {
            let bytes = std::fs::read(path)?;
            let indexes =
                bytes.chunks_exact(4).map(|index| u32::from_le_bytes([index[0], index[1], index[2], index[3]]));
            self.indexes.insert(path.to_owned(), indexes.collect());
        }
        Ok(Rc::clone(&self.indexes[path]))
    }
}

fn main() -> Result<()> {
    if let [_, flag, path, rounds, way] = std::env::args().collect::<Vec<_>>().as_slice() {
        if flag == "--answer" {
            return shared::answer(path, rounds.parse()?, shared::Way::of(way)?);
        }
    }
    #[cfg(target_os = "linux")]
    if let [_, flag, path, rounds] = std::env::args().collect::<Vec<_>>().as_slice() {
        if flag == "--answer-waiting" {
            return futexes::answer(path, rounds.parse()?);
        }
    }
    let mut kept = Kept::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split('\t').collect();
        match run(&words, &mut kept) {
            Ok((nanoseconds, result)) => writeln!(out, "{nanoseconds}\t{result}")?,
            Err(error) => writeln!(out, "error\t{error}")?,
        }
        out.flush()?;
    }
    Ok(())
}

fn run(words: &[&str], kept: &mut Kept) -> Answer {
    match words {
        ["open", path, times] => open(path, times.parse()?),
        ["find", path, needle] => find(kept.read(path)?, needle.as_bytes()),
        ["count", path, needle] => count(kept.read(path)?, unescaped(needle)),
        ["count-halves", path, needle] => count_halves(kept.read(path)?, unescaped(needle)),
        ["matches", path, pattern] => matches(kept.read(path)?, pattern),
        ["lines", path] => lines(kept.read(path)?),
        ["reads", path, indexes] => {
            let indexes = kept.indexes(indexes)?;
            reads(kept.read(path)?, &indexes)
        }
        ["writes", path, indexes, times] => {
            let indexes = kept.indexes(indexes)?;
            writes(kept.write(path)?, indexes.get(..times.parse()?).ok_or("too few indexes")?)
        }
        ["move", path, bytes] => move_within(kept.write(path)?, bytes.parse()?),
        ["copies", bytes, times] => copies(bytes.parse()?, times.parse()?),
        ["segments", name, times, bytes] => shared::segments(name, times.parse()?, bytes.parse()?),
        ["ping-pong", path, rounds, way] => shared::ping_pong(path, rounds.parse()?, shared::Way::of(way)?),
        #[cfg(target_os = "linux")]
        ["waiting-ping-pong", path, rounds] => futexes::ping_pong(path, rounds.parse()?),
        ["lock-pairs", path, times] => locks::pairs(path, times.parse()?),
        ["lock-opens", path, times] => locks::opens(path, times.parse()?),
        ["lock-wait", path] => locks::wait(path),
        ["mutex-pairs", path, times] => mutex::pairs(path, times.parse()?),
        ["mutex-contended", path, times] => mutex::contended(path, times.parse()?),
        _ => Err("no such command".into()),
    }
}

fn timed<T>(operations: usize, work: impl FnOnce() -> T) -> (f64, T) {
    let from = Instant::now();
    let result = black_box(work());
    (from.elapsed().as_nanos() as f64 / operations as f64, result)
}

/// The one needle that cannot stand in a line.
fn unescaped(needle: &str) -> &[u8] {
    if needle == "\\n" {
        b"\n"
    } else {
        needle.as_bytes()
    }
}

/// The bare system calls: open, fstat, mmap, a touch, munmap, close.
fn open(path: &str, times: usize) -> Answer {
    let name = CString::new(path)?;
    let (protection, flags) = if cfg!(target_os = "linux") {
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_NORESERVE)
    } else {
        (libc::PROT_READ, libc::MAP_SHARED)
    };
    let (nanoseconds, sum) = timed(times, || -> io::Result<usize> {
        let mut sum = 0;
        for _ in 0..times {
            // SAFETY: system calls on what was made just before; the map is at least a byte long, since an empty one
            // is refused, and its length is not used once it is gone.
            unsafe {
                let fd = libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
                let mut facts = std::mem::zeroed::<libc::stat>();
                if fd < 0 || libc::fstat(fd, &raw mut facts) != 0 {
                    return Err(io::Error::last_os_error());
                }
                let len = facts.st_size as usize;
                let base = libc::mmap(std::ptr::null_mut(), len, protection, flags, fd, 0);
                if base == libc::MAP_FAILED {
                    return Err(io::Error::last_os_error());
                }
                sum += usize::from(base.cast::<u8>().read_volatile());
                libc::munmap(base, len);
                libc::close(fd);
            }
        }
        Ok(sum)
    });
    Ok((nanoseconds, sum?.to_string()))
}

fn find(haystack: &[u8], needle: &[u8]) -> Answer {
    let (nanoseconds, found) = timed(1, || match needle {
        [byte] => memchr(*byte, haystack),
        _ => memmem::find(haystack, needle),
    });
    Ok((nanoseconds, found.map_or("-1".to_owned(), |index| index.to_string())))
}

fn count(haystack: &[u8], needle: &[u8]) -> Answer {
    let (nanoseconds, count) = timed(1, || match needle {
        [byte] => memchr_iter(*byte, haystack).count(),
        _ => memmem::find_iter(haystack, needle).count(),
    });
    Ok((nanoseconds, count.to_string()))
}

/// The same by two threads, of a needle that does not stand across the middle: what two cores get from the memory.
fn count_halves(haystack: &[u8], needle: &[u8]) -> Answer {
    let (nanoseconds, count) = timed(1, || {
        let in_one = |half: &[u8]| match needle {
            [byte] => memchr_iter(*byte, half).count(),
            _ => memmem::find_iter(half, needle).count(),
        };
        let (first, second) = haystack.split_at(haystack.len() / 2);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| in_one(second));
            in_one(first) + other.join().unwrap_or(0)
        })
    });
    Ok((nanoseconds, count.to_string()))
}

/// Every match of a regular expression over bytes, its length added up: nothing copied, nothing made.
fn matches(text: &[u8], pattern: &str) -> Answer {
    let regex = RegexBuilder::new(pattern).unicode(false).build()?;
    let (nanoseconds, (matches, bytes)) = timed(1, || {
        regex.find_iter(text).fold((0_usize, 0_usize), |(matches, bytes), found| (matches + 1, bytes + found.len()))
    });
    Ok((nanoseconds, format!("{matches} {bytes}")))
}

/// Every line as a slice, its length added up: nothing copied, nothing made.
fn lines(text: &[u8]) -> Answer {
    let (nanoseconds, (lines, bytes)) = timed(1, || {
        let (mut lines, mut bytes, mut start) = (0_usize, 0_usize, 0_usize);
        for end in memchr_iter(b'\n', text) {
            bytes += black_box(&text[start..end]).len();
            lines += 1;
            start = end + 1;
        }
        (lines, bytes)
    });
    Ok((nanoseconds, format!("{lines} {bytes}")))
}

fn reads(bytes: &[u8], indexes: &[u32]) -> Answer {
    let words = bytes.len() / 8;
    if indexes.iter().any(|&index| index as usize >= words) {
        return Err("an index lies behind the end".into());
    }
    let base = bytes.as_ptr().cast::<f64>();
    let (nanoseconds, sum) = timed(indexes.len(), || {
        // SAFETY: every index was looked at above; a map starts at a page.
        indexes.iter().fold(0.0, |sum, &index| sum + unsafe { base.add(index as usize).read() })
    });
    Ok((nanoseconds, sum.to_bits().to_string()))
}

const RECORD: usize = 64;

fn writes((base, len): (*mut u8, usize), indexes: &[u32]) -> Answer {
    let records = len / RECORD;
    let record = [0x2e_u8; RECORD];
    let (nanoseconds, ()) = timed(indexes.len(), || {
        for &index in indexes {
            // SAFETY: the record lies in the map, which is writable and nobody else's.
            unsafe { base.add(index as usize % records * RECORD).copy_from(black_box(&record).as_ptr(), RECORD) };
        }
    });
    Ok((nanoseconds, indexes.len().to_string()))
}

/// memmove(3), from the start of the file to its end.
fn move_within((base, len): (*mut u8, usize), bytes: usize) -> Answer {
    if bytes >= len {
        return Err("the file is too short".into());
    }
    let (nanoseconds, ()) = timed(1, || {
        // SAFETY: both parts lie in the map, which is writable and nobody else's; copy allows overlap.
        unsafe { std::ptr::copy(base, base.add(len - bytes), bytes) };
    });
    Ok((nanoseconds, bytes.to_string()))
}

/// What a record costs that goes through memory: copied in at one end, and out at the other into memory of its own.
fn copies(bytes: usize, times: usize) -> Answer {
    const RING: usize = 1 << 22;
    let (record, mut ring) = (vec![1_u8; bytes], vec![1_u8; RING]);
    let (nanoseconds, sum) = timed(times, || {
        let mut sum = 0;
        for at in 0..times {
            let place = &mut ring[at * bytes % (RING - bytes)..][..bytes];
            place.copy_from_slice(&record);
            let out = black_box(place.to_vec());
            sum += out.len();
        }
        sum
    });
    Ok((nanoseconds, sum.to_string()))
}
