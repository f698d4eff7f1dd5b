//! Explanations as text that a person reads.

use std::fmt::{self, Display};
use std::net::IpAddr;

use anstyle::{AnsiColor, Style};

use super::Explanation;
use crate::resolve::{EgressPath, Reach};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// An explanation, in colour. Whoever prints it strips the colour where nobody sees it.
pub struct Text<'a>(pub &'a Explanation);

/// A path alone, in colour.
pub struct PathText<'a> {
    /// Where from.
    pub place: &'a str,
    /// Where to.
    pub address: IpAddr,
    /// The way.
    pub path: &'a EgressPath,
    /// What could be changed.
    pub advice: &'a [String],
}

impl Display for Text<'_> {
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
                line(f, "answered by", &format!("{} {} ({})", told.source.as_str(), claim.id, claim.suffix))?;
                line(f, "because", &claim.rule)?;
            }
            None => {
                line(f, "answered by", &told.source.as_str())?;
                line(f, "because", &"nothing private claims this name, so public DNS answers")?;
            }
        }
        for claim in told.claims.iter().filter(|claim| !claim.wins) {
            line(f, "rather than", &format!("{} {} ({})", claim.kind, claim.id, claim.suffix))?;
        }
        for seen in &told.routing {
            let set = seen.set_identifier.as_deref().unwrap_or("no record set");
            line(
                f,
                "routed to",
                &format!("{set} ({} of {} {}): {}", seen.policy, seen.name, seen.rtype, seen.why),
            )?;
        }
        line(f, "rcode", &told.rcode)?;
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
                Some(path) => {
                    writeln!(f, "{}", Way(path))?;
                    hops(f, path)?;
                }
                None => writeln!(f, "{DIM}{} {} TTL {}{DIM:#}", answer.name, answer.record_type, answer.ttl)?,
            }
        }
        for reason in &told.reasons {
            line(f, "reason", &reason.as_str())?;
        }
        advice(f, &told.advice)
    }
}

impl Display for PathText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{BOLD}{}{BOLD:#} reached from {BOLD}{}{BOLD:#}", self.address, self.place)?;
        writeln!(f)?;
        writeln!(f, "  {}", Way(self.path))?;
        hops(f, self.path)?;
        advice(f, self.advice)
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

/// A path on one line: class, ids, reach, reasons.
struct Way<'a>(&'a EgressPath);

impl Display for Way<'_> {
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

fn hops(f: &mut fmt::Formatter<'_>, path: &EgressPath) -> fmt::Result {
    if let Some(matched) = &path.matched {
        let table = matched.route_table.as_deref().unwrap_or("its table");
        let list = matched.prefix_list.as_ref().map(|id| format!(" of {id}")).unwrap_or_default();
        writeln!(f, "      {DIM}{table}: {}{list} → {}{DIM:#}", matched.destination, matched.target)?;
    }
    for hop in &path.hops {
        if let (Some(subnet), Some(zone)) = (&hop.subnet, &hop.availability_zone) {
            writeln!(f, "      {DIM}{} stands in {subnet} ({zone}){DIM:#}", hop.id)?;
        }
    }
    Ok(())
}
