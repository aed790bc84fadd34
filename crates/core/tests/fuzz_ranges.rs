//! Any number at all as a position or a length, in every function that takes one: no panic, an error with a code or the right
//! answer, and not a byte changed beside the range.

mod common;
#[path = "common/fuzz.rs"]
mod fuzz;

use common::{all, numbered, open, options, Folder};
use fuzz::{hunt, number, Seen};
use memmap_core::advice::Advice;
use memmap_core::{mmap_file, private_memory, shared_memory, Access, Create, OpenOptions, Protection, Region, Source};
use proptest::prelude::*;

const LEN: usize = 20_000;
const ACCESSES: [Access; 3] = [Access::Read, Access::Write, Access::Copy];

#[derive(Debug, Clone)]
enum Call {
    Read(u64, usize),
    Write(u64, Vec<u8>),
    Fill(u64, usize, Vec<u8>),
    Move(u64, u64, usize),
    IndexOf(u64, u64),
    LastIndexOf(u64, u64),
    Count(u64, u64),
    IndexesOf(u64, u64, usize),
    Flush(usize, usize, bool),
    Advise(usize, usize),
    Prefetch(usize, usize),
    Residency(usize, usize),
    Pin(usize, usize),
    Unpin(usize, usize),
}

fn call() -> impl Strategy<Value = Call> {
    let n = || number(LEN as u64);
    let size = || number(LEN as u64).prop_map(|number| number as usize);
    let bytes = || prop::collection::vec(any::<u8>(), 0..5000);
    prop_oneof![
        // What is copied to must be there: no longer than what a caller can have.
        (n(), size()).prop_map(|(at, len)| Call::Read(at, len.min(3 * LEN))),
        (n(), bytes()).prop_map(|(at, bytes)| Call::Write(at, bytes)),
        (n(), size(), prop::collection::vec(any::<u8>(), 0..9)).prop_map(|(at, len, bytes)| Call::Fill(at, len, bytes)),
        (n(), n(), size()).prop_map(|(to, from, len)| Call::Move(to, from, len)),
        (n(), n()).prop_map(|(start, end)| Call::IndexOf(start, end)),
        (n(), n()).prop_map(|(start, end)| Call::LastIndexOf(start, end)),
        (n(), n()).prop_map(|(start, end)| Call::Count(start, end)),
        (n(), n(), 0..50_usize).prop_map(|(start, end, most)| Call::IndexesOf(start, end, most)),
        (size(), size(), any::<bool>()).prop_map(|(start, end, _)| Call::Flush(start, end, false)),
        (size(), size()).prop_map(|(start, end)| Call::Advise(start, end)),
        (size(), size()).prop_map(|(start, end)| Call::Prefetch(start, end)),
        (size(), size()).prop_map(|(start, end)| Call::Residency(start, end)),
        (size(), size()).prop_map(|(start, end)| Call::Pin(start, end)),
        (size(), size()).prop_map(|(start, end)| Call::Unpin(start, end)),
    ]
}

fn within(at: u64, len: usize, total: usize) -> bool {
    usize::try_from(at).ok().and_then(|at| at.checked_add(len)).is_some_and(|end| end <= total)
}

/// Does it to the region and to a copy of its bytes.
fn apply(seen: &Seen, region: &Region, model: &mut [u8], call: Call) {
    let mapping = region.mapping();
    let total = model.len();
    let mutable = mapping.access() != Access::Read;
    let changes = |may: bool, outcome: Result<(), memmap_core::Error>| {
        assert_eq!(seen.note(outcome).is_some(), may);
        may
    };
    let window =
        |start: u64, end: u64| within(start, usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX), total);
    match call {
        Call::Read(at, len) => {
            let mut bytes = vec![0; len];
            if changes(within(at, len, total), mapping.read(at, &mut bytes)) {
                assert_eq!(bytes, model[at as usize..][..len]);
            }
        }
        Call::Write(at, bytes) => {
            if changes(mutable && within(at, bytes.len(), total), mapping.write(at, &bytes)) {
                model[at as usize..][..bytes.len()].copy_from_slice(&bytes);
            }
        }
        Call::Fill(at, len, bytes) => {
            let may = mutable && within(at, len, total) && !bytes.is_empty();
            if changes(may, mapping.fill(at, len, &bytes)) {
                for (place, byte) in model[at as usize..][..len].iter_mut().zip(bytes.iter().cycle()) {
                    *place = *byte;
                }
            }
        }
        Call::Move(to, from, len) => {
            let may = mutable && within(to, len, total) && within(from, len, total);
            if changes(may, mapping.move_within(to, from, len)) {
                model.copy_within(from as usize..from as usize + len, to as usize);
            }
        }
        Call::IndexOf(start, end) => {
            let found = seen.note(mapping.index_of(start, end, &[7, 8]));
            assert_eq!(found.is_some(), window(start, end));
        }
        Call::LastIndexOf(start, end) => {
            let found = seen.note(mapping.last_index_of(start, end, &[7]));
            assert_eq!(found.is_some(), window(start, end));
        }
        Call::Count(start, end) => {
            if let Some(count) = seen.note(mapping.count(start, end, &[7])) {
                let part = &model[start as usize..end.max(start) as usize];
                assert_eq!(count as usize, part.iter().filter(|&&byte| byte == 7).count());
            }
        }
        Call::IndexesOf(start, end, most) => {
            let mut out = vec![-1.0; most + 1];
            if let Some(filled) = seen.note(mapping.indexes_of(start, end, &[], &mut out[..most])) {
                assert!(
                    filled <= most && out[..filled].iter().all(|&at| at >= start as f64 && at <= end.max(start) as f64)
                );
            }
            assert_eq!(out[most], -1.0, "nothing behind the end of the answer");
        }
        Call::Flush(start, end, wait) => {
            let outcome = seen.note(region.flush(start, end).run(wait));
            assert_eq!(outcome.is_some(), end <= total);
        }
        Call::Advise(start, end) => {
            for advice in [Advice::Normal, Advice::WillNeed, Advice::Cold, Advice::Random] {
                seen.note(mapping.advise(advice, start, end));
            }
        }
        Call::Prefetch(start, end) => {
            // Slices of a range without end would take for ever: lib/ clamps, and so does this.
            seen.note(region.prefetch(start, end.min(8 * LEN)).run());
        }
        Call::Residency(start, end) => {
            if let Some(residency) = seen.note(region.residency(start, end)) {
                assert!(residency.resident <= residency.pages && residency.pages <= 8);
                assert_eq!(residency.bits.len() as u64, residency.pages.div_ceil(8));
            }
        }
        Call::Pin(start, end) => {
            seen.note(mapping.pin(start, end));
        }
        Call::Unpin(start, end) => {
            seen.note(mapping.unpin(start, end));
        }
    }
}

#[test]
fn any_numbers_in_any_call_change_nothing_beside_the_range() {
    let folder = Folder::new();
    let path = folder.join("f");
    let before = 5001;
    let content = numbered(before + LEN + 5000);
    let strategy = (prop::sample::select(ACCESSES.to_vec()), prop::collection::vec(call(), 1..8));
    hunt("calls on a part of a file", 400, strategy, |seen, (access, calls)| {
        std::fs::write(&path, &content).unwrap();
        let wanted = OpenOptions { offset: before as u64, length: Some(LEN as u64), ..options(access) };
        let region = mmap_file::open(Source::Path(&path), wanted).unwrap();
        let mut model = content[before..][..LEN].to_vec();
        for call in calls {
            apply(seen, &region, &mut model, call);
        }
        assert!(all(region.mapping()) == model, "the region is as the model");
        region.close();
        let mut expected = content.clone();
        if access == Access::Write {
            expected[before..][..LEN].copy_from_slice(&model);
        }
        prop_assert!(std::fs::read(&path).unwrap() == expected, "the file is as the model, also beside the region");
        Ok(())
    });
}

#[test]
fn any_numbers_in_calls_on_memory_of_other_kinds() {
    let strategy = (any::<bool>(), prop::collection::vec(call(), 1..8));
    hunt("calls on memory without a file", 300, strategy, |seen, (shared, calls)| {
        let region = if shared {
            shared_memory::anonymous(LEN, false)
        } else {
            private_memory::allocate(LEN, private_memory::AllocateOptions::default())
        };
        let region = region.unwrap();
        let mut model = vec![0; LEN];
        for call in calls {
            apply(seen, &region, &mut model, call);
        }
        prop_assert!(all(region.mapping()) == model);
        Ok(())
    });
}

#[test]
fn any_offset_and_length_open_what_is_there_or_nothing() {
    let folder = Folder::new();
    let (path, fresh) = (folder.join("f"), folder.join("fresh"));
    let content = numbered(LEN);
    let strategy = (
        prop::sample::select(ACCESSES.to_vec()),
        number(LEN as u64),
        prop::option::of(number(LEN as u64)),
        any::<(bool, bool, bool)>(),
    );
    hunt("open", 400, strategy, |seen, (access, offset, length, (create, keep_open, huge_pages))| {
        // Sparse, and still no file of terabytes: file systems that have such lengths take them.
        let longest = 1 << 40;
        prop_assume!(length.is_none_or(|length| {
            offset.checked_add(length).is_none_or(|end| end <= longest || end > i64::MAX as u64)
        }));
        std::fs::write(&path, &content).unwrap();
        let wanted = OpenOptions {
            access,
            offset,
            length,
            sparse: true,
            keep_open,
            huge_pages,
            create: if create && access == Access::Write { Create::IfMissing } else { Create::No },
            ..OpenOptions::default()
        };
        let opened = seen.note(mmap_file::open(Source::Path(&path), wanted));
        let end = length.map_or(Some(LEN as u64), |length| offset.checked_add(length));
        let there = offset <= LEN as u64 && end.is_some_and(|end| end <= LEN as u64 && end >= offset);
        assert!(opened.is_some() || !there, "what is there can be opened");
        if let Some(region) = opened {
            let len = region.mapping().len() as u64;
            assert_eq!(len, length.unwrap_or_else(|| LEN as u64 - offset));
            assert!(there || access == Access::Write);
            if len > 0 {
                let mut byte = [9];
                region.mapping().read(len - 1, &mut byte).unwrap();
                let at = offset + len - 1;
                assert_eq!(byte[0], content.get(at as usize).copied().unwrap_or(0));
            }
        } else {
            prop_assert!(std::fs::read(&path).unwrap() == content, "what failed left the file as it was");
        }
        // Where there is no file, one that cannot be opened is not made.
        let made = mmap_file::open(Source::Path(&fresh), OpenOptions { offset: offset.min(longest), ..wanted });
        if seen.note(made).is_none() {
            prop_assert!(!fresh.exists());
        }
        let _ = std::fs::remove_file(&fresh);
        Ok(())
    });
}

#[test]
fn any_length_to_resize_to_and_any_protection() {
    let folder = Folder::new();
    let path = folder.join("f");
    let content = numbered(LEN);
    let protections = [Protection::None, Protection::Read, Protection::Write, Protection::Execute];
    let strategy = (
        prop::sample::select(ACCESSES.to_vec()),
        prop::collection::vec((number(LEN as u64), prop::option::of(prop::sample::select(protections.to_vec()))), 1..6),
    );
    hunt("resize and protect", 300, strategy, |seen, (access, steps)| {
        std::fs::write(&path, &content).unwrap();
        let mut region = mmap_file::open(Source::Path(&path), OpenOptions { sparse: true, ..options(access) }).unwrap();
        for (len, protection) in steps {
            let before = region.mapping().len();
            if len <= 1 << 33 || len > 1 << 62 {
                match seen.note(region.resize(len)) {
                    Some(_) => assert_eq!(region.mapping().len() as u64, len),
                    None => assert_eq!(region.mapping().len(), before),
                }
            }
            if region.mapping().len() < 10 * LEN {
                if let Some(protection) = protection {
                    if seen.note(region.protect(protection)).is_some() {
                        assert_eq!(region.mapping().protection(), protection);
                    }
                }
            }
            assert_eq!(std::fs::metadata(&path).unwrap().len(), region.mapping().len() as u64);
        }
        Ok(())
    });
}

#[test]
fn any_length_of_memory() {
    hunt("allocate", 300, (number(LEN as u64), any::<(bool, bool)>()), |seen, (len, (shared, growable))| {
        // Shared memory is allocated at once, and there is not so much of it.
        prop_assume!(!shared || len <= 1 << 24 || len > 1 << 50);
        let len = len as usize;
        let region = if shared {
            shared_memory::anonymous(len, growable)
        } else {
            private_memory::allocate(len, private_memory::AllocateOptions::default())
        };
        if let Some(region) = seen.note(region) {
            assert_eq!(region.mapping().len(), len);
            region.mapping().write(len as u64 - 1, &[1]).unwrap();
            assert!(region.mapping().write(len as u64, &[1]).is_err());
        }
        Ok(())
    });
}

#[test]
fn two_parts_of_a_file_see_the_same_bytes_at_any_offset() {
    let folder = Folder::new();
    let path = folder.file("f", &numbered(LEN));
    let whole = open(&path, Access::Read);
    hunt("offsets", 300, (number(LEN as u64), number(LEN as u64)), |seen, (offset, length)| {
        let wanted = OpenOptions { offset, length: Some(length), ..options(Access::Read) };
        if let Some(part) = seen.note(mmap_file::open(Source::Path(&path), wanted)) {
            let mut expected = vec![0; length as usize];
            whole.mapping().read(offset, &mut expected).unwrap();
            prop_assert!(part.mapping().equals(&expected).unwrap());
        }
        Ok(())
    });
}
