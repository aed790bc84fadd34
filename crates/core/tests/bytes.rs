//! Copying, filling, moving and comparing, at any byte, against a `Vec` that does the same.

mod common;

use common::{all, code, open, options, Folder};
use memmap_core::{mmap_file, Access, OpenOptions, Source};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Write { at: usize, bytes: Vec<u8> },
    Fill { at: usize, len: usize, pattern: Vec<u8> },
    Move { to: usize, from: usize, len: usize },
    Read { at: usize, len: usize },
}

/// Random bytes, one byte over and over, and text with its few letters and line ends.
fn content() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20_000),
        (any::<u8>(), 0..20_000_usize).prop_map(|(byte, len)| vec![byte; len]),
        prop::collection::vec(prop::sample::select(b"the quick\n fox".to_vec()), 0..20_000),
    ]
}

/// Positions and lengths around every edge: some reach beyond the end, a few far beyond.
fn place() -> impl Strategy<Value = usize> {
    prop_oneof![8 => 0..22_000_usize, 2 => 4090..4100_usize, 2 => 0..3_usize, 1 => Just(usize::MAX)]
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..5000);
    prop_oneof![
        (place(), bytes()).prop_map(|(at, bytes)| Step::Write { at, bytes }),
        (place(), place(), prop::collection::vec(any::<u8>(), 0..7)).prop_map(|(at, len, pattern)| Step::Fill {
            at,
            len,
            pattern
        }),
        (place(), place(), place()).prop_map(|(to, from, len)| Step::Move { to, from, len }),
        (place(), 0..22_000_usize).prop_map(|(at, len)| Step::Read { at, len }),
    ]
}

fn range(at: usize, len: usize, total: usize) -> Option<std::ops::Range<usize>> {
    at.checked_add(len).filter(|&end| end <= total).map(|end| at..end)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_region_changes_as_a_vector_does_and_nothing_beside_it(
        content in content(),
        before in 0..9000_usize,
        after in 0..9000_usize,
        steps in prop::collection::vec(step(), 1..12),
    ) {
        let folder = Folder::new();
        let original = [vec![0xAA; before], content.clone(), vec![0x55; after]].concat();
        for access in [Access::Write, Access::Copy] {
            let path = folder.file("f", &original);
            let window =
                OpenOptions { offset: before as u64, length: Some(content.len() as u64), ..options(access) };
            let file = mmap_file::open(Source::Path(&path), window).unwrap();
            let mapping = file.mapping();
            let mut model = content.clone();
            let total = model.len();
            for step in &steps {
                let (expected, outcome) = match step {
                    Step::Write { at, bytes } => (
                        range(*at, bytes.len(), total).map(|range| model[range].copy_from_slice(bytes)),
                        mapping.write(*at as u64, bytes),
                    ),
                    Step::Fill { at, len, pattern } => (
                        range(*at, *len, total).filter(|_| !pattern.is_empty()).map(|range| {
                            model[range].iter_mut().zip(pattern.iter().cycle()).for_each(|(byte, &new)| *byte = new);
                        }),
                        mapping.fill(*at as u64, *len, pattern),
                    ),
                    Step::Move { to, from, len } => (
                        range(*to, *len, total).and(range(*from, *len, total)).map(|range| model.copy_within(range, *to)),
                        mapping.move_within(*to as u64, *from as u64, *len),
                    ),
                    Step::Read { at, len } => {
                        let mut target = vec![0xEE; *len];
                        let outcome = mapping.read(*at as u64, &mut target);
                        let expected = range(*at, *len, total).map(|range| prop_assert_eq_vec(&target, &model[range]));
                        if expected.is_none() {
                            prop_assert!(target.iter().all(|&byte| byte == 0xEE), "nothing was read");
                        }
                        (expected, outcome)
                    }
                };
                prop_assert_eq!(code(outcome), if expected.is_some() { "no error" } else { "ERR_OUT_OF_RANGE" });
                prop_assert!(mapping.equals(&model).unwrap(), "after {:?}", step);
            }
            prop_assert_eq!(&all(mapping), &model);
            if total > 0 {
                model[total - 1] ^= 1;
                prop_assert!(!mapping.equals(&model).unwrap());
                model[total - 1] ^= 1;
                prop_assert!(!mapping.equals(&model[1..]).unwrap());
            }
            file.close();
            let mut expected = original.clone();
            if access == Access::Write {
                expected[before..before + total].copy_from_slice(&model);
            }
            prop_assert_eq!(std::fs::read(&path).unwrap(), expected);
        }
    }
}

fn prop_assert_eq_vec(left: &[u8], right: &[u8]) {
    assert_eq!(left, right);
}

#[test]
fn two_regions_are_equal_when_their_bytes_are() {
    let folder = Folder::new();
    let (one, same) = (folder.file("a", &[1; 9000]), folder.file("b", &[1; 9000]));
    let (longer, other) = (folder.file("c", &[1; 9001]), folder.file("d", &[&[1; 8999][..], &[2]].concat()));
    let map = |path| open(path, Access::Read);
    let one = map(&one);
    assert!(one.mapping().equals_mapping(map(&same).mapping()).unwrap());
    assert!(one.mapping().equals_mapping(one.mapping()).unwrap());
    assert!(!one.mapping().equals_mapping(map(&longer).mapping()).unwrap());
    assert!(!one.mapping().equals_mapping(map(&other).mapping()).unwrap());
}

#[test]
fn source_and_target_may_be_views_of_the_region_itself() {
    let folder = Folder::new();
    let file = open(&folder.file("f", b"0123456789"), Access::Write);
    let mapping = file.mapping();
    let view = |at: usize, len: usize| std::ptr::slice_from_raw_parts_mut(mapping.address(at), len);
    // SAFETY: the region lives to the end of this test, and all of the views lie in it.
    unsafe {
        mapping.write_from(2, view(0, 6)).unwrap();
        assert_eq!(all(mapping), b"0101234589");
        mapping.read_to(4, view(3, 6)).unwrap();
        assert_eq!(all(mapping), b"0102345899");
        mapping.fill_with(1, 9, view(0, 3)).unwrap();
        assert_eq!(all(mapping), b"0010010010");
    }
}

#[test]
fn a_region_beyond_four_gibibytes_is_exact() {
    let folder = Folder::new();
    let path = folder.join("f");
    let far = (4_u64 << 30) + 12_345;
    let wanted = OpenOptions {
        create: memmap_core::Create::Exclusive,
        length: Some(far + 4),
        sparse: true,
        ..options(Access::Write)
    };
    // A file that is only extended is not sparse there, and would fill 4 GiB of the disk.
    if cfg!(windows) {
        common::skipped("no region beyond 4 GiB: it would fill the disk");
        return;
    }
    let file = mmap_file::open(Source::Path(&path), wanted).unwrap();
    file.mapping().write(far, b"far!").unwrap();
    let mut bytes = [0; 6];
    file.mapping().read(far - 2, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\0\0far!");
    assert_eq!(code(file.mapping().write(far + 1, b"far!")), "ERR_OUT_OF_RANGE");
    assert_eq!(file.mapping().index_of(far - 100_000, far + 4, b"far").unwrap(), Some(far));
    let tail = OpenOptions { offset: far, ..options(Access::Read) };
    assert_eq!(all(mmap_file::open(Source::Path(&path), tail).unwrap().mapping()), b"far!");
}
