//! Parsing of queries, and what is needed to reject a message that is not one.

use std::fmt;

use super::code::{Class, Opcode, Rcode, RecordType};
use super::edns::Edns;
use super::name::{Name, wire_length};

/// A question: name, type and class.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name, lower-cased.
    pub qname: Name,
    /// The type.
    pub qtype: RecordType,
    /// The class.
    pub qclass: Class,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.qname, self.qclass, self.qtype)
    }
}

/// A standard query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The message ID, which is copied to the reply.
    pub id: u16,
    /// The RD bit.
    pub recursion_desired: bool,
    /// The CD bit (RFC 4035 3.2.2).
    pub checking_disabled: bool,
    /// The question.
    pub question: Question,
    /// The name in wire form, in the case sent by the client, to be echoed octet for octet.
    pub qname_as_sent: Vec<u8>,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
}

/// Error returned when a message is not a valid query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// The message is discarded without a reply.
    Discard(DiscardReason),
    /// The message is answered with an error rcode.
    Reject(Rejection),
}

/// Why a message is discarded without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscardReason {
    /// The message is shorter than a header.
    TooShort,
    /// The message is itself a response; replying to it could start a loop.
    IsResponse,
}

/// What is needed to encode an error reply to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The ID of the message.
    pub id: u16,
    /// Its opcode.
    pub opcode: Opcode,
    /// Its RD bit.
    pub recursion_desired: bool,
    /// Its CD bit.
    pub checking_disabled: bool,
    /// The rcode of the reply. A value above 15 requires `edns`.
    pub rcode: Rcode,
    /// The question with the name as sent, if it could be parsed.
    pub question: Option<(Vec<u8>, RecordType, Class)>,
    /// Whether the reply has an OPT record.
    pub edns: bool,
    /// The DO bit, to be copied into the OPT record.
    pub dnssec_ok: bool,
}

impl Query {
    /// Parses a message.
    ///
    /// The records after the question are parsed with bounds checks. Answer records are errors, and so are
    /// authority records, except for IXFR (RFC 1995 3). Additional records other than OPT, octets after the
    /// last record, and the bits AA, TC, RA, Z and AD are ignored. Meta-TYPEs other than OPT are
    /// left to the caller.
    ///
    /// # Errors
    ///
    /// [`QueryError::Discard`] for a message that must not be replied to, else [`QueryError::Reject`] with
    /// FORMERR, NOTIMP or BADVERS.
    pub fn parse(message: &[u8]) -> Result<Self, QueryError> {
        let Some(header) = message.first_chunk::<HEADER_LEN>() else {
            return Err(QueryError::Discard(DiscardReason::TooShort));
        };
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = u16_at(2);
        if flags & QR != 0 {
            return Err(QueryError::Discard(DiscardReason::IsResponse));
        }
        let counts = [u16_at(6), u16_at(8), u16_at(10)];
        let mut rejection = Rejection {
            id: u16_at(0),
            opcode: Opcode((flags >> 11 & 15) as u8),
            recursion_desired: flags & RD != 0,
            checking_disabled: flags & CD != 0,
            rcode: Rcode::FORMERR,
            question: None,
            edns: false,
            dnssec_ok: false,
        };
        if rejection.opcode != Opcode::QUERY {
            rejection.rcode = Rcode::NOTIMP;
        }

        let mut parser = QueryParser { message, at: HEADER_LEN };
        let question = match u16_at(4) {
            1 => parser.question(),
            _ => None,
        };
        let Some((qname_as_sent, qname, qtype, qclass)) = question else {
            return Err(QueryError::Reject(rejection));
        };
        rejection.question = Some((qname_as_sent.to_vec(), qtype, qclass));
        let Some(opt) = parser.opt_record(counts) else {
            return Err(QueryError::Reject(rejection));
        };
        rejection.edns = opt.is_some();
        rejection.dnssec_ok = opt.as_ref().is_some_and(|opt| opt.dnssec_ok);

        let [answers, authorities, _] = counts;
        let is_malformed =
            answers != 0 || (authorities != 0 && qtype != RecordType::IXFR) || qtype == RecordType::OPT;
        if is_malformed || rejection.opcode != Opcode::QUERY {
            return Err(QueryError::Reject(rejection));
        }
        let edns = match opt {
            None => None,
            Some(OptRecord { edns: Some(edns), .. }) => Some(edns),
            Some(OptRecord { edns: None, .. }) => {
                rejection.rcode = Rcode::BADVERS;
                return Err(QueryError::Reject(rejection));
            }
        };
        Ok(Self {
            id: rejection.id,
            recursion_desired: rejection.recursion_desired,
            checking_disabled: rejection.checking_disabled,
            question: Question { qname, qtype, qclass },
            qname_as_sent: qname_as_sent.to_vec(),
            edns,
        })
    }
}

/// Length of the message header in octets (RFC 1035 4.1.1).
pub(crate) const HEADER_LEN: usize = 12;
/// The QR bit: set in responses, clear in queries.
pub(crate) const QR: u16 = 0x8000;
/// The RD bit: recursion desired.
pub(crate) const RD: u16 = 0x0100;
/// The CD bit: checking disabled.
pub(crate) const CD: u16 = 0x0010;
/// The DO bit, in the TTL field of an OPT record.
pub(crate) const DO: u32 = 0x8000;

/// An OPT record of any version.
struct OptRecord {
    dnssec_ok: bool,
    /// `None` if the version is not 0.
    edns: Option<Edns>,
}

/// Parses a message from front to back. The methods return `None` if the message is malformed.
struct QueryParser<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> QueryParser<'a> {
    fn question(&mut self) -> Option<(&'a [u8], Name, RecordType, Class)> {
        let rest = self.message.get(self.at..)?;
        // Compression pointers are rejected: no name precedes this one.
        let as_sent = self.take(wire_length(rest).ok()?)?;
        let qname = Name::from_wire(as_sent).ok()?;
        let qtype = RecordType(self.u16()?);
        let qclass = Class(self.u16()?);
        Some((as_sent, qname, qtype, qclass))
    }

    /// Parses the records of the three sections and returns the OPT record, if there is one.
    fn opt_record(&mut self, counts: [u16; 3]) -> Option<Option<OptRecord>> {
        let mut found = None;
        for (section, count) in counts.into_iter().enumerate() {
            // A record has at least 11 octets, so the length of the message bounds this loop, not the count.
            for _ in 0..count {
                let is_root = self.skip_name()?;
                let rtype = RecordType(self.u16()?);
                let class = self.u16()?;
                let ttl = self.u32()?;
                let length = self.u16()?;
                let data = self.take(usize::from(length))?;
                if rtype != RecordType::OPT {
                    continue;
                }
                if section != 2 || !is_root || found.is_some() {
                    return None;
                }
                let dnssec_ok = ttl & DO != 0;
                let edns = match ttl >> 16 & 0xff {
                    0 => Some(Edns::parse(class, dnssec_ok, data)?),
                    // The format of the data of other versions is unknown.
                    _ => None,
                };
                found = Some(OptRecord { dnssec_ok, edns });
            }
        }
        Some(found)
    }

    /// Skips a name, compressed or not, and returns whether it is an uncompressed root name.
    fn skip_name(&mut self) -> Option<bool> {
        let start = self.at;
        loop {
            match self.take(1)?[0] {
                0 => return Some(self.at == start + 1),
                length @ 1..=63 => {
                    self.take(usize::from(length))?;
                }
                192.. => {
                    self.take(1)?;
                    return Some(false);
                }
                _ => return None,
            }
        }
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(taken)
    }
}

#[cfg(test)]
pub(crate) mod tests;
