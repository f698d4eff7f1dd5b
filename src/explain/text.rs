//! Explanations as text.

use anstyle::{AnsiColor, Style};
use std::fmt::{self, Display};

use super::{
    AnswerLine, ClaimLine, Destination, Explanation, FilterLine, PathExplanation, PathLine, SuggestionLine,
};
use crate::resolve::{EgressPath, MatchedRoute, Reach};
use crate::world::AccessDecision;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// An explanation with colours, which are stripped when the output is not a terminal.
pub(crate) struct ExplanationText<'a>(pub &'a Explanation);

/// The explanation of a path, with colours.
pub(crate) struct PathText<'a>(pub &'a PathExplanation);

impl Display for ExplanationText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.0;
        let question = &it.question;
        let name = question.qname.to_string();
        let name = name.strip_suffix('.').filter(|n| !n.is_empty()).unwrap_or(&name);
        let zone = it.availability_zone.as_ref().map(|zone| format!(" ({zone})")).unwrap_or_default();
        writeln!(f, "{BOLD}{name} {}{BOLD:#} from {BOLD}{}{BOLD:#}{zone}", question.qtype, it.place)?;
        writeln!(f)?;
        line(f, "view", &it.view)?;
        claims(f, it)?;
        for delegation in &it.delegations {
            let servers = delegation.servers.join(", ");
            line(f, "delegation", &format!("{} to {servers} by {}", delegation.zone, delegation.rule))?;
        }
        for record in &it.routing {
            let set = record.set_identifier.as_deref().unwrap_or("no record set");
            let described =
                format!("{set} ({} of {} {}): {}", record.policy, record.name, record.rtype, record.why);
            line(f, "routing", &described)?;
        }
        if let Some(rcode) = &it.rcode {
            line(f, "rcode", rcode)?;
        }
        for record in &it.authority {
            let described = format!("{} {} {}{}", record.name, record.record_type, record.data, Ttl(record));
            line(f, "authority", &described)?;
        }
        for note in &it.notes {
            line(f, "note", note)?;
        }
        if let Some(ede) = &it.ede {
            line(f, "extended error", &ede.text)?;
        }
        if !it.answers.is_empty() {
            writeln!(f)?;
        }
        answers(f, &it.answers)?;
        for reason in &it.reasons {
            line(f, "reason", &reason.as_str())?;
        }
        suggestions(f, &it.suggestions)
    }
}

impl Display for PathText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let it = self.0;
        writeln!(f, "{BOLD}{}{BOLD:#} from {BOLD}{}{BOLD:#}", it.address, it.place)?;
        writeln!(f)?;
        writeln!(f, "  {}", PathSummary(&it.path.path))?;
        write!(f, "{}", Hops(&it.path))?;
        for note in &it.notes {
            line(f, "note", note)?;
        }
        suggestions(f, &it.suggestions)
    }
}

/// The claim that answered the query name, and those that matched without answering.
fn claims(f: &mut fmt::Formatter<'_>, it: &Explanation) -> fmt::Result {
    let selected =
        it.claims.iter().find(|claim| claim.is_selected && claim.name == it.question.qname.to_string());
    match selected {
        Some(claim) => {
            line(f, "answered by", &describe(claim))?;
            line(f, "because", &claim.rule)?;
        }
        None => {
            line(f, "answered by", &it.source.as_str())?;
            line(f, "because", &NO_CLAIM)?;
        }
    }
    for claim in it.claims.iter().filter(|claim| !claim.is_selected) {
        line(f, "rejected", &describe(claim))?;
    }
    Ok(())
}

/// The reason shown if no claim answered.
const NO_CLAIM: &str =
    "no resolver rule, private hosted zone or endpoint matches this name; resolved via public DNS";

fn describe(claim: &ClaimLine) -> String {
    let through = claim.profile.as_ref().map(|profile| format!(" through {profile}")).unwrap_or_default();
    format!("{} {} ({}){through}", claim.kind, claim.id, claim.suffix)
}

/// The records of the answer. Consecutive addresses with the same path summary and the same hops share one
/// list of hops.
fn answers(f: &mut fmt::Formatter<'_>, answers: &[AnswerLine]) -> fmt::Result {
    let width =
        answers.iter().filter(|it| it.path.is_some()).map(|it| it.data.len()).max().unwrap_or(0).min(40);
    for (index, answer) in answers.iter().enumerate() {
        let Some(path) = &answer.path else {
            let AnswerLine { name, record_type, data, ttl, .. } = answer;
            writeln!(f, "  {BOLD}{name}{BOLD:#}  {record_type} {data}  {DIM}TTL {ttl}{DIM:#}")?;
            continue;
        };
        writeln!(f, "  {BOLD}{:<width$}{BOLD:#}  {}{}", answer.data, PathSummary(&path.path), Ttl(answer))?;
        let hops = Hops(path).to_string();
        let next = answers.get(index + 1).and_then(|next| next.path.as_ref());
        if next.is_none_or(|next| Hops(next).to_string() != hops) {
            write!(f, "{hops}")?;
        }
    }
    Ok(())
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, value: &dyn Display) -> fmt::Result {
    writeln!(f, "  {DIM}{label:<14}{DIM:#} {value}")
}

fn suggestions(f: &mut fmt::Formatter<'_>, suggestions: &[SuggestionLine]) -> fmt::Result {
    if suggestions.is_empty() {
        return Ok(());
    }
    writeln!(f)?;
    for SuggestionLine { code, id, text } in suggestions {
        // The codes of reasons are in the lines of paths already; those of possible changes are only here.
        match id {
            Some(_) => writeln!(f, "  {DIM}→{DIM:#} {text} {DIM}[{code}]{DIM:#}")?,
            None => writeln!(f, "  {DIM}→{DIM:#} {text}")?,
        }
    }
    Ok(())
}

/// The TTL of a record; empty if it counts down.
struct Ttl<'a>(&'a AnswerLine);

impl Display for Ttl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.ages { Ok(()) } else { write!(f, "  {DIM}TTL {}{DIM:#}", self.0.ttl) }
    }
}

/// A path on one line: class, IDs, reach, reasons.
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

/// The routes, hops and filters of a path, and its destination, one per line.
struct Hops<'a>(&'a PathLine);

impl Display for Hops<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0;
        if let Some(matched) = &line.path.matched {
            route(f, matched)?;
        }
        for passed in 0..=line.path.hops.len() {
            for (_, next) in line.next_routes.iter().filter(|(after, _)| *after == passed) {
                route(f, next)?;
            }
            if let Some(hop) = line.path.hops.get(passed)
                && let (Some(subnet), Some(zone)) = (&hop.subnet, &hop.availability_zone)
            {
                writeln!(f, "      {DIM}{} in {subnet} ({zone}){DIM:#}", hop.id)?;
            }
        }
        filters(f, &line.filters)?;
        match destination(line) {
            Some(destination) => writeln!(f, "      {DIM}destination: {destination}{DIM:#}"),
            None => Ok(()),
        }
    }
}

/// The results of filters. Rules that allow all traffic are listed together, because they never explain a
/// result.
fn filters(f: &mut fmt::Formatter<'_>, filters: &[FilterLine]) -> fmt::Result {
    let (open, others): (Vec<_>, Vec<_>) = filters.iter().partition(|filter| filter.allows_all);
    if !open.is_empty() {
        let mut names: Vec<String> =
            open.iter().map(|filter| format!("{} {}", filter.id, filter.direction.as_str())).collect();
        names.dedup();
        writeln!(f, "      {DIM}{}: all traffic allowed{DIM:#}", names.join(", "))?;
    }
    for filter in others {
        let result = match (&filter.rule, filter.verdict) {
            (Some(rule), AccessDecision::Allowed) => format!("allowed by {rule}"),
            (Some(rule), AccessDecision::Denied) => format!("denied by {rule}"),
            (Some(rule), AccessDecision::Unknown) => format!("unknown: depends on {rule}"),
            (None, AccessDecision::Allowed) => "allowed".to_owned(),
            (None, AccessDecision::Denied) => "denied: no matching rule".to_owned(),
            (None, AccessDecision::Unknown) => "unknown".to_owned(),
        };
        writeln!(f, "      {DIM}{} {}: {result}{DIM:#}", filter.id, filter.direction.as_str())?;
    }
    Ok(())
}

fn route(f: &mut fmt::Formatter<'_>, route: &MatchedRoute) -> fmt::Result {
    let table = route.route_table.as_deref().unwrap_or("uplink");
    let list = route.prefix_list.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
    writeln!(f, "      {DIM}{table}: {}{list} → {}{DIM:#}", route.destination, route.target)
}

/// Where a path ends, unless its last hop shows that.
fn destination(line: &PathLine) -> Option<String> {
    match &line.destination {
        Destination::Here | Destination::Nowhere | Destination::Unknown => None,
        Destination::Subnet { owner: Some(owner), .. } if line.path.via.last() == Some(owner) => None,
        Destination::Subnet { vpc, subnet, owner } => {
            let subnet = match subnet {
                Some(subnet) => format!("{subnet} of {vpc}"),
                None => format!("{vpc}, in no configured subnet"),
            };
            Some(match owner {
                Some(owner) => format!("{owner} in {subnet}"),
                None => subnet,
            })
        }
        Destination::Site(site) => Some(site.to_string()),
        Destination::Service { service, region, stays_on_aws_network } => {
            let region = region.as_ref().map(|region| format!(" in {region}")).unwrap_or_default();
            let stays = if *stays_on_aws_network { ", within AWS's network" } else { "" };
            Some(format!("an address of {service}{region}{stays}"))
        }
        Destination::Internet => Some("the internet, according to the known AWS IP ranges".to_owned()),
    }
}
