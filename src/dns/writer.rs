//! Writing names and records into a message, with compression (RFC 1035 4.1.4).

use super::code::RecordType;
use super::name::wire_length;

/// Offsets from here on cannot be pointed to.
const POINTER_LIMIT: usize = 0x4000;

/// The most labels a name can have, the root's not counted.
const MAX_LABELS: usize = 127;

/// Appends a message to a buffer. Offsets count from the start of the message, not the buffer.
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    base: usize,
    /// The names written so far that can be pointed to: a hash to find them by, and where they
    /// begin. Messages have few of them, so looking through all beats a map.
    targets: Vec<(u32, u16)>,
    /// Where the first name stands, and its length: the question's, which most owners are.
    first_name: Option<(u16, u16)>,
}

/// Which earlier names a name may point to.
#[derive(Clone, Copy)]
enum NameComparison {
    /// Those that are equal in any case: names that own records.
    IgnoreCase,
    /// Those of the very same case, so that a reader sees the data's own (RFC 4343 4.1). The question is none of
    /// them: its case is the client's, and changes when a cached reply is sent to another.
    ExactCase,
}

/// A place to go back to.
#[derive(Clone, Copy)]
pub(crate) struct Checkpoint {
    length: usize,
    targets: usize,
}

impl<'o> Writer<'o> {
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        let base = out.len();
        Self { out, base, targets: Vec::with_capacity(16), first_name: None }
    }

    /// The length of the message so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.base
    }

    pub fn checkpoint(&self) -> Checkpoint {
        Checkpoint { length: self.out.len(), targets: self.targets.len() }
    }

    /// Takes back all that was written since the mark.
    pub fn roll_back(&mut self, mark: Checkpoint) {
        self.out.truncate(mark.length);
        self.targets.truncate(mark.targets);
        self.first_name = self.first_name.filter(|_| mark.targets > 0);
    }

    pub fn octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    pub fn u16(&mut self, number: u16) {
        self.octets(&number.to_be_bytes());
    }

    pub fn u32(&mut self, number: u32) {
        self.octets(&number.to_be_bytes());
    }

    /// Overwrites two octets written before.
    pub fn patch_u16(&mut self, offset: usize, number: u16) {
        let at = self.base + offset;
        if let Some(place) = self.out.get_mut(at..at + 2) {
            place.copy_from_slice(&number.to_be_bytes());
        }
    }

    /// Writes an uncompressed wire name that owns a record or is in question, as short as earlier names in any case
    /// allow. Its case is kept in the labels that are spelt out. Tells where the same name can be pointed to from now
    /// on.
    pub fn name(&mut self, wire: &[u8]) -> Option<u16> {
        if let Some(offset) = self.offset_if_first_name(wire) {
            self.pointer(offset);
            return Some(offset);
        }
        let begin = self.len();
        let known = self.targets.len();
        if let Some(whole) = self.write_labels(wire, NameComparison::IgnoreCase) {
            return Some(whole);
        }
        // Each of its suffixes became a target, itself first, as far as offsets reach.
        let own = self.targets.get(known).map(|(_, offset)| *offset);
        let own = own.filter(|offset| usize::from(*offset) == begin);
        if known == 0 {
            self.first_name = own.map(|offset| (offset, wire.len() as u16));
        }
        own
    }

    /// Writes a pointer to a name.
    pub fn pointer(&mut self, offset: u16) {
        self.u16(0xc000 | offset);
    }

    /// The offset of the first name, if it is this one, case aside. Lengths of labels are no letters, so comparing octets
    /// compares labels.
    fn offset_if_first_name(&self, wire: &[u8]) -> Option<u16> {
        let (offset, length) = self.first_name?;
        let begin = self.base + usize::from(offset);
        let first = self.out.get(begin..begin + usize::from(length))?;
        first.eq_ignore_ascii_case(wire).then_some(offset)
    }

    /// Writes labels until a suffix is known. Tells where the whole name stood before, if it did.
    fn write_labels(&mut self, wire: &[u8], case: NameComparison) -> Option<u16> {
        let mut starts = [0u8; MAX_LABELS];
        let mut labels = 0;
        let mut at = 0;
        while labels < MAX_LABELS && wire.get(at).is_some_and(|length| *length != 0) {
            starts[labels] = at as u8;
            labels += 1;
            at += 1 + usize::from(wire[at]);
        }
        let starts = &starts[..labels];
        // A suffix's hash continues that of the shorter one, so all are had in one pass.
        let mut hashes = [0u32; MAX_LABELS];
        let mut hash = 0x811c_9dc5;
        let mut end = at;
        for (index, &start) in starts.iter().enumerate().rev() {
            for octet in &wire[usize::from(start)..end] {
                hash = (hash ^ u32::from(octet.to_ascii_lowercase())).wrapping_mul(0x0100_0193);
            }
            hashes[index] = hash;
            end = usize::from(start);
        }
        let known = self.targets.len();
        for (&start, &hash) in starts.iter().zip(&hashes) {
            let start = usize::from(start);
            let suffix = &wire[start..];
            let target = self.targets[..known].iter().find(|(other, offset)| {
                *other == hash && self.matches_at(usize::from(*offset), suffix, case)
            });
            if let Some(&(_, offset)) = target {
                self.pointer(offset);
                return (start == 0).then_some(offset);
            }
            if self.len() < POINTER_LIMIT {
                self.targets.push((hash, self.len() as u16));
            }
            self.octets(&suffix[..=usize::from(suffix[0])]);
        }
        self.out.push(0);
        None
    }

    /// Writes RDLENGTH and RDATA, compressing the names in it where RFC 3597 4 allows it: in the
    /// types RFC 1035 defines. Returns whether the data is short enough to be sent at all.
    pub fn rdata(&mut self, rtype: RecordType, wire: &[u8]) -> bool {
        let length_at = self.len();
        self.u16(0);
        match split_compressible(rtype, wire) {
            Some((head, names, tail)) => {
                self.octets(head);
                let mut names = names;
                while let Ok(length @ 1..) = wire_length(names) {
                    let (name, rest) = names.split_at(length);
                    self.write_labels(name, NameComparison::ExactCase);
                    names = rest;
                }
                self.octets(tail);
            }
            None => self.octets(wire),
        }
        match u16::try_from(self.len() - length_at - 2) {
            Ok(length) => {
                self.patch_u16(length_at, length);
                true
            }
            Err(_) => false,
        }
    }

    /// Whether the name that begins at `offset` equals `name`, and may be pointed to in its place.
    fn matches_at(&self, mut offset: usize, mut name: &[u8], case: NameComparison) -> bool {
        let message = &self.out[self.base..];
        let question = self.first_name.map_or(0..0, |(at, length)| usize::from(at)..usize::from(at + length));
        loop {
            let Some(&length) = message.get(offset) else {
                return false;
            };
            if length >= 0xc0 {
                // Pointers lead to labels further to the front, so this ends.
                let Some(&low) = message.get(offset + 1) else {
                    return false;
                };
                offset = usize::from(length & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let end = 1 + usize::from(length);
            let (Some(theirs), Some(ours)) = (message.get(offset..offset + end), name.get(..end)) else {
                return false;
            };
            let is_equal = match case {
                NameComparison::IgnoreCase => theirs.eq_ignore_ascii_case(ours),
                // The root's label has no case.
                NameComparison::ExactCase => theirs == ours && (length == 0 || !question.contains(&offset)),
            };
            if !is_equal {
                return false;
            }
            if length == 0 {
                return true;
            }
            offset += end;
            name = &name[end..];
        }
    }
}

/// Whether names in data of this type are compressed: those of RFC 1035 alone (RFC 3597 4).
pub(crate) fn has_compressible_names(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::MX | RecordType::SOA)
}

/// Splits data into what comes before its names, the names, and what comes after them; `None`
/// if names in this type are not compressed or the data is malformed.
fn split_compressible(rtype: RecordType, wire: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (before, count, after) = match rtype {
        RecordType::CNAME | RecordType::NS | RecordType::PTR => (0, 1, 0),
        RecordType::MX => (2, 1, 0),
        RecordType::SOA => (0, 2, 20),
        _ => return None,
    };
    let (head, rest) = wire.split_at_checked(before)?;
    let mut end = 0;
    for _ in 0..count {
        end += wire_length(&rest[end..]).ok()?;
    }
    let (names, tail) = rest.split_at(end);
    (tail.len() == after).then_some((head, names, tail))
}
