//! The fault guard on Windows: reading and writing mapped memory so that a page the system cannot supply is an
//! error of the call, not the end of the process. Run by this project's own CI under wine only.
//!
//! The system raises `EXCEPTION_IN_PAGE_ERROR` there (a failing disk, a share that is gone, a full disk; a mapped file
//! cannot be truncated here). Rust has no `__try`, so [`touching`] goes through a few lines of assembly that note where
//! the stack stands, and a vectored handler sends the thread back there. What stands between, the copying and searching
//! itself, owns nothing that would have to be dropped.
//!
//! A store or load of V8's own, through a view, is in no such call: it is answered as without us.

use std::arch::global_asm;
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::EXCEPTION_IN_PAGE_ERROR;
use windows_sys::Win32::System::Diagnostics::Debug::{AddVectoredExceptionHandler, CONTEXT, EXCEPTION_POINTERS};

use crate::guard;

const CONTINUE_SEARCH: i32 = 0;
const CONTINUE_EXECUTION: i32 = -1;

/// Where a thread goes on that was refused a page.
#[repr(C)]
struct Landing {
    stack: usize,
    code: usize,
}

thread_local! {
    /// Of the innermost [`touching`] of this thread; null outside of one.
    static LANDING: Cell<*const Landing> = const { Cell::new(ptr::null()) };
}

unsafe extern "C-unwind" {
    /// Calls `work(data)` and returns 0. 1 if it was broken off, which the handler does by loading `landing`.
    fn memmap_call_to_landing(
        work: unsafe extern "C-unwind" fn(*mut c_void),
        data: *mut c_void,
        landing: *mut Landing,
    ) -> u32;
}

// All registers that a function must preserve are on the stack while `work` runs, and are taken from there at the
// landing. The directives describe the frame for whoever walks the stack.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl memmap_call_to_landing",
    ".seh_proc memmap_call_to_landing",
    "memmap_call_to_landing:",
    "push rbp",
    ".seh_pushreg rbp",
    "push rbx",
    ".seh_pushreg rbx",
    "push rdi",
    ".seh_pushreg rdi",
    "push rsi",
    ".seh_pushreg rsi",
    "push r12",
    ".seh_pushreg r12",
    "push r13",
    ".seh_pushreg r13",
    "push r14",
    ".seh_pushreg r14",
    "push r15",
    ".seh_pushreg r15",
    "sub rsp, 200",
    ".seh_stackalloc 200",
    "movaps [rsp + 32], xmm6",
    ".seh_savexmm xmm6, 32",
    "movaps [rsp + 48], xmm7",
    ".seh_savexmm xmm7, 48",
    "movaps [rsp + 64], xmm8",
    ".seh_savexmm xmm8, 64",
    "movaps [rsp + 80], xmm9",
    ".seh_savexmm xmm9, 80",
    "movaps [rsp + 96], xmm10",
    ".seh_savexmm xmm10, 96",
    "movaps [rsp + 112], xmm11",
    ".seh_savexmm xmm11, 112",
    "movaps [rsp + 128], xmm12",
    ".seh_savexmm xmm12, 128",
    "movaps [rsp + 144], xmm13",
    ".seh_savexmm xmm13, 144",
    "movaps [rsp + 160], xmm14",
    ".seh_savexmm xmm14, 160",
    "movaps [rsp + 176], xmm15",
    ".seh_savexmm xmm15, 176",
    ".seh_endprologue",
    "mov [r8], rsp",
    "lea rax, [rip + 2f]",
    "mov [r8 + 8], rax",
    "mov rax, rcx",
    "mov rcx, rdx",
    "call rax",
    "xor eax, eax",
    "2:",
    "movaps xmm6, [rsp + 32]",
    "movaps xmm7, [rsp + 48]",
    "movaps xmm8, [rsp + 64]",
    "movaps xmm9, [rsp + 80]",
    "movaps xmm10, [rsp + 96]",
    "movaps xmm11, [rsp + 112]",
    "movaps xmm12, [rsp + 128]",
    "movaps xmm13, [rsp + 144]",
    "movaps xmm14, [rsp + 160]",
    "movaps xmm15, [rsp + 176]",
    "add rsp, 200",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rsi",
    "pop rdi",
    "pop rbx",
    "pop rbp",
    "ret",
    ".seh_endproc",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl memmap_call_to_landing",
    ".seh_proc memmap_call_to_landing",
    "memmap_call_to_landing:",
    "stp x29, x30, [sp, #-160]!",
    ".seh_save_fplr_x 160",
    "stp x19, x20, [sp, #16]",
    ".seh_save_regp x19, 16",
    "stp x21, x22, [sp, #32]",
    ".seh_save_regp x21, 32",
    "stp x23, x24, [sp, #48]",
    ".seh_save_regp x23, 48",
    "stp x25, x26, [sp, #64]",
    ".seh_save_regp x25, 64",
    "stp x27, x28, [sp, #80]",
    ".seh_save_regp x27, 80",
    "stp d8, d9, [sp, #96]",
    ".seh_save_fregp d8, 96",
    "stp d10, d11, [sp, #112]",
    ".seh_save_fregp d10, 112",
    "stp d12, d13, [sp, #128]",
    ".seh_save_fregp d12, 128",
    "stp d14, d15, [sp, #144]",
    ".seh_save_fregp d14, 144",
    ".seh_endprologue",
    "mov x9, sp",
    "adr x10, 2f",
    "stp x9, x10, [x2]",
    "mov x8, x0",
    "mov x0, x1",
    "blr x8",
    "mov w0, #0",
    "2:",
    ".seh_startepilogue",
    "ldp d14, d15, [sp, #144]",
    ".seh_save_fregp d14, 144",
    "ldp d12, d13, [sp, #128]",
    ".seh_save_fregp d12, 128",
    "ldp d10, d11, [sp, #112]",
    ".seh_save_fregp d10, 112",
    "ldp d8, d9, [sp, #96]",
    ".seh_save_fregp d8, 96",
    "ldp x27, x28, [sp, #80]",
    ".seh_save_regp x27, 80",
    "ldp x25, x26, [sp, #64]",
    ".seh_save_regp x25, 64",
    "ldp x23, x24, [sp, #48]",
    ".seh_save_regp x23, 48",
    "ldp x21, x22, [sp, #32]",
    ".seh_save_regp x21, 32",
    "ldp x19, x20, [sp, #16]",
    ".seh_save_regp x19, 16",
    "ldp x29, x30, [sp], #160",
    ".seh_save_fplr_x 160",
    ".seh_endepilogue",
    "ret",
    ".seh_endproc",
);

/// Installs the handler, once.
///
/// # References
/// - [AddVectoredExceptionHandler](https://learn.microsoft.com/windows/win32/api/errhandlingapi/nf-errhandlingapi-addvectoredexceptionhandler)
pub fn install_guard() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        // SAFETY: the handler's image is pinned before anything is mapped, so nobody can unload it.
        unsafe { !AddVectoredExceptionHandler(1, Some(handler)).is_null() }
    })
}

/// Does work on mapped memory; none if a page of it could not be supplied, whose region is flagged then.
///
/// Work that is broken off is left where it stands: what it made is not dropped. It must own nothing.
pub fn touching<R>(work: impl FnOnce() -> R) -> Option<R> {
    /// Puts back what was there, also if the work panics.
    struct Before(*const Landing);
    impl Drop for Before {
        fn drop(&mut self) {
            LANDING.set(self.0);
        }
    }
    unsafe extern "C-unwind" fn run<R, W: FnOnce() -> R>(data: *mut c_void) {
        // SAFETY: `touching` passes the address of its own pair, which outlives the call.
        let (work, result) = unsafe { &mut *data.cast::<(Option<W>, Option<R>)>() };
        *result = work.take().map(|work| work());
    }
    fn runner<R, W: FnOnce() -> R>(_: &W) -> unsafe extern "C-unwind" fn(*mut c_void) {
        run::<R, W>
    }
    let run = runner::<R, _>(&work);
    let mut pair = (Some(work), None::<R>);
    let mut landing = Landing { stack: 0, code: 0 };
    let place = &raw mut landing;
    // Before the call fills it nothing is touched, so nobody can be sent to an empty one.
    let _before = Before(LANDING.replace(place));
    // SAFETY: `run` takes the pair's address; the landing outlives the call. The handler sends only this thread there,
    // and only while the call is under way, since `_before` takes the landing away after it.
    let broken_off = unsafe { memmap_call_to_landing(run, (&raw mut pair).cast(), place) } != 0;
    if broken_off {
        return None;
    }
    pair.1
}

unsafe extern "system" fn handler(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system hands its handlers valid pointers; an in-page error has the address in its second word.
    unsafe {
        let record = &*(*pointers).ExceptionRecord;
        if record.ExceptionCode != EXCEPTION_IN_PAGE_ERROR || record.NumberParameters < 2 {
            return CONTINUE_SEARCH;
        }
        let landing = LANDING.get();
        if landing.is_null() || !guard::note(record.ExceptionInformation[1]) {
            return CONTINUE_SEARCH;
        }
        // As at the call's end: `touching` gets its stack back, and is told 1.
        resume_at(&mut *(*pointers).ContextRecord, &*landing);
        CONTINUE_EXECUTION
    }
}

#[cfg(target_arch = "x86_64")]
fn resume_at(context: &mut CONTEXT, landing: &Landing) {
    /// A copy that runs backwards may have been broken off.
    const DIRECTION_FLAG: u32 = 0x400;
    context.Rsp = landing.stack as u64;
    context.Rip = landing.code as u64;
    context.Rax = 1;
    context.EFlags &= !DIRECTION_FLAG;
}

#[cfg(target_arch = "aarch64")]
fn resume_at(context: &mut CONTEXT, landing: &Landing) {
    context.Sp = landing.stack as u64;
    context.Pc = landing.code as u64;
    context.Anonymous.Anonymous.X0 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Guarded, GuardedRange};
    use crate::mapping::{Backing, MapRequest};
    use crate::status::{StatusCell, FAULTED};
    use crate::{Access, Error, ErrorKind, Mapping};
    use std::sync::atomic::Ordering;
    use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;

    const STATUS_DEVICE_DATA_ERROR: usize = 0xC000_009C;

    /// As the system does where a disk fails: no disk here can be made to.
    fn fail_at(address: usize) {
        let words = [0, address, STATUS_DEVICE_DATA_ERROR];
        // SAFETY: three words, as said.
        unsafe { RaiseException(EXCEPTION_IN_PAGE_ERROR as u32, 0, 3, words.as_ptr()) };
    }

    #[test]
    fn work_on_a_page_that_cannot_be_supplied_is_broken_off() {
        assert!(install_guard());
        let memory = vec![0_u8; 3 * 4096];
        let start = (memory.as_ptr() as usize).next_multiple_of(4096);
        let cell = StatusCell::take().unwrap();
        let range = GuardedRange { start, len: 8192, descriptor: None, position: 0, writable: true };
        // SAFETY: nothing is ever replaced in a range here.
        let guarded = unsafe { Guarded::new(range, cell.word()) };
        assert_eq!(touching(|| 7), Some(7));
        assert_eq!(guarded.first_fault(), None);

        // Values that the compiler keeps in registers across the calls must be what they were.
        let (mut sum, mut fraction) = (0_usize, 0.5_f64);
        for round in 1..=1000_usize {
            let reached = Cell::new(false);
            let outcome = touching(|| {
                let inner = touching(|| round);
                reached.set(inner == Some(round));
                fail_at(start + 4096 + round % 4096);
                reached.set(false);
                round
            });
            assert_eq!(outcome, None);
            assert!(reached.get());
            sum += round;
            fraction *= 1.000_1;
        }
        assert_eq!(sum, 500_500);
        assert!((fraction - 0.5 * 1.000_1_f64.powi(1000)).abs() < 1e-9);
        assert_eq!(guarded.first_fault(), Some(4097));
        assert_ne!(cell.word().load(Ordering::SeqCst) & FAULTED, 0);
        assert_eq!(touching(|| 8), Some(8));
        assert!(LANDING.get().is_null());
    }

    #[test]
    fn a_region_whose_disk_fails_says_so_from_then_on() {
        let path = std::env::temp_dir().join(format!("memmap-faults-{}", std::process::id()));
        std::fs::write(&path, [7; 10_000]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let request = MapRequest {
            backing: Backing::File(&file),
            kept_open: true,
            offset: 0,
            len: 10_000,
            access: Access::Read,
            huge_pages: false,
            guard: true,
            kind: "MmapFile",
            label: Some(&path),
        };
        let mapping = Mapping::new(request).unwrap();
        let mut target = [0; 10];
        mapping.read(5000, &mut target).unwrap();
        assert_eq!(target, [7; 10]);
        let failing = mapping.touch(|| fail_at(mapping.address(5000) as usize)).map_err(Error::into_kind);
        assert!(matches!(failing, Err(ErrorKind::Faulted { offset: 5000, .. })), "{failing:?}");
        let fault = mapping.fault().unwrap();
        assert_eq!((fault.offset, fault.len, fault.cause.name()), (5000, 8192 - 5000, "io"));
        assert!(matches!(mapping.read(0, &mut target).map_err(Error::into_kind), Err(ErrorKind::Faulted { .. })));
        assert!(matches!(mapping.count(0, 10, b"x").map_err(Error::into_kind), Err(ErrorKind::Faulted { .. })));
        drop(mapping);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn work_that_panics_leaves_no_landing_behind() {
        let outcome = std::panic::catch_unwind(|| touching(|| std::panic::resume_unwind(Box::new(3))).unwrap_or(4));
        assert_eq!(outcome.unwrap_err().downcast_ref::<i32>(), Some(&3));
        assert!(LANDING.get().is_null());
    }
}
