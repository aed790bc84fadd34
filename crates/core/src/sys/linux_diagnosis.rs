//! What /proc, /dev/shm and /sys tell. Processes come and go while they are looked at: one that has gone is no error but where
//! it was asked for itself.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io;
use std::mem::offset_of;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use rustc_hash::FxHashMap;

use super::linux_memory::SHM;
use super::linux_proc::{call_line, chosen, command_line, lock_line, map_lines, meminfo, LockLine};
use super::linux_wait_ring::Ring;
use super::unix_diagnosis::{limits_of_process, locks_in_the_way, name_of_user, owner_of, without_end};
use super::{Identity, OpenHow};
use crate::diagnosis::{have_addon, LockFacts, LockFamily, MapFacts, MapKind, Process, Seen, Segment, User};
use crate::range_lock::Extent;
use crate::{Error, Result};

/// Longest part of a command line that is shown.
const COMMAND: usize = 4096;

fn failed(path: &str, cause: &io::Error) -> Error {
    Error::system("open", cause).at(Some(Path::new(path)))
}

fn identity(facts: &Metadata) -> Identity {
    Identity { device: facts.dev(), file: facts.ino() }
}

fn refused(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::PermissionDenied)
}

/// All processes that this one is shown.
fn pids() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc").map_err(|cause| failed("/proc", &cause))?;
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    let pids: Vec<u32> = entries.filter_map(number).collect();
    if pids.is_empty() {
        return Err(Error::unavailable("This system does not show its processes in /proc"));
    }
    Ok(pids)
}

/// What there is of a process under this name.
fn place(pid: u32, what: &str) -> String {
    format!("/proc/{pid}/{what}")
}

fn read(pid: u32, what: &str) -> io::Result<Vec<u8>> {
    fs::read(place(pid, what))
}

fn process(pid: u32) -> Process {
    let mut text = read(pid, "cmdline").unwrap_or_default();
    text.truncate(COMMAND);
    let command = command_line(&text);
    if !command.is_empty() {
        return Process { pid, command };
    }
    // A thread of the kernel's, a process that has ended and was not waited for, or one that took its arguments away.
    let name = read(pid, "comm").unwrap_or_default();
    Process { pid, command: format!("[{}]", command_line(name.trim_ascii_end())) }
}

/// Memory that got its name when it was whole has none in the maps of who made it, but a number.
fn names_of_segments() -> FxHashMap<Identity, OsString> {
    let entries = fs::read_dir(SHM).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((identity(&entry.metadata().ok()?), entry.file_name()))).collect()
}

/// The maps of a process, with what is in memory where this process may know.
pub fn maps_of(pid: u32) -> Result<Vec<MapFacts>> {
    let path = place(pid, "maps");
    if fs::metadata(place(pid, "")).is_err() {
        return Err(Error::raw("open", libc::ESRCH).at(Some(Path::new(&path))));
    }
    let text = read(pid, "smaps").or_else(|_| fs::read(&path)).map_err(|cause| failed(&path, &cause))?;
    let mut maps = map_lines(&text);
    let mut names = None;
    for map in &mut maps {
        if map.kind == MapKind::Named && map.path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"#")) {
            let all = names.get_or_insert_with(names_of_segments);
            if let Some(name) = all.get(&map.identity) {
                map.path = Path::new(SHM).join(name);
            }
        }
    }
    Ok(maps)
}

/// Processes that have the addon mapped. Who may not be looked at is counted.
pub fn users_of_addon() -> Result<Seen<User>> {
    let mut seen = Seen { found: Vec::new(), hidden: 0 };
    for pid in pids()?.into_iter().filter(|&pid| pid != std::process::id()) {
        let maps = match read(pid, "maps") {
            Ok(text) => map_lines(&text),
            Err(cause) => {
                seen.hidden += u32::from(refused(&cause));
                continue;
            }
        };
        if have_addon(&maps) {
            let owner = fs::metadata(place(pid, "")).map_or_else(|_| String::new(), |one| name_of_user(one.uid()));
            seen.found.push(User::new(process(pid), owner, &maps));
        }
    }
    Ok(seen)
}

/// Calls `each` with what a descriptor of a process stands for, and the descriptor. False where the process hides them.
fn descriptors(pid: u32, each: &mut dyn FnMut(Identity, &str)) -> bool {
    let entries = match fs::read_dir(place(pid, "fd")) {
        Ok(entries) => entries,
        Err(cause) => return !refused(&cause),
    };
    for entry in entries.flatten() {
        if let (Ok(facts), Some(number)) = (fs::metadata(entry.path()), entry.file_name().to_str()) {
            each(identity(&facts), number);
        }
    }
    true
}

/// All that is in the folder of shared memory. `allowed` says which names are such as this package allows.
pub fn named_segments(allowed: fn(&str) -> bool) -> Result<Seen<Segment>> {
    let entries = fs::read_dir(SHM).map_err(|cause| failed(SHM, &cause))?;
    let mut places = FxHashMap::default();
    let mut found = Vec::new();
    for entry in entries.flatten() {
        // Of a link itself, not of what it leads to.
        let Some(facts) = entry.metadata().ok().filter(Metadata::is_file) else { continue };
        let name = entry.file_name();
        let made = facts.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        places.insert(identity(&facts), found.len());
        found.push(Segment {
            allowed: name.to_str().is_some_and(allowed),
            name: name.to_string_lossy().into_owned(),
            owner: name_of_user(facts.uid()),
            mode: facts.mode() & 0o7777,
            byte_length: facts.len(),
            allocated: facts.blocks() * 512,
            since: made.and_then(|age| u64::try_from(age.as_millis()).ok()),
            processes: Vec::new(),
        });
    }
    let mut seen = Seen { found, hidden: 0 };
    for pid in if places.is_empty() { Vec::new() } else { pids()? } {
        let mut has = Vec::new();
        let mut note = |identity| {
            if let Some(place) = places.get(&identity).filter(|place| !has.contains(place)) {
                has.push(place);
            }
        };
        let shown = descriptors(pid, &mut |identity, _| note(identity));
        // A region may have let its descriptor go, and keep the map.
        match read(pid, "maps") {
            Ok(text) => map_lines(&text).iter().for_each(|map| note(map.identity)),
            Err(cause) => seen.hidden += u32::from(refused(&cause) || !shown),
        }
        if has.is_empty() {
            continue;
        }
        let process = process(pid);
        has.into_iter().for_each(|&place| seen.found[place].processes.push(process.clone()));
    }
    Ok(seen)
}

/// What is said of a lock that is held, by whose descriptors: of one open file that several share, or of several open files that
/// have the same range.
struct Held {
    line: LockLine,
    pids: Vec<u32>,
}

impl Held {
    /// Who has one of so many locks of which the same is said.
    fn share(&mut self, of: usize) -> Vec<u32> {
        let rest = self.pids.split_off(self.pids.len().div_ceil(of));
        let mut share = std::mem::replace(&mut self.pids, rest);
        share.dedup();
        share
    }
}

/// A range that a thread waits for in the kernel, where it is not said in the list who does.
struct Waiting {
    pid: u32,
    exclusive: bool,
    extent: Extent,
}

/// The threads of a process that wait for a range of the file, by an open file's lock.
fn waiting(pid: u32, descriptors: &[u32]) -> Vec<Waiting> {
    let mut found = Vec::new();
    let Ok(threads) = fs::read_dir(place(pid, "task")) else { return found };
    for thread in threads.flatten() {
        let call = fs::read(thread.path().join("syscall")).ok().and_then(|line| call_line(&line));
        let Some((libc::SYS_fcntl, [descriptor, command, address])) = call else { continue };
        if command != libc::F_OFD_SETLKW as u64 || !descriptors.iter().any(|&one| u64::from(one) == descriptor) {
            continue;
        }
        let mut asked = [0; size_of::<libc::flock>()];
        let memory = File::open(place(pid, "mem"));
        if memory.and_then(|memory| memory.read_exact_at(&mut asked, address)).is_err() {
            continue;
        }
        let number = |at: usize| asked[at..at + 8].try_into().map_or(0, i64::from_ne_bytes);
        let kind = i16::from_ne_bytes([asked[0], asked[1]]);
        let start = u64::try_from(number(offset_of!(libc::flock, l_start))).unwrap_or(0);
        let end = match number(offset_of!(libc::flock, l_len)) {
            0 => Extent::FOREVER,
            len => start.saturating_add_signed(len),
        };
        found.push(Waiting { pid, exclusive: kind == libc::F_WRLCK as i16, extent: Extent { start, end } });
    }
    found
}

/// What the descriptors of all processes say: locks, and waits.
struct OfDescriptors {
    held: Vec<Held>,
    waiting: Vec<Waiting>,
    hidden: u32,
}

fn of_descriptors(file: Identity) -> Result<OfDescriptors> {
    let mut all = OfDescriptors { held: Vec::new(), waiting: Vec::new(), hidden: 0 };
    for pid in pids()? {
        let mut open = Vec::new();
        let shown = descriptors(pid, &mut |identity, number| {
            if identity == file {
                open.extend(number.parse::<u32>());
            }
        });
        all.hidden += u32::from(!shown);
        for descriptor in &open {
            let text = read(pid, &format!("fdinfo/{descriptor}")).unwrap_or_default();
            let lines = text.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"lock:"));
            for line in lines.filter_map(lock_line) {
                match all.held.iter_mut().find(|held| held.line == line) {
                    Some(held) => held.pids.push(pid),
                    None => all.held.push(Held { line, pids: vec![pid] }),
                }
            }
        }
        if !open.is_empty() {
            all.waiting.extend(waiting(pid, &open));
        }
    }
    Ok(all)
}

/// Of the system's list of locks, at most.
const MOST_READINGS: usize = 10;

/// The locks of a file: the system's list says which there are and which are waited for, the descriptors of all processes who has
/// them.
pub fn locks_of(path: &Path) -> Result<Seen<LockFacts>> {
    let facts = fs::metadata(path).map_err(|cause| Error::system("stat", &cause))?;
    let file = identity(&facts);
    let OfDescriptors { mut held, mut waiting, hidden } = of_descriptors(file)?;
    let Ok(mut list) = fs::read("/proc/locks") else {
        if !held.is_empty() {
            return Ok(Seen { found: held.into_iter().map(rest_of).collect(), hidden });
        }
        let how = OpenHow { write: true, create: false, exclusive: false, mode: 0 };
        let (file, _) = super::open(path, how)?;
        return Ok(Seen { found: locks_in_the_way(&file)?, hidden });
    };
    // Some file systems call themselves another way in the list than stat(2) does, and descriptors say it as the list does.
    let other = held.first().map_or(file.device, |one| one.line.device);
    let of_file = |line: &LockLine| line.inode == file.file && (line.device == file.device || line.device == other);
    let lines_of =
        |list: &[u8]| -> Vec<_> { list.split(|&byte| byte == b'\n').filter_map(lock_line).filter(of_file).collect() };
    let mut lines = lines_of(&list);
    // The system gives its list a page at a time: where others lock and release meanwhile, a lock may stand in it twice, or not
    // at all. So what is said twice in a row is believed.
    for _ in 0..MOST_READINGS {
        list = fs::read("/proc/locks").unwrap_or(list);
        let again = lines_of(&list);
        let same = again == lines;
        lines = again;
        if same {
            break;
        }
    }
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let pids = if line.waits {
            waiter(line, &mut waiting)
        } else {
            let alike = lines[at..].iter().filter(|other| *other == line).count();
            let seen = held.iter_mut().find(|one| one.line == *line).map(|one| one.share(alike));
            seen.filter(|pids| !pids.is_empty()).unwrap_or_else(|| line.pid.into_iter().collect())
        };
        found.push(facts_of(line, pids));
    }
    // Taken since the list was read, or called another way there.
    found.extend(held.into_iter().filter(|one| !one.pids.is_empty()).map(rest_of));
    Ok(Seen { found, hidden })
}

fn rest_of(mut held: Held) -> LockFacts {
    let pids = held.share(1);
    facts_of(&held.line, pids)
}

fn waiter(line: &LockLine, waiting: &mut Vec<Waiting>) -> Vec<u32> {
    if line.family != LockFamily::OpenFile {
        return line.pid.into_iter().collect();
    }
    let same = |one: &Waiting| one.exclusive == line.exclusive && without_end(one.extent) == without_end(line.extent);
    let at = waiting.iter().position(same);
    at.map(|at| waiting.swap_remove(at).pid).into_iter().collect()
}

fn facts_of(line: &LockLine, pids: Vec<u32>) -> LockFacts {
    LockFacts {
        family: line.family,
        exclusive: line.exclusive,
        waits: line.waits,
        extent: without_end(line.extent),
        owner: owner_of(line.extent).filter(|_| line.family == LockFamily::OpenFile),
        processes: pids.into_iter().map(process).collect(),
    }
}

/// The tightest limit of memory of the groups that this process is in.
fn group_limit() -> Option<(u64, u64)> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let top = Path::new("/sys/fs/cgroup");
    let number = |path: &Path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let of_folder =
        |folder: &Path| Some((number(&folder.join("memory.max"))?, number(&folder.join("memory.current"))?));
    let folders: Vec<_> =
        top.join(own).ancestors().take_while(|folder| folder.starts_with(top)).map(of_folder).collect();
    folders.into_iter().flatten().min_by_key(|&(most, _)| most)
}

/// Where a setting stands, and how.
enum Stands {
    /// It is all that is written there.
    Alone(&'static str),
    /// It is the choice that is marked there.
    Chosen(&'static str),
    /// It has this name in /proc/meminfo.
    Memory(&'static str),
}

const SETTINGS: [(&str, Stands); 11] = [
    ("kernel", Stands::Alone("/proc/sys/kernel/osrelease")),
    ("overcommit", Stands::Alone("/proc/sys/vm/overcommit_memory")),
    ("ioUringDisabled", Stands::Alone("/proc/sys/kernel/io_uring_disabled")),
    ("hugePages", Stands::Chosen("/sys/kernel/mm/transparent_hugepage/enabled")),
    ("sharedHugePages", Stands::Chosen("/sys/kernel/mm/transparent_hugepage/shmem_enabled")),
    ("memory", Stands::Memory("MemTotal")),
    ("memoryAvailable", Stands::Memory("MemAvailable")),
    ("commitLimit", Stands::Memory("CommitLimit")),
    ("committed", Stands::Memory("Committed_AS")),
    ("hugePagesReserved", Stands::Memory("HugePages_Total")),
    ("hugePageSize", Stands::Memory("Hugepagesize")),
];

/// What stands in the way of maps, or helps them.
pub fn machine() -> Vec<(&'static str, String)> {
    let mut all = limits_of_process();
    let known = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    for (name, stands) in SETTINGS {
        let value = match stands {
            Stands::Alone(path) => fs::read_to_string(path).ok().map(|text| text.trim().to_owned()),
            Stands::Chosen(path) => fs::read_to_string(path).ok().and_then(|text| chosen(&text).map(str::to_owned)),
            Stands::Memory(field) => meminfo(&known, field).map(|bytes| bytes.to_string()),
        };
        all.extend(value.map(|value| (name, value)));
    }
    all.push(("ioUring", Ring::is_there().to_string()));
    let (group, used) = group_limit().unzip();
    let sizes = [
        ("sharedMemorySize", fs4::total_space(SHM).ok()),
        ("sharedMemoryLeft", super::shared_memory_left()),
        ("groupMemory", group),
        ("groupMemoryUsed", used),
    ];
    for (name, size) in sizes {
        all.extend(size.map(|size| (name, size.to_string())));
    }
    all
}
