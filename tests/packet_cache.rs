//! A reply from the packet cache equals the reply of a new decision, except for the ID, the case of the name,
//! TTLs that count down, and rotation. The metrics are equal too.

#[path = "lab/mod.rs"]
mod lab;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lab::{A, AAAA, ANY, CH, CLIENT_SUBNET, COOKIE, IN, PATHS, Packet, Reply, TXT};
use plustwo::serve::{
    Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Progress, Transport, Worker,
};
use proptest::prelude::*;

/// Additions to the lab: every kind of answer that a cache could handle incorrectly.
const MORE: &str = r#"
[[hosted_zone]]
name = "kinds.example"
vpcs = ["vpc-lab"]
records = [
  { name = "many", type = "A", ttl = 60, values = ["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.100.20", "52.219.0.1"] },
  { name = "host", type = "CNAME", ttl = 30, values = ["sns.ap-northeast-1.amazonaws.com."] },
  { name = "public", type = "CNAME", ttl = 30, values = ["s3.ap-northeast-1.amazonaws.com."] },
  { name = "texts", type = "TXT", ttl = 60, values = ["\"one\"", "\"and another one\""] },
  { name = "mail", type = "MX", ttl = 60, values = ["10 a.mail.kinds.example.", "20 b.mail.kinds.example."] },
  { name = "srv", type = "SRV", ttl = 60, values = ["1 2 443 a.kinds.example.", "3 4 443 bcd.kinds.example."] },
  { name = "*.wild", type = "A", ttl = 0, values = ["10.0.1.9", "10.0.1.8"] },
  { name = "https", type = "HTTPS", ttl = 60, values = ["1 . ipv4hint=10.0.1.1,52.219.0.1 ipv6hint=2001:db8::1"] },
  { name = "near", type = "A", ttl = 60, values = ["10.0.1.1"], set_identifier = "tokyo", region = "ap-northeast-1" },
  { name = "near", type = "A", ttl = 60, values = ["10.0.1.2"], set_identifier = "virginia", region = "us-east-1" },
  { name = "spare", type = "A", alias = "many.kinds.example", set_identifier = "p", failover = "PRIMARY", health_check_id = "hc-unhealthy" },
  { name = "spare", type = "A", alias = "near.kinds.example", set_identifier = "s", failover = "SECONDARY" },
  { name = "few", type = "A", ttl = 60, values = ["10.0.1.1"], set_identifier = "1", multi_value_answer = true },
  { name = "few", type = "A", ttl = 30, values = ["10.0.1.2"], set_identifier = "2", multi_value_answer = true },
  { name = "drawn", type = "A", ttl = 60, values = ["10.0.1.1"], set_identifier = "blue", weight = 1 },
  { name = "drawn", type = "A", ttl = 60, values = ["10.0.1.2"], set_identifier = "green", weight = 1 },
  { name = "alone", type = "A", ttl = 60, values = ["10.0.1.1"], set_identifier = "blue", weight = 1 },
  { name = "alone", type = "A", ttl = 60, values = ["10.0.1.2"], set_identifier = "green", weight = 1, health_check_id = "hc-unhealthy" },
  { name = "leads", type = "CNAME", ttl = 60, values = ["drawn.kinds.example"] },
]

[[health_check]]
id = "hc-unhealthy"
healthy = false

[[public]]
name = "counts.down.example"
type = "A"
ttl = 7
values = ["198.51.100.1", "198.51.100.2"]

[[client]]
source = "127.0.9.0/24"
place = "outside"

# Two subnets of one VPC. DNS64 is enabled for one of them.
[[vpc]]
id = "vpc-six"
region = "ap-northeast-1"
cidr = ["10.66.0.0/16", "2001:db8:66::/56"]
enable_dns_hostnames = true
subnet = [
  { id = "subnet-six", ipv6_cidr = "2001:db8:66:1::/64", availability_zone = "ap-northeast-1a", route_table = "rtb-six", enable_dns64 = true },
  { id = "subnet-four", cidr = "10.66.1.0/24", availability_zone = "ap-northeast-1a", route_table = "rtb-six" },
]
route_table = [{ id = "rtb-six" }]

[[client]]
source = "127.0.66.0/24"
place = "subnet-six"

[[client]]
source = "127.0.67.0/24"
place = "subnet-four"
"#;

const NAMES: &[&str] = &[
    "sns.ap-northeast-1.amazonaws.com",
    "s3.ap-northeast-1.amazonaws.com",
    "my-bucket.s3.ap-northeast-1.amazonaws.com",
    "sqs.ap-northeast-1.amazonaws.com",
    "many.kinds.example",
    "host.kinds.example",
    "public.kinds.example",
    "texts.kinds.example",
    "mail.kinds.example",
    "srv.kinds.example",
    "a.wild.kinds.example",
    "b.wild.kinds.example",
    "https.kinds.example",
    "none.kinds.example",
    "near.kinds.example",
    "spare.kinds.example",
    "few.kinds.example",
    "alone.kinds.example",
    "kinds.example",
    "counts.down.example",
    "no.such.example",
    "ip-10-0-1-7.ap-northeast-1.compute.internal",
    "7.1.0.10.in-addr.arpa",
    "",
];

/// A query, its source, and the time since the previous one.
#[derive(Clone, Debug)]
struct TimedQuery {
    message: Vec<u8>,
    peer: IpAddr,
    transport: Transport,
    pause_ms: u64,
}

fn timed_query() -> impl Strategy<Value = TimedQuery> {
    let name = (prop::sample::select(NAMES), any::<u32>()).prop_map(|(name, case)| {
        let mix = |(at, letter): (usize, char)| match case >> (at % 32) & 1 {
            1 => letter.to_ascii_uppercase(),
            _ => letter,
        };
        name.char_indices().map(mix).collect::<String>()
    });
    let qtype = prop::sample::select(vec![A, A, A, AAAA, 5, 6, 12, 15, TXT, 33, 65, ANY, 252, 999]);
    let option = prop_oneof![
        4 => Just(None),
        1 => Just(Some((COOKIE, vec![1, 2, 3, 4, 5, 6, 7, 8]))),
        1 => Just(Some((CLIENT_SUBNET, vec![0, 1, 32, 0, 10, 0, 2, 7]))),
        1 => Just(Some((CLIENT_SUBNET, vec![0, 1, 0, 0]))),
        1 => Just(Some((PATHS, Vec::new()))),
    ];
    let opt = prop::option::weighted(0.8, (prop::sample::select(vec![512u16, 1232, 4096, 0]), option));
    let peer = prop::sample::select(vec![
        [127, 0, 0, 1],
        [127, 0, 1, 1],
        [127, 0, 2, 1],
        [127, 0, 9, 1],
        [127, 0, 66, 1],
        [127, 0, 67, 1],
        [192, 0, 2, 1],
    ]);
    let flags = prop::sample::select(vec![lab::RD, lab::RD, lab::RD, 0, lab::RD | 0x30]);
    let class = prop::sample::select(vec![IN, IN, IN, IN, CH]);
    let transport = prop::sample::select(vec![Transport::Udp, Transport::Udp, Transport::Tcp]);
    (any::<u16>(), name, qtype, opt, peer, flags, class, transport, 0u64..900).prop_map(
        |(id, name, qtype, opt, peer, flags, class, transport, pause_ms)| {
            let mut packet = Packet::query_wire(&lab::wire(&name), qtype, class).id(id).flags(flags);
            if let Some((payload, option)) = opt {
                let options: Vec<(u16, &[u8])> =
                    option.iter().map(|(code, data)| (*code, &data[..])).collect();
                packet = packet.opt(payload, &options);
            }
            TimedQuery { message: packet.build(), peer: peer.into(), transport, pause_ms }
        },
    )
}

/// An engine with a clock of its own.
struct TestEngine {
    engine: Arc<Engine>,
    worker: Worker,
    listener: ListenerIdentity,
    /// Time since the start.
    now: Duration,
    /// The wall clock: time since 1970.
    wall: Duration,
}

impl TestEngine {
    fn new(cache: u64) -> Self {
        let text = lab::lab(&format!("{MORE}\n[packet_cache]\nmax_bytes = {cache}\n"));
        let (loaded, world) = lab::load(&text);
        let engine = Arc::new(Engine::open(&loaded.config, world).expect("no query log is configured"));
        let listener = ListenerIdentity::new(0, "127.0.0.1:5300".parse().expect("an address"));
        Self {
            worker: engine.worker(1),
            engine,
            listener,
            now: Duration::ZERO,
            wall: Duration::from_secs(1_795_266_307),
        }
    }

    fn answer(&mut self, query: &TimedQuery) -> Option<Vec<u8>> {
        let pause = Duration::from_millis(query.pause_ms);
        (self.now, self.wall) = (self.now + pause, self.wall + pause);
        let moment = Moment { started: self.engine.started() + self.now, at: UNIX_EPOCH + self.wall };
        let peer = SocketAddr::new(query.peer, 40_000);
        let source = MessageSource { peer, local: IpAddr::from([127, 0, 0, 1]), transport: query.transport };
        // Octets of a previous reply, as in a batch.
        let mut out = vec![0xaa; 7];
        let incoming =
            IncomingMessage { listener: &self.listener, message: &query.message, source: &source, moment };
        let progress = self.engine.handle(&mut self.worker, &incoming, &mut out);
        self.worker.recorder.finish_batch(moment.started);
        matches!(progress, Progress::Replied).then(|| out.split_off(7))
    }

    /// The metrics, except those of the cache itself, durations, and the subnets of implied connections,
    /// which depend on the rotation.
    fn counts(&self) -> Vec<String> {
        let text = self.engine.observer().render();
        let is_compared = |line: &&str| {
            !line.starts_with('#')
                && ["plustwo_dns_re", "plustwo_egress", "plustwo_endpoint"]
                    .iter()
                    .any(|p| line.starts_with(p))
                && !line.contains("duration_seconds_bucket")
                && !line.contains("duration_seconds_sum")
        };
        let mut lines: Vec<String> = text.lines().filter(is_compared).map(str::to_owned).collect();
        let implied = text.lines().filter(|line| line.starts_with("plustwo_privatelink_implied"));
        let total: u64 = implied.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        lines.push(format!("implied {total}"));
        lines.sort();
        lines
    }

    fn hits(&self) -> u64 {
        let text = self.engine.observer().render();
        let line = text.lines().find(|line| line.starts_with("plustwo_packet_cache_hits_total "));
        line.expect("the counter").rsplit(' ').next().unwrap().parse().expect("a number")
    }
}

/// The comparable parts of a reply: header and question, the sorted records with their TTLs, and the options.
type Normalised = (Vec<u8>, Vec<String>, Vec<(u16, Vec<u8>)>);

fn normalised(raw: &[u8]) -> Normalised {
    let reply = Reply::read(raw);
    let mut records: Vec<String> = reply
        .message
        .answers
        .iter()
        .map(|record| format!("an {} {} {} {}", record.name, record.ttl, record.record_type(), record.data))
        .chain(reply.message.authorities.iter().map(|record| {
            format!("ns {} {} {} {}", record.name, record.ttl, record.record_type(), record.data)
        }))
        .collect();
    records.sort();
    let question_end = 12 + raw[12..].iter().position(|octet| *octet == 0).map_or(0, |at| at + 5);
    // Header, question and OPT record must be equal octet by octet.
    let until = if reply.counts()[0] == 1 { question_end } else { 12 };
    (raw[..until].to_vec(), records, reply.options())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn cached_replies_equal_uncached_replies(queries in prop::collection::vec(timed_query(), 1..12), order in prop::collection::vec(0usize..12, 80)) {
        let (mut cached, mut uncached) = (TestEngine::new(1 << 20), TestEngine::new(0));
        for index in order {
            let query = &queries[index % queries.len()];
            let (one, other) = (cached.answer(query), uncached.answer(query));
            prop_assert_eq!(one.as_ref().map(Vec::len), other.as_ref().map(Vec::len));
            if let (Some(one), Some(other)) = (one, other) {
                prop_assert_eq!(normalised(&one), normalised(&other));
            }
        }
        prop_assert_eq!(cached.counts(), uncached.counts());
        prop_assert_eq!(uncached.hits(), 0);
    }
}

fn plain_query(name: &str, qtype: u16) -> TimedQuery {
    let message = Packet::query(name, qtype).opt(1232, &[]).build();
    TimedQuery { message, peer: IpAddr::from([127, 0, 0, 1]), transport: Transport::Udp, pause_ms: 0 }
}

#[test]
fn the_third_query_is_a_hit_if_the_reply_is_cacheable() {
    for (name, qtype, is_cacheable) in [
        ("sns.ap-northeast-1.amazonaws.com", A, true),
        ("sns.ap-northeast-1.amazonaws.com", AAAA, true),
        ("public.kinds.example", A, true),
        ("texts.kinds.example", TXT, true),
        ("srv.kinds.example", 33, true),
        ("none.kinds.example", A, true),
        ("a.wild.kinds.example", A, true),
        ("counts.down.example", A, true),
        ("near.kinds.example", A, true),
        ("spare.kinds.example", A, true),
        ("few.kinds.example", A, true),
        ("alone.kinds.example", A, true),
        // Weighted records are drawn for every query, also at the end of a CNAME.
        ("drawn.kinds.example", A, false),
        ("leads.kinds.example", A, false),
        // Names in these records are compressed, so the records cannot rotate.
        ("mail.kinds.example", 15, false),
        ("sns.ap-northeast-1.amazonaws.com", 252, false),
    ] {
        let mut server = TestEngine::new(1 << 20);
        for _ in 0..2 {
            server.answer(&plain_query(name, qtype)).expect("a reply");
        }
        assert_eq!(server.hits(), 0, "{name} {qtype}: inserted by the second query only");
        server.answer(&plain_query(name, qtype)).expect("a reply");
        assert_eq!(server.hits(), u64::from(is_cacheable), "{name} {qtype}");
    }
}

#[test]
fn weighted_records_are_drawn_for_every_query_and_annotated_as_drawn() {
    let mut server = TestEngine::new(1 << 20);
    let message = Packet::query("leads.kinds.example", A).opt(4096, &[(PATHS, &[])]).build();
    let query = TimedQuery { message, ..plain_query("leads.kinds.example", A) };
    let direct = Packet::query("drawn.kinds.example", A).opt(4096, &[(PATHS, &[])]).build();
    let direct = TimedQuery { message: direct, ..plain_query("drawn.kinds.example", A) };
    let mut seen = [0; 2];
    for _ in 0..100 {
        let is_green = |raw: &[u8]| Reply::read(raw).addresses().contains(&"10.0.1.2".to_owned());
        seen[usize::from(is_green(&server.answer(&query).expect("a reply")))] += 1;
        let raw = server.answer(&direct).expect("a reply");
        let annotation = String::from_utf8(Reply::read(&raw).option(PATHS).expect("requested")).unwrap();
        let set = if is_green(&raw) { "green" } else { "blue" };
        assert!(annotation.contains(&format!("\"set_identifier\":\"{set}\"")), "{annotation}");
    }
    assert!(seen.iter().all(|count| *count > 10), "{seen:?}");
    assert_eq!(server.hits(), 0);
}

#[test]
fn records_rotate_with_every_hit() {
    let mut server = TestEngine::new(1 << 20);
    let firsts: Vec<String> = (0..10)
        .map(|_| {
            Reply::read(&server.answer(&plain_query("many.kinds.example", A)).expect("a reply")).data()[0]
                .clone()
        })
        .collect();
    assert_eq!(firsts[..5], firsts[5..]);
    let mut all = firsts[..5].to_vec();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5);
    assert!(server.hits() >= 8);
}

#[test]
fn ttls_of_upstreams_count_down_in_hits_and_configured_ttls_do_not() {
    let mut server = TestEngine::new(1 << 20);
    let mut ttl = |name: &str, pause_ms| {
        let query = TimedQuery { pause_ms, ..plain_query(name, A) };
        Reply::read(&server.answer(&query).expect("a reply")).message.answers[0].ttl
    };
    let first = ttl("counts.down.example", 0);
    let seen: Vec<u32> = (0..8).map(|_| ttl("counts.down.example", 1000)).collect();
    let expected: Vec<u32> = (1..=8).map(|second| (first + 7 - 1 - second % 7) % 7 + 1).collect();
    assert_eq!(seen, expected, "after {first}");
    let (first, second) =
        (ttl("sns.ap-northeast-1.amazonaws.com", 0), ttl("sns.ap-northeast-1.amazonaws.com", 5000));
    assert_eq!((first, second, ttl("sns.ap-northeast-1.amazonaws.com", 5000)), (60, 60, 60));
}

#[test]
fn a_new_world_invalidates_every_reply() {
    let mut server = TestEngine::new(1 << 20);
    for _ in 0..3 {
        server.answer(&plain_query("many.kinds.example", A)).expect("a reply");
    }
    assert_eq!(server.hits(), 1);
    let (_, world) = lab::load(&lab::lab(&MORE.replace("10.0.1.3", "10.0.1.4")));
    server.engine.live().replace(world);
    for _ in 0..3 {
        let reply = Reply::read(&server.answer(&plain_query("many.kinds.example", A)).expect("a reply"));
        assert!(reply.addresses().contains(&"10.0.1.4".to_owned()), "{:?}", reply.addresses());
    }
    assert_eq!(
        server.hits(),
        3,
        "the doorkeeper has seen the question, so its new answer is inserted at once"
    );
}

#[test]
fn a_cache_stays_within_its_size_limit_under_a_flood() {
    let mut server = TestEngine::new(256 << 10);
    let hot = plain_query("many.kinds.example", A);
    for number in 0..30_000 {
        let query = plain_query(&format!("flood{}.wild.kinds.example", number / 2), A);
        server.answer(&query).expect("a reply");
        server.answer(&hot).expect("a reply");
    }
    let text = server.engine.observer().render();
    let bytes =
        text.lines().find_map(|line| line.strip_prefix("plustwo_packet_cache_bytes ")).expect("a gauge");
    assert!(bytes.parse::<u64>().expect("a number") <= 256 << 10, "{bytes}");
    assert!(server.hits() > 29_000, "{} hits: the frequent question is not evicted", server.hits());
}

#[test]
fn setting_back_the_wall_clock_does_not_stop_ttls() {
    let mut server = TestEngine::new(1 << 20);
    let query = plain_query("counts.down.example", A);
    for _ in 0..2 {
        server.answer(&query).expect("a reply");
    }
    let before = Reply::read(&server.answer(&query).expect("a reply")).message.answers[0].ttl;
    for second in 1..=20 {
        server.wall -= Duration::from_secs(3600);
        let query = TimedQuery { pause_ms: 1000, ..query.clone() };
        let after = Reply::read(&server.answer(&query).expect("a reply")).message.answers[0].ttl;
        assert_eq!(after, (before + 7 * 3 - 1 - second) % 7 + 1, "{second} s after {before}");
    }
}
