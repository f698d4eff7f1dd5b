//! Reading what another name server answered.
//!
//! The message comes from the network and may be forged: whatever it says, reading it takes time and
//! memory in proportion to its length, and ends.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::answer::RrSet;
use super::code::{Class, Opcode, Rcode, RecordType};
use super::edns::Ede;
use super::name::{MAX_LABEL, MAX_NAME, Name, wire_length};
use super::query::{HEADER_LEN, QR};
use super::rdata::Rdata;
use super::rdata_format::{RdataPart, may_have_tail, parts_to_last_name};

/// A response as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The identifier.
    pub id: u16,
    /// The TC bit. The sections of a truncated response are not read.
    pub truncated: bool,
    /// The outcome, with the bits of the OPT record if there is one.
    pub rcode: Rcode,
    /// The question: the name in wire form with the case it came in, the type and the class.
    pub question: Option<(Vec<u8>, RecordType, Class)>,
    /// The answer section, without DNSSEC records that were not asked for.
    pub answer: Vec<RrSet>,
    /// Whether the answer section had any record, those that are left out of `answer` included.
    pub has_answers: bool,
    /// The SOA records of the authority section, each with the smaller of its TTL and its MINIMUM field, which is the TTL
    /// of the denial that it is there for (RFC 2308 section 5); of a referral its NS records, and the addresses that stand beside
    /// them (RFC 1034 4.3.2).
    pub authority: Vec<RrSet>,
    /// Whether there is an OPT record.
    pub has_edns: bool,
    /// Its extended errors (RFC 8914), at most [`Ede::MAX_UPSTREAM`].
    pub edes: Vec<Ede>,
}

/// Why octets are not a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ResponseError {
    /// It is shorter than a header.
    #[error("the message is shorter than a header")]
    TooShort,
    /// It is a query, or the response to something else than a query.
    #[error("the message is no response to a query")]
    NotAResponse,
    /// There is more than one question.
    #[error("the message has several questions")]
    MultipleQuestions,
    /// It ends within a record, or a name in it is malformed.
    #[error("the message is malformed")]
    Malformed,
    /// The answer section has records, and none of them belongs to the question.
    #[error("sent records of which none was asked for")]
    UnrelatedRecords,
    /// The data of a record is not what its type says.
    #[error("the data of a record of type {0} is malformed")]
    Rdata(RecordType),
}

impl Response {
    /// Reads a message.
    ///
    /// Records become RRsets in the order of their first record; the TTL of a set is the smallest of its
    /// records' (RFC 2181 5.2), and at most seven days (RFC 8767 section 4). Names in rdata are decompressed and keep their
    /// case; of one that points into the question the part there is lower-cased. Of the additional section only OPT is
    /// read, and in a referral addresses.
    pub fn parse(message: &[u8]) -> Result<Self, ResponseError> {
        let header = message.first_chunk::<HEADER_LEN>().ok_or(ResponseError::TooShort)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = word(2);
        if flags & QR == 0 || Opcode((flags >> 11 & 15) as u8) != Opcode::QUERY {
            return Err(ResponseError::NotAResponse);
        }
        let mut response = Self {
            id: word(0),
            truncated: flags & TC != 0,
            rcode: Rcode(flags & 15),
            question: None,
            answer: Vec::new(),
            has_answers: word(6) > 0,
            authority: Vec::new(),
            has_edns: false,
            edes: Vec::new(),
        };
        let mut reader = ResponseParser::new(message, HEADER_LEN);
        match word(4) {
            0 => {}
            1 => response.question = Some(reader.question().ok_or(ResponseError::Malformed)?),
            _ => return Err(ResponseError::MultipleQuestions),
        }
        reader.question_end = reader.at;
        if response.truncated {
            return Ok(response);
        }
        let qtype = response.question.as_ref().map(|(_, qtype, _)| *qtype);
        let mut answer = RecordSetCollector::default();
        for _ in 0..word(6) {
            let record = reader.record()?;
            if !is_unrequested_dnssec(record.rtype, qtype) {
                answer.add(&reader, record)?;
            }
        }
        let mut authority = RecordSetCollector::default();
        for _ in 0..word(8) {
            let record = reader.record()?;
            let may_refer =
                response.rcode == Rcode::NOERROR && word(6) == 0 && record.rtype == RecordType::NS;
            if record.rtype == RecordType::SOA || may_refer {
                authority.add(&reader, record)?;
            }
        }
        let is_referral = authority.sets.iter().any(|(_, rtype, ..)| *rtype == RecordType::NS)
            && authority.sets.iter().all(|(_, rtype, ..)| *rtype == RecordType::NS);
        if !is_referral {
            authority.sets.retain(|(_, rtype, ..)| *rtype == RecordType::SOA);
        }
        for _ in 0..word(10) {
            let record = reader.record()?;
            if is_referral && matches!(record.rtype, RecordType::A | RecordType::AAAA) {
                authority.add(&reader, record)?;
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
    /// Whether what it says belongs to its question.
    ///
    /// False for NOERROR with records in the answer section, none of which is at the name in question and has its type
    /// or leads on from there, unless an SOA record above the name says that the name has no such record. An answer
    /// section without any record is the form that some servers deny in, and belongs to every question.
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

/// The longest TTL that is taken from a response, in seconds: seven days.
///
/// RFC 2181 section 8 takes a TTL with its highest bit set for 0. RFC 8767 section 4, which is for caches that serve stale
/// data as this one does, amends it: the value is a positive number like any other, and all are capped.
const MAX_TTL_S: u32 = 604_800;

/// Truncated.
const TC: u16 = 0x0200;

/// The most pointers followed in one name: one to each label, and there are no more.
const MAX_POINTERS: usize = 127;

/// Whether a record belongs to DNSSEC and the question was for something else. Queries go out without the
/// DO bit, so such records are a server's mistake.
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

/// A record whose data has not been looked at.
struct UnparsedRecord {
    owner: Name,
    rtype: RecordType,
    class: Class,
    ttl: u32,
    /// Where its data begins and ends in the message.
    data: (usize, usize),
}

/// So many sets are looked through for each record.
const LINEAR_SEARCH_SETS: usize = 8;

/// Records that become RRsets.
#[derive(Default)]
struct RecordSetCollector {
    sets: Vec<(Name, RecordType, u32, Vec<Rdata>)>,
    /// Where each set is, once there are more than a few: a message may have thousands of owners, and looking
    /// through all for each record would be what its sender wanted.
    index: HashMap<(Name, RecordType), usize, RandomState>,
}

impl RecordSetCollector {
    fn add(&mut self, reader: &ResponseParser<'_>, record: UnparsedRecord) -> Result<(), ResponseError> {
        let UnparsedRecord { owner, rtype, class, ttl, data } = record;
        if class != Class::IN || rtype.is_meta() {
            return Ok(());
        }
        let rdata = reader.rdata(rtype, data).ok_or(ResponseError::Rdata(rtype))?;
        match self.position(&owner, rtype) {
            Some(place) => {
                let (_, _, smallest, rdatas) = &mut self.sets[place];
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

    /// Where the set of an owner and a type is. The first few are not in the map.
    fn position(&self, owner: &Name, rtype: RecordType) -> Option<usize> {
        let few = &self.sets[..self.sets.len().min(LINEAR_SEARCH_SETS)];
        let among_few = few.iter().position(|(name, own, ..)| *own == rtype && name == owner);
        among_few.or_else(|| match self.index.is_empty() {
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

/// Reads a message from front to back. `None` means that the message is malformed.
struct ResponseParser<'a> {
    message: &'a [u8],
    at: usize,
    /// Where the question section ends.
    question_end: usize,
    /// The last owner that was nothing but a pointer, and where that leads: the next record's is the same mostly.
    owner: Option<(u16, Name)>,
}

impl<'a> ResponseParser<'a> {
    /// Reads on from a place.
    fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at, question_end: HEADER_LEN, owner: None }
    }

    fn question(&mut self) -> Option<(Vec<u8>, RecordType, Class)> {
        // Nothing comes before the name that it could point to.
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
        // The TTL field of an OPT record is none.
        let ttl = if rtype == RecordType::OPT { ttl } else { ttl.min(MAX_TTL_S) };
        Some(UnparsedRecord { owner, rtype, class, ttl, data: (start, self.at) })
    }

    /// The name that a record begins with.
    fn owner(&mut self) -> Option<Name> {
        let start = self.message.get(self.at..self.at + 2)?;
        let pointer = u16::from_be_bytes([start[0], start[1]]);
        if let Some((same, owner)) = &self.owner
            && *same == pointer
        {
            let owner = owner.clone();
            self.at += 2;
            return Some(owner);
        }
        let owner = Name::from_wire(&self.name()?).ok()?;
        if pointer >= 0xc000 {
            self.owner = Some((pointer, owner.clone()));
        }
        Some(owner)
    }

    /// The data with its names decompressed, in the case that the server has for them (RFC 4343 4.1).
    ///
    /// What a name takes from the question is lower-cased: that case is not the server's but ours, drawn at random
    /// for each query so that forgers have to guess it.
    fn rdata(&self, rtype: RecordType, (start, end): (usize, usize)) -> Option<Rdata> {
        // Names may point to all that comes before, but the data ends where the record says.
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
        let fits = match rtype {
            RecordType::A => tail.len() == 4,
            RecordType::AAAA => tail.len() == 16,
            RecordType::SOA => tail.len() == 20,
            _ if may_have_tail(rtype) => true,
            _ => names == 0 || tail.is_empty(),
        };
        if wire.is_empty() {
            return fits.then(|| Rdata::from_wire(tail));
        }
        wire.extend_from_slice(tail);
        // Names that are spelt out can make it longer than a record can be.
        (fits && wire.len() <= usize::from(u16::MAX)).then(|| Rdata::from(wire))
    }

    /// Reads a name and decompresses it, in the case it has but for what is in the question. Each pointer must lead
    /// to before the labels that it ends, so that following them ends.
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
                    let begin = wire.len();
                    wire.extend_from_slice(self.message.get(at..=at + label)?);
                    if at < self.question_end {
                        // The length octet is at most 63 and so no letter.
                        wire[begin..].make_ascii_lowercase();
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
