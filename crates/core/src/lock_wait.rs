//! Waiting for what the system does not give at once: on a thread for each range where one can be called back from there,
//! else on one for all that asks again and again. Never on a thread that somebody else needs.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::lock_table::{leave, table, State, Table};
use crate::sys::{self, WaitingThread};

/// Nothing runs on these threads but a few calls of the system.
const STACK: usize = 64 * 1024;
/// How long those wait who cannot be called back, the first time and at most.
const POLL: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(5));
/// Between two calls to a thread that had not reached its wait yet.
const CALL_AGAIN: Duration = Duration::from_millis(1);

fn spawn(work: impl FnOnce() + Send + 'static) -> bool {
    crate::thread::spawn("memmap-lock", STACK, Box::new(work)).is_ok()
}

/// Begins to wait for a ticket that the system has just refused.
pub(crate) fn begin(table: &mut Table, id: u64) {
    if cfg!(target_os = "linux") && spawn(move || wait(id)) {
        return;
    }
    poll(table);
}

fn poll(table: &mut Table) {
    // Where no thread can be had there is nothing left to do, but to ask when the next one begins to wait.
    table.polling = table.polling || spawn(ask_for_all);
}

/// The thread of one ticket.
fn wait(id: u64) {
    let Some(me) = WaitingThread::this() else {
        return poll(&mut table());
    };
    loop {
        let (file, wanted) = {
            let mut table = table();
            let Some(ticket) = table.tickets.get_mut(&id) else { return };
            match ticket.state {
                State::Asking => {}
                State::Cancelled => {
                    table.answered(id, Ok(false));
                    return leave(table);
                }
                // Whoever asks for all has got it meanwhile.
                _ => return,
            }
            ticket.thread = Some(me);
            (Arc::clone(&ticket.file), ticket.wanted)
        };
        let answer = sys::wait_lock(&file.file, wanted.kind, wanted.mode, wanted.extent);
        let mut table = table();
        if let Some(ticket) = table.tickets.get_mut(&id) {
            ticket.thread = None;
        }
        let answer = answer.and_then(|()| table.still_granted(id));
        let again = table.answered(id, answer);
        leave(table);
        if !again {
            return;
        }
    }
}

/// The thread for all tickets without one.
fn ask_for_all() {
    let (mut pause, most) = POLL;
    let mut known = 0;
    loop {
        let mut now = table();
        let asking: Vec<u64> = now
            .tickets
            .iter()
            .filter(|(_, ticket)| matches!(ticket.state, State::Asking) && ticket.thread.is_none())
            .map(|(&id, _)| id)
            .collect();
        if asking.is_empty() {
            now.polling = false;
            return;
        }
        // Somebody new has come: who waits for the first time is likely to wait for something short.
        let newest = asking.iter().copied().max().unwrap_or(0);
        pause = if newest > known { POLL.0 } else { (pause * 2).min(most) };
        known = known.max(newest);
        for id in asking {
            let Some(ticket) = now.tickets.get(&id) else { continue };
            let wanted = ticket.wanted;
            let answer = sys::try_lock(&ticket.file.file, wanted.kind, wanted.mode, wanted.extent);
            now.answered(id, answer);
        }
        leave(now);
        thread::sleep(pause);
    }
}

/// Calls the thread of a cancelled ticket back; again and again, since it may be on its way into its wait.
pub(crate) fn call_back(table: &mut Table, id: u64) {
    let thread = table.tickets.get(&id).and_then(|ticket| ticket.thread);
    // SAFETY: the thread sets and clears that field under the table's mutex, and is alive in between.
    if thread.is_some_and(|thread| unsafe { thread.interrupt() }) && !table.calling_back {
        table.calling_back = spawn(call_all_back);
    }
}

fn call_all_back() {
    loop {
        thread::sleep(CALL_AGAIN);
        let mut table = table();
        let waiting: Vec<WaitingThread> = table
            .tickets
            .values()
            .filter(|ticket| matches!(ticket.state, State::Cancelled))
            .filter_map(|ticket| ticket.thread)
            .collect();
        // SAFETY: as above; the mutex is held.
        let called = waiting.into_iter().filter(|thread| unsafe { thread.interrupt() }).count();
        if called == 0 {
            table.calling_back = false;
            return;
        }
    }
}
