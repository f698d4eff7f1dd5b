//! The query log on a full disk: no partial record, no uncounted loss, and logging continues when there is
//! space.

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use common::Client;
use common::process::{DaemonProcess, PLUSTWO, lab_file};

/// Writes a lab configuration with a query log in a file.
fn lab_with_query_log(dir: &Path, log: &Path, more: &str) -> String {
    let file = lab_file(dir, "127.0.0.1:0", "127.0.0.1:0");
    let text = fs::read_to_string(&file).unwrap();
    let keys = format!("\n[query_log]\nto = \"file\"\nfile = \"{}\"\n{more}\n", log.display());
    fs::write(&file, text.replace("[server]\n", "[server]\nwatch = false\n") + &keys).unwrap();
    file
}

/// Sends a number of queries, one after the other.
fn send_queries(daemon: &DaemonProcess, queries: usize) {
    let client = Client::new(daemon.dns.parse().unwrap(), IpAddr::from([127, 0, 1, 1]));
    for _ in 0..queries {
        assert_eq!(client.query("db.corp.internal", "A").addresses(), [IpAddr::from([10, 0, 1, 20])]);
    }
}

/// Number of lost records according to the metric.
fn dropped_records(daemon: &DaemonProcess) -> usize {
    let page = daemon.http("GET", "/metrics").1;
    let line = page.lines().find_map(|line| line.strip_prefix("plustwo_query_log_dropped_total "));
    line.expect("the metric exists").parse().unwrap()
}

/// Sends queries until records are lost. Returns the number of queries.
fn query_until_records_are_lost(daemon: &DaemonProcess) -> usize {
    let mut sent = 0;
    while dropped_records(daemon) == 0 {
        send_queries(daemon, 10);
        sent += 10;
    }
    sent
}

/// Number of records in a log. Each line must be a complete record.
fn records(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last record is incomplete: {text:?}");
    for line in text.lines() {
        let record: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("incomplete: {line}"));
        assert_eq!(record["query_name"], "db.corp.internal.");
    }
    text.lines().count()
}

/// Number of lines in a log that is being written.
fn lines(log: &Path) -> usize {
    fs::read(log).unwrap().iter().filter(|octet| **octet == b'\n').count()
}

/// Starts a daemon with a limit for the size of files in KiB. A write beyond the limit fails, as on a full
/// disk.
fn start_with_file_limit(kib: usize, file: &str) -> DaemonProcess {
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, PLUSTWO, "serve", "--log-json", "--config", file]);
    DaemonProcess::start_as(command)
}

#[test]
fn a_full_disk_leaves_no_partial_record_and_logging_continues_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("query.log");
    // 5 KiB is unlikely to be a multiple of a record's length.
    let daemon = start_with_file_limit(5, &lab_with_query_log(dir.path(), &log, ""));
    let mut sent = query_until_records_are_lost(&daemon);
    // The last page may not have been written yet.
    while lines(&log) + dropped_records(&daemon) < sent {
        std::thread::yield_now();
    }
    assert_eq!(records(&log) + dropped_records(&daemon), sent);
    let pid = daemon.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=1000000:"]).status();
    if !raised.is_ok_and(|status| status.success()) {
        eprintln!("skipped: prlimit is not available");
        return;
    }
    let before = lines(&log);
    while lines(&log) == before {
        send_queries(&daemon, 10);
        sent += 10;
    }
    let missing = dropped_records(&daemon);
    daemon.stop();
    assert_eq!(records(&log) + missing, sent);
}

#[test]
fn rotation_before_the_file_size_limit_loses_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("query.log");
    // Files are rotated before they reach the limit of 5 KiB.
    let file = lab_with_query_log(dir.path(), &log, "rotate_at_bytes = 4000\nkeep = 100");
    let daemon = start_with_file_limit(5, &file);
    send_queries(&daemon, 100);
    let missing = dropped_records(&daemon);
    daemon.stop();
    let logs = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("query.log"));
    assert_eq!(logs.map(|log| records(&log)).sum::<usize>() + missing, 100);
    assert_eq!(missing, 0);
}
