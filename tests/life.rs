//! The life cycle of a daemon: reloads, the file watch, the service manager, passed sockets, shutdown.

mod common;

use std::fs;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::process::{DaemonProcess, PLUSTWO, lab_file, plustwo, stderr, stdout};
use common::{Client, question};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// The lab in a file, with additional keys in `[server]`.
fn lab_with(dir: &Path, dns: &str, server: &str) -> String {
    let file = lab_file(dir, dns, "127.0.0.1:0");
    edit(&file, "[server]\n", &format!("[server]\n{server}\n"));
    file
}

fn edit(file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "`{from}` is not in {file}");
    fs::write(file, text.replace(from, to)).unwrap();
}

/// Replaces a file by renaming another one, as editors do.
fn rename_over(file: &str, text: &str) {
    let temporary = format!("{file}.new");
    fs::write(&temporary, text).unwrap();
    fs::rename(&temporary, file).unwrap();
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn reload_command_reports_the_result() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "watch = false");
    let served = DaemonProcess::start(&file);
    let reload = || plustwo(&["reload", "--admin", &served.admin]);

    let unchanged = reload();
    assert_eq!(unchanged.status.code(), Some(0), "{}", stderr(&unchanged));
    assert!(stdout(&unchanged).starts_with("unchanged: "), "{}", stdout(&unchanged));

    edit(&file, "10.0.1.20", "10.0.1.21");
    edit(&file, "watch = false", "watch = false\nlame_duck_s = 3");
    let good = reload();
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    let reported = stdout(&good);
    assert!(reported.contains("zone corp.internal. (ZLAB0CORPINTERNAL): 1 name changed"), "{reported}");
    assert!(reported.contains("requires a restart: [server] lame_duck_s: 0 → 3"), "{reported}");

    edit(&file, "10.0.1.21", "10.0.1.999");
    let bad = reload();
    assert_eq!(bad.status.code(), Some(1));
    let reported = stderr(&bad);
    assert!(reported.contains("plustwo.toml:") && reported.contains("10.0.1.999"), "{reported}");
    assert!(reported.contains("rejected: 1 error; the previous configuration is kept"), "{reported}");

    fs::remove_file(&file).unwrap();
    let gone = plustwo(&["reload", "--json", "--admin", &served.admin]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(stdout(&gone).contains("\"code\":\"unreadable-file\""), "{}", stdout(&gone));

    let admin = served.admin.clone();
    served.stop();
    assert_eq!(plustwo(&["reload", "--admin", &admin]).status.code(), Some(2));
}

#[test]
fn a_post_request_reloads_and_returns_the_changes() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "watch = false");
    let served = DaemonProcess::start(&file);
    let post = || {
        let (status, body) = served.http("POST", "/v1/reload");
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        (status, value)
    };
    let (status, value) = post();
    assert!(status.contains(" 200 ") && value["result"] == "unchanged", "{status} {value}");

    let good = fs::read_to_string(&file).unwrap();
    let table = "id = \"rtb-public\"\nroutes = [{ destination = \"0.0.0.0/0\", target = \"igw-lab\" }]";
    edit(&file, table, &table.replace("igw-lab", "nat-lab"));
    let listener =
        format!("{}\n[[listener]]\naddress = \"127.0.0.1:1\"\n", fs::read_to_string(&file).unwrap());
    fs::write(&file, listener).unwrap();
    let (status, value) = post();
    assert!(status.contains(" 200 ") && value["result"] == "ok", "{status} {value}");
    let changes = value["changes"].as_array().unwrap();
    let route = serde_json::json!({
        "kind": "route", "id": "rtb-public", "what": "changed", "how": "0.0.0.0/0 igw-lab → nat-lab"
    });
    assert!(changes.contains(&route), "{value}");
    let waiting = value["needs_restart"].to_string();
    assert!(waiting.contains("[[listener]] 127.0.0.1:1 udp tcp: not yet open"), "{waiting}");

    fs::write(&file, good.replace("rtb-public", "rtb public")).unwrap();
    let (status, value) = post();
    assert!(status.contains(" 422 ") && value["result"] == "failed", "{status} {value}");
    let error = &value["errors"][0];
    assert_eq!(error["code"], "invalid-value", "{value}");
    assert!(error["place"].as_str().unwrap().contains("plustwo.toml:"), "{value}");
    served.stop();
}

#[test]
fn changed_files_are_detected_for_all_kinds_of_writes() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    // A zone file in a separate directory.
    fs::create_dir(dir.path().join("zones")).unwrap();
    let zone = dir.path().join("zones/x.zone");
    fs::write(&zone, "a 60 IN A 10.0.1.1\n").unwrap();
    let more = "\n[[hosted_zone]]\nname = \"x.internal\"\nvpcs = [\"vpc-lab\"]\nfile = \"zones/x.zone\"\n";
    fs::write(&file, fs::read_to_string(&file).unwrap() + more).unwrap();
    let mut served = DaemonProcess::start(&file);
    served.wait_for("Watching the configuration.");
    let client = Client::new(served.dns.parse().unwrap(), ip("127.0.1.1"));

    let good = fs::read_to_string(&file).unwrap();
    rename_over(&file, &good.replace("10.0.1.20", "10.0.1.21"));
    served.wait_for("Reloaded.");
    assert_eq!(client.query("db.corp.internal", "A").addresses(), [ip("10.0.1.21")]);

    fs::write(&file, good.replace("10.0.1.20", "10.0.1.22")).unwrap();
    let seen = served.wait_for("Reloaded.");
    assert!(seen.iter().any(|line| line.contains("Changed: zone corp.internal.")), "{seen:?}");
    assert_eq!(client.query("db.corp.internal", "A").addresses(), [ip("10.0.1.22")]);

    fs::write(&zone, "a 60 IN A 10.0.1.2\n").unwrap();
    served.wait_for("Reloaded.");
    assert_eq!(client.query("a.x.internal", "A").addresses(), [ip("10.0.1.2")]);

    rename_over(&file, "nonsense");
    served.wait_for("The configuration is invalid; keeping the previous one.");
    assert_eq!(client.query("a.x.internal", "A").addresses(), [ip("10.0.1.2")]);
    served.stop();
}

/// Sends queries in a loop until it is stopped, and counts the answers.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Load {
    /// `verify` checks each answer. A query without an answer makes the thread panic.
    fn start(dns: SocketAddr, name: &'static str, verify: fn(&[IpAddr])) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let thread = {
            let (stop, answered) = (stop.clone(), answered.clone());
            std::thread::spawn(move || {
                let client = Client::new(dns, ip("127.0.1.1"));
                while !stop.load(Ordering::Relaxed) {
                    verify(&client.query(name, "A").addresses());
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        Self { stop, answered, thread }
    }

    /// Waits for further answers, so that queries are sent between two steps of a test.
    fn wait_for_more(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        while self.answered.load(Ordering::Relaxed) == before {
            assert!(!self.thread.is_finished(), "a query was lost, or an answer was wrong");
            std::thread::yield_now();
        }
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("no query was lost and every answer was correct");
    }
}

#[test]
fn reloads_under_load_neither_lose_nor_mix_answers() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "watch = false");
    let lab = fs::read_to_string(&file).unwrap();
    let world = |n: u8| {
        format!(
            "{lab}\n[[hosted_zone]]\nname = \"twin.internal\"\nvpcs = [\"vpc-lab\"]\nrecords = [{{ name = \"two\", \
             type = \"A\", ttl = 60, values = [\"10.0.1.{n}\", \"10.0.2.{n}\"] }}]\n"
        )
    };
    fs::write(&file, world(1)).unwrap();
    let served = DaemonProcess::start(&file);
    let load = Load::start(served.dns.parse().unwrap(), "two.twin.internal", |addresses| {
        let mut addresses = addresses.to_vec();
        addresses.sort_unstable();
        let of = |n| [ip(&format!("10.0.1.{n}")), ip(&format!("10.0.2.{n}"))];
        assert!(addresses == of(1) || addresses == of(2), "{addresses:?}");
    });
    for round in 0..30u8 {
        for (text, expected) in
            [(world(1 + (round + 1) % 2), " 200 "), (world(3).replace("10.0.2.3", "10.0.2.333"), " 422 ")]
        {
            rename_over(&file, &text);
            let (status, body) = served.http("POST", "/v1/reload");
            assert!(status.contains(expected), "{status} {body}");
            load.wait_for_more();
        }
    }
    load.stop();
    served.stop();
}

#[test]
fn the_service_manager_is_notified() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "watch = false");
    let path = dir.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = Command::new(PLUSTWO);
    command.args(["serve", "--log-json", "--config", &file]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let mut watchdogs = 0;
    let mut next = |wanted: &str| loop {
        let mut octets = [0; 4096];
        let length = manager.recv(&mut octets).unwrap_or_else(|error| panic!("{error} before {wanted}"));
        let reported = String::from_utf8_lossy(&octets[..length]).into_owned();
        let is_watchdog = reported.contains("WATCHDOG=1");
        watchdogs += usize::from(is_watchdog);
        if reported.contains(wanted) {
            break reported;
        }
        assert!(is_watchdog, "{reported} instead of {wanted}");
    };
    let served = DaemonProcess::start_as(command);
    assert!(next("READY=1").contains("STATUS=Serving configuration"));
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    served.signal("-HUP");
    assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
    next("READY=1");
    edit(&file, "10.0.1.20", "10.0.1.999");
    served.signal("-HUP");
    next("RELOADING=1");
    assert!(next("READY=1").contains("STATUS=Serving the previous configuration"));
    served.signal("-TERM");
    next("STOPPING=1");
    assert!(watchdogs >= 2);
}

/// A daemon that is passed these sockets as descriptors 3 and 4.
fn with_sockets(file: &str, udp: &UdpSocket, tcp: &TcpListener) -> Command {
    // The shell replaces itself with the program, so the process ID is the same, and passes descriptors by
    // number.
    for socket in [udp.as_fd(), tcp.as_fd()] {
        // Sockets of the standard library are closed in child processes by default.
        fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let script = format!(
        "exec 208<&{} 209<&{}; exec 3<&208 4<&209 208<&- 209<&-; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=dns:dns exec \"$0\" \"$@\"",
        udp.as_raw_fd(),
        tcp.as_raw_fd()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script, PLUSTWO, "serve", "--log-json", "--config", file]);
    command
}

/// UDP and TCP sockets on one free port.
fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
            return (udp, tcp);
        }
    }
}

#[test]
fn a_restart_with_passed_sockets_loses_no_query() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let (udp, tcp) = sockets();
    let address = udp.local_addr().unwrap();
    let file = lab_with(dir.path(), &address.to_string(), "watch = false");
    let mut served = DaemonProcess::start_as(with_sockets(&file, &udp, &tcp));
    assert_eq!(served.dns, address.to_string());
    let load = Load::start(address, "db.corp.internal", |addresses| assert_eq!(addresses, [ip("10.0.1.20")]));
    for _ in 0..3 {
        load.wait_for_more();
        served.stop();
        // No process reads now; the kernel queues the connection and its query.
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let query = question(7, "db.corp.internal", 1, 1, false);
        let length = u16::try_from(query.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], &query].concat()).unwrap();
        served = DaemonProcess::start_as(with_sockets(&file, &udp, &tcp));
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[2..], [0, 7]);
        load.wait_for_more();
    }
    load.stop();
    served.stop();
}

#[test]
fn a_passed_socket_without_a_listener_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (udp, tcp) = sockets();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    let output = with_sockets(&file, &udp, &tcp).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let reported = stderr(&output);
    let address = udp.local_addr().unwrap();
    assert!(
        reported.contains(&format!("inherited socket: UDP {address} (descriptor 3, `dns`)")),
        "{reported}"
    );
    assert!(reported.contains("socket unit"), "{reported}");
}

#[test]
fn during_the_lame_duck_period_queries_are_answered_and_ready_fails() {
    let dir = tempfile::tempdir().unwrap();
    // Longer than any test: the second signal must end it.
    let file = lab_with(dir.path(), "127.0.0.1:0", "lame_duck_s = 600");
    let mut served = DaemonProcess::start(&file);
    assert!(served.http("GET", "/ready").0.contains(" 200 "));
    served.signal("-TERM");
    served.wait_for("No longer ready; serving for another 600 s.");
    assert!(served.http("GET", "/ready").0.contains(" 503 "));
    let client = Client::new(served.dns.parse().unwrap(), ip("127.0.1.1"));
    assert_eq!(client.query("db.corp.internal", "A").addresses(), [ip("10.0.1.20")]);
    served.signal("-INT");
    served.wait_for("Received a second signal; exiting immediately.");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}

/// The number of reloads with a result.
fn reloads(served: &DaemonProcess, result: &str) -> u32 {
    let page = served.http("GET", "/metrics").1;
    let series = format!("plustwo_config_reloads_total{{result=\"{result}\"}} ");
    page.lines().find_map(|line| line.strip_prefix(&series)).unwrap().parse().unwrap()
}

#[test]
fn a_temporarily_empty_file_does_not_empty_the_network() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    let lab = fs::read_to_string(&file).unwrap();
    let mut served = DaemonProcess::start(&file);
    served.wait_for("Watching the configuration.");
    let client = Client::new(served.dns.parse().unwrap(), ip("127.0.1.1"));
    let answer = || client.query("db.corp.internal", "A").addresses();
    // Truncated, only a comment, and the beginning of the file, which is valid by itself.
    let head = &lab[..lab.find("[[vpc]]").unwrap()];
    for (n, text) in ["", "# all of it is gone\n", head].into_iter().enumerate() {
        fs::write(&file, text).unwrap();
        let seen =
            served.wait_for("Keeping the previous configuration: the new configuration has no locations");
        assert!(seen.last().unwrap().contains("`plustwo reload`"), "{seen:?}");
        assert_eq!(answer(), [ip("10.0.1.20")]);
        assert_eq!(reloads(&served, "failed") as usize, n + 1);
    }
    // Once it is complete, it is loaded as usual.
    fs::write(&file, lab.replace("10.0.1.20", "10.0.1.22")).unwrap();
    served.wait_for("Reloaded.");
    assert_eq!(answer(), [ip("10.0.1.22")]);

    // An explicit request applies it with a warning.
    fs::write(&file, "").unwrap();
    served.wait_for("Keeping the previous configuration: the new configuration has no locations");
    let (status, body) = served.http("POST", "/v1/reload");
    let value: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert!(status.contains(" 200 ") && value["result"] == "ok", "{status} {value}");
    assert_eq!(value["warnings"][0]["code"], "implausible", "{value}");
    served.wait_for("Applied because it was requested: the new configuration has no locations");
    let refused = client.query("db.corp.internal", "A");
    assert_eq!(refused.message.metadata.response_code.to_string(), "Query Refused");
    served.stop();
}

#[test]
fn sighup_applies_changes_that_the_file_watch_rejects() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    let mut served = DaemonProcess::start(&file);
    served.wait_for("Watching the configuration.");
    fs::write(&file, "").unwrap();
    served.wait_for("Keeping the previous configuration: the new configuration has no locations");
    served.signal("-HUP");
    served.wait_for("Applied because it was requested: the new configuration has no locations");
    served.stop();
}

#[test]
fn a_temporarily_empty_included_file_is_not_applied() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    let zones = dir.path().join("zones.toml");
    let zone = "[[hosted_zone]]\nname = \"x.internal\"\nvpcs = [\"vpc-lab\"]\n\
                records = [{ name = \"a\", type = \"A\", values = [\"10.0.1.1\"] }]\n";
    fs::write(&zones, zone).unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("include = [\"zones.toml\"]\n{text}")).unwrap();
    let mut served = DaemonProcess::start(&file);
    served.wait_for("Watching the configuration.");
    let client = Client::new(served.dns.parse().unwrap(), ip("127.0.1.1"));
    for blank in ["", "\n\n"] {
        fs::write(&zones, blank).unwrap();
        served.wait_for("zones.toml is empty.");
        assert_eq!(client.query("a.x.internal", "A").addresses(), [ip("10.0.1.1")]);
    }
    fs::write(&zones, zone.replace("10.0.1.1", "10.0.1.2")).unwrap();
    served.wait_for("Reloaded.");
    assert_eq!(client.query("a.x.internal", "A").addresses(), [ip("10.0.1.2")]);
    served.stop();
}

#[test]
fn the_vpc_of_an_open_listener_is_not_removed_by_the_file_watch() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_with(dir.path(), "127.0.0.1:0", "");
    let lab = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        lab.replace("address = \"127.0.0.1:0\"\n", "address = \"127.0.0.1:0\"\nvpc = \"vpc-lab\"\n"),
    )
    .unwrap();
    let mut served = DaemonProcess::start(&file);
    served.wait_for("Watching the configuration.");
    let other = "[[vpc]]\nid = \"vpc-2\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.7.0.0/16\"]\n\
                 subnet = [{ id = \"subnet-2\", cidr = \"10.7.1.0/24\", availability_zone = \"ap-northeast-1a\", \
                 route_table = \"rtb-2\" }]\nroute_table = [{ id = \"rtb-2\" }]\n";
    fs::write(&file, other).unwrap();
    served.wait_for("Keeping the previous configuration: VPC vpc-lab");
    let client = Client::new(served.dns.parse().unwrap(), ip("127.0.1.1"));
    assert_eq!(client.query("db.corp.internal", "A").addresses(), [ip("10.0.1.20")]);
    served.stop();
}
