//! Complete events, from a question to metrics and query log.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::query_log::{Template, Timestamp};
use super::*;
use crate::dns::{self, Answer, DiscardReason, Name, Question, Rcode};
use crate::resolve::{NoTrace, Outcome, QueryContext, Source, resolve};

const CONFIG: &str = r#"
[[vpc]]
id = "vpc-lab"
region = "ap-northeast-1"
account = "111122223333"
cidr = ["10.0.0.0/16", "2406:da14::/56"]
enable_dns_hostnames = true

[[vpc.subnet]]
id = "subnet-private-a"
cidr = "10.0.1.0/24"
availability_zone = "ap-northeast-1a"
route_table = "rtb-private"

[[vpc.subnet]]
id = "subnet-ep-a"
cidr = "10.0.100.0/24"
ipv6_cidr = "2406:da14:0:1::/64"
availability_zone = "ap-northeast-1a"
route_table = "rtb-private"

[[vpc.subnet]]
id = "subnet-ep-c"
cidr = "10.0.200.0/24"
availability_zone = "ap-northeast-1c"
route_table = "rtb-private"

[[vpc.route_table]]
id = "rtb-private"
routes = [{ destination = "pl-61a54008", target = "vpce-s3" }]

[[vpc.instance]]
id = "i-app"
subnet = "subnet-private-a"
address = "10.0.1.5"

[[vpc.endpoint]]
id = "vpce-sns"
type = "Interface"
service = "com.amazonaws.ap-northeast-1.sns"
network_interfaces = [
  { subnet = "subnet-ep-a", address = "10.0.100.10" },
  { subnet = "subnet-ep-c", address = "10.0.200.10" },
]

[[vpc.endpoint]]
id = "vpce-kms"
type = "Interface"
service = "com.amazonaws.ap-northeast-1.kms"
dns_record_ip_type = "ipv6"
network_interfaces = [{ subnet = "subnet-ep-a", address = "10.0.100.11", ipv6_address = "2406:da14:0:1::11" }]

[[vpc.endpoint]]
id = "vpce-sqs"
type = "Interface"
service = "com.amazonaws.ap-northeast-1.sqs"
network_interfaces = [{ subnet = "subnet-ep-c", address = "10.0.200.12" }]

[[vpc.endpoint]]
id = "vpce-s3"
type = "Gateway"
service = "com.amazonaws.ap-northeast-1.s3"

[[vpc.endpoint]]
id = "vpce-db"
type = "Resource"
resource_configuration = "rcfg-db"
private_dns_enabled = true
network_interfaces = [{ subnet = "subnet-ep-c", address = "10.0.200.41" }]
association = [{ resource = "rcfg-db", private_dns_name = "db.partner.example", verified = true }]

[[hosted_zone]]
name = "corp.internal"
vpcs = ["vpc-lab"]
records = [
  { name = "two", type = "A", ttl = 60, values = ["10.0.1.20", "10.0.100.10", "10.0.200.10"] },
  { name = "mixed", type = "A", ttl = 60, values = ["10.0.100.10", "10.0.200.12"] },
  { name = "db", type = "A", ttl = 60, values = ["10.0.1.20"] },
]

[[resolver_endpoint]]
id = "rslvr-in-hub"
direction = "INBOUND"
vpc = "vpc-lab"
addresses = ["10.0.100.53"]

[[site]]
id = "site-tokyo"
cidr = ["192.168.10.0/24"]
resolver = "rslvr-in-hub"
links = [{ target = "vgw-1", vpc = "vpc-lab" }]
"#;

/// A world and a listener for tests.
struct Lab {
    world: World,
    server: ServerLabel,
    observer: Arc<Observer>,
    recorder: WorkerRecorder,
}

/// A query whose parts the tests vary.
struct TestQuery {
    event: fn(QueryEvent<'_>) -> QueryEvent<'_>,
    client: &'static str,
    name: &'static str,
    rtype: &'static str,
}

fn query(client: &'static str, name: &'static str, rtype: &'static str) -> TestQuery {
    TestQuery { event: |event| event, client, name, rtype }
}

impl TestQuery {
    fn with(self, event: fn(QueryEvent<'_>) -> QueryEvent<'_>) -> Self {
        Self { event, ..self }
    }
}

fn options(query_log: config::QueryLog) -> ObserverOptions {
    ObserverOptions { query_log, remembered_lookups: 100 }
}

/// Changes an event.
fn changed(event: QueryEvent<'_>, change: fn(&mut Arrival<'_>)) -> QueryEvent<'_> {
    let mut event = event;
    change(&mut event.arrival);
    event
}

impl Lab {
    fn new() -> Self {
        let no_files = |_: &Path| Err(io::Error::other("no files in this test"));
        let mut loaded = config::load_text(Path::new("t.toml"), CONFIG.to_owned(), &no_files);
        let world = crate::world::compile::compile(&mut loaded);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        let server = ServerLabel { number: 0, label: Arc::from("127.0.0.1:5300") };
        Self::with_options(world, server, options(config::QueryLog::default()))
    }

    fn with_options(world: World, server: ServerLabel, options: ObserverOptions) -> Self {
        let observer = Arc::new(Observer::new(options).unwrap());
        Self { world, server, recorder: observer.recorder(), observer }
    }

    /// Resolves a query and passes its event to `act`.
    fn event<T>(&self, query: &TestQuery, act: impl FnOnce(&QueryEvent<'_>) -> T) -> T {
        let client: IpAddr = query.client.parse().unwrap();
        let question = Question {
            qname: Name::parse(query.name).unwrap(),
            qtype: query.rtype.parse().unwrap(),
            qclass: dns::Class::IN,
        };
        let vantage = self.world.vantage(client.into(), None).ok();
        let outcome = match vantage {
            Some(vantage) => {
                resolve(&self.world, vantage, &question, QueryContext::at(0), &mut NoTrace).unwrap()
            }
            None => Outcome::without_paths(Answer::empty(Rcode::REFUSED), Source::Refused),
        };
        let arrival = Arrival {
            server: &self.server,
            transport: Transport::Udp,
            peer: SocketAddr::new(client, 40000),
            id: 7,
            client: client.into(),
            truncated: false,
            rotation: 0,
            request_octets: 60,
            response_octets: 120,
            elapsed: Some(Duration::from_micros(150)),
            at: UNIX_EPOCH + Duration::from_secs(1_795_266_307),
        };
        let (world, outcome) = (&self.world, &outcome);
        let event = QueryEvent { arrival, world, question: &question, vantage, outcome, cached: false };
        act(&(query.event)(event))
    }

    fn observe(&mut self, query: &TestQuery) {
        let mut recorder = std::mem::replace(&mut self.recorder, self.observer.recorder());
        self.event(query, |event| recorder.observe(event));
        self.recorder = recorder;
    }

    fn record(&self, query: &TestQuery) -> String {
        self.event(query, |event| {
            let (mut time, mut line) = (Timestamp::default(), Vec::new());
            time.set(event.arrival.at);
            let latency = event.arrival.elapsed.unwrap();
            Template::new(event).write(&event.arrival, latency, &time, &mut line);
            String::from_utf8(line).unwrap()
        })
    }

    /// The lines of a metric, without its name.
    fn lines(&self, metric: &str) -> Vec<String> {
        let text = self.observer.render();
        let lines = text.lines().filter_map(|line| line.strip_prefix(metric));
        lines.filter(|rest| rest.starts_with(['{', ' '])).map(|rest| rest.trim_start().to_owned()).collect()
    }

    /// Implied connections: endpoint and subnet with the count.
    fn implied(&self) -> Vec<String> {
        let lines = self.lines("plustwo_privatelink_implied_new_connections_total");
        let value = |line: &str, label: &str| {
            let rest = line.split_once(&format!("{label}=\"")).unwrap().1;
            rest.split_once('"').unwrap().0.to_owned()
        };
        let short = |line: &String| {
            let count = line.split_once("} ").unwrap().1;
            format!("{} {} {count}", value(line, "vpc_endpoint_id"), value(line, "subnet_id"))
        };
        // Subnets that a connection could have been counted for are exported as 0.
        lines.iter().map(short).filter(|line| !line.ends_with(" 0")).collect()
    }
}

const SNS: &str = "sns.ap-northeast-1.amazonaws.com";
const KMS: &str = "kms.ap-northeast-1.amazonaws.com";
const S3: &str = "s3.ap-northeast-1.amazonaws.com";

// ---- implied connections ----------------------------------------------------------------------------

#[test]
fn a_retransmission_does_not_count_twice() {
    let mut lab = Lab::new();
    let sns = || query("10.0.1.5", SNS, "A");
    lab.observe(&sns());
    lab.observe(&sns().with(|event| changed(event, |arrival| arrival.at += Duration::from_secs(5))));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 1"]);
    lab.observe(&sns().with(|event| changed(event, |arrival| arrival.peer.set_port(40001))));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 2"]);
    lab.observe(&sns().with(|event| changed(event, |arrival| arrival.at += Duration::from_secs(13))));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 3"]);
}

#[test]
fn over_tcp_every_reply_counts_as_a_connection() {
    let mut lab = Lab::new();
    for _ in 0..2 {
        lab.observe(
            &query("10.0.1.5", SNS, "A")
                .with(|event| changed(event, |arrival| arrival.transport = Transport::Tcp)),
        );
    }
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 2"]);
    assert_eq!(lab.lines("plustwo_lookups_remembered"), ["0"]);
}

#[test]
fn a_truncated_reply_is_neither_counted_nor_remembered() {
    let mut lab = Lab::new();
    lab.observe(
        &query("10.0.1.5", SNS, "A").with(|event| changed(event, |arrival| arrival.truncated = true)),
    );
    assert_eq!(lab.implied(), [""; 0]);
    lab.observe(&query("10.0.1.5", SNS, "A"));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 1"]);
}

#[test]
fn only_the_record_type_that_clients_connect_with_counts() {
    let mut lab = Lab::new();
    for rtype in ["AAAA", "HTTPS", "TXT"] {
        lab.observe(&query("10.0.1.5", SNS, rtype));
    }
    lab.observe(&query("10.0.1.5", "db.corp.internal", "A"));
    lab.observe(&query("10.0.1.5", S3, "A"));
    assert_eq!(lab.implied(), [""; 0]);
    lab.observe(&query("10.0.1.5", KMS, "A"));
    lab.observe(&query("10.0.1.5", KMS, "AAAA"));
    assert_eq!(lab.implied(), ["vpce-kms subnet-ep-a 1"]);
}

#[test]
fn a_resource_endpoint_is_counted_by_its_type_and_implies_no_connection() {
    let mut lab = Lab::new();
    lab.observe(&query("10.0.1.5", "db.partner.example", "A"));
    assert_eq!(
        lab.lines("plustwo_endpoint_answers_total"),
        [r#"{endpoint_type="Resource",service_name="rcfg-db",vpc_endpoint_id="vpce-db",vpc_id="vpc-lab"} 1"#]
    );
    assert_eq!(
        lab.lines("plustwo_egress_answers_total"),
        [
            r#"{client_subnet_id="subnet-private-a",client_vpc_id="vpc-lab",path="resource-endpoint",reach="ok"} 1"#
        ]
    );
    assert!(lab.implied().is_empty());
}

#[test]
fn the_clients_subnet_is_preferred_over_the_order_sent() {
    let subnet = |client, name, event: fn(QueryEvent<'_>) -> QueryEvent<'_>| {
        let lab = Lab::new();
        lab.event(&query(client, name, "A").with(event), |event| {
            let connection = implied::implied_connection(event, event.arrival.rotation);
            connection.map(|connection| lab.world.network.subnets[connection.subnet].id.to_string())
        })
    };
    fn rotated(event: QueryEvent<'_>) -> QueryEvent<'_> {
        changed(event, |arrival| arrival.rotation = 1)
    }
    assert_eq!(subnet("10.0.1.5", SNS, |event| event).as_deref(), Some("subnet-ep-a"));
    assert_eq!(subnet("10.0.1.5", SNS, rotated).as_deref(), Some("subnet-ep-c"));
    assert_eq!(subnet("10.0.100.99", SNS, rotated).as_deref(), Some("subnet-ep-a"));
    assert_eq!(subnet("10.0.200.99", SNS, |event| event).as_deref(), Some("subnet-ep-c"));
    assert_eq!(subnet("192.168.10.7", SNS, rotated).as_deref(), Some("subnet-ep-c"));
    // An address that does not belong to an endpoint is skipped.
    assert_eq!(subnet("10.0.1.5", "two.corp.internal", |event| event).as_deref(), Some("subnet-ep-a"));
    assert_eq!(subnet("203.0.113.9", SNS, |event| event), None);
}

#[test]
fn only_the_endpoint_of_the_selected_interface_counts() {
    let mut lab = Lab::new();
    lab.observe(&query("10.0.1.5", "mixed.corp.internal", "A"));
    lab.observe(&query("10.0.200.99", "mixed.corp.internal", "A"));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 1", "vpce-sqs subnet-ep-c 1"]);
    assert_eq!(lab.lines("plustwo_endpoint_answers_total").len(), 2);
}

#[test]
fn a_full_lookup_table_is_counted() {
    let mut lab = Lab::new();
    let none = ObserverOptions { remembered_lookups: 0, ..options(config::QueryLog::default()) };
    lab = Lab::with_options(lab.world, lab.server, none);
    lab.observe(&query("10.0.1.5", SNS, "A"));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 1"]);
    assert_eq!(lab.lines("plustwo_lookup_table_full_total"), ["1"]);
}

#[test]
fn cache_hits_are_counted_like_the_first_answer() {
    let mut lab = Lab::new();
    let query = query("192.168.10.7", SNS, "A");
    let mut recorder = lab.observer.recorder();
    lab.event(&query, |event| {
        let counts = recorder.observe(event);
        assert!(counts.is_for_every_rotation());
        for (id, rotation) in [(8, 0), (9, 1), (10, 1), (10, 1)] {
            recorder.record_hit(&counts, &Arrival { id, rotation, ..event.arrival });
        }
    });
    // The last query is a retransmission.
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 2", "vpce-sns subnet-ep-c 2"]);
    let before = lab.observer.render();
    lab.recorder = recorder;
    let ends_in_5 = |line: &&str| line.ends_with(" 5");
    assert!(
        before.lines().filter(ends_in_5).any(|line| line.starts_with("plustwo_egress_answers_total")),
        "{before}"
    );
    assert!(before.lines().filter(ends_in_5).any(|line| line.starts_with("plustwo_endpoint_answers_total")));
}

#[test]
fn durations_of_a_batch_are_recorded_at_its_end() {
    let mut lab = Lab::new();
    lab.observe(&query("10.0.1.5", SNS, "A").with(|event| changed(event, |arrival| arrival.elapsed = None)));
    let count = |lab: &Lab| lab.lines("plustwo_dns_request_duration_seconds_count");
    assert!(count(&lab)[0].ends_with(" 0"));
    lab.recorder.finish_batch(std::time::Instant::now());
    assert!(count(&lab)[0].ends_with(" 1"));
    lab.recorder.finish_batch(std::time::Instant::now());
    assert!(count(&lab)[0].ends_with(" 1"));
}

#[test]
fn dropping_a_worker_resets_its_gauges_and_retains_its_counts() {
    let mut lab = Lab::new();
    lab.observe(&query("10.0.1.5", SNS, "A"));
    assert_eq!(lab.lines("plustwo_lookups_remembered"), ["1"]);
    lab.recorder = lab.observer.recorder();
    assert_eq!(lab.lines("plustwo_lookups_remembered"), ["0"]);
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 1"]);
}

// ---- metrics ----------------------------------------------------------------------------------------

#[test]
fn metrics_after_a_few_events() {
    let mut lab = Lab::new();
    lab.observer.record_loaded_config(&lab.world);
    lab.observer.record_reload(false);
    lab.observe(&query("10.0.1.5", SNS, "A"));
    lab.observe(&query("10.0.1.5", S3, "A"));
    lab.observe(&query("192.168.10.7", "nowhere.corp.internal", "TYPE999"));
    lab.observe(&query("203.0.113.9", SNS, "AAAA"));
    let peer = "[::1]:40000".parse().unwrap();
    lab.recorder.record_rejection(&lab.server, Transport::Tcp, peer, Rcode::FORMERR);
    lab.recorder.record_chaos(&lab.server, Transport::Udp, "[::ffff:10.0.1.5]:40000".parse().unwrap());
    lab.recorder.record_drop(&lab.server, Transport::Udp, DiscardReason::IsResponse.into());
    lab.observer.listeners().tcp_connections.inc();

    let server = "server=\"127.0.0.1:5300\"";
    let requests = [
        format!("{{family=\"ipv4\",{server},transport=\"udp\",type=\"A\"}} 2"),
        format!("{{family=\"ipv4\",{server},transport=\"udp\",type=\"AAAA\"}} 1"),
        format!("{{family=\"ipv4\",{server},transport=\"udp\",type=\"other\"}} 2"),
        format!("{{family=\"ipv6\",{server},transport=\"tcp\",type=\"other\"}} 1"),
    ];
    assert_eq!(lab.lines("plustwo_dns_requests_total"), requests);
    let responses = [
        format!("{{rcode=\"FORMERR\",{server},source=\"refused\"}} 1"),
        format!("{{rcode=\"NOERROR\",{server},source=\"endpoint\"}} 1"),
        format!("{{rcode=\"NOERROR\",{server},source=\"public\"}} 1"),
        format!("{{rcode=\"NXDOMAIN\",{server},source=\"private-hosted-zone\"}} 1"),
        format!("{{rcode=\"REFUSED\",{server},source=\"refused\"}} 1"),
    ];
    assert_eq!(lab.lines("plustwo_dns_responses_total"), responses);
    let dropped = [format!("{{reason=\"response\",{server},transport=\"udp\"}} 1")];
    assert_eq!(lab.lines("plustwo_dns_dropped_total"), dropped);
    assert_eq!(
        lab.lines("plustwo_egress_answers_total"),
        [
            r#"{client_subnet_id="site-tokyo",client_vpc_id="",path="none",reach=""} 1"#,
            r#"{client_subnet_id="subnet-private-a",client_vpc_id="vpc-lab",path="gateway-endpoint",reach="ok"} 1"#,
            r#"{client_subnet_id="subnet-private-a",client_vpc_id="vpc-lab",path="interface-endpoint",reach="ok"} 1"#,
        ]
    );
    assert_eq!(
        lab.lines("plustwo_endpoint_answers_total"),
        [
            r#"{endpoint_type="Gateway",service_name="com.amazonaws.ap-northeast-1.s3",vpc_endpoint_id="vpce-s3",vpc_id="vpc-lab"} 1"#,
            r#"{endpoint_type="Interface",service_name="com.amazonaws.ap-northeast-1.sns",vpc_endpoint_id="vpce-sns",vpc_id="vpc-lab"} 1"#,
        ]
    );
    assert_eq!(
        lab.lines("plustwo_privatelink_implied_new_connections_total"),
        [
            r#"{endpoint_type="Interface",service_name="com.amazonaws.ap-northeast-1.sns",subnet_id="subnet-ep-a",vpc_endpoint_id="vpce-sns",vpc_id="vpc-lab"} 1"#,
            r#"{endpoint_type="Interface",service_name="com.amazonaws.ap-northeast-1.sns",subnet_id="subnet-ep-c",vpc_endpoint_id="vpce-sns",vpc_id="vpc-lab"} 0"#,
        ]
    );
    let durations = lab.lines("plustwo_dns_request_duration_seconds_bucket");
    assert_eq!(durations[3], format!("{{{server},le=\"0.000125\"}} 0"));
    assert_eq!(durations[4], format!("{{{server},le=\"0.00025\"}} 4"));
    assert_eq!(lab.lines("plustwo_lookups_remembered"), ["1"]);
    assert_eq!(
        lab.lines("plustwo_build_info"),
        [concat!(r#"{version=""#, env!("CARGO_PKG_VERSION"), r#""} 1"#)]
    );
    assert_eq!(lab.lines("plustwo_config_info"), [format!("{{hash=\"{}\"}} 1", lab.world.hash)]);
    assert_eq!(lab.lines("plustwo_config_reloads_total"), [r#"{result="failed"} 1"#, r#"{result="ok"} 0"#]);
    assert!(lab.lines("plustwo_config_objects").contains(&r#"{kind="endpoint"} 5"#.to_owned()));
    assert_eq!(lab.lines("plustwo_tcp_connections"), ["1"]);
}

#[test]
fn an_observer_is_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Observer>();
}

#[test]
fn a_reload_does_not_change_counts() {
    let mut lab = Lab::new();
    lab.observe(&query("10.0.1.5", SNS, "A"));
    let other = Lab::new();
    lab.world = other.world;
    lab.observer.record_loaded_config(&lab.world);
    lab.observe(&query("10.0.1.5", SNS, "A").with(|event| changed(event, |arrival| arrival.id = 8)));
    assert_eq!(lab.implied(), ["vpce-sns subnet-ep-a 2"]);
}

// ---- query log --------------------------------------------------------------------------------------

#[test]
fn the_record_of_an_endpoint_answer_from_an_instance() {
    let query = query("10.0.1.5", SNS, "A").with(|event| {
        changed(event, |arrival| {
            arrival.peer = "127.0.0.1:56067".parse().unwrap();
            arrival.rotation = 1;
        })
    });
    let record = Lab::new().record(&query);
    let expected = concat!(
        r#"{"version":"1.100000","account_id":"111122223333","region":"ap-northeast-1","vpc_id":"vpc-lab","#,
        r#""query_timestamp":"2026-11-21T13:05:07Z","query_name":"sns.ap-northeast-1.amazonaws.com.","#,
        r#""query_type":"A","query_class":"IN","rcode":"NOERROR","#,
        r#""answers":[{"Rdata":"10.0.200.10","Type":"A","Class":"IN"},{"Rdata":"10.0.100.10","Type":"A","Class":"IN"}],"#,
        r#""srcaddr":"10.0.1.5","srcport":"56067","transport":"UDP","srcids":{"instance":"i-app"},"#,
        r#""plustwo":{"view":"vpc-lab","place":"subnet-private-a","transport_source":"127.0.0.1","source":"endpoint","#,
        r#""paths":[{"address":"10.0.100.10","class":"interface-endpoint","via":["vpce-sns"],"reach":"ok","reasons":[]},"#,
        r#"{"address":"10.0.200.10","class":"interface-endpoint","via":["vpce-sns"],"reach":"ok","reasons":[]}],"#,
        r#""reasons":[],"latency_us":150,"cache":false}}"#,
        "\n",
    );
    assert_eq!(record, expected);
}

#[test]
fn the_record_of_a_negative_answer_through_an_inbound_endpoint() {
    let query = query("192.168.10.7", "nowhere.corp.internal", "TYPE999")
        .with(|event| changed(event, |arrival| arrival.transport = Transport::Tcp));
    let record = Lab::new().record(&query);
    let expected = concat!(
        r#"{"version":"1.100000","account_id":"111122223333","region":"ap-northeast-1","vpc_id":"vpc-lab","#,
        r#""query_timestamp":"2026-11-21T13:05:07Z","query_name":"nowhere.corp.internal.","#,
        r#""query_type":"TYPE999","query_class":"IN","rcode":"NXDOMAIN","answers":[],"#,
        r#""srcaddr":"192.168.10.7","srcport":"40000","transport":"TCP","#,
        r#""srcids":{"resolver_endpoint":"rslvr-in-hub"},"plustwo":{"view":"vpc-lab/inbound","place":"site-tokyo","#,
        r#""transport_source":"192.168.10.7","source":"private-hosted-zone","paths":[],"reasons":[],"#,
        r#""latency_us":150,"cache":false}}"#,
        "\n",
    );
    assert_eq!(record, expected);
}

#[test]
fn the_record_of_a_refused_query_has_no_vpc() {
    let record = Lab::new().record(&query("203.0.113.9", ".", "NS"));
    let expected = concat!(
        r#"{"version":"1.100000","query_timestamp":"2026-11-21T13:05:07Z","query_name":".","query_type":"NS","#,
        r#""query_class":"IN","rcode":"REFUSED","answers":[],"srcaddr":"203.0.113.9","srcport":"40000","#,
        r#""transport":"UDP","srcids":{},"plustwo":{"transport_source":"203.0.113.9","source":"refused","#,
        r#""paths":[],"reasons":[],"latency_us":150,"cache":false}}"#,
        "\n",
    );
    assert_eq!(record, expected);
}

#[test]
fn records_are_written_to_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("query.log");
    let file = Some(path.to_str().unwrap().to_owned());
    let query_log = config::QueryLog { to: config::LogTo::File.into(), file, ..Default::default() };
    let mut lab = Lab::new();
    lab = Lab::with_options(lab.world, lab.server, options(query_log));
    let query = query("10.0.1.5", S3, "A");
    lab.observe(&query);
    let record = lab.record(&query);
    drop(lab);
    assert_eq!(std::fs::read_to_string(path).unwrap(), record);
}
