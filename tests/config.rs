//! All errors of a configuration are reported at once, each with its line and column, and help.

use std::io;
use std::path::Path;

use plustwo::config::{self, Loaded};
use plustwo::world::World;
use plustwo::world::compile::compile;
use proptest::prelude::*;

fn load(text: &str) -> (Loaded, Option<World>) {
    let none = |_: &Path| Err(io::Error::other("no other files"));
    let mut loaded = config::load_text(Path::new("plustwo.toml"), text.to_owned(), &none);
    let world = compile(&mut loaded);
    (loaded, world)
}

fn report(text: &str) -> String {
    let (loaded, _) = load(text);
    loaded.report.render(&loaded.sources)
}

#[test]
fn many_errors_are_reported_in_one_run() {
    let text = include_str!("config_errors/many.toml");
    let (loaded, world) = load(text);
    assert!(world.is_none());
    assert!(loaded.report.error_count() >= 20, "{}", loaded.report.summary());
    insta::assert_snapshot!(loaded.report.render(&loaded.sources));
}

#[test]
fn inconsistent_references_and_addresses_are_reported_together() {
    insta::assert_snapshot!(report(include_str!("config_errors/references.toml")));
}

#[test]
fn configurations_that_aws_rejects_are_rejected_with_its_messages() {
    insta::assert_snapshot!(report(include_str!("config_errors/rejected.toml")));
}

#[test]
fn quoted_values_are_complete_and_on_one_line() {
    let text = "[[vpc]]\nid = \"vpc-a\\nb\"\nregion = \"us-east-1\"\ncidr = [\"10.0.\\t0.0/16\"]\n";
    let (loaded, _) = load(text);
    let reported: Vec<String> = loaded.report.sorted().iter().map(|d| d.headline(&loaded.sources)).collect();
    assert_eq!(
        reported,
        [
            r"plustwo.toml:2:6: error[invalid-value]: invalid ID `vpc-a\nb`: expected at most 128 letters, digits, `-` and `_`",
            r"plustwo.toml:4:9: error[invalid-value]: invalid CIDR prefix `10.0.\t0.0/16`: expected an address and a length, such as `10.0.0.0/16`",
        ]
    );
}

#[test]
fn a_reference_to_an_invalid_table_is_not_a_second_error() {
    let text = r#"
[[vpc]]
id = "vpc-a"
region = "nowhere"
cidr = ["10.0.0.0/16"]

[[hosted_zone]]
name = "corp.internal"
vpcs = ["vpc-a"]
"#;
    let (loaded, _) = load(text);
    assert_eq!(loaded.report.error_count(), 1, "{}", loaded.report.render(&loaded.sources));
}

#[test]
fn files_are_included_once_and_errors_name_the_included_file() {
    let read = |path: &Path| match path.to_str() {
        Some("net/vpc.toml") => Ok("include = [\"../main.toml\"]\n[[vpc]]\nid = \"vpc-a\"\n".to_owned()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let text = "include = [\"net/vpc.toml\", \"net/vpc.toml\", \"gone.toml\"]\n".to_owned();
    let mut loaded = config::load_text(Path::new("main.toml"), text, &read);
    assert!(compile(&mut loaded).is_none());
    insta::assert_snapshot!(loaded.report.render(&loaded.sources));
}

#[test]
fn each_file_can_have_the_version_of_the_format() {
    let load = |included: &'static str| {
        let read = move |_: &Path| Ok(included.to_owned());
        let text = "version = 1\ninclude = [\"more.toml\"]\n".to_owned();
        let mut loaded = config::load_text(Path::new("main.toml"), text, &read);
        compile(&mut loaded).map(|_| ()).ok_or_else(|| loaded.report.render(&loaded.sources))
    };
    assert_eq!(load("version = 1\n"), Ok(()));
    assert_eq!(load(""), Ok(()));
    let unsupported = load("version = 2\n").unwrap_err();
    assert!(unsupported.contains("more.toml:1:11") && unsupported.contains("version 2"), "{unsupported}");
    assert!(load("version = \"1\"\n").unwrap_err().contains("expected an integer"));
}

#[test]
fn unknown_keys_are_reported_in_every_table() {
    // One unknown key in each kind of table of the lab: each is reported.
    let lab = config::BUILT_IN_LAB;
    let headers: std::collections::BTreeSet<&str> =
        lab.lines().filter(|line| line.starts_with('[')).collect();
    for header in &headers {
        let text = lab.replacen(header, &format!("{header}\nno_such_key = 1"), 1);
        let reported = report(&text);
        assert!(reported.contains("error[unknown-key]: unknown key `no_such_key`"), "{header}: {reported}");
    }
    assert!(headers.len() > 10);
}

#[test]
fn the_schema_matches_the_snapshot() {
    insta::assert_snapshot!("schema", config::json_schema());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Lines removed, duplicated or changed at random: the result is a report, and a `World` if there are no
    /// errors.
    #[test]
    fn compiling_a_damaged_lab_never_panics(
        edits in prop::collection::vec((0usize..400, 0usize..80, any::<u8>(), 0u8..4), 1..12),
    ) {
        let mut lines: Vec<Vec<u8>> = config::BUILT_IN_LAB.lines().map(|line| line.as_bytes().to_vec()).collect();
        for (line, column, octet, kind) in edits {
            let at = line % lines.len();
            match kind {
                0 => { lines.remove(at); }
                1 => { let copy = lines[at].clone(); lines.insert(at, copy); }
                2 => { let other = (line * 7 + column) % lines.len(); lines.swap(at, other); }
                _ => if !lines[at].is_empty() {
                    let column = column % lines[at].len();
                    lines[at][column] = octet;
                }
            }
        }
        let octets = lines.join(&b'\n');
        let (loaded, world) = load(&String::from_utf8_lossy(&octets));
        prop_assert_eq!(world.is_none(), loaded.report.has_errors());
    }

    #[test]
    fn arbitrary_text_is_reported_without_a_panic(text in "\\PC{0,200}") {
        let (loaded, world) = load(&text);
        prop_assert_eq!(world.is_none(), loaded.report.has_errors());
    }
}

/// One line for each diagnostic.
fn headlines(text: &str) -> Vec<String> {
    let (loaded, _) = load(text);
    loaded.report.sorted().iter().map(|diagnostic| diagnostic.headline(&loaded.sources)).collect()
}

#[test]
fn each_invalid_server_is_reported_once_at_its_position() {
    insta::assert_snapshot!(report(include_str!("config_errors/servers.toml")));
}

#[test]
fn invalid_servers_neither_hide_each_other_nor_affect_valid_ones() {
    for list in [
        // Different errors, equal errors, and elements of other types.
        r#""192.0.2.1", "192.0.2.0:0", "192.0.2.2", "0.0.0.0", "ff02::1""#,
        r#""0.0.0.0", "192.0.2.1", "0.0.0.0", "192.0.2.2", "0.0.0.0""#,
        r#"1, "192.0.2.1", true, "192.0.2.2", []"#,
        r#"{ address = "nowhere" }, "192.0.2.1", { adress = "192.0.2.2" }, "192.0.2.2", { }"#,
    ] {
        for (before, after) in [
            ("[internet]\nmode = \"forward\"\nservers = [", "]\n"),
            (
                "[[resolver_rule]]\nid = \"rslvr-rr-a\"\ntype = \"FORWARD\"\ndomain = \"a.example\"\ntargets = [",
                "]\n",
            ),
        ] {
            let found = headlines(&format!("{before}{list}{after}"));
            assert_eq!(found.len(), 3, "{list}: {found:#?}");
            assert!(found.iter().all(|finding| finding.contains(": error[")), "{found:#?}");
        }
    }
    // An empty list as a consequence is not a separate error.
    let found = headlines("[internet]\nmode = \"forward\"\nservers = [\"0.0.0.0\"]\n");
    assert_eq!(found.len(), 1, "{found:#?}");
    let found = headlines("[internet]\nmode = \"forward\"\nservers = [{ address = 5 }]\n");
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn equal_errors_in_one_list_are_each_reported() {
    let vpc = |cidr: &str| format!("[[vpc]]\nid = \"vpc-a\"\nregion = \"us-east-1\"\ncidr = {cidr}\n");
    let bad = r#"["10.0.0.0/33", "10.1.0.0/16", "10.0.0.0/33", 5, 5]"#;
    let found = headlines(&vpc(bad));
    let columns: Vec<&str> = found.iter().filter_map(|finding| finding.split(':').nth(2)).collect();
    assert_eq!(columns, ["9", "39", "54", "57"], "{found:#?}");
    // An error of the list itself is reported once.
    assert_eq!(headlines(&vpc("\"10.0.0.0/16\"")).len(), 1);
}

#[test]
fn a_server_is_a_string_or_a_table() {
    let servers = |list: &str| {
        let text = format!("[internet]\nmode = \"forward\"\nservers = {list}\n");
        let (loaded, world) = load(&text);
        let Some(world) = world else { panic!("{}", loaded.report.render(&loaded.sources)) };
        let upstream = &world.names.upstreams[world.names.internet.unwrap()];
        upstream.identity.clone()
    };
    let short = servers(r#"["192.0.2.1", "tls://[2001:db8::1]:8853#dns.example"]"#);
    let long = servers(
        r#"[{ address = "192.0.2.1" }, { address = "tls://[2001:db8::1]:8853#dns.example", edns = true }]"#,
    );
    assert_eq!(short, long);
    assert_eq!(short.servers[1].to_string(), "tls://[2001:db8::1]:8853#dns.example");
    let other =
        servers(r#"[{ address = "192.0.2.1", edns = false }, { address = "192.0.2.2", case = false }]"#);
    let settings: Vec<_> = other.servers.iter().map(|server| (server.edns, server.case)).collect();
    assert_eq!(settings, [(false, true), (true, false)]);

    // `lo` is the only interface that every Linux system has.
    let scoped = servers(r#"["fe80::1%lo", "tcp://[fe80::2%7]:5353"]"#);
    let texts: Vec<String> = scoped.servers.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["fe80::1%lo", "tcp://[fe80::2%7]:5353"]);
    let addresses: Vec<String> = scoped.servers.iter().map(|server| server.address.to_string()).collect();
    assert_eq!(addresses, ["[fe80::1%1]:53", "[fe80::2%7]:5353"]);
}
