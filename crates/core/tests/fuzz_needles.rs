//! Any needle in any haystack, and any window of it, against the plainest code that does the same.

mod common;
#[path = "common/fuzz.rs"]
mod fuzz;

use common::{open, Folder};
use fuzz::{hunt, number};
use memmap_core::Access;
use proptest::prelude::*;

fn haystack() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..600),
        (any::<u8>(), 0..5000_usize).prop_map(|(byte, len)| vec![byte; len]),
        // A word again and again, and something else in the middle.
        (prop::collection::vec(any::<u8>(), 1..9), 0..200_usize, any::<prop::sample::Index>()).prop_map(
            |(word, times, at)| {
                let mut bytes = word.repeat(times);
                if !bytes.is_empty() {
                    let place = at.index(bytes.len());
                    bytes[place] ^= 0xFF;
                }
                bytes
            }
        ),
    ]
}

fn needle() -> impl Strategy<Value = Needle> {
    let place = any::<(prop::sample::Index, prop::sample::Index)>();
    prop_oneof![
        1 => Just(Needle::Bytes(Vec::new())),
        2 => prop::collection::vec(any::<u8>(), 0..5).prop_map(Needle::Bytes),
        2 => prop::collection::vec(prop::sample::select(b"ab".to_vec()), 1..40).prop_map(Needle::Bytes),
        1 => (any::<u8>(), 0..20_000_usize).prop_map(|(byte, len)| Needle::Bytes(vec![byte; len])),
        6 => (place, any::<Option<u8>>()).prop_map(|(place, more)| Needle::Piece(place.0, place.1, more)),
    ]
}

#[derive(Debug, Clone)]
enum Needle {
    Bytes(Vec<u8>),
    /// A piece of the haystack, and perhaps a byte more.
    Piece(prop::sample::Index, prop::sample::Index, Option<u8>),
}

impl Needle {
    fn bytes(self, haystack: &[u8]) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Piece(one, other, more) => {
                let (one, other) = (one.index(haystack.len() + 1), other.index(haystack.len() + 1));
                haystack[one.min(other)..one.max(other)].iter().copied().chain(more).collect()
            }
        }
    }
}

#[test]
fn any_needle_is_found_where_plain_code_finds_it() {
    let folder = Folder::new();
    let path = folder.join("f");
    let strategy = (haystack(), needle(), number(1000), number(1000), 0..20_usize);
    hunt("needles", 400, strategy, |seen, (bytes, needle, start, end, most)| {
        let needle = needle.bytes(&bytes);
        std::fs::write(&path, &bytes).unwrap();
        let region = open(&path, Access::Read);
        let mapping = region.mapping();
        let first = seen.note(mapping.index_of(start, end, &needle));
        let last = seen.note(mapping.last_index_of(start, end, &needle));
        let count = seen.note(mapping.count(start, end, &needle));
        let mut out = vec![-1.0; most];
        let filled = seen.note(mapping.indexes_of(start, end, &needle, &mut out));
        let there = start <= bytes.len() as u64 && end.max(start) <= bytes.len() as u64;
        prop_assert_eq!([first.is_some(), last.is_some(), count.is_some(), filled.is_some()], [there; 4]);
        if !there {
            return Ok(());
        }
        let window = &bytes[start as usize..end.max(start) as usize];
        let matches: Vec<u64> =
            (0..=window.len()).filter(|&at| window[at..].starts_with(&needle)).map(|at| start + at as u64).collect();
        prop_assert_eq!(first.flatten(), matches.first().copied());
        prop_assert_eq!(last.flatten(), matches.last().copied());
        let mut apart: Vec<u64> = Vec::new();
        for at in matches {
            if apart.last().is_none_or(|&last| at >= last + needle.len().max(1) as u64) {
                apart.push(at);
            }
        }
        prop_assert_eq!(count, Some(apart.len() as u64));
        prop_assert_eq!(filled, Some(apart.len().min(most)));
        for (found, expected) in out.iter().zip(&apart) {
            prop_assert_eq!(*found as u64, *expected);
        }
        let same = bytes == needle;
        prop_assert_eq!(seen.note(mapping.equals(&needle)), Some(same));
        Ok(())
    });
}
