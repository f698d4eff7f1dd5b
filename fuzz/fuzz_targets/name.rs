//! Arbitrary octets as a name, in wire form and as text: a name that is accepted round-trips through both
//! forms.

#![no_main]

use libfuzzer_sys::fuzz_target;
use plustwo::dns::Name;
use plustwo::dns::name::MAX_NAME;

/// Checks the bounds and round trips of a name that was accepted.
fn check(name: &Name) {
    assert!(name.as_wire().len() <= MAX_NAME);
    assert_eq!(Name::parse(&name.to_string()).as_ref(), Ok(name));
    assert_eq!(Name::from_wire(name.as_wire()).as_ref(), Ok(name));
    assert_eq!(name.labels().count(), name.label_count());
}

fuzz_target!(|octets: &[u8]| {
    if let Ok(name) = Name::from_wire(octets) {
        check(&name);
    }
    if let Ok(text) = std::str::from_utf8(octets) {
        let origin = Name::parse("corp.example").expect("a name");
        for name in [Name::parse(text), Name::parse_with_origin(text, Some(&origin))].into_iter().flatten() {
            check(&name);
        }
    }
});
