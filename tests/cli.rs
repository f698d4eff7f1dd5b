//! The program as run from a shell: its output and its exit status.

mod common;

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::process::Command;

use common::process::{DaemonProcess, PLUSTWO, lab_file, plustwo, stderr, stdout};
use common::{Client, Lab};

#[test]
fn help_lists_the_commands() {
    insta::assert_snapshot!(stdout(&plustwo(&["--help"])));
}

#[test]
fn explain_prints_text() {
    let mut text = String::new();
    for (name, from) in [
        ("ec2.ap-northeast-1.amazonaws.com", "subnet-isolated-a"),
        ("s3.ap-northeast-1.amazonaws.com", "subnet-private-c"),
        ("queue.corp.internal", "subnet-private-a"),
        ("erp.office.example", "subnet-private-a"),
        ("nope.corp.internal", "site-office"),
        ("nowhere.example.net", "outside"),
    ] {
        text.push_str(&stdout(&plustwo(&["explain", name, "--from", from])));
    }
    let reverse = ["explain", "9.9.0.10.in-addr.arpa", "--type", "PTR", "--from", "subnet-private-a"];
    text.push_str(&stdout(&plustwo(&reverse)));
    text.push_str(&stdout(&plustwo(&["explain", "--address", "10.0.100.10", "--from", "site-office"])));
    insta::assert_snapshot!(text);
}

#[test]
fn explain_prints_json() {
    let output = plustwo(&["explain", "topics.corp.internal", "--from", "10.0.1.7", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    insta::assert_json_snapshot!(value);
}

#[test]
fn explain_accepts_many_names() {
    let dir = tempfile::tempdir().unwrap();
    let names = dir.path().join("names");
    fs::write(&names, "# two\nsns.ap-northeast-1.amazonaws.com\n\ndb.corp.internal\n").unwrap();
    let output = plustwo(&["explain", "--names", names.to_str().unwrap(), "--json"]);
    let lines: Vec<serde_json::Value> =
        stdout(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names_in_output: Vec<&str> =
        lines.iter().map(|line| line["question"]["name"].as_str().unwrap()).collect();
    assert_eq!(names_in_output, ["sns.ap-northeast-1.amazonaws.com.", "db.corp.internal."]);
}

#[test]
fn an_ipv4_mapped_address_is_treated_as_ipv4() {
    let reported = ["52.219.195.254", "::ffff:52.219.195.254"].map(|address| {
        let output = plustwo(&["explain", "--address", address, "--from", "subnet-private-a"]);
        assert_eq!(output.status.code(), Some(0));
        stdout(&output)
    });
    assert!(
        reported[0].contains("gateway-endpoint via vpce-s3") && reported[0] == reported[1],
        "{reported:?}"
    );
}

#[test]
fn explain_from_an_unknown_location_lists_the_locations() {
    let output = plustwo(&["explain", "a.example", "--from", "subnet-z"]);
    assert_eq!(output.status.code(), Some(1));
    let reported = stderr(&output);
    assert!(
        reported.contains("`subnet-z` is neither a location nor an IP address")
            && reported.contains("subnet-private-a"),
        "{reported}"
    );
}

/// All commands that print without a daemon.
const PRINTING: &[&[&str]] = &[
    &["check"],
    &["explain", "db.corp.internal", "--from", "subnet-private-a"],
    &["explain", "db.corp.internal", "--from", "subnet-private-a", "--json"],
    &["explain", "--address", "10.0.100.10", "--from", "site-office"],
    &["audit", "--from", "subnet-isolated-a"],
    &["audit", "--from", "subnet-isolated-a", "--format", "json"],
    &["audit", "--from", "subnet-isolated-a", "--format", "csv"],
    &["audit", "--bundle", "list"],
    &["diff", "config/lab.toml", "config/lab.toml"],
    &["diff", "config/lab.toml", "config/lab.toml", "--format", "json"],
    &["schema"],
    &["import", "aws", "tests/import/lab", "--report", "none"],
];

#[cfg(target_os = "linux")]
#[test]
fn output_errors_are_reported() {
    for arguments in PRINTING {
        let full = fs::File::create("/dev/full").unwrap();
        let output = Command::new(PLUSTWO).args(*arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        let reported = stderr(&output);
        assert_eq!(
            reported.lines().last(),
            Some("plustwo: cannot write to standard output: No space left on device (os error 28)"),
            "{arguments:?}"
        );
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_unwritable_report_sets_the_exit_status() {
    let full = fs::File::create("/dev/full").unwrap();
    let mut import = Command::new(PLUSTWO);
    import.args(["import", "aws", "tests/import/lab", "--report", "json"]).stderr(full);
    assert_eq!(import.output().unwrap().status.code(), Some(3));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    for arguments in PRINTING {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(PLUSTWO).args(*arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn check_passes_for_the_lab_and_all_examples() {
    let mut seen = 0;
    for entry in fs::read_dir("config").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            seen += 1;
            let output = plustwo(&["check", "--config", path.to_str().unwrap()]);
            assert_eq!(output.status.code(), Some(0), "{}: {}", path.display(), stderr(&output));
        }
    }
    assert!(seen >= 1);
}

#[test]
fn check_reports_unmet_expectations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab.toml");
    let lab = fs::read_to_string("config/lab.toml").unwrap();
    let other = "\n[[expect]]\nfrom = \"subnet-private-c\"\nname = \"s3.ap-northeast-1.amazonaws.com\"\npath = \"gateway-endpoint\"\n";
    fs::write(&path, lab + other).unwrap();
    let output = plustwo(&["check", "--config", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let reported = stderr(&output);
    assert!(reported.contains("is `nat-gateway`, expected `gateway-endpoint`"), "{reported}");
}

#[test]
fn check_of_an_invalid_file_fails() {
    let output = plustwo(&["check", "--config", "tests/config_errors/many.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("error[unknown-key]"));
    assert_eq!(plustwo(&["check", "--config", "no/such/file.toml"]).status.code(), Some(2));
}

#[test]
fn the_schema_is_json() {
    let value: serde_json::Value = serde_json::from_slice(&plustwo(&["schema"]).stdout).unwrap();
    assert_eq!(value["title"], "Config");
}

#[test]
fn healthcheck_follows_the_daemon() {
    let lab = Lab::start();
    let admin = lab.admin.to_string();
    assert_eq!(plustwo(&["healthcheck", "--admin", &admin]).status.code(), Some(0));
    drop(lab);
    assert_eq!(plustwo(&["healthcheck", "--admin", &admin]).status.code(), Some(2));
}

#[test]
fn a_port_in_use_is_reported_with_its_address_and_a_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = Lab::start(); // another plustwo
    for (taken, key) in [
        (udp.local_addr().unwrap(), "[[listener]] address"),
        (tcp.local_addr().unwrap(), "[[listener]] address"),
        (other.dns, "[[listener]] address"),
    ] {
        let file = lab_file(dir.path(), &taken.to_string(), "127.0.0.1:0");
        let output = plustwo(&["serve", "--config", &file]);
        assert_eq!(output.status.code(), Some(2));
        let reported = stderr(&output);
        assert!(
            reported.contains(&format!("cannot listen on {taken}")) && reported.contains(key),
            "{reported}"
        );
    }
    let file = lab_file(dir.path(), "127.0.0.1:0", &other.admin.to_string());
    let reported = stderr(&plustwo(&["serve", "--config", &file]));
    assert!(reported.contains(&other.admin.to_string()) && reported.contains("[server] admin"), "{reported}");
}

#[test]
fn a_reload_changes_answers_and_an_invalid_file_keeps_the_previous_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = lab_file(dir.path(), "127.0.0.1:0", "127.0.0.1:0");
    let mut served = DaemonProcess::start(&file);
    let client = Client::new(served.dns.parse().unwrap(), [127, 0, 1, 1].into());
    let answer = || client.query("db.corp.internal", "A").addresses();
    assert_eq!(answer(), ["10.0.1.20".parse::<std::net::IpAddr>().unwrap()]);

    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("10.0.1.20", "10.0.1.21")).unwrap();
    served.signal("-HUP");
    served.wait_for("Reloaded.");
    assert_eq!(answer(), ["10.0.1.21".parse::<std::net::IpAddr>().unwrap()]);

    fs::write(&file, good.replace("10.0.1.20", "10.0.1.999")).unwrap();
    served.signal("-HUP");
    served.wait_for("10.0.1.999"); // the reason
    served.wait_for("The configuration is invalid; keeping the previous one.");
    assert_eq!(answer(), ["10.0.1.21".parse::<std::net::IpAddr>().unwrap()]);

    assert_eq!(plustwo(&["healthcheck", "--admin", &served.admin]).status.code(), Some(0));
    served.signal("-USR1");
    served.wait_for("Summary of the current configuration.");
    served.signal("-TERM");
    served.wait_for("Stopped.");
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
}
