//! Explanations as text that a person reads.

use anstyle::{AnsiColor, Style};
use std::fmt::{self, Display};

use super::{AnswerLine, ClaimLine, Explanation, Destination, PathExplanation, PathLine};
use crate::resolve::{EgressPath, MatchedRoute, Reach};
use crate::world::AccessDecision;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// An explanation, in colour. Whoever prints it strips the colour where nobody sees it.
pub struct ExplanationText<'a>(pub &'a Explanation);

/// A path alone, in colour.
pub struct PathText<'a>(pub &'a PathExplanation);

impl Display for ExplanationText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.0;
        let question = &told.question;
        let name = question.qname.to_string();
        let name = name.strip_suffix('.').filter(|n| !n.is_empty()).unwrap_or(&name);
        let zone = told.availability_zone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
        writeln!(f, "{BOLD}{name} {}{BOLD:#} asked from {BOLD}{}{BOLD:#}{zone}", question.qtype, told.place)?;
        writeln!(f)?;
        line(f, "view", &told.view)?;
        let winner = told.claims.iter().find(|claim| claim.wins && claim.name == question.qname.to_string());
        match winner {
            Some(claim) => {
                let through = through(claim);
                let winner = format!("{} {} ({}){through}", claim.kind, claim.id, claim.suffix);
                line(f, "answered by", &winner)?;
                line(f, "because", &claim.rule)?;
            }
            None => {
                line(f, "answered by", &told.source.as_str())?;
                line(f, "because", &"nothing private claims this name, so public DNS answers")?;
            }
        }
        for claim in told.claims.iter().filter(|claim| !claim.wins) {
            let loser = format!("{} {} ({}){}", claim.kind, claim.id, claim.suffix, through(claim));
            line(f, "rather than", &loser)?;
        }
        for delegation in &told.delegations {
            let servers = delegation.servers.join(", ");
            line(f, "delegated", &format!("{} to {servers} through {}", delegation.zone, delegation.rule))?;
        }
        for seen in &told.routing {
            let set = seen.set_identifier.as_deref().unwrap_or("no record set");
            line(
                f,
                "routed to",
                &format!("{set} ({} of {} {}): {}", seen.policy, seen.name, seen.rtype, seen.why),
            )?;
        }
        if let Some(rcode) = &told.rcode {
            line(f, "rcode", rcode)?;
        }
        for record in &told.authority {
            let told = format!("{} {} {}{}", record.name, record.record_type, record.data, Ttl(record));
            line(f, "authority", &told)?;
        }
        for note in &told.notes {
            line(f, "note", note)?;
        }
        if let Some(ede) = &told.ede {
            line(f, "extended", &ede.text)?;
        }
        if !told.answers.is_empty() {
            writeln!(f)?;
        }
        let width = told.answers.iter().map(|answer| answer.data.len()).max().unwrap_or(0).min(40);
        for answer in &told.answers {
            write!(f, "  {BOLD}{:<width$}{BOLD:#}  ", answer.data)?;
            match &answer.path {
                Some(way) => {
                    writeln!(f, "{}{}", PathSummary(&way.path), Ttl(answer))?;
                    hops(f, way)?;
                }
                None => writeln!(f, "{DIM}{} {} TTL {}{DIM:#}", answer.name, answer.record_type, answer.ttl)?,
            }
        }
        for reason in &told.reasons {
            line(f, "reason", &reason.as_str())?;
        }
        if !told.missed.is_empty() {
            writeln!(f)?;
        }
        for missed in &told.missed {
            line(f, "missed", &format!("{} ({})", missed.kind.as_str(), missed.id))?;
        }
        advice(f, &told.advice)
    }
}

impl Display for PathText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = self.0;
        writeln!(f, "{BOLD}{}{BOLD:#} reached from {BOLD}{}{BOLD:#}", told.address, told.place)?;
        writeln!(f)?;
        writeln!(f, "  {}", PathSummary(&told.way.path))?;
        hops(f, &told.way)?;
        for note in &told.notes {
            line(f, "note", note)?;
        }
        advice(f, &told.advice)
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {DIM}{what:<12}{DIM:#} {value}")
}

fn advice(f: &mut fmt::Formatter<'_>, sentences: &[String]) -> fmt::Result {
    if sentences.is_empty() {
        return Ok(());
    }
    writeln!(f)?;
    for sentence in sentences {
        writeln!(f, "  {DIM}→{DIM:#} {sentence}")?;
    }
    Ok(())
}

/// The TTL of a record, where it is the same each time.
struct Ttl<'a>(&'a AnswerLine);

impl Display for Ttl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.ages { Ok(()) } else { write!(f, "  {DIM}TTL {}{DIM:#}", self.0.ttl) }
    }
}

/// How a claim came to the VPC, where it is not its own.
fn through(claim: &ClaimLine) -> String {
    claim.profile.as_ref().map(|profile| format!(" through {profile}")).unwrap_or_default()
}

/// A path on one line: class, ids, reach, reasons.
struct PathSummary<'a>(&'a EgressPath);

impl Display for PathSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0;
        let colour = match path.reach {
            Reach::Ok => AnsiColor::Green,
            Reach::Blocked | Reach::Dead => AnsiColor::Red,
            Reach::Unknown => AnsiColor::Yellow,
        };
        let reach = Style::new().fg_color(Some(colour.into()));
        write!(f, "{}", path.class.as_str())?;
        if !path.via.is_empty() {
            write!(f, " via {}", path.via.join(" → "))?;
        }
        write!(f, "  {reach}{}{reach:#}", path.reach.as_str())?;
        if !path.reasons.is_empty() {
            let reasons: Vec<&str> = path.reasons.iter().map(|reason| reason.as_str()).collect();
            write!(f, "  {}", reasons.join(" "))?;
        }
        Ok(())
    }
}

fn hops(f: &mut fmt::Formatter<'_>, way: &PathLine) -> fmt::Result {
    let path = &way.path;
    if let Some(matched) = &path.matched {
        route(f, matched)?;
    }
    for passed in 0..=path.hops.len() {
        for (_, later) in way.later.iter().filter(|(after, _)| *after == passed) {
            route(f, later)?;
        }
        if let Some(hop) = path.hops.get(passed)
            && let (Some(subnet), Some(zone)) = (&hop.subnet, &hop.availability_zone)
        {
            writeln!(f, "      {DIM}{} stands in {subnet} ({zone}){DIM:#}", hop.id)?;
        }
    }
    for filter in &way.filters {
        let said = match (&filter.rule, filter.verdict) {
            (Some(rule), verdict) => format!("{} by {rule}", verdict.as_str()),
            (None, AccessDecision::Denied) => "refused, since no rule admits it".to_owned(),
            (None, verdict) => verdict.as_str().to_owned(),
        };
        writeln!(f, "      {DIM}{} {}: {said}{DIM:#}", filter.id, filter.direction.as_str())?;
    }
    match lands(way) {
        Some(lands) => writeln!(f, "      {DIM}lands {lands}{DIM:#}"),
        None => Ok(()),
    }
}

fn route(f: &mut fmt::Formatter<'_>, route: &MatchedRoute) -> fmt::Result {
    let table = route.route_table.as_deref().unwrap_or("its table");
    let list = route.prefix_list.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
    writeln!(f, "      {DIM}{table}: {}{list} → {}{DIM:#}", route.destination, route.target)
}

/// Where a way ends, where that is more than its last hop tells.
fn lands(way: &PathLine) -> Option<String> {
    match &way.lands {
        Destination::Here | Destination::Nowhere | Destination::Unknown => None,
        Destination::Subnet { owner: Some(owner), .. } if way.path.via.last() == Some(owner) => None,
        Destination::Subnet { vpc, subnet, owner } => {
            let subnet = match subnet {
                Some(subnet) => format!("{subnet} of {vpc}"),
                None => format!("{vpc}, where no declared subnet has it"),
            };
            Some(match owner {
                Some(owner) => format!("at {owner} in {subnet}"),
                None => format!("in {subnet}"),
            })
        }
        Destination::Site(site) => Some(format!("in {site}")),
        Destination::Service { service, region, stays_on_aws_network } => {
            let region = region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
            let stays = if *stays_on_aws_network { ", without leaving AWS's network" } else { "" };
            Some(format!("at an address of {service}{region}{stays}"))
        }
        Destination::Internet => Some("on the internet, as far as AWS's ranges are known".to_owned()),
    }
}
