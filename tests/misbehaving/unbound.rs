//! The same measurement with Unbound as a plain forwarder to the misbehaving server, with a new process for
//! each behaviour.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hickory_proto::op::Message;

use crate::common::{Reply, question};
use crate::test_server::{Behaviour, TestServer};
use crate::{RECORDS, cell, for_each};

/// The results: a comment with the version, then one line for each behaviour with what a client sees.
const FILE: &str = "tests/misbehaving/unbound.txt";

/// Time limit for a reply, which is longer than that of stub resolvers.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Reads the results, by behaviour.
pub(crate) fn read_results() -> BTreeMap<String, String> {
    let text = fs::read_to_string(FILE).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once('\t'));
    lines.map(|(name, result)| (name.to_owned(), result.to_owned())).collect()
}

/// Maximum number of attempts per query: on a busy machine, Unbound's first queries may time out.
const TRIES: usize = 3;

/// An Unbound process. Dropping it kills the process.
struct Unbound {
    child: Child,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Unbound {
    /// Starts Unbound as a forwarder of all names to a server, without validation or QNAME minimisation, and
    /// otherwise with default settings.
    fn start(program: &str, server: SocketAddr, over_tcp: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = format!(
            "server:\n interface: 127.0.0.1\n port: {port}\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n \
             username: \"\"\n directory: \"{dir}\"\n pidfile: \"{dir}/pid\"\n access-control: 127.0.0.0/8 allow\n \
             do-not-query-localhost: no\n module-config: \"iterator\"\n qname-minimisation: no\n \
             local-data: \"ready.invalid. A 192.0.2.1\"\n\
             remote-control:\n control-enable: no\n\
             forward-zone:\n name: \".\"\n forward-addr: {to_ip}@{to_port}\n forward-tcp-upstream: {tcp}\n",
            port = address.port(),
            dir = dir.path().display(),
            to_ip = server.ip(),
            to_port = server.port(),
            tcp = if over_tcp { "yes" } else { "no" },
        );
        let path = dir.path().join("unbound.conf");
        fs::write(&path, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(&path).stdout(Stdio::null()).stderr(Stdio::null());
        let unbound = Self { child: command.spawn().unwrap(), address, _dir: dir };
        let until = Instant::now() + Duration::from_secs(30);
        while unbound.query("ready.invalid", Duration::from_millis(100)).is_none() {
            assert!(Instant::now() < until, "unbound does not answer");
        }
        unbound
    }

    /// Sends an A query with EDNS, and returns the reply if one arrives in time.
    fn query(&self, name: &str, timeout: Duration) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket.set_read_timeout(Some(timeout)).unwrap();
        socket.send(&question(1, name, 1, 1, true)).unwrap();
        let mut reply = [0; 4096];
        let length = socket.recv(&mut reply).ok()?;
        Some(reply[..length].to_vec())
    }
}

#[test]
#[ignore = "measures Unbound and writes the results from which the page is generated"]
fn measure_unbound() {
    let Some(program) =
        ["/usr/sbin/unbound", "/usr/local/sbin/unbound"].into_iter().find(|path| Path::new(path).exists())
    else {
        println!("skipped: unbound is not installed (apt-get install unbound)");
        return;
    };
    let version = String::from_utf8(Command::new(program).arg("-V").output().unwrap().stdout).unwrap();
    let version = version.lines().next().unwrap().trim_start_matches("Version ").to_owned();
    let results = for_each(|behaviour| {
        for _ in 0..TRIES {
            let server = TestServer::start(behaviour.clone(), RECORDS);
            let unbound = Unbound::start(program, server.address, behaviour.concerns_connections());
            if let Some(reply) = unbound.query("www.example", TIMEOUT) {
                return match Message::from_vec(&reply) {
                    Ok(message) => cell(&Reply { message }, &server),
                    Err(_) => "a malformed message".to_owned(),
                };
            }
        }
        format!("no reply within {} seconds", TIMEOUT.as_secs())
    });
    let mut text = format!(
        "# Unbound {version} as a forwarder to each server; cargo test --test misbehaving -- --ignored repeats the measurement.\n"
    );
    for (behaviour, result) in Behaviour::ALL.iter().zip(results) {
        text.push_str(&format!("{behaviour:?}\t{result}\n"));
    }
    fs::write(FILE, text).unwrap();
}
