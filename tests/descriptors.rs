//! Idle clients do not use the descriptors that forwarding needs, whatever the limit on open files.

mod common;
#[path = "common/test_server.rs"]
mod test_server;

use std::fs;
use std::io::Read;
use std::net::{IpAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Client;
use common::process::{DaemonProcess, PLUSTWO};
use test_server::{Behaviour, TestServer};

/// Time limit for events that occur immediately.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A daemon with these limits on open files that forwards everything to a name server.
fn serve_under(dir: &Path, soft: u32, hard: u32, server: &TestServer) -> DaemonProcess {
    let file = dir.join("plustwo.toml");
    let text = format!(
        "[server]\nadmin = \"127.0.0.1:0\"\nworkers = 2\nmax_tcp_connections_per_client = 1024\n\
         tcp_idle_timeout_s = 600\nwatch = false\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\n\
         [internet]\nmode = \"forward\"\nservers = [\"{}\"]\n\
         [[client]]\nsource = \"127.0.0.0/8\"\nplace = \"outside\"\n",
        server.address
    );
    fs::write(&file, text).unwrap();
    let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, PLUSTWO, "serve", "--log-json", "--config", file.to_str().unwrap()]);
    DaemonProcess::start_as(command)
}

/// Opens connections on which nothing is sent.
fn idle(address: &str, count: usize) -> Vec<TcpStream> {
    let open = |_| TcpStream::connect(address).expect("the kernel completes the handshake");
    (0..count).map(open).collect()
}

/// Whether the server has closed a connection, which it does immediately or not at all.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Verifies that new names, which must be forwarded, are answered.
fn assert_forwards(served: &DaemonProcess, names: &[(&str, &str)]) {
    let client = Client::new(served.dns.parse().unwrap(), IpAddr::from([127, 0, 1, 1]));
    for (name, address) in names {
        assert_eq!(client.query(name, "A").addresses(), [address.parse::<IpAddr>().unwrap()], "{name}");
    }
}

/// Names with an address.
fn names(count: usize) -> Vec<(&'static str, &'static str)> {
    let name = |n: usize| -> &'static str { Box::leak(format!("n{n}.example.net").into_boxed_str()) };
    (0..count).map(|n| (name(n), "192.0.2.7")).collect()
}

#[test]
fn idle_connections_leave_descriptors_for_forwarding() {
    let names = names(200);
    let server = TestServer::start(Behaviour::Honest, &names);
    let dir = tempfile::tempdir().unwrap();
    let served = serve_under(dir.path(), 256, 256, &server);
    let mut tcp = idle(&served.dns, 300);
    let _admin = idle(&served.admin, 200);
    // Connections are accepted in order: once the last one is closed, all have been processed.
    let last = tcp.last_mut().unwrap();
    last.set_read_timeout(Some(TIMEOUT)).unwrap();
    assert!(matches!(last.read(&mut [0]), Ok(0) | Err(_)));
    assert!(!is_closed(&mut tcp[0]), "some are served");
    assert_forwards(&served, &names);
    // The admin address answers as well.
    assert!(served.http("GET", "/health").0.contains(" 200 "));
    let page = served.http("GET", "/metrics").1;
    let value = |name: &str| -> f64 {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect("the series exists").parse().unwrap()
    };
    assert!(value("plustwo_tcp_connections_refused_total") >= 200.0);
    assert!(value("plustwo_admin_connections_refused_total") >= 100.0);
    assert_eq!(value("plustwo_tcp_accept_errors_total"), 0.0, "descriptors never ran out");
    served.stop();
}

#[test]
fn a_low_soft_limit_is_raised_at_the_start() {
    let names = names(100);
    let server = TestServer::start(Behaviour::Honest, &names);
    let dir = tempfile::tempdir().unwrap();
    let served = serve_under(dir.path(), 256, 1024, &server);
    let mut tcp = idle(&served.dns, 300);
    let _admin = idle(&served.admin, 100);
    assert_forwards(&served, &names);
    assert!(served.http("GET", "/health").0.contains(" 200 "));
    assert_eq!(tcp.iter_mut().map(is_closed).filter(|closed| *closed).count(), 0, "all of them are served");
    served.stop();
}
