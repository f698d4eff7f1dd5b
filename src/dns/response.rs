//! Parsing of responses from other name servers.
//!
//! A response comes from the network and may be forged: whatever its content, parsing it takes time and
//! memory in proportion to its length.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::answer::RrSet;
use super::code::{Class, Opcode, Rcode, RecordType};
use super::edns::Ede;
use super::name::{MAX_LABEL, MAX_NAME, Name, wire_length};
use super::query::{HEADER_LEN, QR};
use super::rdata::Rdata;
use super::rdata_format::{RdataPart, may_have_tail, parts_to_last_name};

/// A parsed response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The message ID.
    pub id: u16,
    /// The TC bit. The sections of a truncated response are not parsed.
    pub truncated: bool,
    /// The response code, including the extended bits of the OPT record if there is one.
    pub rcode: Rcode,
    /// The question: the name in wire form in the case received, the type and the class.
    pub question: Option<(Vec<u8>, RecordType, Class)>,
    /// The answer section, without DNSSEC records that were not requested.
    pub answer: Vec<RrSet>,
    /// Whether the answer section has any record, including those omitted from `answer`.
    pub has_answers: bool,
    /// The SOA records of the authority section, each with the smaller of its TTL and its MINIMUM field,
    /// which is the TTL of the negative answer (RFC 2308 section 5). In a referral, the NS records and the
    /// address records of the additional section (RFC 1034 4.3.2).
    pub authority: Vec<RrSet>,
    /// Whether there is an OPT record.
    pub has_edns: bool,
    /// The extended errors (RFC 8914), at most [`Ede::MAX_UPSTREAM`].
    pub edes: Vec<Ede>,
}

/// Error returned when octets are not a valid response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ResponseError {
    /// The message is shorter than a header.
    #[error("the message is shorter than a header")]
    TooShort,
    /// The message is a query, or a response with an opcode other than QUERY.
    #[error("the message is not a response to a query")]
    NotAResponse,
    /// There is more than one question.
    #[error("the message has more than one question")]
    MultipleQuestions,
    /// The message ends within a record, or has a malformed name.
    #[error("the message is malformed")]
    Malformed,
    /// The answer section has records, but none of them answers the question.
    #[error("none of the records in the response answers the question")]
    UnrelatedRecords,
    /// The data of a record is malformed for its type.
    #[error("the data of a record of type {0} is malformed")]
    Rdata(RecordType),
}

impl Response {
    /// Parses a message.
    ///
    /// Records are grouped into RRsets, ordered by their first record. The TTL of an RRset is the smallest of
    /// its records' (RFC 2181 5.2), and at most seven days (RFC 8767 section 4). Names in RDATA are
    /// decompressed and keep their case, except that labels taken from the question by a compression pointer
    /// are lower-cased. Of the additional section, only the OPT record is used, and in a referral also the
    /// addresses.
    pub fn parse(message: &[u8]) -> Result<Self, ResponseError> {
        let header = message.first_chunk::<HEADER_LEN>().ok_or(ResponseError::TooShort)?;
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = u16_at(2);
        if flags & QR == 0 || Opcode((flags >> 11 & 15) as u8) != Opcode::QUERY {
            return Err(ResponseError::NotAResponse);
        }
        let mut response = Self {
            id: u16_at(0),
            truncated: flags & TC != 0,
            rcode: Rcode(flags & 15),
            question: None,
            answer: Vec::new(),
            has_answers: u16_at(6) > 0,
            authority: Vec::new(),
            has_edns: false,
            edes: Vec::new(),
        };
        let mut parser = ResponseParser::new(message, HEADER_LEN);
        match u16_at(4) {
            0 => {}
            1 => response.question = Some(parser.question().ok_or(ResponseError::Malformed)?),
            _ => return Err(ResponseError::MultipleQuestions),
        }
        parser.question_end = parser.at;
        if response.truncated {
            return Ok(response);
        }
        let qtype = response.question.as_ref().map(|(_, qtype, _)| *qtype);
        let mut answer = RrSetCollector::default();
        for _ in 0..u16_at(6) {
            let record = parser.record()?;
            if !is_unrequested_dnssec(record.rtype, qtype) {
                answer.add(&parser, record)?;
            }
        }
        let mut authority = RrSetCollector::default();
        for _ in 0..u16_at(8) {
            let record = parser.record()?;
            let may_refer =
                response.rcode == Rcode::NOERROR && u16_at(6) == 0 && record.rtype == RecordType::NS;
            if record.rtype == RecordType::SOA || may_refer {
                authority.add(&parser, record)?;
            }
        }
        let is_referral = authority.sets.iter().any(|(_, rtype, ..)| *rtype == RecordType::NS)
            && authority.sets.iter().all(|(_, rtype, ..)| *rtype == RecordType::NS);
        if !is_referral {
            authority.sets.retain(|(_, rtype, ..)| *rtype == RecordType::SOA);
        }
        for _ in 0..u16_at(10) {
            let record = parser.record()?;
            if is_referral && matches!(record.rtype, RecordType::A | RecordType::AAAA) {
                authority.add(&parser, record)?;
                continue;
            }
            if record.rtype == RecordType::OPT && !response.has_edns {
                response.has_edns = true;
                response.rcode.0 |= (record.ttl >> 24 << 4) as u16;
                response.edes = Ede::parse_all(message.get(record.data.0..record.data.1).unwrap_or_default());
            }
        }
        response.answer = answer.finish();
        response.authority = authority.finish();
        for soa in response.authority.iter_mut().filter(|set| set.rtype == RecordType::SOA) {
            soa.ttl = soa.ttl.min(soa.rdatas.iter().filter_map(Rdata::soa_minimum).min().unwrap_or(0));
        }
        Ok(response)
    }
}

impl Response {
    /// Returns whether the response answers its own question.
    ///
    /// Returns `false` for NOERROR with records in the answer section if none of them has the QNAME and
    /// the QTYPE, or is a CNAME or DNAME that redirects it, unless an SOA record at or above the QNAME makes
    /// the response a negative answer. Returns `true` if the answer section is empty, since some
    /// servers send negative answers without an SOA record.
    pub fn answers_question(&self) -> bool {
        let Some((qname, qtype, _)) = &self.question else { return true };
        if self.rcode != Rcode::NOERROR || !self.has_answers {
            return true;
        }
        let Ok(qname) = Name::from_wire(qname) else { return false };
        let answers = |set: &RrSet| set.answers(&qname, *qtype) || set.is_dname_above(&qname);
        let denies = |set: &RrSet| set.rtype == RecordType::SOA && qname.is_at_or_below(&set.owner);
        self.answer.iter().any(answers) || self.authority.iter().any(denies)
    }
}

/// Maximum TTL accepted from a response, in seconds: seven days.
///
/// RFC 2181 section 8 treats a TTL with the most significant bit set as 0. RFC 8767 section 4, which applies
/// to caches that serve stale data as this one does, updates it: the value is a positive number, and all
/// values are capped.
const MAX_TTL_S: u32 = 604_800;

/// The TC bit: truncated.
const TC: u16 = 0x0200;

/// Maximum number of pointers followed in one name: one per label.
const MAX_POINTERS: usize = 127;

/// Returns whether this is a DNSSEC type or OPT, and not the queried type. Queries to other servers do
/// not set the DO bit, so a server should not send such records.
fn is_unrequested_dnssec(rtype: RecordType, qtype: Option<RecordType>) -> bool {
    let dnssec = matches!(
        rtype,
        RecordType::OPT
            | RecordType::SIG
            | RecordType::RRSIG
            | RecordType::NSEC
            | RecordType::NSEC3
            | RecordType::NSEC3PARAM
            | RecordType::DNSKEY
    );
    dnssec && qtype != Some(rtype) && qtype != Some(RecordType::ANY)
}

/// A record whose data has not been parsed.
struct UnparsedRecord {
    owner: Name,
    rtype: RecordType,
    class: Class,
    ttl: u32,
    /// Start and end offset of the data in the message.
    data: (usize, usize),
}

/// Number of RRsets that are searched linearly for each record, before the index is used.
const LINEAR_SEARCH_SETS: usize = 8;

/// Groups records into RRsets.
#[derive(Default)]
struct RrSetCollector {
    sets: Vec<(Name, RecordType, u32, Vec<Rdata>)>,
    /// Positions of the RRsets beyond the first [`LINEAR_SEARCH_SETS`]. A message may have thousands of
    /// owners, so a linear search for each record would make parsing quadratic, which an attacker could
    /// exploit.
    index: HashMap<(Name, RecordType), usize, RandomState>,
}

impl RrSetCollector {
    fn add(&mut self, parser: &ResponseParser<'_>, record: UnparsedRecord) -> Result<(), ResponseError> {
        let UnparsedRecord { owner, rtype, class, ttl, data } = record;
        if class != Class::IN || rtype.is_meta() {
            return Ok(());
        }
        let rdata = parser.rdata(rtype, data).ok_or(ResponseError::Rdata(rtype))?;
        match self.position(&owner, rtype) {
            Some(position) => {
                let (_, _, smallest, rdatas) = &mut self.sets[position];
                *smallest = ttl.min(*smallest);
                rdatas.push(rdata);
            }
            None => {
                if self.sets.len() >= LINEAR_SEARCH_SETS {
                    self.index.insert((owner.clone(), rtype), self.sets.len());
                }
                self.sets.push((owner, rtype, ttl, vec![rdata]));
            }
        }
        Ok(())
    }

    /// Returns the position of the RRset with this owner and type. The first few are not in the index.
    fn position(&self, owner: &Name, rtype: RecordType) -> Option<usize> {
        let first = &self.sets[..self.sets.len().min(LINEAR_SEARCH_SETS)];
        let in_first = first.iter().position(|(name, other, ..)| *other == rtype && name == owner);
        in_first.or_else(|| match self.index.is_empty() {
            true => None,
            false => self.index.get(&(owner.clone(), rtype)).copied(),
        })
    }

    fn finish(self) -> Vec<RrSet> {
        self.sets
            .into_iter()
            .map(|(owner, rtype, ttl, rdatas)| RrSet::new(owner, rtype, ttl, rdatas))
            .collect()
    }
}

/// Parses a message from front to back. The methods return `None` if the message is malformed.
struct ResponseParser<'a> {
    message: &'a [u8],
    at: usize,
    /// Offset after the question section.
    question_end: usize,
    /// The last owner that consisted of a compression pointer only, and the name it refers to.
    /// The next record usually has the same owner.
    last_owner: Option<(u16, Name)>,
}

impl<'a> ResponseParser<'a> {
    /// Creates a parser that starts at an offset of the message.
    fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at, question_end: HEADER_LEN, last_owner: None }
    }

    fn question(&mut self) -> Option<(Vec<u8>, RecordType, Class)> {
        // The name cannot be compressed: no name precedes it.
        let length = wire_length(self.message.get(self.at..)?).ok()?;
        let qname = self.take(length)?.to_vec();
        Some((qname, RecordType(self.u16()?), Class(self.u16()?)))
    }

    fn record(&mut self) -> Result<UnparsedRecord, ResponseError> {
        self.try_record().ok_or(ResponseError::Malformed)
    }

    fn try_record(&mut self) -> Option<UnparsedRecord> {
        let owner = self.owner()?;
        let rtype = RecordType(self.u16()?);
        let class = Class(self.u16()?);
        let ttl = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        let length = usize::from(self.u16()?);
        let start = self.at;
        self.take(length)?;
        // The TTL field of an OPT record is not a TTL.
        let ttl = if rtype == RecordType::OPT { ttl } else { ttl.min(MAX_TTL_S) };
        Some(UnparsedRecord { owner, rtype, class, ttl, data: (start, self.at) })
    }

    /// Parses the owner name of a record.
    fn owner(&mut self) -> Option<Name> {
        let start = self.message.get(self.at..self.at + 2)?;
        let pointer = u16::from_be_bytes([start[0], start[1]]);
        if let Some((last, owner)) = &self.last_owner
            && *last == pointer
        {
            let owner = owner.clone();
            self.at += 2;
            return Some(owner);
        }
        let owner = Name::from_wire(&self.name()?).ok()?;
        if pointer >= 0xc000 {
            self.last_owner = Some((pointer, owner.clone()));
        }
        Some(owner)
    }

    /// Parses RDATA: decompresses its names and preserves the server's case (RFC 4343 4.1).
    ///
    /// Labels taken from the question are lower-cased. Their case is not the server's: it was randomised when
    /// the query was sent, so that off-path attackers have to guess it.
    fn rdata(&self, rtype: RecordType, (start, end): (usize, usize)) -> Option<Rdata> {
        // Names may point to anything earlier in the message, but must not extend past the end of the data.
        let mut data = ResponseParser {
            question_end: self.question_end,
            ..ResponseParser::new(self.message.get(..end)?, start)
        };
        let mut wire = Vec::new();
        let mut names = 0;
        for part in parts_to_last_name(rtype) {
            match part {
                RdataPart::Octets(length) => wire.extend_from_slice(data.take(length)?),
                RdataPart::CharString => {
                    let length = data.take(1)?[0];
                    wire.push(length);
                    wire.extend_from_slice(data.take(usize::from(length))?);
                }
                RdataPart::Name => {
                    wire.extend(data.name()?);
                    names += 1;
                }
            }
        }
        let tail = data.take(end - data.at)?;
        let is_well_formed = match rtype {
            RecordType::A => tail.len() == 4,
            RecordType::AAAA => tail.len() == 16,
            RecordType::SOA => tail.len() == 20,
            _ if may_have_tail(rtype) => true,
            _ => names == 0 || tail.is_empty(),
        };
        if wire.is_empty() {
            return is_well_formed.then(|| Rdata::from_wire(tail));
        }
        wire.extend_from_slice(tail);
        // Decompressed names can make the data longer than RDLENGTH can express.
        (is_well_formed && wire.len() <= usize::from(u16::MAX)).then(|| Rdata::from(wire))
    }

    /// Parses and decompresses a name. Its case is preserved, except that labels in the question section are
    /// lower-cased. Each pointer must refer to an offset before the labels that precede it, so that the loop
    /// terminates.
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut wire = Vec::with_capacity(32);
        let mut at = self.at;
        let mut part_start = at;
        let mut after = None;
        let mut pointers = 0;
        loop {
            let length = *self.message.get(at)?;
            match usize::from(length) {
                0 => break,
                label @ 1..=MAX_LABEL => {
                    let label_start = wire.len();
                    wire.extend_from_slice(self.message.get(at..=at + label)?);
                    if at < self.question_end {
                        // The length octet is at most 63, so it is not a letter.
                        wire[label_start..].make_ascii_lowercase();
                    }
                    at += 1 + label;
                }
                192.. => {
                    let low = *self.message.get(at + 1)?;
                    let target = usize::from(length & 0x3f) << 8 | usize::from(low);
                    pointers += 1;
                    if target >= part_start || pointers > MAX_POINTERS {
                        return None;
                    }
                    after.get_or_insert(at + 2);
                    (at, part_start) = (target, target);
                }
                _ => return None,
            }
            if wire.len() >= MAX_NAME {
                return None;
            }
        }
        wire.push(0);
        self.at = after.unwrap_or(at + 1);
        Some(wire)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }
}

#[cfg(test)]
mod tests;
