//! Other processes that do a part of a test, and memory that they share.

#![allow(dead_code, reason = "every test file compiles this for itself and uses a part of it")]

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use memmap_core::shared_memory::{self, NameOptions};
use memmap_core::{Access, Region};

/// What takes longer than this on any machine never comes.
pub const LONG: Duration = Duration::from_secs(120);

/// Of the environment: which part another process does, and what it has to know for it.
const PART: &str = "MEMMAP_TEST_PART";
const TOLD: &str = "MEMMAP_TEST_TOLD";

/// Another process. A part of a test is a test of the same program, that does nothing where nobody has told it to.
pub struct Other(Child);

impl Other {
    pub fn start(part: &str, told: &[&str]) -> Self {
        let runner = std::env::var("CROSS_RUNNER").unwrap_or_default();
        let program = std::env::current_exe().unwrap();
        let mut words: Vec<&str> = runner.split_whitespace().collect();
        words.push(program.to_str().unwrap());
        let child = Command::new(words[0])
            .args(&words[1..])
            .args([part, "--exact", "--nocapture", "--test-threads=1"])
            .env(PART, part)
            .env(TOLD, told.join(" "))
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it wherever it is: `kill -9`, `TerminateProcess`.
    pub fn kill(mut self) {
        assert_eq!(self.0.try_wait().unwrap(), None, "it had ended before");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub fn ends_well(mut self) {
        let mut ended: Option<ExitStatus> = None;
        until("the other process has done its part", || {
            ended = self.0.try_wait().unwrap();
            ended.is_some()
        });
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What this process was told for a part; none where it is not the one that does it.
pub fn told(part: &str) -> Option<Vec<String>> {
    if std::env::var(PART).ok()? != part {
        return None;
    }
    Some(std::env::var(TOLD).unwrap().split(' ').map(str::to_owned).collect())
}

/// Shared memory by a name that nobody else has.
pub struct Memory {
    pub name: String,
    pub region: Region,
}

impl Memory {
    pub fn new(len: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let name = format!("mp-{}-{}-{now}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let options = NameOptions { mode: 0o600, unlink_on_close: true };
        let region = shared_memory::create(&name, len, options).unwrap();
        Self { name, region }
    }

    /// The same, by a region of its own.
    pub fn again(&self) -> Region {
        opened(&self.name)
    }
}

impl Drop for Memory {
    /// A region that is dropped and not closed leaves its name.
    fn drop(&mut self) {
        let _ = shared_memory::unlink(&self.name);
    }
}

pub fn opened(name: &str) -> Region {
    shared_memory::open(name, Access::Write, None).unwrap()
}

pub fn read(region: &Region, offset: u64) -> u32 {
    let mut bytes = [0; 4];
    region.mapping().read(offset, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

pub fn write(region: &Region, offset: u64, value: u32) {
    region.mapping().write(offset, &value.to_le_bytes()).unwrap();
}

/// Looks until it is so.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < LONG, "never came: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
