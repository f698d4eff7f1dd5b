//! Reading a message as a query, or deciding how to turn it away.

use std::fmt;

use super::code::{Class, Opcode, Rcode, RecordType};
use super::edns::Edns;
use super::name::{Name, wire_length};

/// What is asked.
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
    /// The identifier the reply has to bear.
    pub id: u16,
    /// The RD bit.
    pub recursion_desired: bool,
    /// The CD bit (RFC 4035 3.2.2).
    pub checking_disabled: bool,
    /// What is asked.
    pub question: Question,
    /// The name in wire form with the client's case, to be echoed octet for octet.
    pub qname_as_sent: Vec<u8>,
    /// The OPT record, if there is one.
    pub edns: Option<Edns>,
}

/// Why a message is not a query we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    /// Say nothing.
    Discard(DiscardReason),
    /// Turn away with an rcode.
    Reject(Rejection),
}

/// Why a message gets no reply at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiscardReason {
    /// It is shorter than a header.
    TooShort,
    /// It is itself a response; a reply to it could start a loop.
    IsResponse,
}

/// What is needed to turn a message away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The identifier of the message.
    pub id: u16,
    /// Its opcode.
    pub opcode: Opcode,
    /// Its RD bit.
    pub recursion_desired: bool,
    /// Its CD bit.
    pub checking_disabled: bool,
    /// The outcome; above 15 only together with `edns`.
    pub rcode: Rcode,
    /// The question with the name as sent, if it could be read.
    pub question: Option<(Vec<u8>, RecordType, Class)>,
    /// Whether the reply carries an OPT record.
    pub edns: bool,
    /// The DO bit, to be copied into the OPT record.
    pub dnssec_ok: bool,
}

impl Query {
    /// Reads a message.
    ///
    /// Records after the question are walked with their bounds checked; all but OPT are then
    /// skipped, and octets after the last one are ignored. The bits Z, AA and TC are ignored.
    /// Meta types other than OPT are left to the caller.
    pub fn parse(message: &[u8]) -> Result<Self, QueryError> {
        let Some(header) = message.first_chunk::<HEADER_LEN>() else {
            return Err(QueryError::Discard(DiscardReason::TooShort));
        };
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let flags = word(2);
        if flags & QR != 0 {
            return Err(QueryError::Discard(DiscardReason::IsResponse));
        }
        let counts = [word(6), word(8), word(10)];
        let mut turned = Rejection {
            id: word(0),
            opcode: Opcode((flags >> 11 & 15) as u8),
            recursion_desired: flags & RD != 0,
            checking_disabled: flags & CD != 0,
            rcode: Rcode::FORMERR,
            question: None,
            edns: false,
            dnssec_ok: false,
        };
        if turned.opcode != Opcode::QUERY {
            turned.rcode = Rcode::NOTIMP;
        }

        let mut reader = QueryParser { message, at: HEADER_LEN };
        let question = match word(4) {
            1 => reader.question(),
            _ => None,
        };
        let Some((qname_as_sent, qname, qtype, qclass)) = question else {
            return Err(QueryError::Reject(turned));
        };
        turned.question = Some((qname_as_sent.to_vec(), qtype, qclass));
        let Some(opt) = reader.opt_record(counts) else {
            return Err(QueryError::Reject(turned));
        };
        turned.edns = opt.is_some();
        turned.dnssec_ok = opt.as_ref().is_some_and(|opt| opt.dnssec_ok);

        let [answers, authorities, _] = counts;
        let stray =
            answers != 0 || (authorities != 0 && qtype != RecordType::IXFR) || qtype == RecordType::OPT;
        if stray || turned.opcode != Opcode::QUERY {
            return Err(QueryError::Reject(turned));
        }
        let edns = match opt {
            None => None,
            Some(OptRecord { edns: Some(edns), .. }) => Some(edns),
            Some(OptRecord { edns: None, .. }) => {
                turned.rcode = Rcode::BADVERS;
                return Err(QueryError::Reject(turned));
            }
        };
        Ok(Self {
            id: turned.id,
            recursion_desired: turned.recursion_desired,
            checking_disabled: turned.checking_disabled,
            question: Question { qname, qtype, qclass },
            qname_as_sent: qname_as_sent.to_vec(),
            edns,
        })
    }
}

/// The length of a header (RFC 1035 4.1.1).
pub(crate) const HEADER_LEN: usize = 12;
/// The bit that tells a response from a query.
pub(crate) const QR: u16 = 0x8000;
/// Recursion desired.
pub(crate) const RD: u16 = 0x0100;
/// Checking disabled.
pub(crate) const CD: u16 = 0x0010;
/// The DO bit within the TTL field of an OPT record.
pub(crate) const DO: u32 = 0x8000;

/// An OPT record of any version.
struct OptRecord {
    dnssec_ok: bool,
    /// `None` if the version is not 0.
    edns: Option<Edns>,
}

/// Reads a message from front to back. `None` means that the message is malformed.
struct QueryParser<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> QueryParser<'a> {
    fn question(&mut self) -> Option<(&'a [u8], Name, RecordType, Class)> {
        let rest = self.message.get(self.at..)?;
        // Refuses compression pointers: nothing comes before the name to point to.
        let as_sent = self.take(wire_length(rest).ok()?)?;
        let qname = Name::from_wire(as_sent).ok()?;
        let qtype = RecordType(self.u16()?);
        let qclass = Class(self.u16()?);
        Some((as_sent, qname, qtype, qclass))
    }

    /// Walks the records of the three sections; returns the OPT record if there is one.
    fn opt_record(&mut self, counts: [u16; 3]) -> Option<Option<OptRecord>> {
        let mut found = None;
        for (section, count) in counts.into_iter().enumerate() {
            // A record takes 11 octets at least, so the message bounds this, not the count.
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
                    // What the data of another version look like is not known.
                    _ => None,
                };
                found = Some(OptRecord { dnssec_ok, edns });
            }
        }
        Some(found)
    }

    /// Moves behind a name, compressed or not; returns whether it is the root, spelt out.
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
