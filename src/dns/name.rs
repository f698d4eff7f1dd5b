//! Domain names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The longest name in wire form, root label included (RFC 1035 3.1).
pub const MAX_NAME: usize = 255;

/// The most labels a name can have, the root's not counted.
const MAX_LABELS: usize = MAX_NAME / 2;

/// The longest label (RFC 1035 3.1).
pub const MAX_LABEL: usize = 63;

/// A domain name in lower-cased, uncompressed wire form (RFC 1035 3.1, RFC 4343).
///
/// Cheap to clone. Equality and hashing are those of the lower-cased octets, so a hash map
/// with `Name` keys can be asked with a wire slice. Ordering is the canonical order of
/// RFC 4034 6.1 and not that of the octets, so an ordered map must be asked with a `Name`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Why something is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("a name cannot be empty; write \".\" for the root")]
    Empty,
    /// Two dots in a row, or a dot in front.
    #[error("the name has an empty label: remove the leading or doubled dot")]
    EmptyLabel,
    /// A label is longer than [`MAX_LABEL`].
    #[error("a label is {0} octets long; shorten it to 63 or fewer")]
    LabelTooLong(usize),
    /// The whole name is longer than [`MAX_NAME`].
    #[error("the name is longer than 255 octets in wire form; shorten it")]
    NameTooLong,
    /// A backslash is not followed by a character or by three digits up to 255.
    #[error("bad escape: write \\DDD with three digits from 000 to 255, or \\ and one character")]
    BadEscape,
    /// A character that has to be escaped or translated.
    #[error(
        "the name contains {0:?}; remove it, write international names in their xn-- form, \
         or escape the octet as \\DDD"
    )]
    BadCharacter(char),
    /// Wire form that ends inside the name.
    #[error("the name is cut short: it does not end with the root label")]
    Truncated,
    /// Wire form with octets after the name.
    #[error("there are octets after the end of the name")]
    TrailingOctets,
    /// Wire form with a compression pointer or another label type than a plain label.
    #[error("the name contains a compression pointer or an unknown label type")]
    UnsupportedLabel,
}

impl Name {
    /// The root name.
    pub fn root() -> Self {
        Self(Arc::from(&b"\0"[..]))
    }

    /// Reads a slice that holds exactly one uncompressed name, and lower-cases it.
    ///
    /// Fails on a compression pointer, on a name or label that is too long, and on octets
    /// that are missing or left over.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let length = wire_length(wire)?;
        if length != wire.len() {
            return Err(NameError::TrailingOctets);
        }
        let mut octets: Arc<[u8]> = wire.into();
        // Length octets are at most 63 and so no ASCII letters: lowering all octets is safe.
        Arc::get_mut(&mut octets).expect("nobody else has it yet").make_ascii_lowercase();
        Ok(Self(octets))
    }

    /// Reads the presentation form (RFC 1035 5.1).
    ///
    /// `\DDD` and `\X` are understood, the trailing dot is optional, "." is the root. Empty
    /// text, empty labels, white space and characters outside ASCII are errors.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::parse_with_origin(text, None)
    }

    /// Reads a name as it stands in a master file: without a trailing dot it is relative to
    /// `origin`, or absolute if there is none. Fails as [`Name::parse`] does.
    pub fn parse_with_origin(text: &str, origin: Option<&Self>) -> Result<Self, NameError> {
        let mut wire = NameBuilder::default();
        let absolute = parse_labels(text, &mut wire)?;
        match origin {
            Some(origin) if !absolute => wire.extend(origin.as_wire()),
            _ => wire.push(0),
        }
        wire.finish()
    }

    /// The wire form, lower-cased, with the root's zero octet at its end.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// How many labels the name has, without the root's; 0 for the root, 127 at most.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// The labels, leftmost first, without the root's empty label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.suffixes()
            .filter_map(|suffix| suffix.get(1..=usize::from(suffix[0])))
            .filter(|label| !label.is_empty())
    }

    /// The leftmost label; `None` for the root.
    pub fn first_label(&self) -> Option<&[u8]> {
        self.labels().next()
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.ancestor(1)
    }

    /// The name without so many of its leftmost labels; `None` if it has fewer.
    pub fn ancestor(&self, labels: usize) -> Option<Self> {
        match labels {
            0 => Some(self.clone()),
            _ => self.suffixes().nth(labels).map(|wire| Self(wire.into())),
        }
    }

    /// The wire form of the name and of all its ancestors: the whole name first, the root last.
    pub fn suffixes(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = Some(self.as_wire());
        std::iter::from_fn(move || {
            let suffix = rest?;
            rest = match suffix[0] {
                0 => None,
                length => Some(&suffix[1 + usize::from(length)..]),
            };
            Some(suffix)
        })
    }

    /// Whether the name is `ancestor` or lies below it, counted in whole labels.
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        self.labels_below(ancestor).is_some()
    }

    /// How many labels the name has more than `ancestor`; `None` if it is not at or below it.
    pub fn labels_below(&self, ancestor: &Self) -> Option<usize> {
        if !self.0.ends_with(&ancestor.0) {
            return None;
        }
        // Equal octets at the end may still begin inside a label.
        self.suffixes()
            .take_while(|suffix| suffix.len() >= ancestor.0.len())
            .position(|suffix| suffix.len() == ancestor.0.len())
    }

    /// The name with one more label in front. The label is taken as octets, not as text.
    pub fn prepend(&self, label: &[u8]) -> Result<Self, NameError> {
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong(label.len()));
        }
        let mut wire = NameBuilder::default();
        wire.push(label.len() as u8);
        wire.extend(label);
        wire.octets.make_ascii_lowercase();
        wire.extend(&self.0);
        wire.finish()
    }

    /// The name's labels followed by those of `suffix`.
    pub fn concat(&self, suffix: &Self) -> Result<Self, NameError> {
        let mut wire = NameBuilder::default();
        wire.extend(&self.0[..self.0.len() - 1]);
        wire.extend(&suffix.0);
        wire.finish()
    }

    /// Whether the leftmost label is exactly `*` (RFC 4592 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Where the labels begin in the wire form, leftmost first, without the root's; and how many they are.
    fn label_starts(&self) -> ([u8; MAX_LABELS], usize) {
        let mut starts = [0; MAX_LABELS];
        let (mut at, mut count) = (0, 0);
        while self.0[at] != 0 {
            // A name ends at 255 octets at most.
            starts[count] = at as u8;
            at += 1 + usize::from(self.0[at]);
            count += 1;
        }
        (starts, count)
    }

    /// The label that begins at this octet.
    fn label_at(&self, start: u8) -> &[u8] {
        let start = usize::from(start);
        &self.0[start + 1..=start + usize::from(self.0[start])]
    }
}

/// A name's wire form on the way. Octets beyond [`MAX_NAME`] are counted and not kept.
struct NameBuilder {
    /// The octets, zeros behind them.
    octets: [u8; MAX_NAME],
    /// How many they are, or would be.
    length: usize,
}

impl Default for NameBuilder {
    fn default() -> Self {
        Self { octets: [0; MAX_NAME], length: 0 }
    }
}

impl NameBuilder {
    /// Adds an octet.
    fn push(&mut self, octet: u8) {
        self.set(self.length, octet);
        self.length += 1;
    }

    /// Adds octets.
    fn extend(&mut self, octets: &[u8]) {
        if let Some(place) = self.octets.get_mut(self.length..self.length + octets.len()) {
            place.copy_from_slice(octets);
        }
        self.length += octets.len();
    }

    /// Changes an octet.
    fn set(&mut self, at: usize, octet: u8) {
        if let Some(place) = self.octets.get_mut(at) {
            *place = octet;
        }
    }

    /// The name, if it is none too long. Its labels are good ones.
    fn finish(&self) -> Result<Name, NameError> {
        self.octets.get(..self.length).map(|wire| Name(wire.into())).ok_or(NameError::NameTooLong)
    }
}

/// The length of the uncompressed name at the start of `octets`, root label included.
pub(crate) fn wire_length(octets: &[u8]) -> Result<usize, NameError> {
    let mut at = 0;
    loop {
        let length = usize::from(*octets.get(at).ok_or(NameError::Truncated)?);
        if length > MAX_LABEL {
            return Err(NameError::UnsupportedLabel);
        }
        at += 1 + length;
        if at > MAX_NAME {
            return Err(NameError::NameTooLong);
        }
        if length == 0 {
            return Ok(at);
        }
    }
}

/// Reads lower-cased labels without the root's. Tells whether the text ended with a dot.
fn parse_labels(text: &str, wire: &mut NameBuilder) -> Result<bool, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text == "." {
        return Ok(true);
    }
    let mut start = 0;
    wire.push(0);
    let mut at = 0;
    // All that is passed is ASCII, so `at` never stands inside a character.
    while let Some(&octet) = text.as_bytes().get(at) {
        at += 1;
        match octet {
            b'.' => {
                finish_label(wire, start)?;
                if at == text.len() {
                    return Ok(true);
                }
                start = wire.length;
                wire.push(0);
            }
            b'\\' => {
                let (octet, length) = parse_escape(&text[at..]).ok_or(NameError::BadEscape)?;
                at += length;
                wire.push(octet.to_ascii_lowercase());
            }
            b'!'..=b'~' => wire.push(octet.to_ascii_lowercase()),
            _ => return Err(NameError::BadCharacter(text[at - 1..].chars().next().unwrap_or_default())),
        }
    }
    finish_label(wire, start)?;
    Ok(false)
}

fn finish_label(wire: &mut NameBuilder, start: usize) -> Result<(), NameError> {
    match wire.length - start - 1 {
        0 => Err(NameError::EmptyLabel),
        length if length > MAX_LABEL => Err(NameError::LabelTooLong(length)),
        length => {
            wire.set(start, length as u8);
            Ok(())
        }
    }
}

/// Reads what follows a backslash: the octet it stands for and how many octets of text it took.
pub(crate) fn parse_escape(rest: &str) -> Option<(u8, usize)> {
    let octets = rest.as_bytes();
    match *octets.first()? {
        digit if digit.is_ascii_digit() => {
            let digits = octets.get(..3)?;
            if !digits.iter().all(u8::is_ascii_digit) {
                return None;
            }
            Some((rest.get(..3)?.parse().ok()?, 3))
        }
        plain @ b'!'..=b'~' | plain @ b' ' => Some((plain, 1)),
        _ => None,
    }
}

impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, my_count) = self.label_starts();
        let (theirs, their_count) = other.label_starts();
        let mine = mine[..my_count].iter().rev().map(|start| self.label_at(*start));
        mine.cmp(theirs[..their_count].iter().rev().map(|start| other.label_at(*start)))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The presentation form of an uncompressed name in wire form, in the case that it has (RFC 1035 5.1).
pub(crate) fn wire_to_text(wire: &[u8]) -> String {
    let mut text = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&length @ 1.., after)) = rest.split_first() {
        let (label, after) = after.split_at(after.len().min(usize::from(length)));
        rest = after;
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.push('\\');
                    text.push(char::from(octet));
                }
                b'!'..=b'~' => text.push(char::from(octet)),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
        text.push('.');
    }
    if text.is_empty() {
        text.push('.');
    }
    text
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&wire_to_text(&self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    pub(crate) fn name(text: &str) -> Name {
        Name::parse(text).expect("a valid name")
    }

    pub(crate) fn any_name() -> impl Strategy<Value = Name> {
        let label = prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 1..4);
        prop::collection::vec(label, 0..5).prop_map(|labels| {
            labels.iter().fold(Name::root(), |below, label| below.prepend(label).expect("short labels"))
        })
    }

    #[test]
    fn reads_and_prints_presentation_form() {
        assert_eq!(name("WWW.Example.com").as_wire(), b"\x03www\x07example\x03com\0");
        assert_eq!(name("www.example.com.").to_string(), "www.example.com.");
        assert_eq!(name(".").as_wire(), b"\0");
        assert_eq!(name(r"a\.b\032\\.c").to_string(), r"a\.b\032\\.c.");
        assert_eq!(name(r"a\.b.c").label_count(), 2);
    }

    #[test]
    fn refuses_what_is_no_name() {
        let bad = |text: &str| Name::parse(text).expect_err("not a name");
        assert_eq!(bad(""), NameError::Empty);
        assert_eq!(bad("a..b"), NameError::EmptyLabel);
        assert_eq!(bad(".a"), NameError::EmptyLabel);
        assert_eq!(bad(r"a\25"), NameError::BadEscape);
        assert_eq!(bad(r"a\256"), NameError::BadEscape);
        assert_eq!(bad("a\\"), NameError::BadEscape);
        assert_eq!(bad("a b"), NameError::BadCharacter(' '));
        assert_eq!(bad("bücher.example"), NameError::BadCharacter('ü'));
        assert_eq!(bad(&"a".repeat(64)), NameError::LabelTooLong(64));
        let long = ["a"; 128].join(".");
        assert_eq!(bad(&long), NameError::NameTooLong);
        assert!(Name::parse(&["a"; 127].join(".")).is_ok());
    }

    #[test]
    fn reads_only_whole_plain_wire_names() {
        assert_eq!(Name::from_wire(b"\x01A\0").expect("plain"), name("a"));
        assert_eq!(Name::from_wire(b""), Err(NameError::Truncated));
        assert_eq!(Name::from_wire(b"\x02a"), Err(NameError::Truncated));
        assert_eq!(Name::from_wire(b"\x01a\0\0"), Err(NameError::TrailingOctets));
        assert_eq!(Name::from_wire(b"\xc0\x0c"), Err(NameError::UnsupportedLabel));
    }

    #[test]
    fn knows_its_ancestors() {
        let host = name("a.b.example");
        assert_eq!(host.labels_below(&name("example")), Some(2));
        assert_eq!(host.labels_below(&host), Some(0));
        assert_eq!(host.labels_below(&Name::root()), Some(3));
        assert!(!name("bexample").is_at_or_below(&name("example")));
        // The octets of "x" as they would appear inside a longer label.
        assert!(!name(r"a\001x").is_at_or_below(&name("x")));
        assert_eq!(host.parent(), Some(name("b.example")));
        assert_eq!(host.ancestor(0), Some(host.clone()));
        assert_eq!(host.ancestor(3), Some(Name::root()));
        assert_eq!(host.ancestor(4), None);
        assert_eq!(Name::root().parent(), None);
        assert_eq!(host.first_label(), Some(&b"a"[..]));
        assert_eq!(Name::root().first_label(), None);
        assert!(name("*.a").is_wildcard());
        assert!(!name("*b.a").is_wildcard());
    }

    #[test]
    fn sorts_canonically() {
        // The example of RFC 4034 6.1.
        let sorted = [
            "example.",
            "a.example.",
            "yljkjljk.a.example.",
            "Z.a.example.",
            "zABC.a.EXAMPLE.",
            "z.example.",
            r"\001.z.example.",
            "*.z.example.",
            r"\200.z.example.",
        ]
        .map(name);
        assert!(sorted.is_sorted());
    }

    #[test]
    fn hash_maps_answer_to_wire_slices() {
        let map = HashMap::from([(name("b.c"), 1)]);
        let host = name("a.b.c");
        let found: Vec<_> = host.suffixes().filter_map(|s| map.get(s)).collect();
        assert_eq!(found, [&1]);
    }

    proptest! {
        #[test]
        fn text_and_wire_round_trip(name in any_name()) {
            prop_assert_eq!(&Name::parse(&name.to_string()).unwrap(), &name);
            prop_assert_eq!(&Name::from_wire(name.as_wire()).unwrap(), &name);
        }

        #[test]
        fn never_panics(wire in prop::collection::vec(any::<u8>(), 0..300), text in ".{0,80}") {
            let _ = Name::from_wire(&wire);
            let _ = Name::parse(&text);
        }

        #[test]
        fn concat_is_below_its_suffix(head in any_name(), tail in any_name()) {
            let whole = head.concat(&tail).unwrap();
            prop_assert_eq!(whole.labels_below(&tail), Some(head.label_count()));
        }
    }
}
