//! The table in the README equals the answers of a running daemon, queried over UDP from the loopback address
//! of each location.
//!
//! `UPDATE_EXPECT=1 cargo test --test readme` updates the table.

mod common;

use std::fs;
use std::net::{IpAddr, SocketAddr};

use common::{Client, Lab};

const BEGIN: &str = "<!-- table -->\n";
const END: &str = "<!-- /table -->\n";

#[test]
fn the_readme_matches_the_output_of_dig() {
    let lab = Lab::start();
    let text = fs::read_to_string("README.md").unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has a table");
    let (table, after) = rest.split_once(END).expect("the table ends");
    let mut rows: Vec<String> = table.lines().take(2).map(str::to_owned).collect();
    for line in table.lines().skip(2) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (from, name) = (cells[1], cells[2].trim_matches('`'));
        rows.push(row(&lab, from, name));
    }
    assert!(rows.len() > 20, "the table lost its rows");
    let found = format!("{}\n", rows.join("\n"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write("README.md", format!("{before}{BEGIN}{found}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(table, found, "UPDATE_EXPECT=1 cargo test --test readme updates the table");
}

/// A row of the table; verifies that the transports without EDNS return the same information.
fn row(lab: &Lab, from: &str, name: &str) -> String {
    let client = Client::new(lab.dns, from.parse().unwrap());
    let reply = client.query(name, "A");
    let mut addresses: Vec<IpAddr> = reply.addresses();
    addresses.sort_unstable();
    let listed: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let texts: Vec<String> = reply.extended_errors().into_iter().map(|(_, text)| text).collect();

    let chaos = client.query_chaos(name);
    for text in &texts {
        assert!(chaos.contains(text), "CHAOS TXT of {name} from {from} lacks {text}: {chaos:?}");
    }
    let explained = lab.get(&format!("/v1/explain?name={name}&from={from}"));
    for class in texts.iter().filter_map(|text| text.strip_prefix("egress=")?.split(' ').next()) {
        let word = format!("\"class\":\"{class}\"");
        assert!(explained.contains(&word), "/v1/explain of {name} from {from} lacks {word}: {explained}");
    }
    let quoted: Vec<String> = texts.iter().map(|text| format!("`{text}`")).collect();
    format!("| {from} | `{name}` | {} | {} |", listed.join(", "), quoted.join(" "))
}

#[test]
fn the_lab_is_served_to_all_locations_of_the_readme() {
    let lab = Lab::start();
    for (third, place) in [
        (0, "subnet-private-a"),
        (1, "subnet-private-a"),
        (2, "subnet-private-c"),
        (3, "subnet-isolated-a"),
        (4, "subnet-public-a"),
        (10, "site-office"),
        (99, "outside"),
        (100, "subnet-endpoints-a"),
        (200, "subnet-endpoints-c"),
    ] {
        let from: SocketAddr = format!("127.0.{third}.1:0").parse().unwrap();
        let strings = Client::new(lab.dns, from.ip()).query_chaos("whoami.plustwo.");
        assert!(strings.contains(&format!("place={place}")), "127.0.{third}.1: {strings:?}");
    }
}
