//! Arbitrary text as a zone file: it yields records, or errors with a position.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plustwo::dns::{Name, parse_zone_file};

static ORIGIN: LazyLock<Name> = LazyLock::new(|| Name::parse("corp.example").expect("a name"));

fuzz_target!(|text: &str| {
    match parse_zone_file(text, &ORIGIN, 300) {
        Ok(records) => {
            for record in records {
                // The owner round-trips through text.
                let owner = record.owner.to_string();
                assert_eq!(Name::parse(&owner).as_ref(), Ok(&record.owner));
                assert!(record.ttl <= 0x7fff_ffff);
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.line >= 1 && error.column >= 1, "{error}");
            }
        }
    }
});
