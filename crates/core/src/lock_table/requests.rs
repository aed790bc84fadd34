//! What one can ask of the table.

use std::sync::{Arc, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::{explain, key_of, leave, table, Done, Obstacle, State, Table, Ticket, Waiting, CHANGED, TABLE};
use crate::lock_wait;
use crate::range_lock::{Description, LockFile, Mode, Wanted};
use crate::sys;
use crate::{Error, Result};

/// How often, and after what time, `try_lock` looks whether the thread of a cancelled wait is back: 5 ms in all.
const LOOKS_FOR_CANCELLED: usize = 50;
const LOOK_AGAIN: Duration = Duration::from_micros(100);

/// How often the table is asked for where its mutex may never be free again.
const TRIES_AT_END: usize = 5000;

/// Takes a lock if that can be done at once; its number. Those who wait are not asked, except where the system would mix
/// the two up.
pub fn try_lock(file: &Arc<LockFile>, wanted: Wanted) -> Result<Option<u64>> {
    wanted.check()?;
    file.allows(wanted.kind, wanted.mode)?;
    let key = key_of(file, wanted.kind);
    let mut table = table();
    let mut looks = 0;
    while let Some(obstacle) = table.obstacle(key, file, &wanted) {
        if matches!(obstacle, Obstacle::Lock) || looks == LOOKS_FOR_CANCELLED {
            return Ok(None);
        }
        // Nobody wants it, and its thread is about to learn that. To say that somebody has the lock would be wrong.
        looks += 1;
        drop(table);
        std::thread::sleep(LOOK_AGAIN);
        table = self::table();
    }
    let Wanted { kind, mode, extent, .. } = wanted;
    match sys::try_lock(&file.file, kind, mode, extent) {
        Ok(false) => Ok(None),
        Err(cause) => Err(explain(&cause, &wanted, file)),
        Ok(true) => {
            let id = table.insert(wanted, file, State::Held, false);
            table.queues.entry(key).or_default().held.push(id);
            Ok(Some(id))
        }
    }
}

/// A wait that has begun, or is over already.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    /// Its number, and the lock's.
    pub id: u64,
    /// Nobody was in the way.
    pub held: bool,
}

/// Takes a place in the queue. Then one asks by [`wait`], with the isolate's thread standing still if `blocking`, or is
/// told by [`when_done`].
pub fn start(file: &Arc<LockFile>, wanted: Wanted, blocking: bool) -> Result<Started> {
    wanted.check()?;
    file.allows(wanted.kind, wanted.mode)?;
    let mut table = table();
    let key = key_of(file, wanted.kind);
    let id = table.insert(wanted, file, State::Queued, blocking);
    let waiting = &mut table.queues.entry(key).or_default().waiting;
    let first = !waiting.iter().any(|other| other.extent.overlaps(&wanted.extent));
    waiting.push_back(Waiting { id, extent: wanted.extent });
    if first {
        table.advance(key);
    }
    let started = match table.tickets.get(&id).map(|ticket| &ticket.state) {
        Some(State::Failed(_)) | None => Err(failure(&mut table, id)),
        Some(state) => Ok(Started { id, held: matches!(state, State::Held) }),
    };
    leave(table);
    started
}

/// Calls `done` once, when the wait is over: also where it has ended already, or is cancelled.
pub fn when_done(id: u64, done: Done) {
    let mut table = table();
    let outcome = match table.tickets.get_mut(&id) {
        Some(ticket) => match ticket.state {
            State::Queued | State::Asking => {
                ticket.done = Some(done);
                return;
            }
            State::Failed(_) => Err(failure(&mut table, id)),
            State::Held | State::Cancelled => Ok(()),
        },
        None => Ok(()),
    };
    table.told.push((done, outcome));
    leave(table);
}

fn failure(table: &mut Table, id: u64) -> Error {
    match table.tickets.remove(&id).map(|ticket| ticket.state) {
        Some(State::Failed(error)) => error,
        _ => Error::invalid_state("The lock was released"),
    }
}

/// Stands still until the lock is there, but no longer than `limit`; whether it is.
pub fn wait(id: u64, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    let mut table = table();
    loop {
        match table.tickets.get(&id).map(|ticket| (&ticket.state, ticket.blocking)) {
            Some((State::Held, _)) => return Ok(true),
            Some((State::Queued | State::Asking, blocking)) => {
                if let Some(error) = blocking.then(|| table.deadlock(id)).flatten() {
                    cancel_in(&mut table, id);
                    leave(table);
                    return Err(error);
                }
            }
            _ => return Err(failure(&mut table, id)),
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        table.standing += 1;
        table = CHANGED.wait_timeout(table, left).unwrap_or_else(PoisonError::into_inner).0;
        table.standing -= 1;
    }
}

fn cancel_in(table: &mut Table, id: u64) {
    let Some(ticket) = table.tickets.get_mut(&id) else { return };
    match ticket.state {
        State::Held => {
            table.unlock(id);
            table.remove(id);
        }
        State::Asking if ticket.thread.is_some() => {
            ticket.state = State::Cancelled;
            ticket.blocking = false;
            let done = ticket.done.take();
            table.told.extend(done.map(|done| (done, Ok(()))));
            lock_wait::call_back(table, id);
        }
        State::Cancelled => {}
        State::Queued | State::Asking | State::Failed(_) => {
            let done = table.remove(id).and_then(|ticket| ticket.done);
            table.told.extend(done.map(|done| (done, Ok(()))));
        }
    }
}

/// Gives up a wait; or the lock, if it has come already.
pub fn cancel(id: u64) {
    let mut table = table();
    cancel_in(&mut table, id);
    leave(table);
}

/// Gives a lock back. Nothing happens if that was done before.
pub fn release(id: u64) {
    cancel(id);
}

/// Makes an exclusive lock a shared one, without letting go of it in between.
pub fn downgrade(id: u64) -> Result<()> {
    let mut table = table();
    let Some(key) = table.key(id) else { return Err(Error::invalid_state("The lock was released")) };
    let Some(ticket) = table.tickets.get_mut(&id) else { return Ok(()) };
    if ticket.wanted.mode == Mode::Exclusive {
        ticket.file.allows(ticket.wanted.kind, Mode::Shared)?;
        sys::downgrade(&ticket.file.file, ticket.wanted.kind, ticket.wanted.extent)
            .map_err(|cause| explain(&cause, &ticket.wanted, &ticket.file))?;
        ticket.wanted.mode = Mode::Shared;
        table.advance(key);
    }
    leave(table);
    Ok(())
}

/// Whether the path that was locked names another file by now.
pub fn replaced(id: u64) -> bool {
    // Asking the system may take its time: not under the mutex.
    let file = table().tickets.get(&id).map(|ticket| Arc::clone(&ticket.file));
    file.is_some_and(|file| file.replaced())
}

/// The table as long as it takes at an end; none where its mutex may never be free again.
fn table_at_end() -> Option<MutexGuard<'static, Table>> {
    // The process may be ending as well. Windows has then stopped all other threads, whatever they hold; and the system
    // lets go of all locks anyway.
    (0..TRIES_AT_END).find_map(|_| match TABLE.try_lock() {
        Ok(table) => Some(table),
        Err(TryLockError::Poisoned(table)) => Some(table.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::sleep(Duration::from_micros(100));
            None
        }
    })
}

/// An isolate has ended: nobody can release its locks, or wait, any more.
pub fn end_owner(owner: u64) {
    let Some(mut table) = table_at_end() else { return };
    let theirs: Vec<u64> =
        table.tickets.iter().filter(|(_, ticket)| ticket.wanted.owner == owner).map(|(&id, _)| id).collect();
    for id in theirs {
        cancel_in(&mut table, id);
    }
    leave(table);
}

/// From now on the end of the process gives back what is held by descriptions of others, which may live on in them. The end
/// of an isolate is not enough: musl ends no thread-local of the main thread.
pub(crate) fn give_back_at_exit() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| sys::at_exit(give_back_borrowed));
}

extern "C" fn give_back_borrowed() {
    // Nobody could do anything about a panic.
    let _ = std::panic::catch_unwind(|| {
        let Some(mut table) = table_at_end() else { return };
        let is_borrowed = |ticket: &Ticket| ticket.file.description == Description::Borrowed;
        let held = |ticket: &Ticket| matches!(ticket.state, State::Held) && is_borrowed(ticket);
        let ids: Vec<u64> = table.tickets.iter().filter(|(_, ticket)| held(ticket)).map(|(&id, _)| id).collect();
        // Or whoever is next would have them now.
        table.queues.values_mut().for_each(|queue| queue.waiting.clear());
        for id in ids {
            table.unlock(id);
            table.remove(id);
        }
    });
}
