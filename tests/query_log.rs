//! The query log where there is no space for it: no torn record, no lost count, and it goes on when there is space.

mod common;

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use common::Client;
use common::process::{DaemonProcess, PLUSTWO, lab_file};

/// The lab with a query log in a file.
fn lab_that_logs(dir: &Path, log: &Path, more: &str) -> String {
    let file = lab_file(dir, "127.0.0.1:0", "127.0.0.1:0");
    let text = fs::read_to_string(&file).unwrap();
    let keys = format!("\n[query_log]\nto = \"file\"\nfile = \"{}\"\n{more}\n", log.display());
    fs::write(&file, text.replace("[server]\n", "[server]\nwatch = false\n") + &keys).unwrap();
    file
}

/// Sends so many queries, one after the other.
fn ask(served: &DaemonProcess, queries: usize) {
    let client = Client::new(served.dns.parse().unwrap(), IpAddr::from([127, 0, 1, 1]));
    for _ in 0..queries {
        assert_eq!(client.query("db.corp.internal", "A").addresses(), [IpAddr::from([10, 0, 1, 20])]);
    }
}

/// How many records are missing by the metric.
fn dropped_at(served: &DaemonProcess) -> usize {
    let page = served.http("GET", "/metrics").1;
    let line = page.lines().find_map(|line| line.strip_prefix("plustwo_query_log_dropped_total "));
    line.expect("the series is there").parse().unwrap()
}

/// Asks until records are lost; returns how many queries that took.
fn fill(served: &DaemonProcess) -> usize {
    let mut asked = 0;
    while dropped_at(served) == 0 {
        ask(served, 10);
        asked += 10;
    }
    asked
}

/// The records of a log; each line of it is one.
fn records(log: &Path) -> usize {
    let text = fs::read_to_string(log).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last record is torn: {text:?}");
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("torn: {line}"));
        assert_eq!(record["query_name"], "db.corp.internal.");
    }
    text.lines().count()
}

/// The lines of a log that is being written.
fn lines(log: &Path) -> usize {
    fs::read(log).unwrap().iter().filter(|octet| **octet == b'\n').count()
}

/// A daemon whose files may have so many KiB. A write that does not fit is an error, as on a full disk.
fn with_files_of(kib: usize, file: &str) -> DaemonProcess {
    let script = format!("trap '' XFSZ; ulimit -S -f {kib}; exec \"$0\" \"$@\"");
    let mut command = Command::new("bash");
    command.args(["-c", &script, PLUSTWO, "serve", "--log-json", "--config", file]);
    DaemonProcess::start_as(command)
}

#[test]
fn a_full_disk_leaves_no_torn_record_and_the_log_goes_on_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("query.log");
    // No multiple of a record's length is likely to be 5 KiB.
    let served = with_files_of(5, &lab_that_logs(dir.path(), &log, ""));
    let mut asked = fill(&served);
    // The last page of them is on its way yet.
    while lines(&log) + dropped_at(&served) < asked {
        std::thread::yield_now();
    }
    assert_eq!(records(&log) + dropped_at(&served), asked);
    let pid = served.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=1000000:"]).status();
    if !raised.is_ok_and(|status| status.success()) {
        eprintln!("no prlimit here: not tested that the log goes on");
        return;
    }
    let before = lines(&log);
    while lines(&log) == before {
        ask(&served, 10);
        asked += 10;
    }
    let missing = dropped_at(&served);
    served.stop();
    assert_eq!(records(&log) + missing, asked);
}

#[test]
fn rotation_with_files_that_cannot_grow_loses_no_record_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("query.log");
    // Rotation comes before the limit of 5 KiB does.
    let file = lab_that_logs(dir.path(), &log, "rotate_at_bytes = 4000\nkeep = 100");
    let served = with_files_of(5, &file);
    ask(&served, 100);
    let missing = dropped_at(&served);
    served.stop();
    let logs = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("query.log"));
    assert_eq!(logs.map(|log| records(&log)).sum::<usize>() + missing, 100);
    assert_eq!(missing, 0);
}
