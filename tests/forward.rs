//! Forwarding as a client sees it: answers, failures, CNAME chains to private names, stale answers, reloads.

mod common;
#[path = "common/test_server.rs"]
mod test_server;

use std::net::IpAddr;
use std::time::Duration;

use common::{Client, Lab, Reply, question, read_frame};
use hickory_proto::op::ResponseCode;
use plustwo::config::BUILT_IN_LAB;
use test_server::{Behaviour, TestServer};

const CLIENT: [u8; 4] = [127, 0, 1, 1];

/// Starts the lab with these servers for the internet, and `more` appended to its configuration.
fn lab(servers: &[&TestServer], more: &str) -> Lab {
    let list: Vec<String> = servers.iter().map(|server| format!("\"{}\"", server.address)).collect();
    let internet = format!("\n[internet]\nmode = \"forward\"\nservers = [{}]\n", list.join(", "));
    Lab::start_with(&format!("{BUILT_IN_LAB}{internet}{more}"))
}

fn query(lab: &Lab, name: &str) -> Reply {
    Client::new(lab.dns, CLIENT.into()).query(name, "A")
}

fn addresses(reply: &Reply) -> Vec<String> {
    reply.addresses().iter().map(IpAddr::to_string).collect()
}

fn codes(reply: &Reply) -> Vec<u16> {
    reply.extended_errors().into_iter().map(|(code, _)| code).collect()
}

#[test]
fn unclaimed_names_are_forwarded_to_the_internets_servers_and_cached() {
    let server = TestServer::start(Behaviour::Honest, &[("www.example", "198.51.100.7")]);
    let lab = lab(&[&server], "");
    for _ in 0..3 {
        let reply = query(&lab, "www.example");
        assert_eq!(addresses(&reply), ["198.51.100.7"]);
        let (_, text) = &reply.extended_errors()[0];
        assert!(text.starts_with("egress=nat-gateway via=nat-lab,igw-lab addr=198.51.100.7"), "{text}");
    }
    assert_eq!(server.received_count(), 1, "the others are answered from the cache");
    // Negative answers are returned unchanged and cached.
    for _ in 0..2 {
        let reply = query(&lab, "none.example");
        assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(reply.message.authorities.len(), 1);
    }
    let nodata = Client::new(lab.dns, CLIENT.into()).query("www.example", "AAAA");
    assert_eq!(nodata.message.metadata.response_code, ResponseCode::NoError);
    assert!(nodata.message.answers.is_empty());
}

#[test]
fn annotations_describe_the_forwarded_answer_not_that_of_the_sealed_internet() {
    let name = "s3.us-west-2.amazonaws.com";
    let server = TestServer::start(Behaviour::Honest, &[(name, "198.51.100.77")]);
    let lab = lab(&[&server], "");
    // An OPT with an empty option 65001.
    let mut message = question(9, name, 1, 1, true);
    let end = message.len() - 2;
    message.truncate(end);
    message.extend([0, 4, 0xfd, 0xe9, 0, 0]);
    let reply = Client::new(lab.dns, CLIENT.into()).exchange(&message);
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("plustwo/1 {") && text.contains("\"data\":\"198.51.100.77\""), "{text}");
    let explained = lab.get(&format!("/v1/explain?name={name}&from=127.0.1.1"));
    assert!(explained.contains("\"data\":\"198.51.100.77\""), "{explained}");
}

#[test]
fn private_names_are_never_forwarded() {
    let server = TestServer::start(Behaviour::Honest, &[]);
    let lab = lab(&[&server], "");
    for name in [
        "sns.ap-northeast-1.amazonaws.com",
        "x.sns.ap-northeast-1.amazonaws.com",
        "db.corp.internal",
        "nope.corp.internal",
        "erp.office.example",
        "ip-10-9-9-9.ap-northeast-1.compute.internal",
        "vpce-sqs-rexhor6t.sqs.ap-northeast-1.vpce.amazonaws.com",
        "ec2-203-0-113-25.ap-northeast-1.compute.amazonaws.com",
    ] {
        query(&lab, name);
    }
    assert_eq!(server.received_count(), 0);
}

#[test]
fn a_public_alias_of_a_private_name_is_answered_privately() {
    let records = [
        ("api.example", "d-abc.execute-api.ap-northeast-1.amazonaws.com"),
        ("d-abc.execute-api.ap-northeast-1.amazonaws.com", "203.0.113.99"),
        ("db.example", "ec2-203-0-113-25.ap-northeast-1.compute.amazonaws.com"),
        ("ec2-203-0-113-25.ap-northeast-1.compute.amazonaws.com", "203.0.113.25"),
        ("a.example", "b.example"),
        ("b.example", "198.51.100.8"),
    ];
    let server = TestServer::start(Behaviour::Honest, &records);
    let lab = lab(&[&server], "");
    let mut api = addresses(&query(&lab, "api.example"));
    api.sort_unstable();
    assert_eq!(api, ["10.0.100.40", "10.0.200.40"]);
    assert_eq!(addresses(&query(&lab, "db.example")), ["10.0.4.10"]);
    let outside = Client::new(lab.dns, [127, 0, 99, 1].into());
    assert_eq!(addresses(&outside.query("api.example", "A")), ["203.0.113.99"]);
    // A chain of public names needs only one query.
    let before = server.received_count();
    let reply = query(&lab, "a.example");
    assert_eq!((addresses(&reply), reply.message.answers.len()), (vec!["198.51.100.8".to_owned()], 2));
    assert_eq!(server.received_count(), before + 1);
}

#[test]
fn failing_servers_have_no_effect_while_another_answers() {
    let good = TestServer::start(Behaviour::Honest, &[("www.example", "198.51.100.7")]);
    for behaviour in [
        Behaviour::ServFail,
        Behaviour::Refused,
        Behaviour::Garbage,
        Behaviour::WrongId,
        Behaviour::WrongName,
    ] {
        let bad = TestServer::start(behaviour.clone(), &[("www.example", "203.0.113.66")]);
        let lab = lab(&[&bad, &good], "");
        assert_eq!(addresses(&query(&lab, "www.example")), ["198.51.100.7"], "{behaviour:?}");
    }
}

#[test]
fn if_no_server_answers_the_client_receives_servfail_with_the_cause() {
    for behaviour in [Behaviour::ServFail, Behaviour::Refused, Behaviour::Silent, Behaviour::WrongId] {
        let bad = TestServer::start(behaviour.clone(), &[("www.example", "203.0.113.66")]);
        let lab = lab(&[&bad], "");
        let reply = query(&lab, "www.example");
        assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail, "{behaviour:?}");
        assert!(reply.message.answers.is_empty());
        assert!(
            matches!(codes(&reply).as_slice(), [13 | 22 | 23]),
            "{behaviour:?} {:?}",
            reply.extended_errors()
        );
        assert_eq!(
            addresses(&query(&lab, "db.corp.internal")),
            ["10.0.1.20"],
            "private names are still answered"
        );
    }
}

#[test]
fn a_rule_forwards_to_its_targets() {
    let office = TestServer::start(Behaviour::Honest, &[("erp.branch.example", "192.168.20.20")]);
    let internet = TestServer::start(Behaviour::Honest, &[]);
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-branch\"\ntype = \"FORWARD\"\ndomain = \"branch.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
        office.address
    );
    let lab = lab(&[&internet], &rule);
    assert_eq!(addresses(&query(&lab, "erp.branch.example")), ["192.168.20.20"]);
    assert_eq!((office.received_count(), internet.received_count()), (1, 0));
    // The rule applies to the VPC only; from outside, the name is resolved on the internet.
    let outside = Client::new(lab.dns, [127, 0, 99, 1].into());
    assert_eq!(
        outside.query("erp.branch.example", "A").message.metadata.response_code,
        ResponseCode::NXDomain
    );
}

#[test]
fn a_recovered_server_is_used() {
    let server =
        TestServer::start(Behaviour::Honest, &[("a.example", "198.51.100.1"), ("b.example", "198.51.100.2")]);
    let lab = lab(&[&server], "");
    server.set_behaviour(Behaviour::ServFail);
    assert_eq!(query(&lab, "a.example").message.metadata.response_code, ResponseCode::ServFail);
    server.set_behaviour(Behaviour::Honest);
    assert_eq!(addresses(&query(&lab, "b.example")), ["198.51.100.2"]);
}

#[test]
fn a_pipelined_query_is_answered_before_an_earlier_one_that_waits() {
    use std::io::Write;
    let silent = TestServer::start(Behaviour::Silent, &[]);
    let lab = lab(&[&silent], "");
    let mut stream = std::net::TcpStream::connect(lab.dns).unwrap();
    let slow = question(1, "slow.example", 1, 1, true);
    let fast = question(2, "sns.ap-northeast-1.amazonaws.com", 1, 1, true);
    let mut both = Vec::new();
    for message in [slow, fast] {
        both.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        both.extend(message);
    }
    stream.write_all(&both).unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let reply = read_frame(&mut stream);
        ids.push(u16::from_be_bytes([reply[0], reply[1]]));
    }
    assert_eq!(ids, [2, 1]);
}

#[test]
fn a_forwarding_loop_through_another_server_ends() {
    use std::net::UdpSocket;
    use std::sync::mpsc;
    // A relay that sends every query back to the lab.
    let relay = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = relay.local_addr().unwrap();
    let internet = format!("\n[internet]\nmode = \"forward\"\nservers = [\"{address}\"]\n");
    let lab = Lab::start_with(&format!("{BUILT_IN_LAB}{internet}"));
    let lab_address = lab.dns;
    let (done, ended) = mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        relay.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let mut octets = [0; 4096];
        while matches!(ended.try_recv(), Err(mpsc::TryRecvError::Empty)) {
            let Ok((length, _)) = relay.recv_from(&mut octets) else { continue };
            // Replies of the lab are dropped, so that only the query loops.
            if octets[2] & 0x80 == 0 {
                let _ = relay.send_to(&octets[..length], lab_address);
            }
        }
    });
    let reply = query(&lab, "round.example");
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
    assert!(!reply.extended_errors().is_empty());
    assert_eq!(addresses(&query(&lab, "db.corp.internal")), ["10.0.1.20"]);
    drop(done);
    thread.join().unwrap();
}

#[test]
fn cached_answers_outlive_a_reload() {
    use common::process::DaemonProcess;
    let server = TestServer::start(Behaviour::Honest, &[("www.example", "198.51.100.7")]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plustwo.toml");
    let internet = format!("\n[internet]\nmode = \"forward\"\nservers = [\"{}\"]\n", server.address);
    let text = BUILT_IN_LAB.replace("127.0.0.1:5300", "127.0.0.1:0").replace("127.0.0.1:9530", "127.0.0.1:0");
    std::fs::write(&file, format!("{text}{internet}")).unwrap();
    let mut daemon = DaemonProcess::start(file.to_str().unwrap());
    let client = Client::new(daemon.dns.parse().unwrap(), CLIENT.into());
    assert_eq!(addresses(&client.query("www.example", "A")), ["198.51.100.7"]);
    std::fs::write(&file, format!("{text}{internet}").replace("10.0.1.20", "10.0.1.21")).unwrap();
    daemon.signal("-HUP");
    daemon.wait_for("Reloaded.");
    assert_eq!(addresses(&client.query("db.corp.internal", "A")), ["10.0.1.21"]);
    assert_eq!(addresses(&client.query("www.example", "A")), ["198.51.100.7"]);
    assert_eq!(server.received_count(), 1);
    daemon.stop();
}

/// Starts the lab with a rule for `dead.example` that forwards to one server, and another server for the
/// internet.
fn lab_with_dead_and_live_servers(dead: &TestServer, live: &TestServer, server: &str) -> Lab {
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-dead\"\ntype = \"FORWARD\"\ndomain = \"dead.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n\n[internet]\nmode = \"forward\"\nservers = [\"{}\"]\n",
        dead.address, live.address
    );
    Lab::start_with(&format!(
        "{}{rule}",
        BUILT_IN_LAB.replacen("[server]", &format!("[server]\n{server}"), 1)
    ))
}

#[test]
fn a_flood_of_queries_to_a_dead_target_does_not_affect_other_names() {
    let dead = TestServer::start(Behaviour::Silent, &[]);
    let live = TestServer::start(Behaviour::Honest, &[]);
    let lab = lab_with_dead_and_live_servers(&dead, &live, "max_waiting_queries = 64");
    let flood = Client::new(lab.dns, CLIENT.into());
    let client = Client::new(lab.dns, CLIENT.into());
    for round in 0..20 {
        for index in 0..50 {
            flood.send(&question(index, &format!("{index}.{round}.dead.example"), 1, 1, true));
        }
        let reply = client.query(&format!("{round}.example"), "A");
        assert_eq!(reply.message.metadata.response_code, ResponseCode::NXDomain, "{round}");
    }
    let refused = |reason: &str| lab.metric(&format!("plustwo_forward_refused_total{{reason=\"{reason}\"}}"));
    assert!(refused("upstream-share") + refused("client-share") > 0.0, "the flood reached its limit");
    assert_eq!(refused("full"), 0.0);
}

#[test]
fn every_query_of_a_flood_for_a_dead_target_gets_a_reply() {
    let dead = TestServer::start(Behaviour::Silent, &[]);
    let live = TestServer::start(Behaviour::Honest, &[]);
    let lab = lab_with_dead_and_live_servers(&dead, &live, "max_waiting_queries = 16");
    let client = Client::new(lab.dns, CLIENT.into());
    for index in 0..200 {
        client.send(&question(index, &format!("{index}.dead.example"), 1, 1, true));
    }
    for _ in 0..200 {
        let reply = Reply::of(&client.receive());
        assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
        assert!(!reply.extended_errors().is_empty());
    }
}

/// Queries a name until a reply meets a condition.
fn query_until(client: &Client, name: &str, condition: impl Fn(&Reply) -> bool) -> Reply {
    loop {
        let reply = client.query(name, "A");
        if condition(&reply) {
            return reply;
        }
    }
}

#[test]
fn while_all_servers_are_dead_stale_answers_are_served_immediately() {
    let names: Vec<String> = (0..50).map(|index| format!("n{index}.example")).collect();
    let records: Vec<(&'static str, &'static str)> =
        names.iter().map(|name| (&*name.clone().leak(), "198.51.100.7")).collect();
    let server = TestServer::start(Behaviour::Honest, &records);
    server.set_ttl(1);
    let lab = lab(&[&server], "");
    let client = Client::new(lab.dns, CLIENT.into());
    for name in &names {
        assert_eq!(addresses(&client.query(name, "A")), ["198.51.100.7"]);
    }
    server.set_behaviour(Behaviour::Silent);
    // After its TTL, the answer is stale. The server is queried and probed; then plustwo backs off.
    let stale = |reply: &Reply| codes(reply).contains(&3);
    query_until(&client, &names[0], stale);
    while lab.metric(&format!("plustwo_forward_servers_backing_off{{source=\"\",to=\"{}\"}}", server.address))
        < 1.0
    {
        client.query("unseen.example", "A");
    }
    // From now on, only trial queries are sent. Stale answers are served immediately. A name that is not
    // cached fails immediately, unless its query is the trial.
    let before = server.received_count();
    for name in names.iter().cycle().take(1000) {
        let reply = client.query(name, "A");
        assert!(stale(&reply) && addresses(&reply) == ["198.51.100.7"], "{name}: {reply:?}");
    }
    assert!(
        server.received_count() - before < 50,
        "{} of 1000 queries were sent",
        server.received_count() - before
    );
    let served = lab.metric("plustwo_forward_stale_answers_total{upstream=\"internet\"}");
    assert!(served >= 1000.0, "{served}");
    let ready = lab.get("/ready");
    assert!(ready.starts_with("ready\n"), "{ready}");
    assert!(ready.contains("internet: no name server is answering"), "{ready}");
    // When the server recovers, fresh answers are served.
    server.set_behaviour(Behaviour::Honest);
    query_until(&client, &names[1], |reply| !stale(reply));
}

#[test]
fn a_chain_of_slow_names_ends_when_the_query_times_out() {
    // Each name is an alias of the next, and each reply is slow.
    let slow = Behaviour::Delayed(Duration::from_millis(900), Behaviour::CnameWithoutEnd.into());
    let server = TestServer::start(slow, &[]);
    let lab = lab(&[&server], "");
    let reply = query(&lab, "start.example");
    assert_eq!(reply.message.metadata.response_code, ResponseCode::ServFail);
    assert!(reply.extended_errors()[0].1.contains("the query timed out"), "{reply:?}");
    assert!(server.received_count() < 8, "fewer than the 16 names that a chain may have");
}

#[test]
fn all_annotation_carriers_describe_the_same_answer() {
    let records = [
        ("www.example", "198.51.100.7"),
        ("s3.ap-northeast-1.amazonaws.com", "52.219.1.2"),
        ("alias.example", "www.example"),
        ("db.example", "ec2-203-0-113-25.ap-northeast-1.compute.amazonaws.com"),
        ("ec2-203-0-113-25.ap-northeast-1.compute.amazonaws.com", "203.0.113.25"),
        ("erp.branch.example", "192.168.10.20"),
    ];
    let server = TestServer::start(Behaviour::Honest, &records);
    let rule = format!(
        "\n[[resolver_rule]]\nid = \"rslvr-rr-branch\"\ntype = \"FORWARD\"\ndomain = \"branch.example\"\n\
         targets = [\"{}\"]\nvpcs = [\"vpc-lab\"]\n",
        server.address
    );
    let lab = lab(&[&server], &rule);
    let client = Client::new(lab.dns, CLIENT.into());
    for name in [
        "www.example",
        "s3.ap-northeast-1.amazonaws.com",
        "alias.example",
        "db.example",
        "erp.branch.example",
        "nowhere.example",
        "nowhere.branch.example",
        "sns.ap-northeast-1.amazonaws.com",
        "db.corp.internal",
    ] {
        // The explanations come first, so that they do not use the cached answer of the plain query.
        let chaos = client.query_chaos(name);
        let explained: serde_json::Value =
            serde_json::from_str(&lab.get(&format!("/v1/explain?name={name}&from=127.0.1.1"))).unwrap();
        let reply = client.query(name, "A");
        let rcode = reply.message.metadata.response_code;
        let rcode = if rcode == ResponseCode::NXDomain { "NXDOMAIN" } else { "NOERROR" };
        assert!(chaos[0].starts_with(&format!("type=A rcode={rcode} ")), "{name}: {chaos:?}");
        assert_eq!(explained["rcode"], rcode, "{name}");
        let egress = |texts: Vec<String>| -> Vec<String> {
            texts.into_iter().filter(|text| text.starts_with("egress=")).collect()
        };
        let texts: Vec<String> = reply.extended_errors().into_iter().map(|(_, text)| text).collect();
        assert_eq!(egress(chaos), egress(texts.clone()), "{name}");
        let answers = explained["answers"].as_array().unwrap();
        let mut explained_addresses: Vec<&str> = answers
            .iter()
            .filter(|answer| answer["path"].is_object())
            .map(|answer| answer["data"].as_str().unwrap())
            .collect();
        let mut served = addresses(&reply);
        served.sort_unstable();
        explained_addresses.sort_unstable();
        assert_eq!(explained_addresses, served, "{name}");
        for answer in answers.iter().filter(|answer| answer["path"].is_object()) {
            let path = &answer["path"];
            let part = format!("egress={}", path["class"].as_str().unwrap());
            let reach = format!("reach={}", path["reach"].as_str().unwrap());
            assert!(
                texts.iter().any(|text| text.contains(&part) && text.contains(&reach)),
                "{name}: {texts:?}"
            );
        }
    }
}

#[test]
fn an_explanation_of_a_failed_query_contains_no_invented_answer() {
    let refusing = TestServer::start(Behaviour::Refused, &[]);
    let lab = lab(&[&refusing], "");
    let client = Client::new(lab.dns, CLIENT.into());
    let chaos = client.query_chaos("s3.ap-northeast-1.amazonaws.com");
    assert!(chaos[0].starts_with("type=A rcode=SERVFAIL source=public"), "{chaos:?}");
    assert!(chaos.iter().all(|text| !text.starts_with("egress=")), "{chaos:?}");
    assert!(chaos.iter().any(|text| text.contains("answered REFUSED")), "{chaos:?}");
}

#[test]
fn explanations_query_upstreams_at_a_limited_rate_and_report_when_they_did_not() {
    let server = TestServer::start(Behaviour::Honest, &[]);
    let lab = lab(&[&server], "");
    let client = Client::new(lab.dns, CLIENT.into());
    let mut not_queried = None;
    for index in 0..2000 {
        let texts = client.query_chaos(&format!("{index}.example"));
        if texts[0].contains("queried=no") {
            not_queried = Some(texts);
            break;
        }
    }
    let texts = not_queried.expect("2000 explanations exceed the limit per second");
    assert!(texts.iter().all(|text| !text.contains("rcode=") && !text.contains("egress=")), "{texts:?}");
    // The limit does not apply to plain queries.
    assert_eq!(query(&lab, "plain.example").message.metadata.response_code, ResponseCode::NXDomain);
}
