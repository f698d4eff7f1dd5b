//! Domain names.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Maximum length of a name in wire form in octets, including the root label (RFC 1035 3.1).
pub const MAX_NAME: usize = 255;

/// Maximum number of labels in a name, excluding the root label.
const MAX_LABELS: usize = MAX_NAME / 2;

/// Maximum length of a label in octets (RFC 1035 3.1).
pub const MAX_LABEL: usize = 63;

/// A domain name in lower-cased, uncompressed wire form (RFC 1035 3.1, RFC 4343).
///
/// Cheap to clone. Equality and hashing are those of the lower-cased octets, so a hash map with `Name` keys
/// can be looked up with a lower-cased wire-format slice. Ordering is the canonical order of
/// RFC 4034 6.1, not that of
/// the octets, so an ordered map must be looked up with a `Name`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Arc<[u8]>);

/// Error returned when octets or text are not a valid domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("empty name: write \".\" for the root")]
    Empty,
    /// Two consecutive dots, or a leading dot.
    #[error("empty label: remove the leading or doubled dot")]
    EmptyLabel,
    /// A label is longer than [`MAX_LABEL`].
    #[error("label of {0} octets is too long: the maximum is 63")]
    LabelTooLong(usize),
    /// The whole name is longer than [`MAX_NAME`].
    #[error("name too long: the maximum is 255 octets in wire form")]
    NameTooLong,
    /// A backslash is not followed by a character or by three digits up to 255.
    #[error("invalid escape: write \\DDD with three digits from 000 to 255, or \\ followed by one character")]
    BadEscape,
    /// A character that must be escaped, or converted to its A-label form.
    #[error(
        "invalid character {0:?}: remove it, write internationalised names in their xn-- form, \
         or escape the octet as \\DDD"
    )]
    BadCharacter(char),
    /// The wire form ends before the root label.
    #[error("truncated name: the root label is missing")]
    Truncated,
    /// The wire form has octets after the root label.
    #[error("trailing octets after the name")]
    TrailingOctets,
    /// The wire form has a compression pointer or an unknown label type.
    #[error("compression pointer or unknown label type in the name")]
    UnsupportedLabel,
}

impl Name {
    /// Returns the root name.
    pub fn root() -> Self {
        Self(Arc::from(&b"\0"[..]))
    }

    /// Parses a slice that holds exactly one uncompressed name, and lower-cases it.
    ///
    /// Fails on a compression pointer, a name or label that is too long, and missing or trailing octets.
    pub fn from_wire(wire: &[u8]) -> Result<Self, NameError> {
        let length = wire_length(wire)?;
        if length != wire.len() {
            return Err(NameError::TrailingOctets);
        }
        let mut octets: Arc<[u8]> = wire.into();
        // Length octets are at most 63, so they are not ASCII letters: lower-casing every octet is safe.
        Arc::get_mut(&mut octets).expect("a new Arc is not shared").make_ascii_lowercase();
        Ok(Self(octets))
    }

    /// Parses the presentation form (RFC 1035 5.1).
    ///
    /// Accepts the escapes `\DDD` and `\X`. The trailing dot is optional, and "." is the root. Empty text,
    /// empty labels, white space and characters outside ASCII are errors.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        Self::parse_with_origin(text, None)
    }

    /// Parses a name as in a zone file: without a trailing dot it is relative to `origin`, or absolute if
    /// `origin` is `None`. Returns the same errors as [`Name::parse`].
    pub fn parse_with_origin(text: &str, origin: Option<&Self>) -> Result<Self, NameError> {
        let mut wire = NameBuilder::default();
        let absolute = parse_labels(text, &mut wire)?;
        match origin {
            Some(origin) if !absolute => wire.extend(origin.as_wire()),
            _ => wire.push(0),
        }
        wire.finish()
    }

    /// Returns the wire form: lower-cased, ending with the zero octet of the root label.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of labels, excluding the root label: 0 for the root, at most 127.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Iterates over the labels, leftmost first, excluding the empty root label.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        self.suffixes()
            .filter_map(|suffix| suffix.get(1..=usize::from(suffix[0])))
            .filter(|label| !label.is_empty())
    }

    /// Returns the leftmost label, or `None` for the root.
    pub fn first_label(&self) -> Option<&[u8]> {
        self.labels().next()
    }

    /// Returns the name without its leftmost label, or `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.ancestor(1)
    }

    /// Returns the name without its first `labels` labels, or `None` if it has fewer labels than that.
    pub fn ancestor(&self, labels: usize) -> Option<Self> {
        match labels {
            0 => Some(self.clone()),
            _ => self.suffixes().nth(labels).map(|wire| Self(wire.into())),
        }
    }

    /// Iterates over the wire forms of the name and all of its ancestors, from the whole name to the root.
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

    /// Returns whether the name equals `ancestor` or is a descendant of it. Only whole labels count.
    pub fn is_at_or_below(&self, ancestor: &Self) -> bool {
        self.labels_below(ancestor).is_some()
    }

    /// Returns the number of labels that the name has in addition to those of `ancestor`, or `None` if it is
    /// not at or below `ancestor`.
    pub fn labels_below(&self, ancestor: &Self) -> Option<usize> {
        if !self.0.ends_with(&ancestor.0) {
            return None;
        }
        // A match on octets alone is not enough: it may start in the middle of a label.
        self.suffixes()
            .take_while(|suffix| suffix.len() >= ancestor.0.len())
            .position(|suffix| suffix.len() == ancestor.0.len())
    }

    /// Returns the name with `label` added at the front. The label is raw octets, not presentation form.
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

    /// Returns a name with the labels of `self` followed by those of `suffix`.
    pub fn concat(&self, suffix: &Self) -> Result<Self, NameError> {
        let mut wire = NameBuilder::default();
        wire.extend(&self.0[..self.0.len() - 1]);
        wire.extend(&suffix.0);
        wire.finish()
    }

    /// Returns whether the leftmost label is exactly `*` (RFC 4592 2.1.1).
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Returns the offsets of the labels in the wire form, leftmost first, and their number. The root label
    /// is excluded.
    fn label_starts(&self) -> ([u8; MAX_LABELS], usize) {
        let mut starts = [0; MAX_LABELS];
        let (mut at, mut count) = (0, 0);
        while self.0[at] != 0 {
            // Offsets fit in 8 bits: a name has at most 255 octets.
            starts[count] = at as u8;
            at += 1 + usize::from(self.0[at]);
            count += 1;
        }
        (starts, count)
    }

    /// Returns the label whose length octet is at `start`.
    fn label_at(&self, start: u8) -> &[u8] {
        let start = usize::from(start);
        &self.0[start + 1..=start + usize::from(self.0[start])]
    }
}

/// Builder of a name in wire form. Octets beyond [`MAX_NAME`] are counted but not stored, so that the length
/// check happens once, at the end.
struct NameBuilder {
    /// The octets written so far, followed by zeros.
    octets: [u8; MAX_NAME],
    /// The number of octets written, including those not stored.
    length: usize,
}

impl Default for NameBuilder {
    fn default() -> Self {
        Self { octets: [0; MAX_NAME], length: 0 }
    }
}

impl NameBuilder {
    /// Appends an octet.
    fn push(&mut self, octet: u8) {
        self.set(self.length, octet);
        self.length += 1;
    }

    /// Appends octets.
    fn extend(&mut self, octets: &[u8]) {
        if let Some(target) = self.octets.get_mut(self.length..self.length + octets.len()) {
            target.copy_from_slice(octets);
        }
        self.length += octets.len();
    }

    /// Overwrites the octet at an offset.
    fn set(&mut self, at: usize, octet: u8) {
        if let Some(target) = self.octets.get_mut(at) {
            *target = octet;
        }
    }

    /// Returns the name, or an error if it is too long. The caller has checked the labels.
    fn finish(&self) -> Result<Name, NameError> {
        self.octets.get(..self.length).map(|wire| Name(wire.into())).ok_or(NameError::NameTooLong)
    }
}

/// Returns the length of the uncompressed name at the start of `octets`, including the root label.
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

/// Appends the labels to `wire`, lower-cased, without the root label. Returns whether the text ended
/// with a dot.
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
    // Only ASCII is consumed, so `at` is always a character boundary.
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

/// Checks the label that began at `start` and sets its length octet.
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

/// Parses the text after a backslash. Returns the octet it denotes and the length of the escape in octets of
/// text.
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
        let (left, left_count) = self.label_starts();
        let (right, right_count) = other.label_starts();
        let left = left[..left_count].iter().rev().map(|start| self.label_at(*start));
        left.cmp(right[..right_count].iter().rev().map(|start| other.label_at(*start)))
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Returns the presentation form of an uncompressed name in wire form, preserving case (RFC 1035 5.1).
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
    fn parses_and_displays_presentation_form() {
        assert_eq!(name("WWW.Example.com").as_wire(), b"\x03www\x07example\x03com\0");
        assert_eq!(name("www.example.com.").to_string(), "www.example.com.");
        assert_eq!(name(".").as_wire(), b"\0");
        assert_eq!(name(r"a\.b\032\\.c").to_string(), r"a\.b\032\\.c.");
        assert_eq!(name(r"a\.b.c").label_count(), 2);
    }

    #[test]
    fn rejects_invalid_names() {
        let bad = |text: &str| Name::parse(text).expect_err("an invalid name");
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
    fn from_wire_requires_exactly_one_uncompressed_name() {
        assert_eq!(Name::from_wire(b"\x01A\0").expect("plain"), name("a"));
        assert_eq!(Name::from_wire(b""), Err(NameError::Truncated));
        assert_eq!(Name::from_wire(b"\x02a"), Err(NameError::Truncated));
        assert_eq!(Name::from_wire(b"\x01a\0\0"), Err(NameError::TrailingOctets));
        assert_eq!(Name::from_wire(b"\xc0\x0c"), Err(NameError::UnsupportedLabel));
    }

    #[test]
    fn ancestors_and_labels() {
        let host = name("a.b.example");
        assert_eq!(host.labels_below(&name("example")), Some(2));
        assert_eq!(host.labels_below(&host), Some(0));
        assert_eq!(host.labels_below(&Name::root()), Some(3));
        assert!(!name("bexample").is_at_or_below(&name("example")));
        // The octets of "x" inside a longer label.
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
    fn ordering_is_canonical() {
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
    fn hash_maps_can_be_looked_up_by_wire_slice() {
        let map = HashMap::from([(name("b.c"), 1)]);
        let host = name("a.b.c");
        let found: Vec<_> = host.suffixes().filter_map(|s| map.get(s)).collect();
        assert_eq!(found, [&1]);
    }

    proptest! {
        #[test]
        fn text_and_wire_form_round_trip(name in any_name()) {
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
