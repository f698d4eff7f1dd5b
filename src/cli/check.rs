//! `plustwo check`.

use std::net::IpAddr;

use super::{ConfigArgs, Exit, ExitCode, out};
use crate::config::{Expect, Mark, Marked, SourceMap, correction, count};
use crate::dns::{self, Question, RecordType};
use crate::explain::vantage;
use crate::resolve::{AddressPath, Class, NoTrace, Outcome, QueryContext, Reach, Reason, Source, resolve};
use crate::serve::forward::missing_sources;
use crate::world::World;

/// Validate a configuration and verify its expectations. Offline
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Check {
    /// Runs the check. Status 0: no errors; 1: an expectation is not met; 2: the configuration is invalid; 3:
    /// the output cannot be written.
    pub(super) fn run(self) -> Exit {
        let (loaded, world) = self.config.load_to_compare()?;
        let mut failed = 0;
        for (expect, mark) in &world.settings.expectations {
            for difference in differences(&world, expect) {
                failed += 1;
                let position = position(&loaded.sources, *mark);
                out::print_error_line(format_args!(
                    "{position}: {} from {}: {difference}",
                    expect.name, expect.from
                ));
            }
        }
        for warning in missing_sources(&world) {
            out::print_error_line(format_args!("warning: {warning}"));
        }
        let total = world.settings.expectations.len();
        let name = self.config.name().display();
        out::print_line(format_args!(
            "{name}: {}, {}, {}, {}; {}; {}, {}",
            count(world.network.vpcs.len(), "VPC"),
            count(world.network.subnets.len(), "subnet"),
            count(world.network.endpoints.len(), "endpoint"),
            count(world.network.sites.len(), "site"),
            loaded.report.summary(),
            count(total, "expectation"),
            count(failed, "difference"),
        ))?;
        Ok(if failed == 0 { ExitCode::Success } else { ExitCode::Differences })
    }
}

fn position(sources: &SourceMap, mark: Mark) -> String {
    sources
        .position(mark)
        .map_or_else(String::new, |p| format!("{}:{}:{}", p.path.display(), p.line, p.column))
}

/// How an answer differs from an expectation.
fn differences(world: &World, expect: &Expect) -> Vec<String> {
    let vantage = match vantage(world, &expect.from.value().0, None) {
        Ok(vantage) => vantage,
        Err(message) => return vec![message],
    };
    let qtype = expect.record_type.as_ref().map_or(RecordType::A, |rtype| *rtype.value());
    let question = Question { qname: expect.name.value().clone(), qtype, qclass: dns::Class::IN };
    let Some(outcome) = resolve(world, vantage, &question, QueryContext::at(0), &mut NoTrace) else {
        return vec!["no reply: DNS support is disabled for the VPC".to_owned()];
    };
    compare(expect, &outcome)
}

/// How an outcome differs from an expectation: the answer as a whole, then the path to each address.
fn compare(expect: &Expect, outcome: &Outcome) -> Vec<String> {
    let mut differences = unknown_values(expect);
    compare_answer(expect, outcome, &mut differences);
    for one in &outcome.paths {
        compare_path(expect, one, &mut differences);
    }
    differences
}

/// Describes a difference.
fn differs(what: &str, expected: &str, found: &str) -> String {
    format!("{what} is `{found}`, expected `{expected}`")
}

fn compare_answer(expect: &Expect, outcome: &Outcome, differences: &mut Vec<String>) {
    if let Some(rcode) = &expect.rcode
        && *rcode.value() != outcome.answer.rcode
    {
        differences.push(differs("rcode", &rcode.to_string(), &outcome.answer.rcode.to_string()));
    }
    if let Some(source) = &expect.source
        && source.value() != outcome.source.as_str()
    {
        differences.push(differs("source", source.value(), outcome.source.as_str()));
    }
    if let Some(addresses) = &expect.addresses {
        let mut expected: Vec<IpAddr> = addresses.iter().map(|address| *address.value()).collect();
        let mut found: Vec<IpAddr> = outcome.paths.iter().map(|path| path.address).collect();
        expected.sort_unstable();
        found.sort_unstable();
        if expected != found {
            differences.push(differs("the answer", &list(&expected), &list(&found)));
        }
    }
    if let Some(reason) = &expect.reason {
        let all: Vec<&str> = outcome.all_reasons().iter().map(|reason| reason.as_str()).collect();
        if !all.contains(&reason.value().as_str()) {
            let found = if all.is_empty() { "no reason".to_owned() } else { all.join(",") };
            differences.push(differs("the answer's reason", reason.value(), &found));
        }
    }
    let expects_path = expect.path.is_some() || expect.via.is_some() || expect.reach.is_some();
    let expects_none = expect.path.as_ref().is_some_and(|path| path.value() == Class::None.as_str());
    if expects_path && outcome.paths.is_empty() && !expects_none {
        differences.push("the answer has no address, but a path to one is expected".to_owned());
    }
}

fn compare_path(expect: &Expect, one: &AddressPath, differences: &mut Vec<String>) {
    let path = &one.path;
    if let Some(class) = &expect.path
        && class.value() != path.class.as_str()
    {
        differences.push(differs(&format!("path of {}", one.address), class.value(), path.class.as_str()));
    }
    if let Some(via) = &expect.via
        && !path.via.iter().any(|id| **id == **via.value())
    {
        differences.push(differs(&format!("via of {}", one.address), via.value(), &path.via.join(",")));
    }
    if let Some(reach) = &expect.reach
        && reach.value() != path.reach.as_str()
    {
        differences.push(differs(&format!("reach of {}", one.address), reach.value(), path.reach.as_str()));
    }
}

/// Unknown values in an expectation.
fn unknown_values(expect: &Expect) -> Vec<String> {
    let classes: Vec<&str> = Class::ALL.iter().map(|class| class.as_str()).collect();
    let reaches: Vec<&str> = Reach::ALL.iter().map(|reach| reach.as_str()).collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    let sources: Vec<&str> = Source::ALL.iter().map(|source| source.as_str()).collect();
    let values = [
        ("path", &expect.path, classes),
        ("reach", &expect.reach, reaches),
        ("reason", &expect.reason, reasons),
        ("source", &expect.source, sources),
    ];
    let mut unknown = Vec::new();
    for (key, value, known) in values {
        if let Some(value) = value.as_ref().map(Marked::value)
            && !known.contains(&value.as_str())
        {
            unknown.push(format!("unknown {key} `{value}`{}", correction(value, &known)));
        }
    }
    unknown
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
