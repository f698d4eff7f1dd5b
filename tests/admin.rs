//! The admin address: which requests are answered, and their limits.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::Lab;

/// Time limit for a response.
const TIMEOUT: Duration = Duration::from_secs(20);

const LAB: &str = include_str!("../config/lab.toml");

/// Sends a request verbatim and returns the status and the body of the response.
fn send(lab: &Lab, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(lab.admin).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // The server may respond and close before it has read the complete request.
    let _ = stream.write_all(request.as_bytes());
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    let text = String::from_utf8(octets).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn get(lab: &Lab, path: &str, host: &str) -> (u16, String) {
    send(lab, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

fn post(lab: &Lab, fields: &str) -> u16 {
    let request =
        format!("POST /v1/reload HTTP/1.1\r\n{fields}Content-Length: 0\r\nConnection: close\r\n\r\n");
    send(lab, &request).0
}

#[test]
fn requests_for_foreign_host_names_are_rejected() {
    let text = LAB.replace("[server]\n", "[server]\nadmin_hosts = [\"plustwo.monitoring.svc\"]\n");
    assert!(text.contains("admin_hosts"));
    let lab = Lab::start_with(&text);
    let secret = "vpc-lab";
    for path in
        ["/v1/network", "/metrics", "/v1/explain?name=db.corp.internal&from=subnet-private-a", "/nothing"]
    {
        for host in ["evil.example", "evil.example:9530", "127.0.0.1.evil.example", "svc", "x@127.0.0.1"] {
            let (status, body) = get(&lab, path, host);
            let is_rejected = host != "svc";
            assert_eq!(status == 421, is_rejected, "{path} {host}: {status}");
            assert!(!is_rejected || !body.contains(secret) && body.contains("admin_hosts"), "{body}");
        }
    }
    for host in ["127.0.0.1", "10.0.0.2:9530", "[::1]:9530", "localhost:9530", "plustwo.monitoring.svc:9530"]
    {
        assert_eq!(get(&lab, "/metrics", host).0, 200, "{host}");
        let (status, body) = get(&lab, "/v1/network", host);
        assert!(status == 200 && body.contains(secret), "{host}: {status}");
    }
    // The host in an absolute-form target takes precedence over the Host header field.
    let absolute =
        "GET http://evil.example/v1/network HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert_eq!(send(&lab, absolute).0, 421);
    let twice =
        "GET /v1/network HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(send(&lab, twice).0, 400);
    assert_eq!(send(&lab, "GET /v1/network HTTP/1.1\r\nConnection: close\r\n\r\n").0, 400);
    assert_eq!(send(&lab, "GET /health HTTP/1.0\r\n\r\n").0, 200);
    assert_eq!(
        send(&lab, "POST /v1/reload HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n").0,
        421
    );
}

#[test]
fn health_is_available_for_every_host_name() {
    let text = LAB.to_owned()
        + "\n[[vpc]]\nid = \"vpc-out\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.9.0.0/16\"]\n\
           subnet = [{ id = \"subnet-out\", cidr = \"10.9.1.0/24\", availability_zone = \"ap-northeast-1a\", \
           route_table = \"rtb-out\" }]\nroute_table = [{ id = \"rtb-out\" }]\n\
           [[resolver_endpoint]]\nid = \"rslvr-out-x\"\ndirection = \"OUTBOUND\"\nvpc = \"vpc-out\"\n\
           addresses = [\"10.9.1.10\"]\n\
           [[resolver_rule]]\nid = \"rslvr-rr-x\"\ntype = \"FORWARD\"\ndomain = \"x.example\"\n\
           targets = [\"192.0.2.53\"]\nendpoint = \"rslvr-out-x\"\nvpcs = [\"vpc-out\"]\n";
    let lab = Lab::start_with(&text);
    let (status, body) = get(&lab, "/ready", "127.0.0.1");
    assert!(status == 200 && body.contains("10.9.1.10"), "{body}");
    assert_eq!(get(&lab, "/ready", "plustwo.example"), (200, "ready\n".to_owned()));
    assert_eq!(get(&lab, "/health", "plustwo.example"), (200, "ok\n".to_owned()));
}

#[test]
fn cross_site_requests_do_not_reload() {
    let lab = Lab::start_with(LAB);
    let host = "Host: 127.0.0.1:9530\r\n";
    for fields in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://127.0.0.1:8080\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://127.0.0.1:9530\r\nSec-Fetch-Site: cross-site\r\n",
    ] {
        assert_eq!(post(&lab, &format!("{host}{fields}")), 403, "{fields}");
    }
    assert_eq!(lab.metric("plustwo_config_reloads_total{result=\"ok\"}"), 0.0);
    for fields in ["", "Origin: http://127.0.0.1:9530\r\nSec-Fetch-Site: same-origin\r\n"] {
        assert_eq!(post(&lab, &format!("{host}{fields}")), 200, "{fields}");
    }
}

#[test]
fn requests_are_limited() {
    let lab = Lab::start_with(LAB);
    let long = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(send(&lab, &long).0, 431);
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    assert_eq!(send(&lab, &format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n{many}\r\n")).0, 431);
    let start = "POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    assert_eq!(send(&lab, &format!("{start}Content-Length: 1000000\r\n\r\n")).0, 413);
    assert_eq!(send(&lab, &format!("{start}Transfer-Encoding: chunked\r\n\r\n")).0, 413);
    assert_eq!(get(&lab, "/health", "127.0.0.1").0, 200);
}
