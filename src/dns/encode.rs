//! Writing replies.

use super::MAX_MESSAGE;
use super::answer::{Answer, RrSet};
use super::code::{Opcode, Rcode, RecordType};
use super::edns::{ClientSubnet, Ede, OptionCode};
use super::name::wire_length;
use super::query::{CD, DO, HEADER_LEN, QR, Query, RD, Rejection};
use super::writer::{Writer, has_compressible_names};

/// The UDP payload size a reply's OPT record announces (RFC 6891 6.2.4).
pub const ADVERTISED_PAYLOAD: u16 = 4096;

/// How large a reply over UDP may be to a client that can take so much: at most `cap`, never less than 512 octets
/// (RFC 6891 6.2.3). A client without an OPT record takes 512.
pub fn udp_limit(payload: Option<u16>, cap: u16) -> usize {
    usize::from(payload.unwrap_or(MIN_PAYLOAD).min(cap).max(MIN_PAYLOAD))
}

/// The UDP payload size every client can take (RFC 1035 2.3.4).
const MIN_PAYLOAD: u16 = 512;

/// What a reply carries beside its records; see the drop order at [`encode`].
///
/// All but the last travels in the OPT record, so a query without one gets none of that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Extended errors, most important first. They follow that of the answer.
    pub edes: Vec<Ede>,
    /// One more option, as code and data.
    pub option: Option<(u16, Vec<u8>)>,
    /// The client subnet to echo. Its scope becomes the length of its prefix: the reply is for
    /// this network and no larger one (RFC 7871 7.2.1).
    pub client_subnet: Option<ClientSubnet>,
    /// Whether this client may not query at all. RA is clear then: no recursion is available to it (RFC 1035 4.1.1).
    /// It is part of the header, so a query without an OPT record has it too.
    pub recursion_denied: bool,
}

/// Where the parts of a reply stand, for those who keep it. Offsets count from the reply's first octet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyLayout {
    /// The length of the question section; it begins after the header.
    pub question: usize,
    /// Where the last record that is no OPT record ends.
    pub records_end: usize,
    /// The sets of the answer and authority sections, in their order.
    pub sets: Vec<RrSetLayout>,
    /// Where each record of these sets begins.
    pub record_starts: Vec<u16>,
    /// Where each TTL that counts down stands.
    pub ageing_ttls: Vec<u16>,
}

/// Where one set of a reply stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RrSetLayout {
    /// The number of its first record.
    pub first: usize,
    /// How many records it has.
    pub records: usize,
    /// Where its last record ends.
    pub end: usize,
    /// Whether its records may stand in any order as they are: none points into another.
    pub is_rotatable: bool,
}

impl ReplyLayout {
    fn clear(&mut self) {
        *self = Self {
            sets: std::mem::take(&mut self.sets),
            record_starts: std::mem::take(&mut self.record_starts),
            ageing_ttls: std::mem::take(&mut self.ageing_ttls),
            ..Self::default()
        };
        self.sets.clear();
        self.record_starts.clear();
        self.ageing_ttls.clear();
    }
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Whether records were left out and TC was set.
    pub truncated: bool,
    /// How many octets were appended; 0 if the limit is too small even for the question.
    pub length: usize,
    /// How many records the answer section has.
    pub answers: u16,
    /// How many extended errors and options were left out for want of room.
    pub dropped_annotations: usize,
}

/// Appends the reply to a query, at most `limit` octets ([`MAX_MESSAGE`] if it is more).
///
/// Appends nothing when the reply cannot be built: when header, question and OPT record alone
/// exceed the limit. That does not happen from 512 octets on.
///
/// RRsets are written whole, each rotated by `rotation`, as far as they fit. The first one that
/// does not fit and all after it are left out, and TC is set. Room for the OPT record with the
/// echoed client subnet is set aside before. The annotations get the room that is left after
/// the records, so they never cost a record and never cause TC. What does not fit is dropped
/// in this order: the extended errors in `annotations` from the last to the second, then
/// `annotations.option`, then the first extended error there, then those of the answer from the last to the first.
///
/// An rcode above 15 needs an OPT record; without one SERVFAIL is sent instead.
pub fn encode(
    query: &Query,
    answer: &Answer,
    annotations: &Annotations,
    limit: usize,
    rotation: usize,
    out: &mut Vec<u8>,
) -> Encoded {
    encode_with_layout(query, answer, annotations, limit, rotation, &mut ReplyLayout::default(), out)
}

/// The same, and `layout` tells afterwards where everything stands. Its former content is lost.
pub fn encode_with_layout(
    query: &Query,
    answer: &Answer,
    annotations: &Annotations,
    limit: usize,
    rotation: usize,
    layout: &mut ReplyLayout,
    out: &mut Vec<u8>,
) -> Encoded {
    layout.clear();
    let limit = limit.min(MAX_MESSAGE);
    let echo = annotations.client_subnet.as_ref().map(|subnet| {
        let scope = subnet.network.prefix_len();
        (OptionCode::CLIENT_SUBNET, subnet.encode(scope))
    });
    let reserved = match &query.edns {
        Some(_) => OPT_LENGTH + echo.as_ref().map_or(0, option_length),
        None => 0,
    };
    let rcode = if answer.rcode.0 > 15 && query.edns.is_none() { Rcode::SERVFAIL } else { answer.rcode };

    let mut writer = Writer::new(out);
    let start = writer.checkpoint();
    let flags = QR
        | flag_if(query.recursion_desired, RD)
        | flag_if(query.checking_disabled, CD)
        | flag_if(!annotations.recursion_denied && !is_unrecognised(rcode), RA)
        | rcode.0 & 15;
    write_header(&mut writer, query.id, flags);
    writer.patch_u16(QDCOUNT, 1);
    // Both fields are open to be set; only a well-formed name may be written.
    if wire_length(&query.qname_as_sent) == Ok(query.qname_as_sent.len()) {
        writer.name(&query.qname_as_sent);
    } else {
        writer.name(query.question.qname.as_wire());
    }
    writer.u16(query.question.qtype.0);
    writer.u16(query.question.qclass.0);
    if writer.len() + reserved > limit {
        writer.roll_back(start);
        return Encoded::default();
    }

    layout.question = writer.len() - HEADER_LEN;
    let mut encoded = Encoded::default();
    let room = limit - reserved;
    for (sets, count_at) in [(&answer.answer, ANCOUNT), (&answer.authority, NSCOUNT)] {
        let mut count: u16 = 0;
        for set in sets {
            if encoded.truncated {
                break;
            }
            match write_set(&mut writer, set, rotation, room, layout) {
                Some(records) => count += records,
                None => encoded.truncated = true,
            }
        }
        writer.patch_u16(count_at, count);
        if count_at == ANCOUNT {
            encoded.answers = count;
        }
    }
    layout.records_end = writer.len();
    if encoded.truncated {
        writer.patch_u16(FLAGS, flags | TC);
    }
    if let Some(edns) = &query.edns {
        let room = limit - writer.len() - reserved;
        let (mut options, dropped) = options_that_fit(answer, annotations, room);
        options.extend(echo);
        encoded.dropped_annotations = dropped;
        writer.patch_u16(ARCOUNT, 1);
        write_opt(&mut writer, rcode, edns.dnssec_ok, &options);
    }
    encoded.length = writer.len();
    encoded
}

/// Appends the reply that turns a message away; 12 to 282 octets.
pub fn encode_rejection(turned: &Rejection, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let opcode = u16::from(turned.opcode.0 & 15) << 11;
    let rcode = if turned.rcode.0 > 15 && !turned.edns { Rcode::SERVFAIL } else { turned.rcode };
    // What the other bits mean in a message of another kind is not known, so none is copied.
    let is_query = turned.opcode == Opcode::QUERY;
    let flags = QR
        | opcode
        | flag_if(is_query && turned.recursion_desired, RD)
        | flag_if(is_query && turned.checking_disabled, CD)
        | flag_if(is_query && !is_unrecognised(rcode), RA)
        | rcode.0 & 15;
    write_header(&mut writer, turned.id, flags);
    if let Some((qname, qtype, qclass)) = &turned.question {
        writer.patch_u16(QDCOUNT, 1);
        writer.octets(qname);
        writer.u16(qtype.0);
        writer.u16(qclass.0);
    }
    if turned.edns {
        writer.patch_u16(ARCOUNT, 1);
        write_opt(&mut writer, rcode, turned.dnssec_ok, &[]);
    }
}

// Offsets in the header (RFC 1035 4.1.1).
const FLAGS: usize = 2;
const QDCOUNT: usize = 4;
const ANCOUNT: usize = 6;
const NSCOUNT: usize = 8;
/// Where a message counts its additional records.
pub const ARCOUNT: usize = 10;

/// Truncated.
const TC: u16 = 0x0200;
/// Recursion available.
const RA: u16 = 0x0080;

/// `bit` where it is set.
fn flag_if(is_set: bool, bit: u16) -> u16 {
    if is_set { bit } else { 0 }
}

/// Whether an rcode says that the message was not taken as a query: no recursion is available for it, so that RA is
/// clear (as Unbound and BIND do).
fn is_unrecognised(rcode: Rcode) -> bool {
    matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP)
}

/// The length of an OPT record without options.
pub const OPT_LENGTH: usize = 11;

/// Writes a header whose counts are all zero.
fn write_header(writer: &mut Writer<'_>, id: u16, flags: u16) {
    writer.u16(id);
    writer.u16(flags);
    writer.octets(&[0; 8]);
}

/// Writes an RRset and returns its number of records; writes nothing and returns `None` if the
/// message would become longer than `room`.
fn write_set(
    writer: &mut Writer<'_>,
    set: &RrSet,
    rotation: usize,
    room: usize,
    layout: &mut ReplyLayout,
) -> Option<u16> {
    let mark = writer.checkpoint();
    let first = layout.record_starts.len();
    let mut records = 0;
    let mut owner_length = 0;
    let mut same_owners = true;
    let mut owner = None;
    for rdata in set.rotated(rotation) {
        // Offsets in a message fit.
        let start = writer.len();
        match owner {
            Some(offset) => writer.pointer(offset),
            None => owner = writer.name(set.owner.as_wire()),
        }
        let length = writer.len() - start;
        same_owners &= records == 0 || length == owner_length;
        owner_length = length;
        writer.u16(set.rtype.0);
        writer.u16(set.class.0);
        if set.ages {
            layout.ageing_ttls.push(writer.len() as u16);
        }
        writer.u32(set.ttl);
        layout.record_starts.push(start as u16);
        if !writer.rdata(set.rtype, rdata.as_wire()) || writer.len() > room {
            writer.roll_back(mark);
            return None;
        }
        records += 1;
    }
    // Owners of one length are one pointer to what stands before the set, or the root.
    let turns = same_owners && !has_compressible_names(set.rtype);
    layout.sets.push(RrSetLayout {
        first,
        records: usize::from(records),
        end: writer.len(),
        is_rotatable: turns,
    });
    Some(records)
}

/// The annotations that fit into `room`, and how many do not.
fn options_that_fit(answer: &Answer, annotations: &Annotations, room: usize) -> (Vec<(u16, Vec<u8>)>, usize) {
    let ede = |ede: &Ede| (OptionCode::EDE, ede.encode());
    // In the reverse of the order they are dropped in.
    let (first, later) = match annotations.edes.split_first() {
        Some((first, later)) => (Some(first), later),
        None => (None, &[][..]),
    };
    let leading: Vec<_> = answer.edes().chain(first).map(ede).collect();
    let leading_count = leading.len();
    let option_count = usize::from(annotations.option.is_some());
    let mut options = leading;
    options.extend(annotations.option.clone());
    options.extend(later.iter().map(ede));

    let mut total: usize = options.iter().map(option_length).sum();
    let mut dropped = 0;
    while total > room {
        let Some(last) = options.pop() else {
            break;
        };
        total -= option_length(&last);
        dropped += 1;
    }
    // On the wire the extended errors stay together.
    if option_count == 1 && options.len() > leading_count {
        options[leading_count..].rotate_left(1);
    }
    (options, dropped)
}

fn option_length(option: &(u16, Vec<u8>)) -> usize {
    4 + option.1.len()
}

/// Appends an OPT record of version 0 without an extended rcode to a reply that is otherwise complete.
///
/// `options` and `more` are options in wire form, 65,535 octets together at most. The reply's count of additional
/// records is the caller's to set.
pub fn append_opt(dnssec_ok: bool, options: &[u8], more: &[u8], out: &mut Vec<u8>) {
    let flags = if dnssec_ok { DO } else { 0 };
    out.push(0);
    out.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    out.extend_from_slice(&ADVERTISED_PAYLOAD.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&((options.len() + more.len()) as u16).to_be_bytes());
    out.extend_from_slice(options);
    out.extend_from_slice(more);
}

/// Appends an option in wire form: code, length, data.
pub fn append_option(code: u16, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// Writes an OPT record of version 0 (RFC 6891 6.1.2). The options must have been fitted.
fn write_opt(writer: &mut Writer<'_>, rcode: Rcode, dnssec_ok: bool, options: &[(u16, Vec<u8>)]) {
    writer.octets(&[0]);
    writer.u16(RecordType::OPT.0);
    writer.u16(ADVERTISED_PAYLOAD);
    let dnssec_ok = if dnssec_ok { DO } else { 0 };
    writer.u32(u32::from(rcode.0 >> 4) << 24 | dnssec_ok);
    let length: usize = options.iter().map(option_length).sum();
    writer.u16(length as u16);
    for (code, data) in options {
        writer.u16(*code);
        writer.u16(data.len() as u16);
        writer.octets(data);
    }
}

#[cfg(test)]
mod tests;
