//! Waiting for locks in the kernel, and being called back from there.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::OnceLock;

use fs4::FileExt;

use super::unix_locks::{control, type_of};
use super::{duplicate, inspect, Identity};
use crate::range_lock::{Extent, Kind, Mode};
use crate::Result;

/// Waits for a lock without bound, on a thread of ours; `EINTR` where [`WaitingThread::interrupt`] called it back.
///
/// # References
/// - [F_OFD_SETLKW](https://man7.org/linux/man-pages/man2/F_OFD_SETLKW.2const.html)
/// - [flock(2)](https://man7.org/linux/man-pages/man2/flock.2.html)
pub fn wait_lock(file: &File, kind: Kind, mode: Mode, extent: Extent) -> io::Result<()> {
    match (kind, mode) {
        (Kind::Range, _) => control(file, libc::F_OFD_SETLKW, type_of(mode), extent),
        (Kind::File, Mode::Shared) => FileExt::lock_shared(file),
        (Kind::File, Mode::Exclusive) => FileExt::lock(file),
    }
}

extern "C" fn nothing(_signal: libc::c_int) {}

fn handler_of(signal: libc::c_int) -> Option<libc::sighandler_t> {
    let mut found = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: the call fills the structure when it returns 0.
    unsafe { (libc::sigaction(signal, ptr::null(), found.as_mut_ptr()) == 0).then(|| found.assume_init().sa_sigaction) }
}

const OURS: extern "C" fn(libc::c_int) = nothing;

/// A realtime signal that nobody used when the first wait began, with a handler that does nothing: it ends a system call.
fn signal() -> Option<libc::c_int> {
    static SIGNAL: OnceLock<Option<libc::c_int>> = OnceLock::new();
    *SIGNAL.get_or_init(|| {
        let free = |signal: &libc::c_int| handler_of(*signal) == Some(libc::SIG_DFL);
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().filter(free).find(|&free| {
            // SAFETY: zero is a value of every field; the handler touches nothing, and the image is never unloaded.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                // Without SA_RESTART, so that the call it interrupts ends.
                action.sa_sigaction = OURS as libc::sighandler_t;
                libc::sigaction(free, &raw const action, ptr::null_mut()) == 0
                    && libc::pthread_kill(libc::pthread_self(), free) == 0
            }
        })
    })
}

/// A thread that waits, or is about to: valid while it lives.
#[derive(Debug, Clone, Copy)]
pub struct WaitingThread(libc::pthread_t);

// SAFETY: the name of a thread, a pointer with some C libraries (musl): all threads may use it, and only pthread_kill looks
// behind it, where the caller of `interrupt` says that the thread is alive.
unsafe impl Send for WaitingThread {}

impl WaitingThread {
    /// The calling thread, if it can be called back from a wait.
    pub fn this() -> Option<Self> {
        let signal = signal()?;
        if handler_of(signal) != Some(OURS as libc::sighandler_t) {
            return None;
        }
        // SAFETY: a set of signals of our own, of which one is let through to this thread.
        unsafe {
            let mut set = MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
            Some(Self(libc::pthread_self()))
        }
    }

    /// Calls it back, if it is in its system call by now; false if somebody took our signal, which nobody may be sent then.
    ///
    /// # Safety
    /// The thread is alive: it says so under a lock that the caller holds.
    ///
    /// # References
    /// - [pthread_kill(3)](https://man7.org/linux/man-pages/man3/pthread_kill.3.html)
    pub unsafe fn interrupt(self) -> bool {
        let Some(signal) = signal().filter(|&signal| handler_of(signal) == Some(OURS as libc::sighandler_t)) else {
            return false;
        };
        // SAFETY: the caller says that the thread is alive.
        unsafe { libc::pthread_kill(self.0, signal) == 0 }
    }
}

/// An open file description of our own for a file the caller has open, with the caller's access and no more; true if it is
/// our own. Where the system will give none (the file belongs to somebody else by now), the caller's.
///
/// # References
/// - [proc_pid_fd(5)](https://man7.org/linux/man-pages/man5/proc_pid_fd.5.html)
pub fn description_of_our_own(descriptor: i32) -> Result<(File, bool)> {
    use std::os::fd::FromRawFd;
    let theirs = duplicate(descriptor)?;
    let identity: Identity = inspect(&theirs)?.identity;
    let path = std::ffi::CString::new(format!("/proc/self/fd/{}", theirs.as_raw_fd())).unwrap_or_default();
    // SAFETY: a descriptor of ours, and a NUL-terminated string that outlives the call.
    let opened = unsafe {
        let access = libc::fcntl(theirs.as_raw_fd(), libc::F_GETFL) & (libc::O_ACCMODE | libc::O_PATH);
        libc::open(path.as_ptr(), access | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY)
    };
    if opened < 0 {
        return Ok((theirs, false));
    }
    // SAFETY: the descriptor is new, so nobody else owns it.
    let ours = unsafe { File::from_raw_fd(opened) };
    // Something else may be mounted over /proc.
    if inspect(&ours).is_ok_and(|facts| facts.identity == identity) {
        Ok((ours, true))
    } else {
        Ok((theirs, false))
    }
}
