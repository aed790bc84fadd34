//! Who has which lock in this process, and who waits for one: first come, first served.
//!
//! The system excludes other processes. Here, locks of one process exclude each other as well, also where the system takes
//! them for one (two of the same open file description). One mutex for all: what is done under it never waits.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::lock_wait;
use crate::range_lock::{Description, Extent, Kind, LockFile, Mode, Wanted};
use crate::sys::{self, Identity, WaitingThread};
use crate::{Error, Result};

mod deadlock;
mod requests;

pub(crate) use requests::give_back_at_exit;
pub use requests::{cancel, downgrade, end_owner, release, replaced, start, try_lock, wait, when_done, Started};

/// Called once with how a wait ended, on any thread.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

pub(crate) struct Ticket {
    pub wanted: Wanted,
    pub file: Arc<LockFile>,
    pub state: State,
    /// Its thread, between two looks at the state: in the system's wait, or on its way there or back.
    pub thread: Option<WaitingThread>,
    /// The isolate's thread stands still until it has the lock.
    blocking: bool,
    done: Option<Done>,
}

pub(crate) enum State {
    /// Others of this process are first.
    Queued,
    /// Nobody of this process is in the way: the system is asked.
    Asking,
    Held,
    /// For [`wait`] to say.
    Failed(Error),
    /// Nobody wants it any more; its thread does not know yet.
    Cancelled,
}

enum Obstacle {
    /// One that is held, or that the system is being asked for.
    Lock,
    /// A wait that was given up, until its thread is back.
    Cancelled,
}

#[derive(Default)]
struct Queue {
    held: Vec<u64>,
    /// [`State::Queued`], [`State::Asking`], and [`State::Cancelled`] ones with a thread.
    waiting: VecDeque<Waiting>,
    /// What was released of descriptions that are not ours, and is not given back yet: for all we know another lock, which
    /// is still held, is of the same description.
    owed: Vec<(Arc<LockFile>, Extent)>,
}

/// A place in the queue, with what is looked at most: there may be thousands.
#[derive(Clone, Copy)]
struct Waiting {
    id: u64,
    extent: Extent,
}

/// So many files are remembered that nobody has a lock of: most are locked again at once.
const EMPTY_QUEUES: usize = 64;

type Key = (Identity, Kind);

fn key_of(file: &LockFile, kind: Kind) -> Key {
    (file.identity, if sys::KINDS_ARE_ONE { Kind::Range } else { kind })
}

#[derive(Default)]
pub(crate) struct Table {
    last: u64,
    pub tickets: FxHashMap<u64, Ticket>,
    queues: FxHashMap<Key, Queue>,
    /// What to tell whom, once the mutex is free.
    told: Vec<(Done, Result<()>)>,
    /// Threads in [`wait`].
    standing: usize,
    /// Whether the thread that asks for all those without a thread of their own is there.
    pub polling: bool,
    /// Whether the thread that calls cancelled ones back is.
    pub calling_back: bool,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);
/// The state of some ticket has changed that [`wait`] waits for.
static CHANGED: Condvar = Condvar::new();

pub(crate) fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Leaves the table, and tells those that wait what became of them.
pub(crate) fn leave(mut table: MutexGuard<'_, Table>) {
    let told = std::mem::take(&mut table.told);
    drop(table);
    for (done, outcome) in told {
        done(outcome);
    }
}

fn conflict(one: &Wanted, other: &Wanted) -> bool {
    (one.mode == Mode::Exclusive || other.mode == Mode::Exclusive) && one.extent.overlaps(&other.extent)
}

/// The error for what the system said, with the file's name.
fn explain(cause: &io::Error, wanted: &Wanted, file: &LockFile) -> Error {
    if sys::locks_unsupported(cause) {
        let what = match wanted.kind {
            Kind::Range => "locks of ranges by open file description",
            Kind::File => "locks of whole files",
        };
        return Error::lock_unsupported(format!(
            "This system or file system has no {what}: {cause}; lock a file on a local disk instead"
        ));
    }
    let call = if wanted.kind == Kind::Range { "fcntl" } else { "flock" };
    Error::system(call, cause).at(file.path.as_deref())
}

fn ask(ticket: &Ticket) -> Result<bool> {
    let Wanted { kind, mode, extent, .. } = ticket.wanted;
    sys::try_lock(&ticket.file.file, kind, mode, extent).map_err(|cause| explain(&cause, &ticket.wanted, &ticket.file))
}

impl Table {
    fn insert(&mut self, wanted: Wanted, file: &Arc<LockFile>, state: State, blocking: bool) -> u64 {
        self.last += 1;
        let file = Arc::clone(file);
        let ticket = Ticket { wanted, file, state, thread: None, blocking, done: None };
        self.tickets.insert(self.last, ticket);
        self.last
    }

    fn key(&self, id: u64) -> Option<Key> {
        self.tickets.get(&id).map(|ticket| key_of(&ticket.file, ticket.wanted.kind))
    }

    fn among<'a>(&'a self, ids: impl IntoIterator<Item = &'a u64> + 'a) -> impl Iterator<Item = &'a Ticket> + 'a {
        ids.into_iter().filter_map(|id| self.tickets.get(id))
    }

    /// Whether a lock of this process is in the way.
    fn taken(&self, queue: &Queue, ticket: &Ticket) -> bool {
        self.among(&queue.held).any(|other| conflict(&other.wanted, &ticket.wanted))
    }

    /// What of this process is in the way of a lock that does not queue.
    fn obstacle(&self, key: Key, file: &LockFile, wanted: &Wanted) -> Option<Obstacle> {
        let queue = self.queues.get(&key)?;
        if self.among(&queue.held).any(|other| conflict(&other.wanted, wanted)) {
            return Some(Obstacle::Lock);
        }
        // To the system those of one description are one, and it would give the lock to both.
        let mixed = self
            .among(queue.waiting.iter().map(|other| &other.id))
            .filter(|other| other.file.description == file.description && conflict(&other.wanted, wanted));
        mixed.fold(None, |worst, other| match other.state {
            State::Asking => Some(Obstacle::Lock),
            State::Cancelled => worst.or(Some(Obstacle::Cancelled)),
            _ => worst,
        })
    }

    /// Parts that other locks of the same open file description have.
    fn shared_with(&self, id: u64, ticket: &Ticket) -> Vec<Extent> {
        let key = key_of(&ticket.file, ticket.wanted.kind);
        let Some(queue) = self.queues.get(&key) else { return Vec::new() };
        let others = queue.held.iter().filter(|&&other| other != id);
        self.among(others)
            .filter(|other| other.file.description == ticket.file.description)
            .map(|other| other.wanted.extent)
            .filter(|extent| extent.overlaps(&ticket.wanted.extent))
            .collect()
    }

    /// Gives back what the system has given for a ticket.
    fn unlock(&mut self, id: u64) {
        let Some(ticket) = self.tickets.get(&id) else { return };
        let others = self.shared_with(id, ticket);
        let Wanted { kind, extent, .. } = ticket.wanted;
        // Nobody could do anything about a failure, and the system itself gives all back when the file is closed.
        let _ = sys::unlock(&ticket.file.file, kind, extent, &others);
        if sys::LOCKS_MERGE && ticket.file.description == Description::Borrowed {
            let file = Arc::clone(&ticket.file);
            self.pay(id, file, kind, (!others.is_empty()).then_some(extent));
        }
    }

    /// Gives back what is owed of borrowed descriptions, as far as no lock but this one, which goes, may be of them.
    fn pay(&mut self, id: u64, file: Arc<LockFile>, kind: Kind, more: Option<Extent>) {
        let key = key_of(&file, kind);
        let Some(mut owed) = self.queues.get_mut(&key).map(|queue| std::mem::take(&mut queue.owed)) else { return };
        let held: Vec<Extent> = self.queues.get(&key).map_or_else(Vec::new, |queue| {
            let others = queue.held.iter().filter(|&&other| other != id);
            let borrowed = |other: &&Ticket| other.file.description == Description::Borrowed;
            self.among(others).filter(borrowed).map(|other| other.wanted.extent).collect()
        });
        owed.retain(|(file, extent)| {
            let others: Vec<Extent> = held.iter().copied().filter(|other| other.overlaps(extent)).collect();
            let _ = sys::unlock(&file.file, kind, *extent, &others);
            !others.is_empty()
        });
        owed.extend(more.map(|extent| (file, extent)));
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.owed = owed;
        }
    }

    /// The ticket leaves its queue, and those behind it move up.
    fn remove(&mut self, id: u64) -> Option<Ticket> {
        let key = self.key(id)?;
        let mut nobody_moves = false;
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.held.retain(|&other| other != id);
            if let Some(place) = queue.waiting.iter().position(|other| other.id == id) {
                // Whoever it kept back, one before it keeps back as well.
                let before = queue.waiting.iter().take(place);
                let extent = queue.waiting[place].extent;
                nobody_moves = before.into_iter().any(|other| other.extent.covers(&extent));
                queue.waiting.remove(place);
            }
        }
        let ticket = self.tickets.remove(&id);
        if !nobody_moves {
            self.advance(key);
        }
        ticket
    }

    fn settle(&mut self, id: u64, outcome: Result<()>) {
        let Some(ticket) = self.tickets.get_mut(&id) else { return };
        match (ticket.done.take(), outcome) {
            (Some(done), outcome) => {
                let failed = outcome.is_err();
                self.told.push((done, outcome));
                if failed {
                    self.tickets.remove(&id);
                }
            }
            (None, Ok(())) => self.changed(),
            (None, Err(error)) => {
                ticket.state = State::Failed(error);
                self.changed();
            }
        }
    }

    /// A call of the system, so only where somebody listens.
    fn changed(&self) {
        if self.standing > 0 {
            CHANGED.notify_all();
        }
    }

    fn hold(&mut self, key: Key, id: u64) {
        let queue = self.queues.entry(key).or_default();
        queue.waiting.retain(|other| other.id != id);
        queue.held.push(id);
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.state = State::Held;
        }
        self.settle(id, Ok(()));
    }

    fn fail(&mut self, key: Key, id: u64, error: Error) {
        if let Some(queue) = self.queues.get_mut(&key) {
            queue.waiting.retain(|other| other.id != id);
        }
        self.settle(id, Err(error));
    }

    /// Asks for whoever is first by now.
    fn advance(&mut self, key: Key) {
        let Some(queue) = self.queues.get(&key) else { return };
        if queue.waiting.is_empty() {
            return self.forget_if_empty(key);
        }
        // Those who wait, in their order: of overlapping ones only the first asks, and so a range has one thread.
        let mut ahead: Vec<Extent> = Vec::new();
        for Waiting { id, extent } in queue.waiting.clone() {
            let (Some(ticket), Some(queue)) = (self.tickets.get(&id), self.queues.get(&key)) else { continue };
            let first = !ahead.iter().any(|other| other.overlaps(&extent));
            if !first || !matches!(ticket.state, State::Queued) || self.taken(queue, ticket) {
                ahead.push(extent);
                continue;
            }
            match ask(ticket) {
                Ok(true) => self.hold(key, id),
                Err(error) => self.fail(key, id, error),
                Ok(false) => {
                    ahead.push(extent);
                    if let Some(ticket) = self.tickets.get_mut(&id) {
                        ticket.state = State::Asking;
                        lock_wait::begin(self, id);
                    }
                }
            }
        }
        self.forget_if_empty(key);
    }

    fn forget_if_empty(&mut self, key: Key) {
        let empty = |queue: &Queue| queue.held.is_empty() && queue.waiting.is_empty() && queue.owed.is_empty();
        if self.queues.len() > EMPTY_QUEUES && self.queues.get(&key).is_some_and(empty) {
            self.queues.remove(&key);
        }
    }

    /// What the system gave to a ticket's thread, before the mutex was had: whether it is still all there. Another lock of
    /// the description may have been released in between, and with it, parts of this one.
    pub fn still_granted(&mut self, id: u64) -> io::Result<bool> {
        let Some(ticket) = self.tickets.get(&id) else { return Ok(false) };
        let Wanted { kind, mode, extent, .. } = ticket.wanted;
        if !matches!(ticket.state, State::Asking) {
            return Ok(true);
        }
        // Under the mutex nobody releases anything, and having it already is no obstacle on Linux.
        let granted = sys::try_lock(&ticket.file.file, kind, mode, extent);
        if !matches!(granted, Ok(true)) {
            self.unlock(id);
        }
        granted
    }

    /// What the system said to a ticket's thread, or to the thread that asks for many. True if it should go on asking.
    pub fn answered(&mut self, id: u64, answer: io::Result<bool>) -> bool {
        let Some(key) = self.key(id) else { return false };
        let Some(ticket) = self.tickets.get(&id) else { return false };
        match (&ticket.state, answer) {
            (State::Asking, Ok(true)) => {
                self.hold(key, id);
                self.advance(key);
                false
            }
            (State::Asking, Err(cause)) if cause.kind() != io::ErrorKind::Interrupted => {
                let error = explain(&cause, &ticket.wanted, &ticket.file);
                self.fail(key, id, error);
                self.advance(key);
                false
            }
            (State::Asking, _) => true,
            (_, answer) => {
                // Cancelled, and it may have been too late.
                if matches!(answer, Ok(true)) {
                    self.unlock(id);
                }
                self.remove(id);
                false
            }
        }
    }
}
