//! Shared parts of the listener and engine tests: the built-in lab, hand-written messages and parsed replies.
//!
//! Messages are written octet by octet, so that any part of them can be invalid. Replies are parsed with
//! `hickory_proto`, an independent implementation.

#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::Path;
use std::sync::Arc;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::Record;
use plustwo::config::{BUILT_IN_LAB, Loaded, load_text};
use plustwo::serve::workers::Workers;
use plustwo::serve::{Engine, ListenerIdentity};
use plustwo::world::World;
use plustwo::world::compile::compile;

/// A name of the lab whose answer is two A records of an interface endpoint.
pub(crate) const SNS: &str = "sns.ap-northeast-1.amazonaws.com";

/// What [`SNS`] resolves to.
pub(crate) const SNS_ADDRESSES: [&str; 2] = ["10.0.100.20", "10.0.200.20"];

// Types and classes (RFC 1035 section 3.2).
pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const IXFR: u16 = 251;
pub(crate) const AXFR: u16 = 252;
pub(crate) const ANY: u16 = 255;
pub(crate) const IN: u16 = 1;
pub(crate) const CH: u16 = 3;
pub(crate) const HS: u16 = 4;

// Header flags.
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;
pub(crate) const RA: u16 = 0x0080;
pub(crate) const CD: u16 = 0x0010;

// EDNS option codes.
pub(crate) const CLIENT_SUBNET: u16 = 8;
pub(crate) const COOKIE: u16 = 10;
pub(crate) const PADDING: u16 = 12;
pub(crate) const EDE: u16 = 15;
pub(crate) const PATHS: u16 = 65_001;

/// Loads and compiles a valid configuration.
pub(crate) fn load(text: &str) -> (Loaded, World) {
    let read_file = |path: &Path| std::fs::read_to_string(path);
    let mut loaded = load_text(Path::new("test.toml"), text.to_owned(), &read_file);
    let world = compile(&mut loaded);
    let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
    (loaded, world)
}

/// The built-in lab with the IPv6 loopback address at the location of 127.0.0.1, followed by `more`.
pub(crate) fn lab(more: &str) -> String {
    format!("{BUILT_IN_LAB}\n[[client]]\nsource = \"::1/128\"\nplace = \"subnet-private-a\"\n{more}")
}

/// An engine over the [`lab`].
pub(crate) fn engine() -> Arc<Engine> {
    let (loaded, world) = load(&lab(""));
    Arc::new(Engine::open(&loaded.config, world).expect("no query log is configured"))
}

/// A worker thread for an engine.
pub(crate) fn workers(engine: &Arc<Engine>) -> Workers {
    Workers::start(engine, 1).expect("a thread")
}

/// A listener that is not bound to a view.
pub(crate) fn listener_identity() -> Arc<ListenerIdentity> {
    Arc::new(ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address")))
}

/// Length of the shortest message that [`query`] returns.
pub(crate) const SHORTEST: usize = 65;

/// A query for the addresses of [`SNS`], padded to `length` octets, [`SHORTEST`] or more.
pub(crate) fn query(id: u16, length: usize) -> Vec<u8> {
    let padding = vec![0; length.checked_sub(SHORTEST).expect("at least the shortest length")];
    let message = Packet::query(SNS, A).id(id).opt(4096, &[(PADDING, &padding)]).build();
    assert_eq!(message.len(), length);
    message
}

/// Checks that `reply` is the answer to [`query`].
#[track_caller]
pub(crate) fn assert_answered(reply: &[u8], id: u16) {
    let reply = Reply::read(reply);
    assert_eq!(reply.message.metadata.id, id);
    assert_eq!(reply.rcode(), ResponseCode::NoError);
    assert_eq!(reply.addresses(), SNS_ADDRESSES);
}

/// A name in wire form. Labels may have up to 255 octets, more than the DNS allows.
pub(crate) fn wire(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("its length fits an octet"));
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

/// An OPT record with the root as its owner.
pub(crate) fn opt(payload: u16, version: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("fits");
    [&[0, 0, 41][..], &payload.to_be_bytes(), &[0, version, 0, 0], &length.to_be_bytes(), data].concat()
}

/// EDNS options as the data of an OPT record.
pub(crate) fn options(options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (code, value) in options {
        let length = u16::try_from(value.len()).expect("fits");
        data.extend_from_slice(&code.to_be_bytes());
        data.extend_from_slice(&length.to_be_bytes());
        data.extend_from_slice(value);
    }
    data
}

/// A message to be built: header, question and further records.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    id: u16,
    flags: u16,
    /// The counts in the header, which need not be correct.
    counts: [u16; 4],
    question: Vec<u8>,
    rest: Vec<u8>,
}

impl Packet {
    /// A query with RD set and nothing after the question.
    pub(crate) fn query(name: &str, qtype: u16) -> Self {
        Self::query_wire(&wire(name), qtype, IN)
    }

    /// The same, with the name in wire form and a class.
    pub(crate) fn query_wire(name: &[u8], qtype: u16, class: u16) -> Self {
        let question = [name, &qtype.to_be_bytes(), &class.to_be_bytes()].concat();
        Self { id: 0x1234, flags: RD, counts: [1, 0, 0, 0], question, rest: Vec::new() }
    }

    pub(crate) fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    pub(crate) fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    pub(crate) fn opcode(self, opcode: u16) -> Self {
        Self { flags: self.flags | opcode << 11, ..self }
    }

    /// Sets the counts of questions, answers, authority and additional records, whatever the message
    /// contains.
    pub(crate) fn counts(self, counts: [u16; 4]) -> Self {
        Self { counts, ..self }
    }

    /// Adds an OPT record of version 0.
    pub(crate) fn opt(self, payload: u16, options: &[(u16, &[u8])]) -> Self {
        self.additional(&opt(payload, 0, &self::options(options)))
    }

    /// Adds octets as one more additional record.
    pub(crate) fn additional(mut self, record: &[u8]) -> Self {
        self.counts[3] += 1;
        self.rest.extend_from_slice(record);
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let mut message = [self.id.to_be_bytes(), self.flags.to_be_bytes()].concat();
        for count in self.counts {
            message.extend_from_slice(&count.to_be_bytes());
        }
        message.extend_from_slice(&self.question);
        message.extend_from_slice(&self.rest);
        message
    }
}

/// A reply, in wire form and parsed by `hickory_proto`.
#[derive(Debug)]
pub(crate) struct Reply {
    pub raw: Vec<u8>,
    pub message: Message,
}

impl Reply {
    /// Parses a reply and checks what applies to every reply: it is a complete response without trailing
    /// octets, AA, Z and AD are clear, and RA is clear if the message was not accepted as a query.
    #[track_caller]
    pub(crate) fn read(raw: &[u8]) -> Self {
        let message = Message::from_vec(raw).expect("a message");
        assert_eq!(message.metadata.message_type, MessageType::Response);
        assert_eq!(end(raw), Some(raw.len()), "the counts match the length of the message");
        let flags = u16::from_be_bytes([raw[2], raw[3]]);
        assert_eq!(flags & 0x0460, 0, "flags {flags:#06x}");
        match message.metadata.response_code {
            ResponseCode::FormErr | ResponseCode::NotImp => assert_eq!(flags & RA, 0, "flags {flags:#06x}"),
            // It depends on whether the client may query at all.
            ResponseCode::Refused => {}
            _ => assert_eq!(flags & RA, RA, "flags {flags:#06x}"),
        }
        Self { raw: raw.to_vec(), message }
    }

    /// The rcode, including the upper bits from the OPT record.
    pub(crate) fn rcode(&self) -> ResponseCode {
        self.message.metadata.response_code
    }

    /// The flags, including opcode and rcode.
    pub(crate) fn flags(&self) -> u16 {
        u16::from_be_bytes([self.raw[2], self.raw[3]])
    }

    /// Whether TC is set.
    pub(crate) fn is_truncated(&self) -> bool {
        self.message.metadata.truncation
    }

    /// The counts in the header.
    pub(crate) fn counts(&self) -> [u16; 4] {
        [4, 6, 8, 10].map(|at| u16::from_be_bytes([self.raw[at], self.raw[at + 1]]))
    }

    /// Whether there is an OPT record.
    pub(crate) fn has_opt(&self) -> bool {
        self.message.edns.is_some()
    }

    /// The EDNS options, as codes and data.
    pub(crate) fn options(&self) -> Vec<(u16, Vec<u8>)> {
        let Some(opt) = &self.message.edns else { return Vec::new() };
        let options = opt.options().as_ref().iter();
        options.map(|(code, option)| ((*code).into(), Vec::try_from(option).expect("octets"))).collect()
    }

    /// The data of the first option with this code.
    pub(crate) fn option(&self, code: u16) -> Option<Vec<u8>> {
        self.options().into_iter().find(|(other, _)| *other == code).map(|(_, data)| data)
    }

    /// The Extended DNS Errors, as info codes and texts.
    pub(crate) fn edes(&self) -> Vec<(u16, String)> {
        let options = self.options().into_iter().filter(|(code, _)| *code == EDE);
        options
            .map(|(_, data)| {
                let (code, text) = data.split_first_chunk().expect("an info code");
                let text = String::from_utf8(text.to_vec()).expect("UTF-8");
                (u16::from_be_bytes(*code), text)
            })
            .collect()
    }

    /// The data of the answers as text, in order.
    pub(crate) fn data(&self) -> Vec<String> {
        self.message.answers.iter().map(|record| record.data.to_string()).collect()
    }

    /// The data of the answers as text, sorted because records rotate.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let mut data = self.data();
        data.sort();
        data
    }

    /// All records except OPT as text, sorted. TTLs are omitted, because they may count down between two
    /// replies.
    pub(crate) fn records(&self) -> Vec<String> {
        let text = |record: &Record| format!("{} {} {}", record.name, record.record_type(), record.data);
        let sections = [&self.message.answers, &self.message.authorities, &self.message.additionals];
        let mut records: Vec<String> = sections
            .iter()
            .enumerate()
            .flat_map(|(number, section)| {
                section.iter().map(move |record| format!("{number} {}", text(record)))
            })
            .collect();
        records.sort();
        records
    }
}

/// The end of a message according to its counts; `None` if that is past its last octet.
pub(crate) fn end(message: &[u8]) -> Option<usize> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let name = |mut at: usize| loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            192.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = 12;
    for _ in 0..word(4)? {
        at = name(at)? + 4;
    }
    for _ in 0..u32::from(word(6)?) + u32::from(word(8)?) + u32::from(word(10)?) {
        at = name(at)? + 8;
        at += 2 + usize::from(word(at)?);
    }
    (at <= message.len()).then_some(at)
}
