//! Writing replies.

use super::MAX_MESSAGE;
use super::answer::{Answer, RrSet};
use super::code::{Rcode, RecordType};
use super::edns::{ClientSubnet, Ede, OptionCode};
use super::name::wire_length;
use super::query::{DO, QR, Query, RD, TurnAway};
use super::writer::Writer;

/// The UDP payload size a reply's OPT record announces (RFC 6891 6.2.4).
pub const ADVERTISED_PAYLOAD: u16 = 4096;

/// The UDP payload size every client can take (RFC 1035 2.3.4).
const SMALLEST_PAYLOAD: u16 = 512;

/// What a reply carries beside its records; see the drop order at [`encode`].
///
/// All of it travels in the OPT record, so a query without one gets none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// Extended errors, most important first. They follow that of the answer.
    pub edes: Vec<Ede>,
    /// One more option, as code and data.
    pub option: Option<(u16, Vec<u8>)>,
    /// The client subnet to echo. Its scope becomes the length of its prefix: the reply is for
    /// this network and no larger one (RFC 7871 7.2.1).
    pub client_subnet: Option<ClientSubnet>,
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
/// `annotations.option`, then the first extended error there, then that of the answer.
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
    let start = writer.mark();
    let recursion_desired = if query.recursion_desired { RD } else { 0 };
    let flags = QR | recursion_desired | RA | rcode.0 & 15;
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
        writer.rewind(start);
        return Encoded::default();
    }

    let mut encoded = Encoded::default();
    let room = limit - reserved;
    for (sets, count_at) in [(&answer.answer, ANCOUNT), (&answer.authority, NSCOUNT)] {
        let mut count: u16 = 0;
        for set in sets {
            if encoded.truncated {
                break;
            }
            match write_set(&mut writer, set, rotation, room) {
                Some(records) => count += records,
                None => encoded.truncated = true,
            }
        }
        writer.patch_u16(count_at, count);
        if count_at == ANCOUNT {
            encoded.answers = count;
        }
    }
    if encoded.truncated {
        writer.patch_u16(FLAGS, flags | TC);
    }
    if let Some(edns) = &query.edns {
        let room = limit - writer.len() - reserved;
        let (mut options, dropped) = fitting_options(answer, annotations, room);
        options.extend(echo);
        encoded.dropped_annotations = dropped;
        writer.patch_u16(ARCOUNT, 1);
        write_opt(&mut writer, rcode, edns.dnssec_ok, &options);
    }
    encoded.length = writer.len();
    encoded
}

/// Appends the reply that turns a message away; 12 to 282 octets.
pub fn encode_turn_away(turned: &TurnAway, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let recursion_desired = if turned.recursion_desired { RD } else { 0 };
    let opcode = u16::from(turned.opcode.0 & 15) << 11;
    let rcode = if turned.rcode.0 > 15 && !turned.edns { Rcode::SERVFAIL } else { turned.rcode };
    let flags = QR | opcode | recursion_desired | RA | rcode.0 & 15;
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

/// How large a reply over UDP may be: what the client can take (512 octets without an OPT
/// record), at most `cap`, but never less than 512 (RFC 6891 6.2.3).
pub fn udp_limit(query: &Query, cap: u16) -> usize {
    let payload = query.edns.as_ref().map_or(SMALLEST_PAYLOAD, |edns| edns.payload);
    usize::from(payload.min(cap).max(SMALLEST_PAYLOAD))
}

// Offsets in the header (RFC 1035 4.1.1).
const FLAGS: usize = 2;
const QDCOUNT: usize = 4;
const ANCOUNT: usize = 6;
const NSCOUNT: usize = 8;
const ARCOUNT: usize = 10;

/// Truncated.
const TC: u16 = 0x0200;
/// Recursion available.
const RA: u16 = 0x0080;

/// The length of an OPT record without options.
const OPT_LENGTH: usize = 11;

/// Writes a header whose counts are all zero.
fn write_header(writer: &mut Writer<'_>, id: u16, flags: u16) {
    writer.u16(id);
    writer.u16(flags);
    writer.octets(&[0; 8]);
}

/// Writes an RRset and returns its number of records; writes nothing and returns `None` if the
/// message would become longer than `room`.
fn write_set(writer: &mut Writer<'_>, set: &RrSet, rotation: usize, room: usize) -> Option<u16> {
    let mark = writer.mark();
    let mut records = 0;
    for rdata in set.rotated(rotation) {
        writer.name(set.owner.as_wire());
        writer.u16(set.rtype.0);
        writer.u16(set.class.0);
        writer.u32(set.ttl);
        if !writer.rdata(set.rtype, rdata.as_wire()) || writer.len() > room {
            writer.rewind(mark);
            return None;
        }
        records += 1;
    }
    Some(records)
}

/// The annotations that fit into `room`, and how many do not.
fn fitting_options(answer: &Answer, annotations: &Annotations, room: usize) -> (Vec<(u16, Vec<u8>)>, usize) {
    let ede = |ede: &Ede| (OptionCode::EDE, ede.encode());
    // In the reverse of the order they are dropped in.
    let (first, later) = match annotations.edes.split_first() {
        Some((first, later)) => (Some(first), later),
        None => (None, &[][..]),
    };
    let leading: Vec<_> = answer.ede.iter().chain(first).map(ede).collect();
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
