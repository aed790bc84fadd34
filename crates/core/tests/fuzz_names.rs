//! Any text as a name of shared memory, and any bytes as a path: what is no name is refused, and nothing is made.

mod common;
#[path = "common/fuzz.rs"]
mod fuzz;

use common::{options, Folder};
use fuzz::hunt;
use memmap_core::shared_memory::{self, NameOptions};
use memmap_core::{mmap_file, sys, Access, Create, OpenOptions, Source};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    let hostile =
        ["", ".", "..", "/", "//", "a/b", "/a", "../x", "a\0b", "\0", "ä", "日本", "a b", "a\n", "C:\\x", "%s%n"];
    let letters = prop::sample::select("abcXYZ019._-".chars().collect::<Vec<_>>());
    prop_oneof![
        2 => prop::sample::select(hostile.to_vec()).prop_map(str::to_owned),
        2 => any::<String>(),
        3 => prop::collection::vec(letters.clone(), 0..40).prop_map(|letters| letters.into_iter().collect()),
        2 => (prop::collection::vec(letters, 0..35), any::<char>(), any::<prop::sample::Index>()).prop_map(
            |(mut letters, other, at)| {
                letters.insert(at.index(letters.len() + 1), other);
                letters.into_iter().collect()
            }
        ),
        1 => (0..5000_usize).prop_map(|len| "n".repeat(len)),
    ]
}

/// As the documentation has it: 1 to 30 of `A-Z a-z 0-9 . _ -`.
fn is_name(name: &str) -> bool {
    let allowed = |letter: char| matches!(letter, 'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-');
    (1..=30).contains(&name.chars().count()) && name.chars().all(allowed) && name != "." && name != ".."
}

#[test]
fn what_is_no_name_is_refused_by_every_call() {
    let how = NameOptions { mode: 0o600, unlink_on_close: true };
    // Real names begin so, that nobody else's memory is met.
    let mine = format!("fz{:x}-", std::process::id());
    hunt("names", 400, (name(), any::<bool>()), |seen, (name, prefixed)| {
        let name = if prefixed { format!("{mine}{name}") } else { name };
        let good = is_name(&name);
        if good && !prefixed {
            // Perhaps somebody's.
            seen.note(shared_memory::open(&name, Access::Read, Some(u64::MAX)));
            return Ok(());
        }
        let calls = [
            seen.note(shared_memory::open(&name, Access::Read, None)).is_some(),
            seen.note(shared_memory::unlink(&name)).is_some(),
        ];
        prop_assert_eq!(calls, [false, false], "nothing has this name yet");
        let made = seen.note(shared_memory::create(&name, 100, how));
        prop_assert_eq!(made.is_some(), good);
        if let Some(region) = made {
            let again = shared_memory::open_or_create(&name, 100, how).unwrap();
            prop_assert!(!again.created);
            prop_assert_eq!(common::code(shared_memory::create(&name, 100, how)), "EEXIST");
            again.region.close();
            region.close();
        } else {
            let refused = shared_memory::open_or_create(&name, 100, how).map(|opened| opened.created);
            prop_assert_eq!(common::code(refused), "ERR_INVALID_ARG_VALUE");
        }
        prop_assert!(shared_memory::open(&name, Access::Read, None).is_err(), "its name is gone with it");
        Ok(())
    });
}

#[test]
fn any_bytes_as_a_path_open_a_file_or_are_refused() {
    let folder = Folder::new();
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop::sample::select(b"ab/.\0".to_vec()), 0..60),
        (0..6000_usize).prop_map(|len| vec![b'p'; len]),
    ];
    hunt("paths", 300, bytes, |seen, bytes| {
        // Never out of the folder.
        prop_assume!(!bytes.windows(2).any(|two| two == b".."));
        let mut whole = folder.path().to_str().unwrap().as_bytes().to_vec();
        whole.push(b'/');
        whole.extend(&bytes);
        let path = sys::path_from_bytes(&whole);
        let wanted = OpenOptions { create: Create::IfMissing, length: Some(10), ..options(Access::Write) };
        if let Some(region) = seen.note(mmap_file::open(Source::Path(&path), wanted)) {
            prop_assert_eq!(region.mapping().len(), 10);
            region.close();
            std::fs::remove_file(&path).unwrap();
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing else is there");
        Ok(())
    });
}
