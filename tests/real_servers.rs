//! Unbound and dnsmasq as upstreams, started on loopback. The tests are skipped with a message if these
//! programs are not installed.

mod common;

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Client, Lab, Reply};
use hickory_proto::op::ResponseCode;
use plustwo::config::BUILT_IN_LAB;

const CLIENT: [u8; 4] = [127, 0, 1, 1];

/// A server process. Dropping it kills the process.
struct Server {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Finds the path of a program. Prints a message if it is not installed.
fn find(program: &str) -> Option<String> {
    let directories = ["/usr/sbin", "/usr/bin", "/sbin", "/usr/local/sbin", "/usr/local/bin"];
    let found =
        directories.iter().map(|dir| format!("{dir}/{program}")).find(|path| Path::new(path).exists());
    if found.is_none() {
        println!("skipped: {program} is not installed (apt-get install unbound dnsmasq-base)");
    }
    found
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until a server answers a query for one of its names.
fn wait_until_it_answers(server: &Server, name: &str) {
    let client = Client::new(server.address, [127, 0, 0, 1].into());
    let started = std::time::Instant::now();
    while started.elapsed() < std::time::Duration::from_secs(30) {
        if client.try_query(name).is_some() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("the server does not answer");
}

fn unbound(ttl: u32) -> Option<Server> {
    let program = find("unbound")?;
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut config = format!(
        "server:\n interface: 127.0.0.1\n port: {}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n \
         username: \"\"\n directory: \"{dir}\"\n pidfile: \"{dir}/pid\"\n access-control: 127.0.0.0/8 allow\n \
         local-zone: \"example.\" static\n local-data: \"example. {ttl} IN SOA ns.example. h.example. 1 2 3 4 {ttl}\"\n \
         local-data: \"www.example. {ttl} IN A 198.51.100.7\"\n \
         local-data: \"mail.example. {ttl} IN MX 10 www.example.\"\n",
        address.port(),
        dir = dir.path().display(),
    );
    for n in 0..120 {
        config.push_str(&format!(" local-data: \"large.example. {ttl} IN A 198.51.100.{n}\"\n"));
    }
    config.push_str("remote-control:\n control-enable: no\n");
    let path = dir.path().join("unbound.conf");
    fs::write(&path, config).unwrap();
    let mut command = Command::new(program);
    command.arg("-d").arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server { child: command.spawn().unwrap(), address, _dir: dir };
    wait_until_it_answers(&server, "www.example");
    Some(server)
}

fn dnsmasq() -> Option<Server> {
    let program = find("dnsmasq")?;
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let mut command = Command::new(program);
    command
        .args(["--no-daemon", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--bind-interfaces"])
        .args(["--listen-address=127.0.0.1", "--user=root", "--pid-file="])
        .arg(format!("--port={}", address.port()))
        .args(["--address=/www.example/198.51.100.9", "--local=/example/"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let server = Server { child: command.spawn().unwrap(), address, _dir: dir };
    wait_until_it_answers(&server, "www.example");
    Some(server)
}

fn lab(servers: &[SocketAddr]) -> Lab {
    let list: Vec<String> = servers.iter().map(|address| format!("\"{address}\"")).collect();
    Lab::start_with(&format!(
        "{BUILT_IN_LAB}\n[internet]\nmode = \"forward\"\nservers = [{}]\n",
        list.join(", ")
    ))
}

fn query(lab: &Lab, name: &str, rtype: &str) -> Reply {
    Client::new(lab.dns, CLIENT.into()).query(name, rtype)
}

#[test]
fn answers_of_unbound_are_forwarded() {
    let Some(server) = unbound(60) else { return };
    let lab = lab(&[server.address]);
    assert_eq!(query(&lab, "www.example", "A").addresses().len(), 1);
    assert_eq!(query(&lab, "mail.example", "MX").message.answers.len(), 1);
    let none = query(&lab, "none.example", "A");
    assert_eq!(none.message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(none.message.authorities.len(), 1, "the denial has its SOA record");
    let nodata = query(&lab, "www.example", "AAAA");
    assert_eq!(nodata.message.metadata.response_code, ResponseCode::NoError);
    assert!(nodata.message.answers.is_empty());
}

#[test]
fn answers_truncated_by_unbound_are_fetched_over_tcp() {
    let Some(server) = unbound(60) else { return };
    let lab = lab(&[server.address]);
    let over_udp = query(&lab, "large.example", "A");
    assert!(
        over_udp.message.metadata.truncation,
        "120 addresses do not fit into a datagram to the client either"
    );
    let over_tcp = Client::new(lab.dns, CLIENT.into()).query_tcp("large.example", "A");
    assert_eq!(over_tcp.addresses().len(), 120);
}

#[test]
fn another_server_is_queried_after_one_has_stopped() {
    let (Some(stopped), Some(running)) = (unbound(60), dnsmasq()) else { return };
    let lab = lab(&[stopped.address, running.address]);
    drop(stopped);
    for _ in 0..4 {
        // Another name each time, so that nothing is cached.
        assert_eq!(
            query(&lab, "www.example", "A").addresses(),
            ["198.51.100.9".parse::<std::net::IpAddr>().unwrap()]
        );
    }
}

#[test]
fn without_any_server_cached_names_are_served_stale_and_marked() {
    let Some(server) = unbound(1) else { return };
    let lab = lab(&[server.address]);
    assert_eq!(query(&lab, "www.example", "A").addresses().len(), 1);
    drop(server);
    // The TTL is one second. The name is queried until it has expired.
    let stale = (0..100_000).find_map(|_| {
        let reply = query(&lab, "www.example", "A");
        assert_eq!(reply.addresses().len(), 1, "it is always answered");
        reply.extended_errors().iter().any(|(code, _)| *code == 3).then_some(reply)
    });
    let stale = stale.expect("the answer becomes stale");
    assert!(stale.message.answers.iter().all(|record| record.ttl <= 30));
    let uncached = query(&lab, "uncached.example", "A");
    assert_eq!(uncached.message.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(query(&lab, "db.corp.internal", "A").addresses().len(), 1, "private names are still answered");
}
