//! Encoding of names and records into a message, with name compression (RFC 1035 4.1.4).

use super::code::RecordType;
use super::name::wire_length;

/// The first offset that a compression pointer cannot express.
const POINTER_LIMIT: usize = 0x4000;

/// Maximum number of labels in a name, excluding the root label.
const MAX_LABELS: usize = 127;

/// Appends a message to a buffer. Offsets count from the start of the message, not of the buffer.
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    base: usize,
    /// The names written so far that a pointer can refer to: a hash of the name, and its offset. A message
    /// has few of them, so a linear search is faster than a map.
    targets: Vec<(u32, u16)>,
    /// Offset and length of the first name. That is the QNAME, the owner of most records.
    first_name: Option<(u16, u16)>,
}

/// Which earlier names a compression pointer may refer to.
#[derive(Clone, Copy)]
enum NameComparison {
    /// Names that are equal regardless of case. For owner names.
    IgnoreCase,
    /// Names that are equal including case, so that the receiver sees the case of the data (RFC 4343 4.1).
    /// The question is excluded: its case is the client's, and is replaced when a cached reply is sent to
    /// another client.
    ExactCase,
}

/// A position that the writer can roll back to.
#[derive(Clone, Copy)]
pub(crate) struct Checkpoint {
    length: usize,
    targets: usize,
}

impl<'o> Writer<'o> {
    pub(crate) fn new(out: &'o mut Vec<u8>) -> Self {
        let base = out.len();
        Self { out, base, targets: Vec::with_capacity(16), first_name: None }
    }

    /// Returns the length of the message so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len() - self.base
    }

    /// Returns the current position, for [`roll_back`](Self::roll_back).
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint { length: self.out.len(), targets: self.targets.len() }
    }

    /// Removes everything written since the checkpoint.
    pub(crate) fn roll_back(&mut self, checkpoint: Checkpoint) {
        self.out.truncate(checkpoint.length);
        self.targets.truncate(checkpoint.targets);
        self.first_name = self.first_name.filter(|_| checkpoint.targets > 0);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    pub(crate) fn u16(&mut self, number: u16) {
        self.octets(&number.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.octets(&number.to_be_bytes());
    }

    /// Overwrites two octets that are already written.
    pub(crate) fn patch_u16(&mut self, offset: usize, number: u16) {
        let at = self.base + offset;
        if let Some(target) = self.out.get_mut(at..at + 2) {
            target.copy_from_slice(&number.to_be_bytes());
        }
    }

    /// Writes an owner name or QNAME, which is given uncompressed, and compresses it with a pointer to an
    /// earlier name,
    /// ignoring case. The labels that are written out keep their case. Returns the offset at which
    /// later pointers can refer to this name, if there is one.
    pub(crate) fn name(&mut self, wire: &[u8]) -> Option<u16> {
        if let Some(offset) = self.offset_if_first_name(wire) {
            self.pointer(offset);
            return Some(offset);
        }
        let start = self.len();
        let known_targets = self.targets.len();
        if let Some(whole) = self.write_labels(wire, NameComparison::IgnoreCase) {
            return Some(whole);
        }
        // `write_labels` recorded every suffix as a target, the whole name first, unless its offset is out of
        // reach.
        let offset = self.targets.get(known_targets).map(|(_, offset)| *offset);
        let offset = offset.filter(|offset| usize::from(*offset) == start);
        if known_targets == 0 {
            self.first_name = offset.map(|offset| (offset, wire.len() as u16));
        }
        offset
    }

    /// Writes a compression pointer.
    pub(crate) fn pointer(&mut self, offset: u16) {
        self.u16(0xc000 | offset);
    }

    /// Returns the offset of the first name if it equals `wire`, ignoring case. Length octets are not
    /// letters, so comparing octets compares labels.
    fn offset_if_first_name(&self, wire: &[u8]) -> Option<u16> {
        let (offset, length) = self.first_name?;
        let start = self.base + usize::from(offset);
        let first = self.out.get(start..start + usize::from(length))?;
        first.eq_ignore_ascii_case(wire).then_some(offset)
    }

    /// Writes the labels of a name until the rest can be replaced by a pointer. Returns the offset of an
    /// earlier occurrence of the whole name, if there is one.
    fn write_labels(&mut self, wire: &[u8], comparison: NameComparison) -> Option<u16> {
        let mut starts = [0u8; MAX_LABELS];
        let mut labels = 0;
        let mut at = 0;
        while labels < MAX_LABELS && wire.get(at).is_some_and(|length| *length != 0) {
            starts[labels] = at as u8;
            labels += 1;
            at += 1 + usize::from(wire[at]);
        }
        let starts = &starts[..labels];
        // The hash of a suffix extends that of the next shorter one, so one pass computes all of them.
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
        let known_targets = self.targets.len();
        for (&start, &hash) in starts.iter().zip(&hashes) {
            let start = usize::from(start);
            let suffix = &wire[start..];
            let target = self.targets[..known_targets].iter().find(|(other, offset)| {
                *other == hash && self.matches_at(usize::from(*offset), suffix, comparison)
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

    /// Writes RDLENGTH and RDATA. Names in the data are compressed only in the types that RFC 1035 defines
    /// (RFC 3597 4). Returns whether the data fits in RDLENGTH.
    pub(crate) fn rdata(&mut self, rtype: RecordType, wire: &[u8]) -> bool {
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

    /// Returns whether the name at `offset` equals `name`, so that a pointer to it may replace `name`.
    fn matches_at(&self, mut offset: usize, mut name: &[u8], comparison: NameComparison) -> bool {
        let message = &self.out[self.base..];
        let question = self.first_name.map_or(0..0, |(at, length)| usize::from(at)..usize::from(at + length));
        loop {
            let Some(&length) = message.get(offset) else {
                return false;
            };
            if length >= 0xc0 {
                // Pointers refer to earlier labels only, so this terminates.
                let Some(&low) = message.get(offset + 1) else {
                    return false;
                };
                offset = usize::from(length & 0x3f) << 8 | usize::from(low);
                continue;
            }
            let end = 1 + usize::from(length);
            let (Some(earlier), Some(label)) = (message.get(offset..offset + end), name.get(..end)) else {
                return false;
            };
            let is_equal = match comparison {
                NameComparison::IgnoreCase => earlier.eq_ignore_ascii_case(label),
                // The root label has no case.
                NameComparison::ExactCase => earlier == label && (length == 0 || !question.contains(&offset)),
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

/// Returns whether names in data of this type are compressed: only those of RFC 1035 types (RFC 3597 4).
pub(crate) fn has_compressible_names(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::MX | RecordType::SOA)
}

/// Splits data into the part before its names, the names, and the part after them. Returns `None` if names in
/// this type are not compressed or the data is malformed.
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
