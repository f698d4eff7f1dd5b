//! Arbitrary text as a configuration: errors are reported, each at a source location that can be rendered.

#![no_main]

use std::io;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use plustwo::config::load_text;
use plustwo::world::compile::compile_with;

fuzz_target!(|text: &str| {
    // Included files and zone files are always missing: the input must not open files.
    let read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let mut loaded = load_text(Path::new("fuzz.toml"), text.to_owned(), &read_file);
    let world = compile_with(&mut loaded, &read_file);
    assert_eq!(world.is_none(), loaded.report.has_errors());
    for finding in loaded.report.sorted() {
        assert!(!finding.headline(&loaded.sources).is_empty());
    }
});
