//! Instruction counts of the work per query, measured with valgrind.
//!
//! A count does not depend on the load of the machine. It varies by a few per cent, because hash seeds and
//! memory addresses are random. It does not include system calls, cache misses and waiting, which
//! `benches/peers` measures.
//!
//! Requires valgrind and `cargo install gungraun-runner --version 0.20.0 --locked`. If they are not
//! installed, the benchmark prints a message and succeeds, so that `cargo bench` does not require them.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// The version of the runner, which must be that of the library.
const RUNNER: &str = "0.20.0";

fn main() -> ExitCode {
    // The runner starts this program again for each count.
    let is_counted = std::env::args().nth(1).is_some_and(|argument| argument == "--gungraun-run");
    if is_counted || has_tools() {
        counted::run();
    }
    ExitCode::SUCCESS
}

/// Whether the required tools are installed. Prints those that are not.
fn has_tools() -> bool {
    let tools = [("valgrind", "Debian: valgrind".to_owned()), ("gungraun-runner", install_command())];
    let missing = tools.into_iter().filter(|(tool, _)| !is_installed(tool));
    missing.inspect(|(tool, from)| eprintln!("skipped: {tool} is not installed ({from})")).count() == 0
}

/// The command that installs the runner.
fn install_command() -> String {
    format!("cargo install gungraun-runner --version {RUNNER} --locked")
}

fn is_installed(tool: &str) -> bool {
    let is_named =
        tool == "gungraun-runner" && option_env!("GUNGRAUN_RUNNER").is_some_and(|p| Path::new(p).is_file());
    let started = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    is_named || started.is_ok()
}

/// The benchmarks. Inputs are created in advance and leaked, so that neither creating nor dropping them is
/// counted.
///
/// The macro does not accept doc comments, so the benchmarks have plain ones.
#[allow(unused_qualifications, reason = "the macro generates qualified paths")]
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
    use plustwo::resolve::{EgressPath, NoTrace, Outcome, QueryContext, egress, resolve};
    use plustwo::serve::{
        Engine, IncomingMessage, ListenerIdentity, MessageSource, Moment, Transport, Worker, annotate,
    };
    use plustwo::world::{Vantage, World, compile};

    // ---- inputs
    // --------------------------------------------------------------------------------------------

    /// A query in wire form, with EDNS.
    const MESSAGE: &[u8] =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x03api\x02z7\x04corp\x08internal\0\0\x01\0\x01\
        \0\0\x29\x04\xd0\0\0\0\0\0\0";

    /// The query name.
    const NAME: &str = "api.z7.corp.internal";

    /// A world, and a client and a name in it.
    struct Scenario {
        world: World,
        vantage: Vantage,
        name: Name,
    }

    impl Scenario {
        /// The question for the IPv4 addresses of the name.
        fn question(&self) -> Question {
            Question { qname: self.name.clone(), qtype: RecordType::A, qclass: Class::IN }
        }
    }

    /// The configuration of one VPC with hosted zones of one host each.
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

    /// Loads and compiles a configuration.
    fn load(text: String) -> (config::Loaded, World) {
        let read_file = |_: &Path| Err(std::io::Error::other("no includes"));
        let mut loaded = config::load_text(Path::new("micro.toml"), text, &read_file);
        let world = compile::compile_with(&mut loaded, &read_file);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        (loaded, world)
    }

    /// The world of a configuration, with a client and a name.
    fn scenario(zones: usize) -> &'static Scenario {
        let (_, world) = load(text(zones));
        let client: IpNet = "10.0.0.9/32".parse().expect("a prefix");
        let vantage = world.vantage(client, None).expect("the client is in the subnet");
        let scenario = Scenario { world, vantage, name: name() };
        // Lazily initialised data is not part of a query.
        black_box(resolve(&scenario.world, vantage, &scenario.question(), QueryContext::at(0), &mut NoTrace));
        Box::leak(Box::new(scenario))
    }

    /// An engine that answers [`MESSAGE`], and a buffer for the reply.
    struct TestServer {
        engine: Engine,
        worker: Worker,
        listener: ListenerIdentity,
        out: Vec<u8>,
    }

    impl TestServer {
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

    /// An engine that has answered the message before, with a packet cache of this size.
    fn server(packet_cache: u64) -> &'static Mutex<TestServer> {
        let text = format!("[packet_cache]\nmax_bytes = {packet_cache}\n{}", text(10));
        let (loaded, world) = load(text);
        let engine = Engine::open(&loaded.config, world).expect("no query log is configured");
        let listener = ListenerIdentity::new(0, SocketAddr::from(([127, 0, 0, 1], 53)));
        let mut server =
            TestServer { worker: engine.worker(1), engine, listener, out: Vec::with_capacity(512) };
        for _ in 0..3 {
            assert!(server.answer(MESSAGE) > 100, "there is a reply");
        }
        Box::leak(Box::new(Mutex::new(server)))
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
            // Spread over all addresses, with lengths from 16 to 28.
            let address = Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1));
            let prefix = Ipv4Net::new(address, 16 + (number % 13) as u8).expect("a length");
            map.insert(prefix.into(), number);
        }
        Box::leak(Box::new(map))
    }

    fn reply() -> &'static (Query, Outcome) {
        let query = Query::parse(MESSAGE).expect("a query");
        let scenario = scenario(10);
        let outcome =
            resolve(&scenario.world, scenario.vantage, &query.question, QueryContext::at(0), &mut NoTrace);
        Box::leak(Box::new((query, outcome.expect("the VPC's resolver answers"))))
    }

    fn annotated() -> &'static (&'static Scenario, Outcome) {
        let scenario = scenario(10);
        let outcome = resolve(
            &scenario.world,
            scenario.vantage,
            &scenario.question(),
            QueryContext::at(0),
            &mut NoTrace,
        );
        Box::leak(Box::new((scenario, outcome.expect("the VPC's resolver answers"))))
    }

    // ---- benchmarks
    // ----------------------------------------------------------------------------------------

    // A complete query: decided, and served from the packet cache.
    #[library_benchmark]
    #[bench::decided(server(0))]
    #[bench::cached(server(1 << 20))]
    fn answer(server: &Mutex<TestServer>) -> usize {
        black_box(server.lock().expect("not poisoned").answer(black_box(MESSAGE)))
    }

    // The partial parse for a packet cache lookup.
    #[library_benchmark]
    #[bench::with_edns(MESSAGE)]
    fn peek(message: &'static [u8]) -> Option<Peek<'static>> {
        black_box(Peek::parse(black_box(message), annotate::PATHS_OPTION))
    }

    // The annotation of an answer as text.
    #[library_benchmark]
    #[bench::two_addresses(annotated())]
    fn annotate_answer(case: &(&'static Scenario, Outcome)) -> Vec<String> {
        let (scenario, outcome) = case;
        black_box(annotate::path_texts(&scenario.world, scenario.vantage, black_box(outcome)))
    }

    // Parsing a query.
    #[library_benchmark]
    #[bench::with_edns(MESSAGE)]
    fn query_parse(message: &[u8]) -> Query {
        black_box(Query::parse(black_box(message)).expect("a query"))
    }

    // Parsing a name.
    #[library_benchmark]
    #[bench::four_labels(NAME)]
    fn name_parse(text: &str) -> Name {
        black_box(Name::parse(black_box(text)).expect("a name"))
    }

    // All suffixes of a name in a suffix map.
    #[library_benchmark]
    #[bench::of_10(suffixes(10))]
    #[bench::of_10_000(suffixes(10_000))]
    fn suffix_map_covering(case: &(SuffixMap<usize>, Name)) -> usize {
        black_box(case.0.covering(black_box(&case.1)).count())
    }

    // The claims on a name in one view.
    #[library_benchmark]
    #[bench::of_10(scenario(10))]
    #[bench::of_10_000(scenario(10_000))]
    fn claims_covering(scenario: &Scenario) -> usize {
        let claims = scenario.world.names.claims.covering(scenario.vantage.view, black_box(&scenario.name));
        black_box(claims.count())
    }

    // The longest prefix that contains an address.
    #[library_benchmark]
    #[bench::of_10(prefixes(10))]
    #[bench::of_100_000(prefixes(100_000))]
    fn prefix_map_longest(map: &PrefixMap<u32>) -> Option<u32> {
        let address = IpAddr::V4(Ipv4Addr::new(158, 55, 121, 180));
        black_box(map.longest_match(black_box(address)).map(|(_, number)| *number))
    }

    // The complete resolution of a private name: claim, zone, and the egress path of each address.
    #[library_benchmark]
    #[bench::of_10_zones(scenario(10))]
    #[bench::of_10_000_zones(scenario(10_000))]
    fn resolve_private(scenario: &Scenario) -> Option<Outcome> {
        let question = scenario.question();
        black_box(resolve(
            &scenario.world,
            scenario.vantage,
            black_box(&question),
            QueryContext::at(0),
            &mut NoTrace,
        ))
    }

    // The paths to an address of the VPC and to one behind the NAT gateway.
    #[library_benchmark]
    #[bench::local(scenario(10), Ipv4Addr::new(10, 0, 1, 1))]
    #[bench::nat_gateway(scenario(10), Ipv4Addr::new(203, 0, 113, 9))]
    fn egress_path(scenario: &Scenario, address: Ipv4Addr) -> EgressPath {
        black_box(egress::path(&scenario.world.network, scenario.vantage.place, black_box(address.into())))
    }

    // Encoding an answer with two addresses.
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

    /// Runs the main function of the benchmarks, which the macro makes private.
    pub(crate) fn run() {
        main();
    }
}
