//! The signal handler of the fault guard on Linux and macOS.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::unix::page_size;
use crate::guard;

/// Who handled `SIGBUS` before us. Boxes are leaked: a handler on another thread may be reading one.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());
/// Signals that are just being passed on, by the address of what the kernel says of them.
static PASSING: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];
static INSTALLING: Mutex<()> = Mutex::new(());
/// Whether our handler was ever put in place.
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// The tick in which it was seen there last.
static LOOKED: AtomicU64 = AtomicU64::new(0);
/// "Action optional": broken memory that nobody has touched yet; as sigaction(2) on Linux has it.
const BUS_MCEERR_AO: libc::c_int = 5;

/// Installs our handler, or puts it back in front where somebody replaced it (`process.on('SIGBUS')`
/// makes libuv do so). Looks at most once in a tick of the system's coarse clock (1 to 10 ms), since looking is a system call
/// and this is in the way of every mapping; who knows of a change calls [`reinstall`].
///
/// # References
/// - [sigaction(2)](https://man7.org/linux/man-pages/man2/sigaction.2.html)
pub fn install() -> bool {
    let tick = tick();
    if tick != 0 && LOOKED.load(Ordering::Acquire) == tick {
        return true;
    }
    let done = look();
    if done {
        LOOKED.store(tick, Ordering::Release);
    }
    done
}

/// The present tick of the coarse clock; 0 where there is none. No system call.
///
/// # References
/// - [clock_gettime(2)](https://man7.org/linux/man-pages/man2/clock_gettime.2.html), `CLOCK_MONOTONIC_COARSE`
#[cfg(target_os = "linux")]
fn tick() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) } != 0 {
        return 0;
    }
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[cfg(target_os = "macos")]
fn tick() -> u64 {
    0
}

fn look() -> bool {
    if current().sa_sigaction == address() {
        return true;
    }
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let current = self::current();
    if current.sa_sigaction == address() {
        return true;
    }
    page_size(); // the handler must not be the first to ask
    PREVIOUS.store(Box::leak(Box::new(current)), Ordering::Release);
    // SAFETY: an all-zero sigaction is a valid one; the handler below is async-signal-safe, and the
    // image that holds it is pinned before this is called.
    unsafe {
        let mut ours: libc::sigaction = MaybeUninit::zeroed().assume_init();
        ours.sa_sigaction = address();
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigemptyset(&raw mut ours.sa_mask);
        let done = libc::sigaction(libc::SIGBUS, &raw const ours, ptr::null_mut()) == 0;
        INSTALLED.fetch_or(done, Ordering::AcqRel);
        done
    }
}

/// As [`install`] where our handler was in place already, but looks in any case: somebody has just changed what becomes of
/// the signal, or all depends on it. Whether it is in place.
pub fn reinstall() -> bool {
    INSTALLED.load(Ordering::Acquire) && look()
}

/// Does work on mapped memory. A page that cannot be supplied is replaced under it, so that it always ends.
pub fn touching<R>(work: impl FnOnce() -> R) -> Option<R> {
    Some(work())
}

fn address() -> usize {
    handler as *const () as usize
}

fn current() -> libc::sigaction {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: sigaction fills the structure; an all-zero one is valid if it could not.
    unsafe {
        libc::sigaction(libc::SIGBUS, ptr::null(), current.as_mut_ptr());
        current.assume_init()
    }
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: errno is this thread's own, and so is the information the kernel hands to its handler.
    unsafe {
        let errno = errno_location();
        let saved = *errno;
        let ours = failed_granule(&*info).is_some_and(|granule| guard::supply((*info).si_addr() as usize, granule));
        if !ours {
            pass_on(signal, info, context);
        }
        *errno = saved;
    }
}

/// Size of the unit that could not be supplied; none for a signal that no access of memory raised
/// (`kill -BUS`) and for broken memory, which we must not paper over.
#[cfg(target_os = "linux")]
fn failed_granule(info: &libc::siginfo_t) -> Option<usize> {
    // The kernel's siginfo has the size's logarithm behind the address; libc's type does not name it.
    #[repr(C)]
    struct Fault {
        signal: libc::c_int,
        errno: libc::c_int,
        code: libc::c_int,
        _padding: libc::c_int,
        address: *mut libc::c_void,
        address_lsb: libc::c_short,
    }
    if info.si_code != libc::BUS_ADRERR {
        return None;
    }
    // SAFETY: siginfo_t is 128 bytes and laid out so for SIGBUS (see sigaction(2)).
    let lsb = unsafe { (*ptr::from_ref(info).cast::<Fault>()).address_lsb };
    let granule = 1_usize.checked_shl(u32::try_from(lsb).unwrap_or(0)).unwrap_or(0);
    Some(granule.max(page_size()))
}

/// As on Linux; macOS says neither the size nor, reliably, the reason.
#[cfg(target_os = "macos")]
fn failed_granule(info: &libc::siginfo_t) -> Option<usize> {
    // 0x10001 and up: sent by kill(2), raise(3) and the like.
    (info.si_code < 0x10001 && !info.si_addr.is_null()).then(page_size)
}

#[cfg(target_os = "linux")]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: always valid for the calling thread.
    unsafe { libc::__errno_location() }
}

#[cfg(target_os = "macos")]
unsafe fn errno_location() -> *mut libc::c_int {
    // SAFETY: always valid for the calling thread.
    unsafe { libc::__error() }
}

/// Somebody else's signal: their handler, or what would have happened without us.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: PREVIOUS is null or a leaked sigaction that the system gave us; its handler expects just
    // these arguments, and calling it here is what the kernel would have done.
    unsafe {
        let previous = PREVIOUS.load(Ordering::Acquire);
        let (action, flags) = match previous.as_ref() {
            Some(previous) => (previous.sa_sigaction, previous.sa_flags),
            None => (libc::SIG_DFL, 0),
        };
        // A handler installed after ours that calls ours, and before which we put ourselves again, would
        // send the signal round for ever: the second time it comes by, it is nobody's.
        let pass = Pass::begin(info as usize);
        if action != libc::SIG_DFL && action != libc::SIG_IGN && pass.is_some() {
            if flags & libc::SA_RESETHAND != 0 {
                // Once only, its owner said, and counts on the default action when the access is tried again.
                let _ = PREVIOUS.compare_exchange(previous, ptr::null_mut(), Ordering::AcqRel, Ordering::Relaxed);
            }
            if flags & libc::SA_SIGINFO != 0 {
                let call: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
                    std::mem::transmute(action);
                call(signal, info, context);
            } else {
                let call: extern "C" fn(libc::c_int) = std::mem::transmute(action);
                call(signal);
            }
            return;
        }
        // An access that raises a signal cannot ignore it.
        if action == libc::SIG_IGN && sent_by_process(&*info) {
            return;
        }
        let mut default: libc::sigaction = MaybeUninit::zeroed().assume_init();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &raw const default, ptr::null_mut());
        if !comes_again(&*info) {
            // Arrives when this handler returns.
            libc::raise(signal);
        }
    }
}

struct Pass(&'static AtomicUsize);

impl Pass {
    fn begin(info: usize) -> Option<Self> {
        if PASSING.iter().any(|place| place.load(Ordering::Acquire) == info) {
            return None;
        }
        let free = |place: &&AtomicUsize| place.compare_exchange(0, info, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        PASSING.iter().find(free).map(Self)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

fn sent_by_process(info: &libc::siginfo_t) -> bool {
    if cfg!(target_os = "linux") {
        info.si_code <= 0
    } else {
        info.si_code >= 0x10001
    }
}

/// Whether the signal is certain to be raised again by the access that raised it, when this handler returns.
fn comes_again(info: &libc::siginfo_t) -> bool {
    // macOS is not to be relied on for the reason. Linux also tells of memory found broken in the background.
    cfg!(target_os = "linux") && info.si_code > 0 && info.si_code != BUS_MCEERR_AO
}
