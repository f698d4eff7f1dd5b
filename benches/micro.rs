//! Instructions of what is done for each query, counted by valgrind.
//!
//! A count is the same on a busy machine as on an idle one, but for a few in a hundred where the seed of a hash or
//! the place of memory is by chance. It says nothing of system calls, of memory that is far away, or of waiting: for
//! those there is `benches/peers`.
//!
//! Needs valgrind and `cargo install gungraun-runner --version 0.20.0 --locked`. Without them it says so and ends
//! well: whoever runs every benchmark need not have them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The version of the runner, which must be the library's.
const RUNNER: &str = "0.20.0";

fn main() -> ExitCode {
    // The runner starts this program once more for each count.
    let is_counted = std::env::args().nth(1).is_some_and(|word| word == "--gungraun-run");
    if is_counted || has_tools() {
        counted::run();
    }
    ExitCode::SUCCESS
}

/// Whether everything that counts is there; tells what is not.
fn has_tools() -> bool {
    let tools = [("valgrind", "Debian: valgrind".to_owned()), ("gungraun-runner", install())];
    let missing = tools.into_iter().filter(|(tool, _)| !starts(tool));
    missing.inspect(|(tool, from)| eprintln!("nothing is counted: there is no {tool} ({from})")).count() == 0
}

/// How the runner is had.
fn install() -> String {
    format!("cargo install gungraun-runner --version {RUNNER} --locked")
}

fn starts(tool: &str) -> bool {
    let is_named =
        tool == "gungraun-runner" && option_env!("GUNGRAUN_RUNNER").is_some_and(|p| Path::new(p).is_file());
    let started = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    is_named || started.is_ok()
}

/// What is counted. Everything is made before, and kept: neither is part of a count.
///
/// The macro takes no doc comments, so what is counted stands in plain ones.
#[allow(unused_qualifications, reason = "the macro writes paths where a name would do")]
mod counted {
    use std::fmt::Write;
    use std::hint::black_box;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::{Instant, UNIX_EPOCH};

    use gungraun::prelude::*;
    use ipnet::{IpNet, Ipv4Net};
    use plustwo::config;
    use plustwo::dns::{Annotations, Class, Name, Peek, Query, Question, RecordType, SuffixMap, encode};
    use plustwo::net::PrefixMap;
    use plustwo::resolve::{EgressPath, Outcome, QueryContext, NoTrace, egress, resolve};
    use plustwo::serve::{
        Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Transport, Worker, annotate,
    };
    use plustwo::world::{Vantage, World, compile};

    // ---- what is made before ----------------------------------------------------------------------------

    /// A query as it comes over the wire, with EDNS.
    const MESSAGE: &[u8] =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03api\x02z7\x04corp\x08internal\0\0\x01\0\x01\
        \0\0\x29\x04\xd0\0\0\0\0\0\0";

    /// The name that it asks for.
    const NAME: &str = "api.z7.corp.internal";

    /// A world, and who asks in it.
    struct Stage {
        world: World,
        vantage: Vantage,
        name: Name,
    }

    impl Stage {
        /// The name's addresses are asked for.
        fn question(&self) -> Question {
            Question { qname: self.name.clone(), qtype: RecordType::A, qclass: Class::IN }
        }
    }

    /// One VPC with so many hosted zones of one host each, as a configuration.
    fn text(zones: usize) -> String {
        let mut text = String::from(
            r#"
            [[vpc]]
            id = "vpc-1"
            region = "ap-northeast-1"
            cidr = ["10.0.0.0/16"]
            enable_dns_hostnames = true
            internet_gateway = "igw-1"
            subnet = [
              { id = "subnet-a", cidr = "10.0.0.0/18", availability_zone = "ap-northeast-1a", route_table = "rtb-a" },
              { id = "subnet-b", cidr = "10.0.64.0/18", availability_zone = "ap-northeast-1a", route_table = "rtb-b" },
            ]
            route_table = [
              { id = "rtb-a", routes = [{ destination = "0.0.0.0/0", target = "nat-1" }] },
              { id = "rtb-b", routes = [{ destination = "0.0.0.0/0", target = "igw-1" }] },
            ]
            nat_gateway = [{ id = "nat-1", subnet = "subnet-b" }]
            "#,
        );
        for zone in 0..zones {
            let _ = writeln!(
                text,
                "[[hosted_zone]]\nname = \"z{zone}.corp.internal\"\nvpcs = [\"vpc-1\"]\n\
                 records = [{{ name = \"api\", type = \"A\", values = [\"10.0.1.1\", \"10.0.1.2\"] }}]"
            );
        }
        text
    }

    /// A configuration and what it means.
    fn load(text: String) -> (config::Loaded, World) {
        let nothing = |_: &Path| Err(std::io::Error::other("nothing is included"));
        let mut loaded = config::load_text(Path::new("micro.toml"), text, &nothing);
        let world = compile::compile_with(&mut loaded, &nothing);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        (loaded, world)
    }

    /// The same, and who asks.
    fn stage(zones: usize) -> &'static Stage {
        let (_, world) = load(text(zones));
        let client: IpNet = "10.0.0.9/32".parse().expect("a prefix");
        let vantage = world.vantage(client, None).expect("the client stands in the subnet");
        let stage = Stage { world, vantage, name: name() };
        // What is made when it is first used is no part of a query.
        black_box(resolve(&stage.world, vantage, &stage.question(), QueryContext::at(0), &mut NoTrace));
        Box::leak(Box::new(stage))
    }

    /// Somebody who answers [`MESSAGE`], and room for the reply.
    struct Answering {
        engine: Engine,
        worker: Worker,
        listener: ListenerIdentity,
        out: Vec<u8>,
    }

    impl Answering {
        fn answer(&mut self, message: &[u8]) -> usize {
            let peer = SocketAddr::from(([10, 0, 0, 9], 40_000));
            let source =
                MessageSource { peer, local: IpAddr::from([127, 0, 0, 1]), transport: Transport::Udp };
            let moment = Moment { started: Instant::now(), at: UNIX_EPOCH };
            let incoming = IncomingMessage { listener: &self.listener, message, source: &source, moment };
            self.out.clear();
            self.engine.handle(&mut self.worker, &incoming, &mut self.out);
            self.out.len()
        }
    }

    /// One who has answered it before, with so many octets for replies that are given again.
    fn answering(packet_cache: u64) -> &'static Mutex<Answering> {
        let text = format!("[packet_cache]\nmax_bytes = {packet_cache}\n{}", text(10));
        let (loaded, world) = load(text);
        let engine = Engine::open(&loaded.config, world).expect("no query log is to be opened");
        let listener = ListenerIdentity::new(0, SocketAddr::from(([127, 0, 0, 1], 53)));
        let mut answering =
            Answering { worker: engine.worker(1), engine, listener, out: Vec::with_capacity(512) };
        for _ in 0..3 {
            assert!(answering.answer(MESSAGE) > 100, "there is an answer");
        }
        Box::leak(Box::new(Mutex::new(answering)))
    }

    fn name() -> Name {
        Name::parse(NAME).expect("a name")
    }

    fn suffixes(count: usize) -> &'static (SuffixMap<usize>, Name) {
        let zone = |number| (Name::parse(&format!("z{number}.corp.internal")).expect("a name"), number);
        Box::leak(Box::new(((0..count).map(zone).collect(), name())))
    }

    fn prefixes(count: u32) -> &'static PrefixMap<u32> {
        let mut map = PrefixMap::new();
        for number in 0..count {
            // Spread over all addresses, of lengths from 16 to 28.
            let address = Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
            let prefix = Ipv4Net::new(address, 16 + (number % 13) as u8).expect("a length");
            map.insert(prefix.into(), number);
        }
        Box::leak(Box::new(map))
    }

    fn reply() -> &'static (Query, Outcome) {
        let query = Query::parse(MESSAGE).expect("a query");
        let stage = stage(10);
        let outcome = resolve(&stage.world, stage.vantage, &query.question, QueryContext::at(0), &mut NoTrace);
        Box::leak(Box::new((query, outcome.expect("the VPC's resolver answers"))))
    }

    fn told() -> &'static (&'static Stage, Outcome) {
        let stage = stage(10);
        let outcome =
            resolve(&stage.world, stage.vantage, &stage.question(), QueryContext::at(0), &mut NoTrace);
        Box::leak(Box::new((stage, outcome.expect("the VPC's resolver answers"))))
    }

    // ---- what is counted --------------------------------------------------------------------------------

    // A whole query: decided, and given again out of the packet cache.
    #[library_benchmark]
    #[bench::decided(answering(0))]
    #[bench::given_again(answering(1 << 20))]
    fn answer(answering: &Mutex<Answering>) -> usize {
        black_box(answering.lock().expect("nobody else").answer(black_box(MESSAGE)))
    }

    // Enough of a message to look for its answer.
    #[library_benchmark]
    #[bench::with_edns(MESSAGE)]
    fn peek(message: &'static [u8]) -> Option<Peek<'static>> {
        black_box(Peek::of(black_box(message), annotate::PATHS_OPTION))
    }

    // The paths of an answer as text for people.
    #[library_benchmark]
    #[bench::two_addresses(told())]
    fn annotate_answer(case: &(&'static Stage, Outcome)) -> Vec<String> {
        let (stage, outcome) = case;
        black_box(annotate::path_texts(&stage.world, stage.vantage, black_box(outcome)))
    }

    // A message becomes a query.
    #[library_benchmark]
    #[bench::with_edns(MESSAGE)]
    fn query_parse(message: &[u8]) -> Query {
        black_box(Query::parse(black_box(message)).expect("a query"))
    }

    // A text becomes a name.
    #[library_benchmark]
    #[bench::four_labels(NAME)]
    fn name_parse(text: &str) -> Name {
        black_box(Name::parse(black_box(text)).expect("a name"))
    }

    // Everything at or above a name.
    #[library_benchmark]
    #[bench::of_10(suffixes(10))]
    #[bench::of_10_000(suffixes(10_000))]
    fn suffix_map_covering(case: &(SuffixMap<usize>, Name)) -> usize {
        black_box(case.0.covering(black_box(&case.1)).count())
    }

    // The claims on a name in one view.
    #[library_benchmark]
    #[bench::of_10(stage(10))]
    #[bench::of_10_000(stage(10_000))]
    fn claims_covering(stage: &Stage) -> usize {
        let claims = stage.world.claims.covering(stage.vantage.view, black_box(&stage.name));
        black_box(claims.count())
    }

    // The longest prefix that holds an address.
    #[library_benchmark]
    #[bench::of_10(prefixes(10))]
    #[bench::of_100_000(prefixes(100_000))]
    fn prefix_map_longest(map: &PrefixMap<u32>) -> Option<u32> {
        let address = IpAddr::V4(Ipv4Addr::new(158, 55, 121, 180));
        black_box(map.longest(black_box(address)).map(|(_, number)| *number))
    }

    // A private name to its end: claim, zone, and the way out of each address.
    #[library_benchmark]
    #[bench::of_10_zones(stage(10))]
    #[bench::of_10_000_zones(stage(10_000))]
    fn resolve_private(stage: &Stage) -> Option<Outcome> {
        let question = stage.question();
        black_box(resolve(
            &stage.world,
            stage.vantage,
            black_box(&question),
            QueryContext::at(0),
            &mut NoTrace,
        ))
    }

    // The way to an address of the VPC, and to one behind the NAT gateway.
    #[library_benchmark]
    #[bench::local(stage(10), Ipv4Addr::new(10, 0, 1, 1))]
    #[bench::nat_gateway(stage(10), Ipv4Addr::new(203, 0, 113, 9))]
    fn egress_path(stage: &Stage, address: Ipv4Addr) -> EgressPath {
        black_box(egress::path(&stage.world, stage.vantage.place, black_box(address.into())))
    }

    // An answer of two addresses becomes a message.
    #[library_benchmark]
    #[bench::two_addresses(reply())]
    fn encode_reply(case: &(Query, Outcome)) -> Vec<u8> {
        let mut out = Vec::with_capacity(512);
        encode(&case.0, &case.1.answer, &Annotations::default(), 1232, black_box(1), &mut out);
        black_box(out)
    }

    library_benchmark_group!(
        name = micro,
        benchmarks = [
            answer,
            peek,
            query_parse,
            name_parse,
            suffix_map_covering,
            claims_covering,
            prefix_map_longest,
            resolve_private,
            egress_path,
            annotate_answer,
            encode_reply
        ]
    );

    gungraun::main!(library_benchmark_groups = micro);

    /// The benchmark's own main function, which its macro makes private.
    pub fn run() {
        main();
    }
}
