//! Misbehaving name servers: what a client sees of each, and that other names are not affected.
//!
//! This test generates the table of `docs/upstreams.md`. `UPDATE_EXPECT=1 cargo test --test misbehaving`
//! writes it; `cargo test --test misbehaving -- --ignored` measures the column of Unbound and writes
//! `tests/misbehaving/unbound.txt`.

mod common;
#[path = "common/test_server.rs"]
mod test_server;
#[path = "misbehaving/unbound.rs"]
mod unbound;

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{Client, Lab, Reply};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use plustwo::config::BUILT_IN_LAB;
use test_server::{Behaviour, TestServer};

/// The address of a client in a private subnet of the lab's VPC.
const CLIENT: [u8; 4] = [127, 0, 1, 1];

/// The records of the misbehaving server, if its behaviour uses them.
const RECORDS: &[(&str, &str)] = &[
    ("www.example", "198.51.100.7"),
    ("www.branch.example", "198.51.100.7"),
    ("other.example", "198.51.100.9"),
    ("target.example", "198.51.100.10"),
    ("www.target.example", "198.51.100.11"),
];

/// The page, and the lines that delimit the table.
const PAGE: &str = "docs/upstreams.md";
const BEGIN: &str = "<!-- made by tests/misbehaving.rs; nothing is written by hand from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Produces the table of what a client sees of each behaviour, in the order of `Behaviour::ALL`.
#[test]
fn every_behaviour_is_handled_without_affecting_other_names() {
    let unbound_results = unbound::read_results();
    let mut table = String::from(
        "| A name server that … | a client sees | Unbound's client sees |\n| --- | --- | --- |\n",
    );
    for (behaviour, result) in Behaviour::ALL.iter().zip(for_each(observed)) {
        let name = format!("{behaviour:?}");
        let unbound_result = unbound_results.get(&name).map_or("not measured", String::as_str);
        writeln!(table, "| {} | {result} | {unbound_result} |", behaviour.description()).unwrap();
    }
    let page = fs::read_to_string(PAGE).unwrap();
    let (above, rest) = page.split_once(BEGIN).expect("the page has the line before the table");
    let (expected, below) = rest.split_once(END).expect("the page has the line after the table");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(PAGE, format!("{above}{BEGIN}{table}{END}{below}")).unwrap();
        return;
    }
    for (expected, line) in expected.lines().zip(table.lines()) {
        assert_eq!(line, expected, "UPDATE_EXPECT=1 cargo test --test misbehaving writes the table");
    }
    assert_eq!(expected.lines().count(), table.lines().count());
}

/// Calls a function with each behaviour, several in parallel, and returns the results in order.
fn for_each(function: impl Fn(&Behaviour) -> String + Sync) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(vec![String::new(); Behaviour::ALL.len()]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(behaviour) = Behaviour::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = function(behaviour);
                    let index = Behaviour::ALL.iter().position(|other| std::ptr::eq(other, behaviour));
                    results.lock().unwrap()[index.unwrap()] = result;
                }
            });
        }
    });
    results.into_inner().unwrap()
}

/// Describes what a client sees of a behaviour, of a server of the internet and of the target of a rule.
fn observed(behaviour: &Behaviour) -> String {
    let [internet, branch] = [(); 2].map(|()| TestServer::start(behaviour.clone(), RECORDS));
    let good = TestServer::start(Behaviour::Honest, &[("host.good.example", "192.168.20.20")]);
    let url = |server: &TestServer| match behaviour.concerns_connections() {
        true => format!("tcp://{}", server.address),
        false => server.address.to_string(),
    };
    let rule = |name: &str, target: String| {
        format!(
            "\n[[resolver_rule]]\nid = \"rslvr-rr-{name}\"\ntype = \"FORWARD\"\ndomain = \"{name}.example\"\n\
             targets = [\"{target}\"]\nvpcs = [\"vpc-lab\"]\n"
        )
    };
    let lab = Lab::start_with(&format!(
        "{BUILT_IN_LAB}\n[internet]\nmode = \"forward\"\nservers = [\"{}\"]\n{}{}",
        url(&internet),
        rule("branch", url(&branch)),
        rule("good", good.address.to_string()),
    ));
    let query = |name: &str| Client::new(lab.dns, CLIENT.into()).query(name, "A");
    // Other names are answered while these two queries wait.
    let [by_internet, by_rule] = std::thread::scope(|scope| {
        let waiting = ["www.example", "www.branch.example"].map(|name| scope.spawn(move || query(name)));
        for (name, address) in [("db.corp.internal", "10.0.1.20"), ("host.good.example", "192.168.20.20")] {
            assert_eq!(query(name).addresses(), [address.parse::<Ipv4Addr>().unwrap()], "{behaviour:?}");
        }
        waiting.map(|reply| reply.join().unwrap())
    });
    // No record from the server is used for a name of another upstream, or for another name of its own.
    let other_upstream = query("host.good.example");
    assert_eq!(other_upstream.addresses(), [Ipv4Addr::new(192, 168, 20, 20)], "{behaviour:?}");
    internet.set_behaviour(Behaviour::Honest);
    let other = query("other.example");
    let is_answered = other.message.metadata.response_code != ResponseCode::ServFail;
    assert!(
        !is_answered || other.addresses() == [Ipv4Addr::new(198, 51, 100, 9)],
        "{behaviour:?}: {other:?}"
    );
    let [one, two] =
        [(by_internet, &internet), (by_rule, &branch)].map(|(reply, server)| cell(&reply, server));
    let two = two.replace("branch.example", "example");
    if one == two { one } else { format!("{one}; by a rule: {two}") }
}

/// Summarises a reply: the rcode, the records of the answer section, the extended error.
fn cell(reply: &Reply, server: &TestServer) -> String {
    let message = &reply.message;
    let rcode = format!("{:?}", message.metadata.response_code).to_uppercase();
    let mut text = rcode.clone();
    let qname = message.queries[0].name();
    // A server may rotate records.
    let mut records: Vec<String> = Vec::new();
    for record in &message.answers {
        let mut description = match (&record.data, record.data.ip_addr()) {
            (_, Some(address)) => address.to_string(),
            (RData::Unknown { .. }, _) => record.record_type().to_string(),
            _ => format!("{} {}", record.record_type(), record.data),
        };
        let is_in_chain = record.record_type() == RecordType::CNAME || message.answers.len() > 1;
        if record.name != *qname && !(is_in_chain && record.data.ip_addr().is_some()) {
            description = format!("{} {description}", record.name);
        }
        if !(45..=60).contains(&record.ttl) {
            let _ = write!(description, " (TTL {})", record.ttl);
        }
        records.push(description);
    }
    if message.answers.iter().all(|record| record.record_type() == RecordType::A) {
        records.sort();
    }
    if !records.is_empty() {
        let _ = write!(text, ": {}", records.join(", "));
    } else if rcode == "NOERROR" {
        text.push_str(" without records");
    }
    for (code, error) in reply.extended_errors() {
        // The egress path does not concern the upstream.
        if error.starts_with("egress=") {
            continue;
        }
        let address = server.address.to_string();
        let after = error.rsplit_once(&format!("{address} ")).map(|(_, after)| format!("… {after}"));
        let _ = write!(text, ", extended error {code}: {}", after.unwrap_or(error));
    }
    text.replace('|', "/")
}
