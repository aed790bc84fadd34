//! SIGBUS that is none of our business goes where it would have gone without us.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::c_int;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use common::{dies_of_sigbus, lives, open, page, Folder};
use memmap_core::{Access, Region};

type WithInfo = extern "C" fn(c_int, *mut libc::siginfo_t, *mut libc::c_void);

static CALLS: AtomicU32 = AtomicU32::new(0);
static CODE: AtomicI32 = AtomicI32::new(i32::MIN);
static NEXT: AtomicUsize = AtomicUsize::new(0);

fn set(action: usize, flags: c_int) -> usize {
    // SAFETY: zeroed sigactions are valid; callers hand in handlers that fit the flags.
    unsafe {
        let mut ours: libc::sigaction = std::mem::zeroed();
        let mut old: libc::sigaction = std::mem::zeroed();
        ours.sa_sigaction = action;
        ours.sa_flags = flags | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGBUS, &raw const ours, &raw mut old), 0);
        old.sa_sigaction
    }
}

extern "C" fn with_info(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel's own information.
    CODE.store(unsafe { (*info).si_code }, Ordering::SeqCst);
    CALLS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn plain(_signal: c_int) {
    CALLS.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn says_so(_signal: c_int) {
    // SAFETY: write(2) may be called in a handler.
    unsafe { libc::write(1, c"<theirs>".as_ptr().cast(), 8) };
}

/// A handler that calls the one it replaced.
extern "C" fn hands_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    CALLS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: set by the test to the address of a handler with information.
    let next: WithInfo = unsafe { std::mem::transmute(NEXT.load(Ordering::SeqCst)) };
    next(signal, info, context);
}

fn send() {
    // SAFETY: a signal to this process itself.
    assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGBUS) }, 0);
}

/// Sends a signal and waits for it: another thread may be the one that gets it.
fn send_and_wait(calls: u32) {
    send();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while CALLS.load(Ordering::SeqCst) < calls && std::time::Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert_eq!(CALLS.load(Ordering::SeqCst), calls);
}

/// Opens a region, so that our handler is there; its file is gone from the disk already.
fn region() -> Region {
    let folder = Folder::new();
    open(&folder.file("f", &vec![1; 4 * page()]), Access::Read)
}

fn shrinking_region(folder: &Folder, name: &str) -> Region {
    let path = folder.file(name, &vec![1; 4 * page()]);
    let file = open(&path, Access::Read);
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    file
}

fn touch(file: &Region) {
    // SAFETY: inside the region; the guard answers for its pages.
    assert_eq!(unsafe { file.mapping().address(page() + 3).read_volatile() }, 0);
    assert!(file.mapping().faulted());
}

/// A page that vanished under a map that is none of ours.
fn foreign_fault() {
    let map = {
        let folder = Folder::new();
        let path: &Path = &folder.file("f", &vec![1; 4 * page()]);
        let file = File::options().read(true).write(true).open(path).unwrap();
        let map = memmap2::MmapOptions::new().map_raw(&file).unwrap();
        file.set_len(0).unwrap();
        map
    };
    // SAFETY: inside the map; that there is no page is the test.
    unsafe { map.as_ptr().read_volatile() };
}

#[test]
fn a_signal_that_was_sent_ends_the_process_as_without_us() {
    dies_of_sigbus("a_signal_that_was_sent_ends_the_process_as_without_us", || {
        set(libc::SIG_DFL, 0);
        let _region = region();
        send();
        std::thread::sleep(std::time::Duration::from_secs(5));
    });
}

#[test]
fn a_fault_elsewhere_ends_the_process_as_without_us() {
    dies_of_sigbus("a_fault_elsewhere_ends_the_process_as_without_us", || {
        set(libc::SIG_DFL, 0);
        let _region = region();
        foreign_fault();
    });
}

#[test]
fn a_signal_that_was_sent_is_ignored_where_it_was_ignored() {
    lives("a_signal_that_was_sent_is_ignored_where_it_was_ignored", || {
        set(libc::SIG_IGN, 0);
        let folder = Folder::new();
        let file = shrinking_region(&folder, "f");
        send();
        touch(&file);
        send();
    });
}

#[test]
fn a_fault_elsewhere_cannot_be_ignored() {
    dies_of_sigbus("a_fault_elsewhere_cannot_be_ignored", || {
        set(libc::SIG_IGN, 0);
        let _region = region();
        foreign_fault();
    });
}

#[test]
fn a_handler_that_was_there_first_gets_what_is_not_ours() {
    lives("a_handler_that_was_there_first_gets_what_is_not_ours", || {
        set(with_info as *const () as usize, libc::SA_SIGINFO);
        let folder = Folder::new();
        touch(&shrinking_region(&folder, "f"));
        assert_eq!(CALLS.load(Ordering::SeqCst), 0, "that one was ours");
        send_and_wait(1);
        assert_eq!(CODE.load(Ordering::SeqCst), libc::SI_USER);
        touch(&shrinking_region(&folder, "g"));
        send_and_wait(2);
    });
}

#[test]
fn a_handler_of_the_old_kind_gets_what_is_not_ours() {
    lives("a_handler_of_the_old_kind_gets_what_is_not_ours", || {
        set(plain as *const () as usize, 0);
        let folder = Folder::new();
        touch(&shrinking_region(&folder, "f"));
        send_and_wait(1);
        send_and_wait(2);
    });
}

#[test]
fn a_handler_for_one_signal_gets_one() {
    let said = dies_of_sigbus("a_handler_for_one_signal_gets_one", || {
        set(says_so as *const () as usize, libc::SA_RESETHAND);
        let _region = region();
        // It returns, the access is tried again, and this time nobody is there.
        foreign_fault();
    });
    if let Some(said) = said {
        assert_eq!(said.matches("<theirs>").count(), 1, "{said}");
    }
}

/// Who is in front is looked at once in a tick of the coarse clock, which is 10 ms at most.
fn next_tick() {
    std::thread::sleep(std::time::Duration::from_millis(25));
}

#[test]
fn a_handler_that_replaced_ours_is_behind_it_again_at_the_next_open() {
    lives("a_handler_that_replaced_ours_is_behind_it_again_at_the_next_open", || {
        let _region = region();
        set(with_info as *const () as usize, libc::SA_SIGINFO);
        next_tick();
        let folder = Folder::new();
        touch(&shrinking_region(&folder, "f"));
        assert_eq!(CALLS.load(Ordering::SeqCst), 0);
        send_and_wait(1);
    });
}

#[test]
fn reinstalled_the_guard_is_in_front_again_without_another_open() {
    lives("reinstalled_the_guard_is_in_front_again_without_another_open", || {
        set(with_info as *const () as usize, libc::SA_SIGINFO);
        memmap_core::sys::reinstall_guard();
        assert_eq!(
            set(libc::SIG_DFL, 0),
            with_info as *const () as usize,
            "it was never installed, so nothing is put back"
        );
        let folder = Folder::new();
        let files = ["f", "g", "h"].map(|name| shrinking_region(&folder, name));
        for (file, calls) in files[..2].iter().zip(1..) {
            set(with_info as *const () as usize, libc::SA_SIGINFO);
            memmap_core::sys::reinstall_guard();
            touch(file);
            assert_eq!(CALLS.load(Ordering::SeqCst), calls - 1);
            send_and_wait(calls);
        }
        // As libuv does after its last listener.
        set(libc::SIG_DFL, 0);
        memmap_core::sys::reinstall_guard();
        touch(&files[2]);
    });
}

#[test]
fn a_handler_that_calls_ours_and_is_called_by_ours_does_not_go_round_for_ever() {
    dies_of_sigbus("a_handler_that_calls_ours_and_is_called_by_ours_does_not_go_round_for_ever", || {
        set(libc::SIG_DFL, 0);
        let _region = region();
        let ours = set(hands_on as *const () as usize, libc::SA_SIGINFO);
        NEXT.store(ours, Ordering::SeqCst);
        next_tick();
        let folder = Folder::new();
        let file = shrinking_region(&folder, "f");
        touch(&file);
        assert_eq!(CALLS.load(Ordering::SeqCst), 0, "ours is in front");
        drop((file, folder));
        send();
        std::thread::sleep(std::time::Duration::from_secs(5));
    });
}

#[test]
fn errno_is_the_interrupted_codes_own() {
    lives("errno_is_the_interrupted_codes_own", || {
        let folder = Folder::new();
        let file = shrinking_region(&folder, "f");
        // The region is gone, somebody holds its memory: the handler asks a closed descriptor, which fails.
        let held = std::sync::Arc::clone(file.mapping());
        drop(file);
        // SAFETY: this thread's own errno; the page is the guard's to supply.
        let errno = unsafe {
            *libc::__errno_location() = 1234;
            held.address(0).read_volatile();
            *libc::__errno_location()
        };
        assert_eq!(errno, 1234);
        assert!(held.faulted());
    });
}
