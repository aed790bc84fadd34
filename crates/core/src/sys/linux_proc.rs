//! The texts of /proc. What is written there is partly of other users' choosing: names of files, of processes, of memory.

use super::linux_memory::SHM;
use super::{path_from_bytes, Identity};
use crate::diagnosis::{is_addon, tell_programs, LockFamily, MapFacts, MapKind};
use crate::range_lock::Extent;

/// The name that memory without a name has in the system's lists.
const ANONYMOUS: &[u8] = b"/memfd:memmap";
const CLOSED: &[u8] = b"/memfd:memmap-closed";
/// What the system writes behind the name of something that was removed.
const DELETED: &[u8] = b" (deleted)";

/// A line of /proc/locks, or of a descriptor's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockLine {
    pub family: LockFamily,
    pub exclusive: bool,
    pub waits: bool,
    /// Who took it, where the system says.
    pub pid: Option<u32>,
    pub device: u64,
    pub inode: u64,
    pub extent: Extent,
}

/// Words between spaces, one after the other. Out of line: these are called for each word of each kind of line, and the binary is
/// to be small.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    #[inline(never)]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_ascii_start();
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.0 = rest;
        std::str::from_utf8(word).ok().filter(|word| !word.is_empty())
    }

    #[inline(never)]
    fn decimal(&mut self) -> Option<u64> {
        self.next()?.parse().ok()
    }
}

#[inline(never)]
pub fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

/// `fe:01` as stat(2) has it.
#[inline(never)]
fn device(numbers: &str) -> Option<u64> {
    let (major, minor) = numbers.split_once(':')?;
    let number = |text| u32::try_from(hex(text)?).ok();
    Some(libc::makedev(number(major)?, number(minor)?))
}

/// The system writes line ends in names as `\012`.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = memchr::memmem::find(rest, b"\\012") {
        whole.extend_from_slice(&rest[..at]);
        whole.push(b'\n');
        rest = &rest[at + 4..];
    }
    whole.extend_from_slice(rest);
    whole
}

fn kind(path: &[u8]) -> MapKind {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let file = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    match path {
        CLOSED => MapKind::Closed,
        ANONYMOUS => MapKind::Anonymous,
        b"" | b"[heap]" => MapKind::Private,
        _ if path.starts_with(b"[stack") || path.starts_with(b"[anon") => MapKind::Private,
        _ if !path.starts_with(b"/") || path.starts_with(b"/dev/dri") => MapKind::System,
        _ if path.starts_with(SHM.as_bytes()) && path.get(SHM.len()) == Some(&b'/') => MapKind::Named,
        _ if is_addon(file) => MapKind::Addon,
        _ => MapKind::File,
    }
}

/// A line of /proc/PID/maps; none for what is no such line.
///
/// # References
/// - [proc_pid_maps(5)](https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html)
pub fn map_line(line: &[u8]) -> Option<MapFacts> {
    let mut fields = Words(line);
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let offset = hex(fields.next()?)?;
    let device = device(fields.next()?)?;
    let inode = fields.decimal()?;
    let (start, end) = (hex(start)?, hex(end)?);
    if permissions.len() != 4 || end < start {
        return None;
    }
    let name = unescaped(fields.0.trim_ascii_start());
    Some(MapFacts {
        start,
        end,
        permissions: permissions.to_owned(),
        offset: Some(offset),
        identity: Identity { device, file: inode },
        kind: kind(&name),
        path: path_from_bytes(&name),
        resident: None,
    })
}

/// All of /proc/PID/maps, or of /proc/PID/smaps, which also says what is in memory.
pub fn map_lines(text: &[u8]) -> Vec<MapFacts> {
    let mut maps: Vec<MapFacts> = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        if let Some(rest) = line.strip_prefix(b"Rss:") {
            if let (Some(map), Some(kib)) = (maps.last_mut(), Words(rest).decimal()) {
                map.resident = Some(kib.saturating_mul(1024));
            }
        } else if let Some(map) = map_line(line) {
            maps.push(map);
        }
    }
    tell_programs(&mut maps);
    maps
}

/// A line of /proc/locks, or one of `lock:` in /proc/PID/fdinfo/FD; none for what is no such line.
///
/// # References
/// - [proc_locks(5)](https://man7.org/linux/man-pages/man5/proc_locks.5.html)
#[inline(never)]
pub fn lock_line(line: &[u8]) -> Option<LockLine> {
    let mut fields = Words(line.strip_prefix(b"lock:").unwrap_or(line));
    let _number = fields.next()?;
    let first = fields.next()?;
    let waits = first == "->";
    let family = match if waits { fields.next()? } else { first } {
        "OFDLCK" => LockFamily::OpenFile,
        "POSIX" => LockFamily::Process,
        "FLOCK" => LockFamily::Whole,
        "LEASE" | "DELEG" => LockFamily::Lease,
        _ => return None,
    };
    let _advisory = fields.next()?;
    let exclusive = match fields.next()? {
        "WRITE" => true,
        "READ" => false,
        _ => return None,
    };
    // -1 where it is of no process.
    let pid = fields.next()?.parse().ok().filter(|&pid| pid != 0);
    let (device, inode) = fields.next()?.rsplit_once(':')?;
    let (device, inode) = (self::device(device)?, inode.parse().ok()?);
    let start = fields.decimal()?;
    let end = match fields.next()? {
        "EOF" => Extent::FOREVER,
        last => last.parse::<u64>().ok()?.checked_add(1)?,
    };
    (start <= end).then_some(LockLine { family, exclusive, waits, pid, device, inode, extent: Extent { start, end } })
}

/// The number of a call that a thread is in, and the first arguments: /proc/PID/task/TID/syscall.
///
/// # References
/// - [proc_pid_syscall(5)](https://man7.org/linux/man-pages/man5/proc_pid_syscall.5.html)
pub fn call_line(line: &[u8]) -> Option<(i64, [u64; 3])> {
    let mut fields = Words(line);
    let number = fields.next()?.parse().ok()?;
    let mut argument = || hex(fields.next()?.strip_prefix("0x")?);
    Some((number, [argument()?, argument()?, argument()?]))
}

/// A command line as one line: arguments are apart by NULs in /proc/PID/cmdline.
pub fn command_line(text: &[u8]) -> String {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    String::from_utf8_lossy(text).replace('\0', " ")
}

/// The choice that is in force of a line such as `always [madvise] never`.
pub fn chosen(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('[')?;
    rest.split_once(']').map(|(choice, _)| choice)
}

/// A value of /proc/meminfo or /proc/PID/status, in bytes where it is said in kB.
pub fn meminfo(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut fields = Words(line.as_bytes());
    let number = fields.decimal()?;
    Some(if fields.next() == Some("kB") { number.saturating_mul(1024) } else { number })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use proptest::prelude::*;

    use super::*;

    fn map(line: &str) -> MapFacts {
        map_line(line.as_bytes()).unwrap()
    }

    #[test]
    fn a_map_is_read_with_whatever_name_it_has() {
        let one = map("7f0000000000-7f0000002000 rw-s 00001000 fe:01 1234                       /tmp/a b/c");
        assert_eq!((one.start, one.end, one.offset), (0x7f00_0000_0000, 0x7f00_0000_2000, Some(0x1000)));
        let identity = Identity { device: libc::makedev(0xfe, 1), file: 1234 };
        assert_eq!((one.permissions.as_str(), one.identity), ("rw-s", identity));
        assert_eq!((one.path.to_str(), one.kind), (Some("/tmp/a b/c"), MapKind::File));
        assert_eq!(map("1-2 r--p 0 0:0 7  /tmp/x\\012y (deleted)").path.to_str(), Some("/tmp/x\ny (deleted)"));
        assert_eq!(map("1-2 r--p 0 0:0 0 ").kind, MapKind::Private);
        assert_eq!(map("1-2 r--p 0 0:0 0").path, PathBuf::new());
        assert_eq!(map("ffffffffff600000-ffffffffff601000 --xp 0 0:0 0 [vsyscall]").kind, MapKind::System);
    }

    #[test]
    fn maps_of_this_package_are_known_by_their_names_and_no_others() {
        for (name, kind) in [
            ("/memfd:memmap (deleted)", MapKind::Anonymous),
            ("/memfd:memmap-closed (deleted)", MapKind::Closed),
            ("/memfd:memmapper (deleted)", MapKind::File),
            ("/dev/shm/scores", MapKind::Named),
            ("/dev/shm/scores (deleted)", MapKind::Named),
            ("/dev/shmore/scores", MapKind::File),
            ("/x/memmap.linux-x64-gnu.node", MapKind::Addon),
            ("/x/memmap.linux-x64-gnu.node (deleted)", MapKind::Addon),
            ("/x/memmap.linux-x64-gnu.node.bak", MapKind::File),
            ("[heap]", MapKind::Private),
            ("[anon:v8]", MapKind::Private),
            ("anon_inode:[io_uring]", MapKind::System),
        ] {
            assert_eq!(map(&format!("1-2 rw-s 0 0:0 5 {name}")).kind, kind, "{name}");
        }
    }

    #[test]
    fn what_is_in_memory_is_told_of_the_map_above_and_programs_are_known_by_what_runs() {
        let text = b"1-2 r--p 0 0:0 5 /lib/a.so\nRss:   8 kB\nVmFlags: rd mr\n2-3 r-xp 0 0:0 5 /lib/a.so\n3-4 r--s 0 0:0 6 /d\nRss: x kB\n";
        let maps = map_lines(text);
        let found: Vec<_> = maps.iter().map(|map| (map.kind, map.resident)).collect();
        let program = MapKind::Program;
        assert_eq!(found, [(program, Some(8192)), (program, None), (MapKind::File, None)]);
    }

    #[test]
    fn a_lock_is_read_as_it_is_in_either_list() {
        let held = lock_line(b"1: OFDLCK ADVISORY  WRITE -1 fe:00:10354785 0 9").unwrap();
        assert_eq!((held.family, held.exclusive, held.waits, held.pid), (LockFamily::OpenFile, true, false, None));
        assert_eq!((held.extent, held.inode), (Extent { start: 0, end: 10 }, 10_354_785));
        assert_eq!(lock_line(b"lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:10354785 0 9"), Some(held));
        let waits = lock_line(b"2:  -> POSIX  ADVISORY  READ 77 00:1f:5 100 EOF").unwrap();
        assert_eq!((waits.family, waits.waits, waits.pid), (LockFamily::Process, true, Some(77)));
        assert_eq!(waits.extent, Extent { start: 100, end: Extent::FOREVER });
        assert_eq!(lock_line(b"3: FLOCK  ADVISORY  WRITE 0 fe:00:5 0 EOF").unwrap().pid, None);
        assert_eq!(lock_line(b"4: LEASE  ACTIVE    READ 9 fe:00:5 0 EOF").unwrap().family, LockFamily::Lease);
        for none in
            ["", "1:", "1: POSIX", "1: POSIX ADVISORY READ 1 <none>:0 0 EOF", "1: OFDLCK ADVISORY WRITE -1 0:0:5 9 3"]
        {
            assert_eq!(lock_line(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn the_small_texts() {
        assert_eq!(call_line(b"72 0x15 0x26 0x7ffe0 0x0 0x0 0x0 0x7f 0x7f"), Some((72, [0x15, 0x26, 0x7ffe0])));
        assert_eq!(call_line(b"running"), None);
        assert_eq!(command_line(b"node\0--x\0\xff\0"), "node --x \u{fffd}");
        assert_eq!(chosen("always [madvise] never\n"), Some("madvise"));
        assert_eq!(chosen("always"), None);
        assert_eq!(meminfo("A: 1 kB\nHugePages_Total:       3\n", "HugePages_Total"), Some(3));
        assert_eq!(meminfo("CommitLimit:  4 kB\n", "CommitLimit"), Some(4096));
    }

    proptest! {
        #[test]
        fn no_line_whatever_ends_in_a_panic(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (map_lines(&line), lock_line(&line), call_line(&line), command_line(&line));
        }

        #[test]
        fn no_line_of_the_right_words_in_a_wrong_order_either(
            words in prop::collection::vec(prop::sample::select(vec![
                "1:", "->", "OFDLCK", "POSIX", "WRITE", "READ", "-1", "18446744073709551615", "EOF", "fe:00:5", "::", "<none>:0",
                "ffffffffffffffff-0", "0-ffffffffffffffff", "rw-s", "0:0", "/x", "\\012", "Rss:", "kB", "lock:", "0x", "\n", "[", "]",
            ]), 0..14),
            between in prop::sample::select(vec![" ", "\t", "  ", ""]),
        ) {
            let text = words.join(between);
            let _ = (map_lines(text.as_bytes()), lock_line(text.as_bytes()), call_line(text.as_bytes()));
            let _ = (chosen(&text), meminfo(&text, "Rss"));
        }

        #[test]
        fn a_map_of_any_name_says_that_name(name in "/[^\n\0\\\\]{1,60}", start in 0..u64::MAX / 2, len in 0..u64::MAX / 2) {
            let line = format!("{start:x}-{:x} rw-p 00000000 fe:00 12 {name}", start + len);
            let map = map(&line);
            prop_assert_eq!(map.path.to_str(), Some(name.as_str()));
            prop_assert_eq!((map.start, map.end), (start, start + len));
        }
    }
}
