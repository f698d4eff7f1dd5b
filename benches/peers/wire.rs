//! Messages in wire form: queries to be sent, and replies to be checked.
//!
//! This does not use the project's own parser and encoder, because the check must be independent of them.

use std::net::Ipv4Addr;

/// Length of a header (RFC 1035 section 4.1.1).
pub(crate) const HEADER: usize = 12;

/// Number of octets of the first label that differ in every query.
const UNIQUE: usize = 16;

/// The query types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// IPv4 addresses.
    A = 1,
    /// IPv6 addresses.
    Aaaa = 28,
}

/// The type of an OPT record (RFC 6891).
const OPT: u16 = 41;

/// The code of the EDNS Client Subnet option (RFC 7871).
const CLIENT_SUBNET: u8 = 8;

/// The code of the Extended DNS Error option (RFC 8914).
const EDE: u16 = 15;

/// A query that can be sent any number of times.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    /// The message, with ID 0.
    pub wire: Box<[u8]>,
    /// Length of the question: name, type and class.
    pub question_length: usize,
    /// Offset of the octets that differ in every query.
    unique_at: Option<usize>,
}

impl Template {
    /// Creates a query for a name, with EDNS and a payload size of 1232 octets.
    pub(crate) fn new(name: &str, qtype: Type) -> Self {
        let mut wire = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.') {
            wire.push(u8::try_from(label.len()).expect("labels of the benchmark are short"));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.extend_from_slice(&[0, 0, qtype as u8, 0, 1]);
        let question_length = wire.len() - HEADER;
        wire.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        Self { wire: wire.into(), question_length, unique_at: None }
    }

    /// Creates a query with an EDNS Client Subnet of a whole IPv4 address.
    pub(crate) fn with_client_subnet(name: &str, qtype: Type, client_subnet: Ipv4Addr) -> Self {
        let template = Self::new(name, qtype);
        let mut wire = template.wire.into_vec();
        let length_at = wire.len() - 1;
        // Option length, address family IPv4, source prefix length 32, scope prefix length 0.
        wire.extend_from_slice(&[0, CLIENT_SUBNET, 0, 8, 0, 1, 32, 0]);
        wire.extend_from_slice(&client_subnet.octets());
        wire[length_at] = 12;
        Self { wire: wire.into(), ..template }
    }

    /// Creates a query whose first label is different every time.
    pub(crate) fn unique(parent: &str, qtype: Type) -> Self {
        let mut template = Self::new(&format!("{}.{parent}", "0".repeat(UNIQUE)), qtype);
        template.unique_at = Some(HEADER + 1);
        template
    }

    /// Writes the message with an ID and, if the first label is to be unique, with `serial` in it.
    pub(crate) fn write(&self, id: u16, serial: impl FnOnce() -> u64, out: &mut [u8]) {
        out[..self.wire.len()].copy_from_slice(&self.wire);
        out[..2].copy_from_slice(&id.to_be_bytes());
        if let Some(at) = self.unique_at {
            let mut serial = serial();
            for octet in &mut out[at..at + UNIQUE] {
                *octet = b"0123456789abcdef"[(serial & 15) as usize];
                serial >>= 4;
            }
        }
    }
}

/// The parsed content of a reply.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reply<'r> {
    /// The rcode in the header.
    pub rcode: u8,
    /// Number of addresses in the answer section.
    pub addresses: u16,
    /// The octets of the first address.
    pub address: &'r [u8],
    /// The texts of the first Extended DNS Errors.
    pub errors: [&'r [u8]; 5],
}

impl<'r> Reply<'r> {
    /// Parses a reply whose question has been compared. `None` if it is malformed.
    pub(crate) fn read(message: &'r [u8], question_length: usize) -> Option<Self> {
        let count = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        let mut reply = Self { rcode: message[3] & 15, ..Self::default() };
        let mut reader = Reader { rest: message.get(HEADER + question_length..)? };
        for _ in 0..count(6) {
            let (rtype, data) = reader.record()?;
            if rtype == Type::A as u16 || rtype == Type::Aaaa as u16 {
                reply.addresses += 1;
                reply.address = if reply.address.is_empty() { data } else { reply.address };
            }
        }
        for _ in 0..count(8) {
            reader.record()?;
        }
        for _ in 0..count(10) {
            if let (OPT, options) = reader.record()? {
                reply.errors = extended_errors(options)?;
            }
        }
        Some(reply)
    }

    /// The distinct egress paths in the annotations of the reply: class and reach, as the metrics count them.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        let errors = self.errors;
        let path_of = move |at: usize| parse_path(errors[at]);
        let is_first = move |&at: &usize| at == 0 || !(0..at).any(|earlier| path_of(earlier) == path_of(at));
        (0..errors.len()).filter(is_first).filter_map(path_of)
    }
}

/// Class and reach in an Extended DNS Error that describes an egress path.
fn parse_path(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let class = first_word(text.strip_prefix(b"egress=")?);
    let is_path = !matches!(class, b"none" | b"more");
    is_path.then(|| (class, after_last(text, b" reach=").map_or(&[][..], first_word)))
}

/// The text before the first space.
fn first_word(text: &[u8]) -> &[u8] {
    text.split(|octet| *octet == b' ').next().unwrap_or(text)
}

/// The text after the last occurrence of a key.
fn after_last<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let at = text.windows(key.len()).rposition(|window| window == key)?;
    Some(&text[at + key.len()..])
}

/// The texts of the first Extended DNS Errors in the options of an OPT record.
fn extended_errors(mut options: &[u8]) -> Option<[&[u8]; 5]> {
    let mut errors: [&[u8]; 5] = [&[]; 5];
    let mut found = 0;
    while let Some((head, rest)) = options.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let data = rest.get(..length)?;
        if u16::from_be_bytes([head[0], head[1]]) == EDE && found < errors.len() {
            errors[found] = data.get(2..)?;
            found += 1;
        }
        options = &rest[length..];
    }
    Some(errors)
}

/// Reads records in order. `None` means that the message ends too early.
struct Reader<'r> {
    rest: &'r [u8],
}

impl<'r> Reader<'r> {
    /// Type and data of the next record.
    fn record(&mut self) -> Option<(u16, &'r [u8])> {
        self.skip_name()?;
        let fixed = self.take(10)?;
        let length = u16::from_be_bytes([fixed[8], fixed[9]]);
        Some((u16::from_be_bytes([fixed[0], fixed[1]]), self.take(usize::from(length))?))
    }

    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take(1)?[0] {
                0 => return Some(()),
                192.. => return self.take(1).map(|_| ()),
                length => self.take(usize::from(length))?,
            };
        }
    }

    fn take(&mut self, length: usize) -> Option<&'r [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
