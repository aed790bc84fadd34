//! Copying and searching in memory without a file and without the fault guard: what needs so little of the system that Miri
//! can interpret it, and tell whether every access of memory is one that Rust allows (`npm run test:miri`).

use memmap_core::mapping::{Backing, MapRequest};
use memmap_core::{Access, Mapping, Protection};

fn mapped(len: usize, access: Access) -> Mapping {
    Mapping::new(MapRequest {
        backing: Backing::Anonymous,
        kept_open: false,
        offset: 0,
        len,
        access,
        huge_pages: false,
        guard: false,
        kind: "Test",
        label: None,
    })
    .unwrap()
}

fn all(mapping: &Mapping) -> Vec<u8> {
    let mut bytes = vec![0; mapping.len()];
    mapping.read(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn bytes_are_copied_filled_and_moved() {
    let mapping = mapped(100, Access::Write);
    mapping.write(10, b"0123456789").unwrap();
    mapping.fill(20, 7, b"abc").unwrap();
    mapping.fill(27, 3, b"-").unwrap();
    mapping.move_within(12, 10, 10).unwrap();
    assert_eq!(&all(&mapping)[10..31], b"010123456789cabca---\0");
    assert!(mapping.write(91, b"0123456789").is_err() && mapping.fill(u64::MAX, 2, b"x").is_err());
    assert!(mapping.read(100, &mut [0]).is_err() && mapping.read(100, &mut []).is_ok());
    assert!(mapping.equals(&all(&mapping)).unwrap() && mapping.equals_mapping(&mapping).unwrap());
}

#[test]
fn source_and_target_may_be_parts_of_the_region() {
    let mapping = mapped(10, Access::Write);
    mapping.write(0, b"0123456789").unwrap();
    let part = |at: usize, len: usize| std::ptr::slice_from_raw_parts_mut(mapping.address(at), len);
    // SAFETY: the parts lie in the region, which lives to the end of this test.
    unsafe {
        mapping.write_from(2, part(0, 6)).unwrap();
        assert_eq!(all(&mapping), b"0101234589");
        mapping.read_to(4, part(3, 6)).unwrap();
        assert_eq!(all(&mapping), b"0102345899");
        mapping.fill_with(1, 9, part(0, 3)).unwrap();
        assert_eq!(all(&mapping), b"0010010010");
        mapping.fill_with(0, 10, part(2, 1)).unwrap();
        assert_eq!(all(&mapping), [b'1'; 10]);
    }
}

#[test]
fn needles_are_found() {
    let mapping = mapped(300, Access::Write);
    for at in [0, 7, 150, 297] {
        mapping.write(at, b"abc").unwrap();
    }
    assert_eq!(mapping.index_of(1, 300, b"abc").unwrap(), Some(7));
    assert_eq!(mapping.last_index_of(0, 299, b"abc").unwrap(), Some(150));
    assert_eq!(mapping.count(0, 300, b"c").unwrap(), 4);
    let mut out = [0.0; 3];
    assert_eq!(mapping.indexes_of(0, 300, b"abc", &mut out).unwrap(), 3);
    assert_eq!(out, [0.0, 7.0, 150.0]);
    assert_eq!(mapping.index_of(298, 300, b"abc").unwrap(), None);
    assert!(mapping.index_of(0, 301, b"abc").is_err());
}

#[test]
fn an_empty_mapping_has_no_bytes() {
    let mapping = mapped(0, Access::Write);
    assert_eq!(mapping.index_of(0, 0, b"").unwrap(), Some(0));
    assert_eq!(mapping.count(0, 0, b"x").unwrap(), 0);
    mapping.write(0, b"").unwrap();
    assert!(mapping.write(0, b"x").is_err() && mapping.address(0).is_null());
    assert!(mapping.equals(b"").unwrap());
}

#[test]
fn what_is_read_only_takes_nothing() {
    let mapping = mapped(10, Access::Read);
    assert_eq!(mapping.protection(), Protection::Read);
    assert!(
        mapping.write(0, b"x").is_err() && mapping.fill(0, 1, b"x").is_err() && mapping.move_within(0, 1, 1).is_err()
    );
    assert_eq!(all(&mapping), [0; 10]);
}
