//! Encoding of replies.

use super::MAX_MESSAGE;
use super::answer::{Answer, RrSet};
use super::code::{Opcode, Rcode, RecordType};
use super::edns::{ClientSubnet, Ede, OptionCode};
use super::name::wire_length;
use super::query::{CD, DO, HEADER_LEN, QR, Query, RD, Rejection};
use super::writer::{Writer, has_compressible_names};

/// The UDP payload size advertised in the OPT record of replies (RFC 6891 6.2.4).
pub const ADVERTISED_PAYLOAD: u16 = 4096;

/// Returns the maximum size of a reply over UDP for a requestor's payload size: at most `cap`, and at least
/// 512 octets (RFC 6891 6.2.3). Without an OPT record (`None`), it is 512.
pub fn udp_limit(payload: Option<u16>, cap: u16) -> usize {
    usize::from(payload.unwrap_or(MIN_PAYLOAD).min(cap).max(MIN_PAYLOAD))
}

/// The UDP payload size that every requestor supports (RFC 1035 2.3.4).
const MIN_PAYLOAD: u16 = 512;

/// What a reply carries in addition to its records. [`encode`] documents the order of dropping.
///
/// All fields except the last are part of the OPT record, so a reply to a query without one carries none of
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Extended errors, most important first. They follow those of the answer.
    pub edes: Vec<Ede>,
    /// An additional option, as code and data.
    pub option: Option<(u16, Vec<u8>)>,
    /// The client subnet to echo. Its scope is set to the length of its prefix: the reply is for this
    /// network, and for no larger one (RFC 7871 7.2.1).
    pub client_subnet: Option<ClientSubnet>,
    /// Whether this client is not allowed to query. RA is then clear: recursion is not available to it (RFC
    /// 1035 4.1.1). The bit is part of the header, so it does not depend on an OPT record.
    pub recursion_denied: bool,
}

/// Offsets of the parts of an encoded reply, used to cache it. They are relative to its first octet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyLayout {
    /// Length of the question section, which follows the header.
    pub question: usize,
    /// Offset after the last record that is not an OPT record.
    pub records_end: usize,
    /// The RRsets of the answer and authority sections, in order.
    pub sets: Vec<RrSetLayout>,
    /// Offset of each record of these RRsets.
    pub record_starts: Vec<u16>,
    /// Offset of each TTL that counts down.
    pub ageing_ttls: Vec<u16>,
}

/// Position of one RRset in an encoded reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RrSetLayout {
    /// Index of its first record in [`ReplyLayout::record_starts`].
    pub first: usize,
    /// Number of records.
    pub records: usize,
    /// Offset after its last record.
    pub end: usize,
    /// Whether its records can be reordered without changing them: no record has a pointer into another one
    /// of the set.
    pub is_rotatable: bool,
}

impl ReplyLayout {
    /// Empties the layout, keeping the capacity of its vectors.
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

/// Summary of an encoded reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Whether records were omitted and TC was set.
    pub truncated: bool,
    /// Number of octets appended; 0 if the limit is too small even for the question.
    pub length: usize,
    /// Number of records in the answer section.
    pub answers: u16,
    /// Number of extended errors and options omitted because they did not fit.
    pub dropped_annotations: usize,
}

/// Appends the reply to a query, with at most `limit` octets (and at most [`MAX_MESSAGE`]).
///
/// Appends nothing if header, question and OPT record alone exceed the limit. That cannot happen with a limit
/// of 512 octets or more.
///
/// RRsets are written whole, each rotated by `rotation`. At the first RRset that does not fit, it and all
/// later ones are omitted and TC is set. Space for the OPT record with the echoed client subnet is reserved
/// first. The annotations use the space left after the records, so they never displace a record and never
/// cause TC. If they do not all fit, they are dropped in this order: the extended errors in `annotations`
/// from the last to the second, `annotations.option`, the first extended error in `annotations`, and the
/// extended errors of the answer from the last to the first.
///
/// An rcode above 15 requires an OPT record; without one, SERVFAIL is sent instead.
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

/// Like [`encode`], and replaces the content of `layout` with the layout of the reply.
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
    // The fields of `Query` are public, so `qname_as_sent` may be malformed.
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

/// Appends the error reply to a rejected message: 12 to 282 octets.
pub fn encode_rejection(rejection: &Rejection, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let opcode = u16::from(rejection.opcode.0 & 15) << 11;
    let rcode = if rejection.rcode.0 > 15 && !rejection.edns { Rcode::SERVFAIL } else { rejection.rcode };
    // The meaning of the other bits depends on the opcode, so none is copied for an opcode other than QUERY.
    let is_query = rejection.opcode == Opcode::QUERY;
    let flags = QR
        | opcode
        | flag_if(is_query && rejection.recursion_desired, RD)
        | flag_if(is_query && rejection.checking_disabled, CD)
        | flag_if(is_query && !is_unrecognised(rcode), RA)
        | rcode.0 & 15;
    write_header(&mut writer, rejection.id, flags);
    if let Some((qname, qtype, qclass)) = &rejection.question {
        writer.patch_u16(QDCOUNT, 1);
        writer.octets(qname);
        writer.u16(qtype.0);
        writer.u16(qclass.0);
    }
    if rejection.edns {
        writer.patch_u16(ARCOUNT, 1);
        write_opt(&mut writer, rcode, rejection.dnssec_ok, &[]);
    }
}

// Offsets in the header, in octets (RFC 1035 4.1.1).
const FLAGS: usize = 2;
const QDCOUNT: usize = 4;
const ANCOUNT: usize = 6;
const NSCOUNT: usize = 8;
/// Offset of ARCOUNT, the number of additional records.
pub const ARCOUNT: usize = 10;

/// The TC bit: truncated.
const TC: u16 = 0x0200;
/// The RA bit: recursion available.
const RA: u16 = 0x0080;

/// Returns `bit` if `is_set`, else 0.
fn flag_if(is_set: bool, bit: u16) -> u16 {
    if is_set { bit } else { 0 }
}

/// Returns whether an rcode means that the message was not recognised as a query. Recursion is not available
/// for such a message, so RA is clear, as in Unbound and BIND.
fn is_unrecognised(rcode: Rcode) -> bool {
    matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP)
}

/// Length of an OPT record without options, in octets.
pub const OPT_LENGTH: usize = 11;

/// Writes a header with all counts zero.
fn write_header(writer: &mut Writer<'_>, id: u16, flags: u16) {
    writer.u16(id);
    writer.u16(flags);
    writer.octets(&[0; 8]);
}

/// Writes an RRset and returns its number of records. If the message would become longer than `room`, writes
/// nothing and returns `None`.
fn write_set(
    writer: &mut Writer<'_>,
    set: &RrSet,
    rotation: usize,
    room: usize,
    layout: &mut ReplyLayout,
) -> Option<u16> {
    let checkpoint = writer.checkpoint();
    let first = layout.record_starts.len();
    let mut records = 0;
    let mut owner_length = 0;
    let mut same_owners = true;
    let mut owner = None;
    for rdata in set.rotated(rotation) {
        // Offsets fit in 16 bits: `room` is at most `MAX_MESSAGE`.
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
            writer.roll_back(checkpoint);
            return None;
        }
        records += 1;
    }
    // Owner names of equal length do not refer to one another: each is the same pointer to a name before the
    // set, or the root. If the data has no compressible names either, no record refers to another one.
    let is_rotatable = same_owners && !has_compressible_names(set.rtype);
    layout.sets.push(RrSetLayout { first, records: usize::from(records), end: writer.len(), is_rotatable });
    Some(records)
}

/// Returns the options that fit into `room` octets, and the number of those that do not.
fn options_that_fit(answer: &Answer, annotations: &Annotations, room: usize) -> (Vec<(u16, Vec<u8>)>, usize) {
    let ede = |ede: &Ede| (OptionCode::EDE, ede.encode());
    // In reverse of the order in which they are dropped.
    let (first, others) = match annotations.edes.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, &[][..]),
    };
    let leading: Vec<_> = answer.edes().chain(first).map(ede).collect();
    let leading_count = leading.len();
    let option_count = usize::from(annotations.option.is_some());
    let mut options = leading;
    options.extend(annotations.option.clone());
    options.extend(others.iter().map(ede));

    let mut total: usize = options.iter().map(option_length).sum();
    let mut dropped = 0;
    while total > room {
        let Some(last) = options.pop() else {
            break;
        };
        total -= option_length(&last);
        dropped += 1;
    }
    // In the OPT record, all extended errors are adjacent.
    if option_count == 1 && options.len() > leading_count {
        options[leading_count..].rotate_left(1);
    }
    (options, dropped)
}

fn option_length(option: &(u16, Vec<u8>)) -> usize {
    4 + option.1.len()
}

/// Appends an OPT record of version 0 without an extended rcode to an otherwise complete reply.
///
/// `options` and `more_options` are options in wire form, at most 65,535 octets in total. The caller must
/// update the reply's ARCOUNT.
pub fn append_opt(dnssec_ok: bool, options: &[u8], more_options: &[u8], out: &mut Vec<u8>) {
    let flags = if dnssec_ok { DO } else { 0 };
    out.push(0);
    out.extend_from_slice(&RecordType::OPT.0.to_be_bytes());
    out.extend_from_slice(&ADVERTISED_PAYLOAD.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&((options.len() + more_options.len()) as u16).to_be_bytes());
    out.extend_from_slice(options);
    out.extend_from_slice(more_options);
}

/// Appends an option in wire form: code, length and data.
pub fn append_option(code: u16, data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&(data.len() as u16).to_be_bytes());
    out.extend_from_slice(data);
}

/// Writes an OPT record of version 0 (RFC 6891 6.1.2). The caller has checked that the options fit.
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
