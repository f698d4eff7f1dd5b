//! Reads files without errors piece by piece, so that a large configuration is never in memory as one TOML
//! document, which needs about forty times the memory of its text.
//!
//! ```text
//!  text ──► pieces, split before lines `[[name]]` ──► document ──► Config ──┐
//!                                                     document ──► Config ──┴─► one Config
//! ```
//!
//! Anything unusual ends this mode; the files are then read as a whole, which reports every error. A split
//! inside a string or list needs no special handling: the piece before it is incomplete, which is an error.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document;
use super::source::SourceMap;
use super::v1::Config;

/// Minimum length of a piece, in octets, unless it is the last.
const PIECE: usize = 64 * 1024;

/// Reads all files. `None` if they contain errors or anything unusual and must be read as a whole.
pub(super) fn read(sources: &SourceMap) -> Option<Config> {
    let mut reader = PieceReader::default();
    for (base, text) in sources.based_texts() {
        reader.file(base, text)?;
    }
    Some(reader.config)
}

/// The state after some pieces.
#[derive(Default)]
struct PieceReader {
    /// The configuration so far.
    config: Config,
    /// The sections so far, and whether each is a list, which another piece may continue.
    sections: HashMap<String, bool>,
}

impl PieceReader {
    /// Adds a file whose numbering starts at `base`.
    fn file(&mut self, base: usize, text: &str) -> Option<()> {
        let mut at = 0;
        // The part before the first header; a list in it must not be continued.
        let mut head = HashSet::new();
        for (number, piece) in pieces(text).enumerate() {
            let mut table = whole(piece)?;
            table.remove("include");
            if table.get("version").is_some_and(|value| document::is_current_version(value.get_ref())) {
                table.remove("version");
            }
            if table.keys().any(|key| head.contains(key.get_ref().as_ref())) {
                return None;
            }
            if number == 0 {
                head.extend(table.keys().map(|key| key.get_ref().to_string()));
            }
            self.take(table, base + at)?;
            at += piece.len();
        }
        Some(())
    }

    /// Adds a piece at an offset in the numbering of all files.
    fn take(&mut self, mut table: DeTable<'_>, at: usize) -> Option<()> {
        for (key, value) in table.iter() {
            let is_list = matches!(value.get_ref(), DeValue::Array(_));
            match self.sections.get(key.get_ref().as_ref()) {
                None => {
                    self.sections.insert(key.get_ref().to_string(), is_list);
                }
                Some(true) if is_list => {}
                Some(_) => return None,
            }
        }
        let has: HashSet<String> = table.keys().map(|key| key.get_ref().to_string()).collect();
        // Diagnostics never refer to keys in this mode, so their spans remain.
        shift(&mut table, at);
        let document = Spanned::new(0..0, table);
        let piece = Config::deserialize(toml::de::Deserializer::from(document)).ok()?;
        self.config.merge(piece, |section| has.contains(section));
        Some(())
    }
}

/// The document of a text; `None` if it contains errors.
fn whole(text: &str) -> Option<DeTable<'_>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.is_empty().then(|| document.into_inner())
}

/// The text up to the first line `[[name]]`, possibly empty, and then pieces that start with such a line.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let mut shortest = 0;
    std::iter::from_fn(move || {
        let text = rest?;
        let cut = next_cut(text, shortest);
        shortest = PIECE;
        rest = cut.map(|cut| &text[cut..]);
        Some(cut.map_or(text, |cut| &text[..cut]))
    })
}

/// The offset of the first line `[[name]]` after the first `shortest` octets.
fn next_cut(text: &str, shortest: usize) -> Option<usize> {
    let octets = text.as_bytes();
    if shortest == 0 && is_header(octets) {
        return Some(0);
    }
    let mut at = shortest;
    loop {
        at += 1 + octets.get(at..)?.iter().position(|octet| *octet == b'\n')?;
        if is_header(&octets[at..]) {
            return Some(at);
        }
    }
}

/// Whether a text starts with `[[name]]`, with a bare key.
fn is_header(octets: &[u8]) -> bool {
    let Some(name) = octets.strip_prefix(b"[[") else { return false };
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-');
    name.iter().position(|octet| !is_plain(octet)).is_some_and(|end| name[end..].starts_with(b"]]"))
}

/// Shifts the spans of all values.
fn shift(table: &mut DeTable<'_>, by: usize) {
    for (_, value) in table.iter_mut() {
        shift_value(value, by);
    }
}

/// Shifts the span of a value and those within it.
fn shift_value(value: &mut Spanned<DeValue<'_>>, by: usize) {
    let span = value.span();
    let mut inner = std::mem::replace(value.get_mut(), DeValue::Boolean(false));
    match &mut inner {
        DeValue::Table(table) => shift(table, by),
        DeValue::Array(items) => items.iter_mut().for_each(|item| shift_value(item, by)),
        _ => {}
    }
    *value = Spanned::new(span.start + by..span.end + by, inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(texts: &[&str]) -> SourceMap {
        let mut sources = SourceMap::default();
        for (number, text) in texts.iter().enumerate() {
            sources.add(format!("{number}.toml"), (*text).to_owned());
        }
        sources
    }

    /// A list of zones that is longer than one piece.
    fn zones(count: usize) -> String {
        (0..count).map(|n| format!("[[hosted_zone]]\nname = \"z{n}.example\"\nvpcs = []\n")).collect()
    }

    #[test]
    fn pieces_together_are_the_complete_text() {
        let text = format!("# head\n[server]\nworkers = 1\n{}", zones(10_000));
        let pieces: Vec<&str> = pieces(&text).collect();
        assert!(pieces.len() > 3);
        assert_eq!(pieces.concat(), text);
        assert_eq!(pieces[0], "# head\n[server]\nworkers = 1\n");
        assert!(pieces[1..].iter().all(|piece| piece.starts_with("[[hosted_zone]]\n")));
    }

    #[test]
    fn reading_in_pieces_preserves_order_and_positions() {
        let text = zones(4000);
        let sources = sources(&["[answers]\nmax_ttl = 7\n", &text]);
        let config = read(&sources).expect("a valid configuration");
        assert_eq!((config.answers.max_ttl, config.hosted_zone.len()), (7, 4000));
        for (number, zone) in config.hosted_zone.iter().enumerate() {
            assert_eq!(zone.name.to_string(), format!("z{number}.example."));
            let place = sources.position(zone.name.mark()).expect("it was read");
            assert_eq!((place.line, place.column), (number * 3 + 2, 8));
        }
    }

    #[test]
    fn unusual_documents_are_read_as_a_whole() {
        let zones = zones(4000);
        for text in [
            // A table that occurs twice.
            format!("[answers]\n{zones}[answers]\n"),
            // A list that must not be continued.
            format!("hosted_zone = []\n{zones}"),
            // A subtable of the list's last element, in another piece.
            format!("[[vpc]]\nid = \"vpc-a\"\nregion = \"us-east-1\"\ncidr = []\n{zones}[[vpc.subnet]]\n"),
            // A split within a string, and within a list.
            format!("[[hosted_zone]]\nfile = '''\n{zones}'''\n"),
            format!("[[hosted_zone]]\nvpcs = [\n{zones}]\n"),
            // Invalid TOML, and an invalid configuration.
            format!("{zones}]"),
            format!("{zones}\n[nonsense]\n"),
        ] {
            assert!(read(&sources(&[&text])).is_none(), "{}", &text[..60]);
        }
        assert!(read(&sources(&["[answers]\n", "[answers]\n"])).is_none());
        assert!(read(&sources(&["hosted_zone = []\n", &zones])).is_some());
    }
}
