//! A walk over the records of a message without copying, and the operations that need no more than that:
//! padding (RFC 7830) and the freshness lifetime of a reply (RFC 8484 5.1).

use super::MAX_MESSAGE;
use super::code::{Rcode, RecordType};
use super::edns::OptionCode;
use super::query::HEADER_LEN;

/// Block size of padded replies in octets (RFC 8467 4.1).
pub const PADDING_BLOCK: usize = 468;

/// Length of a question after its name, in octets: type and class.
const QUESTION_FIXED: usize = 4;

/// Length of a record between its name and its data, in octets: type, class, TTL and RDLENGTH (RFC 1035
/// 3.2.1).
const RECORD_FIXED: usize = 10;

/// Length of an option before its data, in octets: code and length (RFC 6891 6.1.2).
const OPTION_FIXED: usize = 4;

/// The sections of a message that contain records, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    Answer,
    Authority,
    Additional,
}

/// A record in wire form.
struct RawRecord<'a> {
    section: Section,
    rtype: RecordType,
    /// The TTL field. In an OPT record: the extended rcode, the version and the flags.
    ttl: u32,
    data: &'a [u8],
    /// Offset after the record.
    end: usize,
}

/// Iterator over the records of a message. Ends early if the message is malformed. The length of the message
/// bounds the walk, not the counts in its header.
struct RecordWalk<'a> {
    message: &'a [u8],
    at: usize,
    /// Number of records remaining in each section. Not all 0 after a walk that ended early.
    remaining: [u16; 3],
}

impl<'a> RecordWalk<'a> {
    /// Creates a walk. Returns `None` if the message ends within its header or its question section.
    fn new(message: &'a [u8]) -> Option<Self> {
        let header = message.first_chunk::<HEADER_LEN>()?;
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let mut records = Self { message, at: HEADER_LEN, remaining: [u16_at(6), u16_at(8), u16_at(10)] };
        for _ in 0..u16_at(4) {
            records.skip_name()?;
            records.take_octets(QUESTION_FIXED)?;
        }
        Some(records)
    }

    fn take_octets(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }

    /// Skips a name, compressed or not.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take_octets(1)?[0] {
                0 => return Some(()),
                length @ 1..=63 => drop(self.take_octets(length.into())?),
                192.. => return self.take_octets(1).map(drop),
                _ => return None,
            }
        }
    }
}

impl<'a> Iterator for RecordWalk<'a> {
    type Item = RawRecord<'a>;

    fn next(&mut self) -> Option<RawRecord<'a>> {
        let at = self.remaining.iter().position(|count| *count > 0)?;
        let section = [Section::Answer, Section::Authority, Section::Additional][at];
        self.skip_name()?;
        let (fixed, _) = self.take_octets(RECORD_FIXED)?.split_first_chunk::<RECORD_FIXED>()?;
        let length = u16::from_be_bytes([fixed[8], fixed[9]]);
        let data = self.take_octets(length.into())?;
        self.remaining[at] -= 1;
        let ttl = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        Some(RawRecord {
            section,
            rtype: RecordType(u16::from_be_bytes([fixed[0], fixed[1]])),
            ttl,
            data,
            end: self.at,
        })
    }
}

/// Returns whether a query has the Padding option, of any length, so that its reply over an encrypted
/// transport must be padded (RFC 7830 4).
pub fn has_padding(query: &[u8]) -> bool {
    let opt = RecordWalk::new(query).and_then(|mut records| {
        records.find(|record| record.section == Section::Additional && record.rtype == RecordType::OPT)
    });
    // The format of options in other EDNS versions is unknown.
    let Some(opt) = opt.filter(|opt| opt.ttl >> 16 & 0xff == 0) else { return false };
    let mut options = opt.data;
    while let Some((&[code_high, code_low, high, low], rest)) = options.split_first_chunk::<OPTION_FIXED>() {
        if u16::from_be_bytes([code_high, code_low]) == OptionCode::PADDING {
            return true;
        }
        options = rest.get(usize::from(u16::from_be_bytes([high, low]))..).unwrap_or_default();
    }
    false
}

/// Pads the reply in `out` from offset `base` to the end, to a multiple of [`PADDING_BLOCK`] and at most to
/// [`MAX_MESSAGE`] (RFC 8467 4.1).
///
/// The option is appended to the OPT record, which must be the last record of the reply. A reply without an
/// OPT record, or without space for the four octets of the option's header, is left unchanged.
pub fn pad(out: &mut Vec<u8>, base: usize) {
    let Some(reply) = out.get(base..) else { return };
    let Some(last) = RecordWalk::new(reply).and_then(Iterator::last) else { return };
    let (length, data_length) = (reply.len(), last.data.len());
    let unpadded = length + OPTION_FIXED;
    if last.rtype != RecordType::OPT || last.end != length || unpadded > MAX_MESSAGE {
        return;
    }
    let padded = unpadded.next_multiple_of(PADDING_BLOCK).min(MAX_MESSAGE);
    // Both fit in 16 bits, as the padded message does.
    let (padding, data_length_with_padding) =
        ((padded - unpadded) as u16, (data_length + padded - length) as u16);
    let length_at = base + length - data_length - 2;
    out[length_at..length_at + 2].copy_from_slice(&data_length_with_padding.to_be_bytes());
    out.extend_from_slice(&OptionCode::PADDING.to_be_bytes());
    out.extend_from_slice(&padding.to_be_bytes());
    out.resize(base + padded, 0);
}

/// Returns the freshness lifetime of a reply in seconds (RFC 8484 5.1): the smallest TTL in its answer
/// section, limited by the TTL and MINIMUM of an SOA record in the authority section (RFC 2308 5).
///
/// Returns `None` if the reply must not be reused: its rcode is neither NOERROR nor NXDOMAIN, it is truncated
/// or malformed, or nothing in it has a TTL.
pub fn freshness_lifetime_s(reply: &[u8]) -> Option<u32> {
    let [_, _, flags_high, flags_low, ..] = *reply.first_chunk::<HEADER_LEN>()?;
    let rcode = Rcode(u16::from(flags_low & 15));
    let is_truncated = flags_high & 2 != 0;
    if is_truncated || rcode != Rcode::NOERROR && rcode != Rcode::NXDOMAIN {
        return None;
    }
    let mut fresh_s = None;
    let mut end = None;
    let mut records = RecordWalk::new(reply)?;
    for record in &mut records {
        end = Some(record.end);
        let ttl = match (record.section, record.rtype) {
            (_, RecordType::OPT) if record.ttl >> 24 != 0 => return None, // an extended rcode
            (Section::Answer, _) => effective_ttl(record.ttl),
            (Section::Authority, RecordType::SOA) => {
                let minimum = u32::from_be_bytes(*record.data.last_chunk::<4>()?);
                effective_ttl(record.ttl).min(effective_ttl(minimum))
            }
            _ => continue,
        };
        fresh_s = Some(fresh_s.map_or(ttl, |so_far: u32| so_far.min(ttl)));
    }
    // A message whose length does not match its counts is malformed.
    (records.remaining == [0; 3] && end == Some(reply.len())).then_some(fresh_s).flatten()
}

/// Returns the TTL, or 0 if its most significant bit is set (RFC 2181 8).
fn effective_ttl(ttl: u32) -> u32 {
    if ttl >> 31 == 0 { ttl } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::query::Query;
    use super::*;

    /// Returns a header with this rcode and these counts, and the question `a. IN A`.
    fn header(rcode: u8, counts: [u8; 3]) -> Vec<u8> {
        let [answers, authorities, additional] = counts;
        let mut message = vec![0, 1, 0x81, 0x80 | rcode, 0, 1, 0, answers, 0, authorities, 0, additional];
        message.extend(b"\x01a\0\0\x01\0\x01");
        message
    }

    fn record(owner: &[u8], rtype: RecordType, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut record = owner.to_vec();
        record.extend(rtype.0.to_be_bytes());
        record.extend(class.to_be_bytes());
        record.extend(ttl.to_be_bytes());
        record.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        record.extend(data);
        record
    }

    fn a(ttl: u32) -> Vec<u8> {
        record(b"\xc0\x0c", RecordType::A, 1, ttl, &[10, 0, 0, 1])
    }

    fn soa(ttl: u32, minimum: u32) -> Vec<u8> {
        let data = [&b"\0\0"[..], &[0; 16], &minimum.to_be_bytes()].concat();
        record(b"\0", RecordType::SOA, 1, ttl, &data)
    }

    fn opt(ttl: u32, options: &[u8]) -> Vec<u8> {
        record(b"\0", RecordType::OPT, 1232, ttl, options)
    }

    #[test]
    fn the_padding_option_is_found_anywhere_in_the_opt_record() {
        let query = |rest: &[Vec<u8>]| {
            let mut message = header(0, [0, 0, u8::try_from(rest.len()).unwrap()]);
            message[2..4].copy_from_slice(&[1, 0]);
            message.extend(rest.concat());
            message
        };
        let cookie = b"\0\x0a\0\x08abcdefgh";
        assert!(has_padding(&query(&[opt(0, b"\0\x0c\0\0")])));
        assert!(has_padding(&query(&[opt(0, b"\0\x0c\0\x03\0\0\0")])));
        assert!(has_padding(&query(&[opt(0, &[&cookie[..], b"\0\x0c\0\0"].concat())])));
        assert!(has_padding(&query(&[a(1), opt(0x8000, b"\0\x0c\0\0")])));
        assert!(!has_padding(&query(&[opt(0, cookie)])));
        assert!(!has_padding(&query(&[opt(0, b"\0\x0a\0\x04\0\x0c\0\0")])), "in the data of another option");
        assert!(!has_padding(&query(&[opt(1 << 16, b"\0\x0c\0\0")])), "in another EDNS version");
        assert!(!has_padding(&query(&[])));
        assert!(!has_padding(b"\0\x0c"));
    }

    #[test]
    fn replies_are_padded_to_whole_blocks_up_to_the_maximum_message_length() {
        // Header, question and OPT record are 12 + 7 + 11 octets.
        for (options, padded) in [
            (0, 468),
            (434, 468),
            (435, 936),
            (438, 936),
            (65_000, 65_052),
            (65_486, 65_520),
            (65_487, 65_535),
            (65_501, 65_535),
            (65_502, 65_532),
            (65_505, 65_535),
        ] {
            let mut out = b"before".to_vec();
            out.extend(header(0, [0, 0, 1]));
            out.extend(opt(0, &vec![0; options]));
            pad(&mut out, 6);
            assert_eq!(out.len() - 6, padded, "{options} octets of options");
            let records = RecordWalk::new(&out[6..]).unwrap();
            assert_eq!(records.last().map(|last| last.end), Some(padded));
            assert!(out.starts_with(b"before"));
        }
    }

    #[test]
    fn a_reply_without_an_opt_record_is_not_padded() {
        for reply in
            [header(0, [0; 3]), [header(0, [1, 0, 0]), a(60)].concat(), header(0, [0, 0, 1]), vec![0; 3]]
        {
            let mut out = reply.clone();
            pad(&mut out, 0);
            assert_eq!(out, reply);
        }
    }

    #[test]
    fn the_freshness_lifetime_is_the_shortest_ttl() {
        let reply = |rcode, counts, rest: &[Vec<u8>]| {
            let mut message = header(rcode, counts);
            message.extend(rest.concat());
            freshness_lifetime_s(&message)
        };
        assert_eq!(reply(0, [2, 0, 1], &[a(60), a(30), opt(0, b"")]), Some(30));
        assert_eq!(reply(0, [1, 1, 0], &[a(60), soa(20, 900)]), Some(20));
        assert_eq!(reply(3, [0, 1, 1], &[soa(900, 5), opt(0, b"")]), Some(5));
        assert_eq!(reply(0, [0, 1, 0], &[soa(7, 900)]), Some(7));
        assert_eq!(reply(0, [1, 0, 0], &[a(0)]), Some(0));
        assert_eq!(reply(0, [1, 0, 0], &[a(1 << 31)]), Some(0));
        assert_eq!(reply(0, [1, 0, 1], &[a(60), opt(1 << 24, b"")]), None, "BADVERS");
        assert_eq!(reply(2, [1, 0, 0], &[a(60)]), None, "SERVFAIL");
        assert_eq!(reply(5, [0, 1, 0], &[soa(60, 60)]), None, "REFUSED");
        assert_eq!(reply(0, [0, 0, 1], &[opt(0, b"")]), None, "nothing has a TTL");
        assert_eq!(reply(0, [2, 0, 0], &[a(60)]), None, "a missing record");
    }

    proptest! {
        /// No input panics, and the walk finds the option if and only if the full parser does.
        #[test]
        fn any_octets_are_handled(message in prop::collection::vec(any::<u8>(), 0..120), with_header in any::<bool>()) {
            let mut message = message;
            if with_header {
                message.splice(0..0, header(0, [0, 0, 1]));
                message[2..4].copy_from_slice(&[1, 0]);
            }
            let found = has_padding(&message);
            if let Ok(query) = Query::parse(&message) {
                let options = query.edns.map(|edns| edns.options).unwrap_or_default();
                prop_assert_eq!(found, options.iter().any(|(code, _)| *code == OptionCode::PADDING));
            }
            freshness_lifetime_s(&message);
            let before = message.clone();
            pad(&mut message, 0);
            prop_assert!(message.len() == before.len() || message.len() % PADDING_BLOCK == 0);
        }
    }
}
