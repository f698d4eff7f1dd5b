//! The order-independence property: the answer to a query does not depend on the queries before it.
//!
//! The upstreams are static: each answer is a pure function of the server and the question. Two different
//! answers to one question can therefore only result from what another query left in a cache.
//!
//! Queries are chosen by a function that returns numbers below a bound, so that a seeded generator and the
//! octets of a fuzzer can both drive the choice.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use hickory_proto::op::Message;
use plustwo::config::load_text;
use plustwo::dns::{Annotations, Answer, Name, Query, Question, Rcode, Rdata, RecordType, RrSet, encode};
use plustwo::serve::{Engine, ListenerIdentity, MessageSource, Transport};
use plustwo::world::compile::compile;
use tokio::net::UdpSocket;

/// Two VPCs with different rules and zones, and clients outside of both. `{internet}` and `{corp}` are
/// upstreams.
const CONFIG: &str = r#"
[internet]
mode = "forward"
servers = ["{internet}"]

[[vpc]]
id = "vpc-a"
region = "ap-northeast-1"
cidr = ["10.1.0.0/16"]
enable_dns_hostnames = true
subnet = [{ id = "subnet-a", cidr = "10.1.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-a" }]
route_table = [{ id = "rtb-a" }]

[[vpc]]
id = "vpc-b"
region = "ap-northeast-1"
cidr = ["10.2.0.0/16"]
enable_dns_hostnames = true
subnet = [{ id = "subnet-b", cidr = "10.2.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-b" }]
route_table = [{ id = "rtb-b" }]

[[resolver_rule]]
id = "rslvr-rr-corp"
type = "FORWARD"
domain = "corp.example"
targets = ["{corp}"]
vpcs = ["vpc-a", "vpc-b"]

[[resolver_rule]]
id = "rslvr-rr-zz"
type = "FORWARD"
domain = "a.zz"
targets = ["{corp}"]
vpcs = ["vpc-b"]

[[hosted_zone]]
name = "private.example"
vpcs = ["vpc-a"]
records = [
  { name = "host", type = "A", values = ["10.1.1.1"] },
  { name = "out", type = "CNAME", values = ["t1.com"] },
]

[[client]]
source = "127.0.1.0/24"
place = "subnet-a"

[[client]]
source = "127.0.2.0/24"
place = "subnet-b"

[[client]]
source = "127.0.99.0/24"
place = "outside"
"#;

/// Parents of the names: domains of each upstream and of a zone, some of them ancestors of others.
const DOMAINS: &[&str] =
    &["", "com", "zz", "a.zz", "example", "corp.example", "a.corp.example", "private.example", "invalid-tld"];

/// Labels of names: only a few, so that most names have ancestors and descendants among the others.
const LABELS: &[&str] = &["a", "b", "www", "host", "out", "*"];

/// Targets of aliases. None of them is an alias itself.
const TARGETS: &[&str] = &["t0.com", "t1.com", "t2.corp.example", "t3.a.zz", "host.private.example"];

/// Common types, types with a special meaning in messages, and types of which no name has records.
const TYPES: &[u16] =
    &[1, 1, 28, 28, 0, 2, 5, 6, 12, 15, 16, 33, 39, 41, 43, 46, 47, 65, 251, 252, 255, 256, 65_280, 65_535];

/// A query of a client.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientQuery {
    message: Vec<u8>,
    peer: IpAddr,
    transport: Transport,
    text: String,
}

impl fmt::Debug for ClientQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl ClientQuery {
    /// A query of class IN with RD from a client.
    pub(crate) fn plain(name: &str, qtype: u16, peer: [u8; 4]) -> Self {
        Self::with(name, qtype, 1, 0x0100, None, peer, Transport::Udp)
    }

    /// An arbitrary query.
    pub(crate) fn choose(below: &mut impl FnMut(usize) -> usize) -> Self {
        let mut name = DOMAINS[below(DOMAINS.len())].to_owned();
        if below(12) == 0 {
            name = TARGETS[below(TARGETS.len())].to_owned();
        }
        for _ in 0..below(4) {
            let label = LABELS[below(LABELS.len())];
            name = if name.is_empty() { label.to_owned() } else { format!("{label}.{name}") };
        }
        let qtype = TYPES[below(TYPES.len())];
        let class = [1, 1, 1, 1, 1, 1, 1, 4, 254, 255, 0][below(11)];
        // Usually RD, and any combination of AD and CD.
        let flags = if below(12) == 0 { 0 } else { 0x0100 } | [0, 0x20, 0x10, 0x30][below(4).min(below(4))];
        // No EDNS, or DO clear or set.
        let edns = [None, Some(0), Some(0x8000)][below(3)];
        let peer = [[127, 0, 1, 1], [127, 0, 1, 2], [127, 0, 2, 1], [127, 0, 99, 1]][below(4)];
        let transport = [Transport::Udp, Transport::Udp, Transport::Tcp][below(3)];
        Self::with(&name, qtype, class, flags, edns, peer, transport)
    }

    fn with(
        name: &str,
        qtype: u16,
        class: u16,
        flags: u16,
        edns: Option<u16>,
        peer: [u8; 4],
        transport: Transport,
    ) -> Self {
        let mut message = vec![0, 7];
        for word in [flags, 1, 0, 0, u16::from(edns.is_some())] {
            message.extend(word.to_be_bytes());
        }
        for label in name.split('.').filter(|label| !label.is_empty()) {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.push(0);
        message.extend(qtype.to_be_bytes());
        message.extend(class.to_be_bytes());
        if let Some(dnssec_ok) = edns {
            message.extend([0, 0, 41, 16, 0, 0, 0]);
            message.extend(dnssec_ok.to_be_bytes());
            message.extend([0, 0]);
        }
        let peer = IpAddr::from(peer);
        let text =
            format!("{peer} {name}. TYPE{qtype} CLASS{class} flags={flags:04x} edns={edns:x?} {transport:?}");
        Self { message, peer, transport, text }
    }
}

/// The parts of a reply that must not depend on the order: rcode, answers, and owners in the authority
/// section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ReplySummary {
    /// No reply.
    NoReply,
    /// A reply.
    Reply {
        /// The rcode, as its name.
        rcode: String,
        /// Owner, type and data of the answer section.
        records: BTreeSet<String>,
        /// Owner and type of the authority section.
        authority: BTreeSet<String>,
    },
}

impl ReplySummary {
    fn of(reply: &[u8]) -> Self {
        let message = Message::from_vec(reply).expect("the reply is well-formed");
        let record = |r: &hickory_proto::rr::Record| format!("{} {} {}", r.name, r.record_type(), r.data);
        let owner = |r: &hickory_proto::rr::Record| format!("{} {}", r.name, r.record_type());
        Self::Reply {
            rcode: format!("{:?}", message.metadata.response_code),
            records: message.answers.iter().map(record).collect(),
            authority: message.authorities.iter().map(owner).collect(),
        }
    }
}

/// Two static servers. They run until the runtime in which they were started is dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upstreams {
    internet: SocketAddr,
    corp: SocketAddr,
}

impl Upstreams {
    /// Starts them in this runtime.
    pub(crate) async fn start() -> Self {
        Self { internet: serve(0).await, corp: serve(1).await }
    }

    /// An engine with empty caches.
    fn engine(&self) -> Engine {
        let text = CONFIG
            .replace("{internet}", &self.internet.to_string())
            .replace("{corp}", &self.corp.to_string());
        let nothing = |_: &Path| Err(std::io::Error::other("nothing is included"));
        let mut loaded = load_text(Path::new("order.toml"), text, &nothing);
        let world = compile(&mut loaded);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        Engine::open(&loaded.config, world).expect("there is no query log to open")
    }

    /// The replies of an engine, whose caches are empty at first, to queries sent one after the other.
    pub(crate) async fn answers(&self, queries: &[ClientQuery]) -> Vec<ReplySummary> {
        let engine = self.engine();
        let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address"));
        let mut answers = Vec::with_capacity(queries.len());
        for query in queries {
            let peer = SocketAddr::new(query.peer, 40_000);
            let local = IpAddr::from(Ipv4Addr::LOCALHOST);
            let source = MessageSource { peer, local, transport: query.transport };
            let mut out = Vec::new();
            let is_answered = engine.answer(&listener, &query.message, &source, &mut out).await;
            answers.push(if is_answered { ReplySummary::of(&out) } else { ReplySummary::NoReply });
        }
        answers
    }

    /// Sends the queries in their order and in another. If one has two answers, describes the shortest
    /// sequence whose last query is not answered as it is alone.
    pub(crate) async fn check(
        &self,
        queries: &[ClientQuery],
        below: &mut impl FnMut(usize) -> usize,
    ) -> Result<(), String> {
        let mut other_order = queries.to_vec();
        for at in (1..other_order.len()).rev() {
            other_order.swap(at, below(at + 1));
        }
        let (one, other) = (self.answers(queries).await, self.answers(&other_order).await);
        let mut known = std::collections::HashMap::new();
        for (asked, answered) in queries.iter().zip(&one).chain(other_order.iter().zip(&other)) {
            if known.entry(asked).or_insert(answered) != &answered {
                return Err(self.explain(asked, &[queries, &other_order]).await);
            }
        }
        Ok(())
    }

    /// Finds the smallest sequence of queries that changes the reply to a query.
    async fn explain(&self, query: &ClientQuery, orders: &[&[ClientQuery]]) -> String {
        let alone = self.last(&[], query).await;
        for order in orders {
            let mut before: Vec<ClientQuery> = order.to_vec();
            if self.last(&before, query).await == alone {
                continue;
            }
            // Removes a half, a quarter, and so on, as long as the reply still differs.
            let mut part = before.len().div_ceil(2);
            loop {
                let mut at = 0;
                while at < before.len() {
                    let rest = [&before[..at], &before[(at + part).min(before.len())..]].concat();
                    match self.last(&rest, query).await == alone {
                        true => at += part,
                        false => before = rest,
                    }
                }
                if part <= 1 {
                    break;
                }
                part = part.div_ceil(2);
            }
            let answered = self.last(&before, query).await;
            return format!("{query:?}\n  alone: {alone:?}\n  after {before:#?}: {answered:?}");
        }
        format!("{query:?} has different replies, but repeating both sequences reproduces neither")
    }

    /// The reply to a query that is sent after others.
    async fn last(&self, before: &[ClientQuery], query: &ClientQuery) -> ReplySummary {
        let all = [before, std::slice::from_ref(query)].concat();
        self.answers(&all).await.pop().expect("there is one answer for each question")
    }
}

/// Starts a server on loopback.
async fn serve(server: u8) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let Ok(query) = Query::parse(&buffer[..length]) else { continue };
            let mut out = Vec::new();
            let answer = server_answer(server, &query.question);
            encode(&query, &answer, &Annotations::default(), 65_535, 0, &mut out);
            let _ = socket.send_to(&out, peer).await;
        }
    });
    address
}

/// The answer of a server: a pure function of the server and the question. For each name it is consistent for
/// all types: the name exists for all of them or for none, and is an alias for all or for none. It is not
/// consistent between names: below a name that does not exist there may be names that do, as with badly
/// configured servers.
fn server_answer(server: u8, question: &Question) -> Answer {
    let Question { qname, qtype, .. } = question;
    let of_name = hash(server, qname, 0);
    // Targets end their chains, and domains exist: NXDOMAIN for them would hide the effect of NODATA for a
    // rare type.
    let is_plain = TARGETS.iter().chain(DOMAINS).any(|text| *qname == name_or_root(text));
    match of_name % 8 {
        0..=2 if !is_plain => denial(of_name, qname, Rcode::NXDOMAIN),
        3 | 4 if !is_plain => {
            let target = name(TARGETS[(of_name >> 8) as usize % TARGETS.len()]);
            let alias =
                RrSet::new(qname.clone(), RecordType::CNAME, ttl(of_name), vec![Rdata::from_name(&target)]);
            // Either the alias alone, or the whole chain, as from a recursive server.
            let is_alone = (of_name >> 16).is_multiple_of(2);
            if is_alone || matches!(*qtype, RecordType::CNAME | RecordType::ANY) {
                return Answer::noerror(vec![alias]);
            }
            let rest = server_answer(server, &Question { qname: target, ..question.clone() });
            Answer { answer: [vec![alias], rest.answer].concat(), ..rest }
        }
        _ => match hash(server, qname, qtype.0) % 3 {
            0 => denial(of_name, qname, Rcode::NOERROR),
            seed => match rdatas(*qtype, seed as u8) {
                Some(rdata) => {
                    Answer::noerror(vec![RrSet::new(qname.clone(), *qtype, ttl(of_name), vec![rdata])])
                }
                None => denial(of_name, qname, Rcode::NOERROR),
            },
        },
    }
}

/// A denial with an SOA record, or without one.
fn denial(of_name: u64, qname: &Name, rcode: Rcode) -> Answer {
    let zone = qname.ancestor(1).unwrap_or_else(Name::root);
    let soa = RrSet::new(
        zone.clone(),
        RecordType::SOA,
        ttl(of_name),
        vec![Rdata::soa(&zone, &zone, 1, 2, 3, 4, 300)],
    );
    let authority = if (of_name >> 24).is_multiple_of(4) { Vec::new() } else { vec![soa] };
    Answer { authority, ..Answer::empty(rcode) }
}

/// Data for a type. `None` for types of which no server has records.
fn rdatas(qtype: RecordType, seed: u8) -> Option<Rdata> {
    match qtype.0 {
        1 => Some(Rdata::a(Ipv4Addr::new(192, 0, 2, seed))),
        28 => Some(Rdata::from_wire(&[seed; 16])),
        2 | 12 | 39 => Some(Rdata::from_name(&name("t0.com"))),
        15 => Some(Rdata::from_wire(b"\0\x0a\x02t0\x03com\0")),
        16 => Some(Rdata::txt(&["text"])),
        65_280 => Some(Rdata::from_wire(&[seed])),
        _ => None,
    }
}

/// A long TTL, or 0.
fn ttl(of_name: u64) -> u32 {
    if (of_name >> 32).is_multiple_of(8) { 0 } else { 300 }
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

fn name_or_root(text: &str) -> Name {
    if text.is_empty() { Name::root() } else { name(text) }
}

/// A hash that determines the answers (FNV-1a with the finalizer of SplitMix64).
fn hash(server: u8, name: &Name, qtype: u16) -> u64 {
    let octets = name.as_wire().iter().copied().chain([server]).chain(qtype.to_be_bytes());
    let mixed = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}
