//! What the tests share: files that go away, and processes that may die.

#![allow(dead_code, reason = "every test file compiles this for itself and uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use memmap_core::{mmap_file, Access, Mapping, OpenOptions, Region, Source};

/// A folder that is removed, with all that is in it, when dropped.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // Process ids come back soon under wine, hence the time.
        let nanoseconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("memmap-core-{}-{count}-{nanoseconds}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Bytes that tell their own position: no two pages are alike.
pub fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index ^ (index >> 8) ^ (index >> 16)) as u8).collect()
}

pub fn page() -> usize {
    memmap_core::sys::page_size()
}

pub fn options(access: Access) -> OpenOptions {
    OpenOptions { access, ..OpenOptions::default() }
}

pub fn open(path: &Path, access: Access) -> Region {
    mmap_file::open(Source::Path(path), options(access)).unwrap()
}

/// All bytes of a region.
pub fn all(mapping: &Mapping) -> Vec<u8> {
    let mut bytes = vec![0; mapping.len()];
    mapping.read(0, &mut bytes).unwrap();
    bytes
}

/// Why a call failed, by its code.
pub fn code<T>(result: Result<T, memmap_core::Error>) -> &'static str {
    result.err().map_or("no error", |error| error.code())
}

/// Whether these are programs of another processor, run by an emulator.
pub fn emulated() -> bool {
    std::env::var_os("CROSS_RUNNER").is_some()
}

/// Says that a test does less than its name, past the capturing of what passing tests print.
pub fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Runs `body` in a process of its own, by starting the test `name` of this same program again. In that
/// process it answers nothing, when the body is done; in the one that waits, how it ended.
pub fn alone(name: &str, body: impl FnOnce()) -> Option<Output> {
    const CHILD: &str = "MEMMAP_TEST_CHILD";
    if std::env::var(CHILD).is_ok_and(|child| child == name) {
        body();
        return None;
    }
    let mut words: Vec<String> =
        std::env::var("CROSS_RUNNER").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    words.push(std::env::current_exe().unwrap().to_str().unwrap().to_owned());
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("{name} hangs\n{}", said(&output));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(child.wait_with_output().unwrap())
}

/// Runs `body` in a process of its own, which must live to its end.
pub fn lives(name: &str, body: impl FnOnce()) {
    let Some(output) = alone(name, body) else { return };
    assert!(output.status.success(), "{:?}\n{}", output.status, said(&output));
    for why in said(&output).lines().filter_map(|line| line.strip_prefix("skipped: ")) {
        skipped(why);
    }
    assert!(said(&output).contains("1 passed"), "no test is called {name}\n{}", said(&output));
}

/// Runs `body` in a process of its own, which must die of `SIGBUS`. Gives back what it said.
#[cfg(unix)]
pub fn dies_of_sigbus(name: &str, body: impl FnOnce()) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    let output = alone(name, body)?;
    assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{:?}\n{}", output.status, said(&output));
    Some(said(&output))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
