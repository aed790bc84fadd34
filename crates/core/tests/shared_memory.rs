//! Shared and private memory, by its name, by a handle, and through changes of length and protection.

use std::sync::atomic::{AtomicU32, Ordering};

use memmap_core::region::Kind;
use memmap_core::shared_memory::{self, NameOptions};
use memmap_core::{handle, private_memory, sys, Access, Protection, Region, Result};

const OPTIONS: NameOptions = NameOptions { mode: 0o600, unlink_on_close: false };

/// A name nobody has, removed at the end.
struct Name(String);

impl Name {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
        Self(format!("mm-{}-{}-{now}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = shared_memory::unlink(&self.0);
    }
}

fn code<T>(outcome: Result<T>) -> &'static str {
    outcome.err().map_or("none", |error| error.code())
}

fn content(region: &Region, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; len];
    region.mapping().read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn the_same_name_is_the_same_memory_and_another_name_is_other_memory() {
    let (name, other) = (Name::new(), Name::new());
    let mine = shared_memory::create(&name.0, 5000, OPTIONS).unwrap();
    assert_eq!(content(&mine, 5000), [0; 5000]);
    let theirs = shared_memory::open(&name.0, Access::Write, Some(5000)).unwrap();
    theirs.mapping().write(4990, b"theirs").unwrap();
    assert_eq!(&content(&mine, 5000)[4990..4996], b"theirs");
    let elsewhere = shared_memory::create(&other.0, 5000, OPTIONS).unwrap();
    assert_eq!(content(&elsewhere, 5000), [0; 5000]);
    assert_eq!(code(shared_memory::create(&name.0, 5000, OPTIONS)), "EEXIST");
    assert!(!shared_memory::open_or_create(&name.0, 5000, OPTIONS).unwrap().created);
}

#[test]
fn a_length_that_is_not_the_memorys_is_refused() {
    let name = Name::new();
    let _mine = shared_memory::create(&name.0, 5000, OPTIONS).unwrap();
    assert_eq!(code(shared_memory::open(&name.0, Access::Write, Some(50_000))), "ERR_OUT_OF_RANGE");
    assert_eq!(code(shared_memory::open(&name.0, Access::Write, Some(10))), "ERR_OUT_OF_RANGE");
    let there = shared_memory::open(&name.0, Access::Read, None).unwrap().mapping().len();
    if sys::NAMED_LENGTHS_ARE_EXACT {
        assert_eq!(there, 5000);
    } else {
        assert_eq!(there, 5000_usize.next_multiple_of(sys::page_size()));
    }
}

#[test]
fn names_that_some_system_cannot_have_are_refused_everywhere() {
    let long = "x".repeat(31);
    for name in ["", ".", "..", "a/b", "/a", "a\\b", "a b", "ä", "a\0b", &long] {
        assert_eq!(code(shared_memory::create(name, 10, OPTIONS)), "ERR_INVALID_ARG_VALUE", "{name:?}");
        assert_eq!(code(shared_memory::open(name, Access::Read, None)), "ERR_INVALID_ARG_VALUE", "{name:?}");
        assert_eq!(code(shared_memory::unlink(name)), "ERR_INVALID_ARG_VALUE", "{name:?}");
    }
    let missing = Name::new();
    assert_eq!(code(shared_memory::open(&missing.0, Access::Read, None)), "ENOENT");
    assert_eq!(code(shared_memory::unlink(&missing.0)), "ENOENT");
    assert_eq!(code(shared_memory::create(&missing.0, 0, OPTIONS)), "ERR_OUT_OF_RANGE");
}

#[test]
fn a_handle_gives_the_same_memory_until_its_sender_is_closed() {
    let mut sender = shared_memory::anonymous(70_000, false).unwrap();
    let (number, secret) = sender.share().unwrap();
    let receiver = handle::attach(Kind::SharedMemory, number, secret).unwrap().unwrap();
    receiver.mapping().write(69_999, b"!").unwrap();
    assert_eq!(content(&sender, 70_000)[69_999], b'!');
    assert!(handle::attach(Kind::SharedMemory, number, secret ^ 1).unwrap().is_none());
    assert!(handle::attach(Kind::MmapFile, number, secret).is_err());
    sender.close();
    assert!(handle::attach(Kind::SharedMemory, number, secret).unwrap().is_none());
    assert_eq!(content(&receiver, 70_000)[69_999], b'!');
    assert_eq!(code(private_memory::allocate(10, Default::default()).unwrap().share()), "ERR_INVALID_STATE");
}

#[test]
fn private_memory_keeps_its_content_through_lengths_and_protections() {
    let mut region =
        private_memory::allocate(10_000, private_memory::AllocateOptions { wipe: true, ..Default::default() }).unwrap();
    region.mapping().write(0, b"kept").unwrap();
    for len in [100_000, 4, 10_000] {
        region.resize(len).unwrap().close();
        let bytes = content(&region, len as usize);
        assert_eq!(&bytes[..4], b"kept");
        assert!(bytes[4..].iter().all(|&byte| byte == 0));
    }
    assert_eq!(code(region.resize(0)), "ERR_OUT_OF_RANGE");
    for protection in [Protection::Read, Protection::None, Protection::Write, Protection::None, Protection::Read] {
        region.protect(protection).unwrap().close();
        let written = region.mapping().write(0, b"kept");
        assert_eq!(written.is_ok(), protection == Protection::Write);
        if protection == Protection::None {
            assert_eq!(code(region.mapping().read(0, &mut [0])), "ERR_INVALID_STATE");
        } else {
            assert_eq!(content(&region, 4), b"kept");
        }
    }
}

#[test]
fn memory_of_a_fixed_length_says_so() {
    let mut sealed = shared_memory::anonymous(5000, false).unwrap();
    assert_eq!(code(sealed.resize(6000)), "ERR_INVALID_STATE");
    let name = Name::new();
    let mut named = shared_memory::create(&name.0, 5000, OPTIONS).unwrap();
    match sys::NAMED_SIZING {
        memmap_core::region::Sizing::Allocated => {
            named.mapping().write(4999, b"!").unwrap();
            named.resize(50_000).unwrap().close();
            assert_eq!(content(&named, 50_000)[4999..5001], [b'!', 0]);
        }
        _ => assert_eq!(code(named.resize(50_000)), "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM"),
    }
}

#[test]
fn pages_can_be_brought_in_asked_for_and_kept() {
    let region = private_memory::allocate(1 << 20, Default::default()).unwrap();
    region.mapping().fill(0, 1 << 20, b"x").unwrap();
    region.prefetch(0, 1 << 20).run().unwrap();
    let there = region.residency(0, 1 << 20).unwrap();
    assert!(there.known);
    assert_eq!(there.pages, (1 << 20) / sys::page_size() as u64);
    assert_eq!(there.resident, there.pages);
    region.mapping().pin(10, 20).unwrap();
    region.mapping().unpin(10, 20).unwrap();
    assert!(region.mapping().advise(memmap_core::advice::Advice::Normal, 0, 1 << 20).unwrap());
    let lost = region.mapping().advise(memmap_core::advice::Advice::DontNeed, 0, 1 << 20);
    assert_eq!(code(lost), "ERR_INVALID_STATE");
}
