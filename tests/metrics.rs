//! Metrics after queries: implied connections by endpoint and subnet, retransmissions that are counted once,
//! and the manual's table of metrics.

mod common;

use std::fs;
use std::net::TcpStream;

use common::{Client, Lab, question, read_frame, write_frame};

const CLIENT: [u8; 4] = [127, 0, 1, 1];

fn implied(lab: &Lab, endpoint: &str, service: &str, subnet: &str) -> f64 {
    lab.metric(&format!(
        "plustwo_privatelink_implied_new_connections_total{{endpoint_type=\"Interface\",service_name=\"com.amazonaws.\
         ap-northeast-1.{service}\",subnet_id=\"{subnet}\",vpc_endpoint_id=\"{endpoint}\",vpc_id=\"vpc-lab\"}}"
    ))
}

/// Looks up a name like a stub resolver: A and AAAA queries from a new socket. Returns the client.
fn query_both_families(lab: &Lab, name: &str) -> Client {
    let client = Client::new(lab.dns, CLIENT.into());
    client.query(name, "A");
    client.query(name, "AAAA");
    client
}

#[test]
fn each_lookup_implies_one_connection() {
    let lab = Lab::start();
    let name = "sns.ap-northeast-1.amazonaws.com";
    // All sockets remain open: a reused port would look like a retransmission.
    let clients: Vec<Client> = (0..20).map(|_| query_both_families(&lab, name)).collect();
    let last = clients.last().unwrap();
    let subnets = ["subnet-endpoints-a", "subnet-endpoints-c"];
    let count = || subnets.map(|subnet| implied(&lab, "vpce-sns", "sns", subnet));
    // The answer is rotated for each lookup, so that both interfaces come first equally often.
    assert_eq!(count(), [10.0, 10.0]);

    // A retransmission: the same query from the same port.
    last.exchange(&question(1, name, 1, 1, true));
    assert_eq!(count(), [10.0, 10.0]);
    assert_eq!(implied(&lab, "vpce-ec2", "ec2", subnets[0]), 0.0);

    // Another lookup from the same socket.
    last.exchange(&question(7, name, 1, 1, true));
    assert_eq!(count().iter().sum::<f64>(), 21.0);
}

#[test]
fn a_client_in_an_endpoints_subnet_uses_the_interface_in_that_subnet() {
    let lab = Lab::start();
    for _ in 0..4 {
        Client::new(lab.dns, [127, 0, 200, 1].into()).query("ec2.ap-northeast-1.amazonaws.com", "A");
    }
    assert_eq!(implied(&lab, "vpce-ec2", "ec2", "subnet-endpoints-c"), 4.0);
    assert_eq!(implied(&lab, "vpce-ec2", "ec2", "subnet-endpoints-a"), 0.0);
}

#[test]
fn over_tcp_every_reply_counts() {
    let lab = Lab::start();
    let mut stream = TcpStream::connect(lab.dns).unwrap();
    let message = question(1, "ec2.ap-northeast-1.amazonaws.com", 1, 1, true);
    for _ in 0..3 {
        write_frame(&mut stream, &message);
        read_frame(&mut stream);
    }
    let both =
        ["subnet-endpoints-a", "subnet-endpoints-c"].map(|subnet| implied(&lab, "vpce-ec2", "ec2", subnet));
    assert_eq!(both.iter().sum::<f64>(), 3.0);
}

#[test]
fn egress_paths_are_counted_by_the_clients_subnet() {
    let lab = Lab::start();
    Client::new(lab.dns, [127, 0, 2, 1].into()).query("s3.ap-northeast-1.amazonaws.com", "A");
    Client::new(lab.dns, [127, 0, 99, 1].into()).query("s3.ap-northeast-1.amazonaws.com", "A");
    let answers = |vpc: &str, location: &str, path: &str| {
        lab.metric(&format!(
            "plustwo_egress_answers_total{{client_subnet_id=\"{location}\",client_vpc_id=\"{vpc}\",path=\"{path}\",reach=\"ok\"}}"
        ))
    };
    assert_eq!(answers("vpc-lab", "subnet-private-c", "nat-gateway"), 1.0);
    assert_eq!(answers("", "outside", "internet"), 1.0);
    assert_eq!(
        lab.metric(
            "plustwo_egress_reasons_total{client_subnet_id=\"subnet-private-c\",client_vpc_id=\"vpc-lab\",\
             reason=\"ENDPOINT_NOT_ASSOCIATED_WITH_TABLE\"}"
        ),
        1.0
    );
}

#[test]
fn admin_pages_have_their_status_and_content() {
    let lab = Lab::start();
    let (status, _) = lab.get_with_status("/health");
    assert_eq!(status, "HTTP/1.1 200 OK");
    let (status, body) = lab.get_with_status("/nothing");
    assert!(status.contains("404") && body.contains("/metrics"), "{status} {body}");
    let (status, body) = lab.get_with_status("/v1/explain?name=a..b&from=outside");
    assert!(status.contains("400") && body.contains("empty label"), "{status} {body}");
    let (status, body) = lab.get_with_status("/v1/explain?name=a.example&from=nowhere");
    assert!(
        status.contains("400") && body.contains("neither a location nor an IP address"),
        "{status} {body}"
    );
    assert!(lab.get("/v1/network").contains("\"id\":\"vpce-sns\""));
}

#[test]
fn the_manual_lists_all_metrics() {
    const BEGIN: &str = "<!-- table -->\n";
    const END: &str = "<!-- /table -->\n";
    let path = "docs/metrics.md";
    let text = fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (table, after) = rest.split_once(END).unwrap();
    let generated = plustwo::observe::metrics_table();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(path, format!("{before}{BEGIN}{generated}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, generated, "UPDATE_EXPECT=1 cargo test --test metrics updates the table");
}
