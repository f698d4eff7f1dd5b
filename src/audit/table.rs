//! An audit as a text table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

use super::bundle::{self, BundleVerdict};
use super::cost::{self, Cost};
use super::keyword::Keyword;
use super::locations::LocationGroup;
use super::row::{PathCell, Row, Verdict};
use super::survey::Survey;
use crate::aws::Region;
use crate::aws::bundles::Bundle;
use crate::aws::prices::{Charge, Prices, PricingUnit};
use crate::dns::RecordType;
use crate::resolve::Reach;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const PLAIN: Style = Style::new();

/// An audit with colours, which are stripped when the output is not a terminal.
pub(crate) struct Table<'a> {
    /// The results.
    pub survey: &'a Survey<'a>,
    /// The regions of the names.
    pub regions: &'a [Region],
    /// The bundles.
    pub bundles: &'a [&'a Bundle],
    /// Only rows that match one of these keywords. Empty: all rows.
    pub only: &'a [Keyword],
    /// Whether rows are only counted.
    pub is_summary: bool,
    /// Prices.
    pub prices: &'a Prices,
}

/// Whether a row is shown.
pub(crate) fn is_shown(row: &Row, only: &[Keyword]) -> bool {
    only.is_empty() || only.iter().any(|keyword| keyword.matches(row))
}

/// Notes about an audit.
pub(crate) fn notes(survey: &Survey<'_>) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if survey.groups.is_empty() {
        notes.push("No clients: the configuration has no subnets and no sites.");
    } else if survey.questions.is_empty() {
        notes.push("No names: the configuration has no VPC, and therefore no region.");
    }
    if survey.uses_sealed_internet() {
        notes.push(
            "Nothing was sent: the sealed internet was used instead of the servers that would be queried.",
        );
    }
    if survey.is_unresolved() {
        notes.push("Nothing was sent: answers of the servers of forwarding rules are unknown.");
    }
    if survey.is_unlisted() {
        notes.push("Public names of regions in China are in no table: their addresses are unknown.");
    }
    notes
}

/// A cell: its text and its style.
type Cell = (String, Style);

impl Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.survey.groups.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            self.group(f, group)?;
        }
        let shown = self.survey.groups.iter().flat_map(|group| self.shown(group));
        let all = shown.flat_map(|row| &row.paths).flat_map(|path| &path.costs);
        let costs: BTreeSet<&Cost> = all.filter(|cost| cost.charge != Charge::GatewayEndpoint).collect();
        if !costs.is_empty() {
            writeln!(f, "\n{BOLD}charges{BOLD:#}")?;
            let lines: Vec<Vec<Cell>> = costs.iter().map(|cost| price_line(cost, self.prices)).collect();
            aligned(f, &lines)?;
        }
        let notes = notes(self.survey);
        if !notes.is_empty() && !self.survey.groups.is_empty() {
            writeln!(f)?;
        }
        for note in notes {
            writeln!(f, "{DIM}note{DIM:#} {note}")?;
        }
        Ok(())
    }
}

impl Table<'_> {
    fn group(&self, f: &mut fmt::Formatter<'_>, group: &LocationGroup) -> fmt::Result {
        let places = group.places().join(", ");
        let views = group.views(self.survey.world).join(", ");
        writeln!(f, "{BOLD}{places}{BOLD:#} {DIM}via resolver{DIM:#} {views}")?;
        let counted = self.counted(group);
        if counted.is_empty() {
            writeln!(f, "  {:>5}", "none")?;
        }
        for (described, number) in counted {
            writeln!(f, "  {number:>5}  {described}")?;
        }
        if !self.bundles.is_empty() {
            writeln!(f)?;
            aligned(f, &self.verdicts(group))?;
        }
        let rows: Vec<&Row> = self.shown(group).collect();
        if self.is_summary || rows.is_empty() {
            return Ok(());
        }
        writeln!(f)?;
        let names_types = self.survey.questions.iter().any(|question| question.qtype != RecordType::A);
        let head = ["", "name", "type", "answered by", "path", "reach", "destination", "cost", "suggestions"];
        let head = head.map(|keyword| (keyword.to_owned(), DIM));
        let lines = rows.iter().flat_map(|row| lines(row, names_types));
        let lines: Vec<Vec<Cell>> = [head.to_vec()].into_iter().chain(lines).collect();
        aligned(f, &lines)
    }

    /// The rows of a group that are shown.
    fn shown(&self, group: &LocationGroup) -> impl Iterator<Item = &Row> {
        self.survey.rows(group).filter(|row| is_shown(row, self.only))
    }

    /// The verdicts of the bundles, with a line for each name that prevents a better one.
    fn verdicts(&self, group: &LocationGroup) -> Vec<Vec<Cell>> {
        let mut lines = Vec::new();
        for row in bundle::verdicts(self.survey, group, self.bundles, self.regions) {
            let region = if self.regions.len() == 1 { String::new() } else { row.region.to_string() };
            let mut because = row.because.iter().map(|row| because(row));
            lines.push(vec![
                (row.bundle.to_owned(), BOLD),
                (region, PLAIN),
                (row.verdict.as_str().to_owned(), bundle_style(row.verdict)),
                (because.next().unwrap_or_default(), PLAIN),
            ]);
            let nothing = || (String::new(), PLAIN);
            lines.extend(because.map(|described| vec![nothing(), nothing(), nothing(), (described, PLAIN)]));
        }
        lines
    }

    /// The number of names per path, highest first.
    fn counted(&self, group: &LocationGroup) -> Vec<(String, usize)> {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for row in self.shown(group) {
            let mut classes: Vec<&str> = row.paths.iter().map(|path| path.path.class.as_str()).collect();
            classes.dedup();
            let described = match row.reach() {
                Some(reach) if row.has_address() => {
                    format!("{} {} {}", row.verdict.as_str(), classes.join(" and "), reach.as_str())
                }
                _ if row.is_unresolved => format!("{} unknown", row.verdict.as_str()),
                _ => format!("{} {}", row.verdict.as_str(), row.rcode),
            };
            *counts.entry(described).or_default() += 1;
        }
        let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
        counts.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        counts
    }
}

/// Why a row prevents a better verdict.
fn because(row: &Row) -> String {
    let described = match row.reach() {
        Some(Reach::Ok) => row.verdict.as_str().to_owned(),
        Some(reach) => reach.as_str().to_owned(),
        None => row.rcode.to_string(),
    };
    let hints = hints(row, None);
    let colon = if hints.is_empty() { "" } else { ": " };
    format!("{} is {described}{colon}{hints}", row.name())
}

/// The lines of a row: one for each of its paths.
fn lines(row: &Row, names_type: bool) -> Vec<Vec<Cell>> {
    let line = |path: Option<&PathCell>, is_first: bool| {
        let verdict = path.map_or(row.verdict, |path| path.verdict);
        let reach = path.map(|path| path.path.reach).or(row.reach());
        let first = |text: String| if is_first { text } else { String::new() };
        let described = match path {
            Some(path) if path.path.via.is_empty() => path.path.class.as_str().to_owned(),
            Some(path) => format!("{} via {}", path.path.class.as_str(), path.path.via.join(" → ")),
            None if row.is_unresolved => "not queried".to_owned(),
            None => row.rcode.to_string(),
        };
        vec![
            (verdict.as_str().to_owned(), verdict_style(verdict)),
            (first(row.name()), PLAIN),
            (first(if names_type { row.question.qtype.to_string() } else { String::new() }), PLAIN),
            (first(row.answered_by()), PLAIN),
            (described, PLAIN),
            (reach.map_or("-", |reach| reach.as_str()).to_owned(), reach.map_or(PLAIN, reach_style)),
            (path.map_or_else(String::new, |path| path.destinations.join(", ")), PLAIN),
            (path.map_or_else(|| "-".to_owned(), |path| cost::describe(&path.costs, &path.path)), PLAIN),
            (if is_first { hints(row, path) } else { path_suggestions(path) }, PLAIN),
        ]
    };
    match row.paths.is_empty() {
        true => vec![line(None, true)],
        false => row.paths.iter().enumerate().map(|(at, path)| line(Some(path), at == 0)).collect(),
    }
}

/// The reasons of a path, or of all paths, and suggestions.
fn hints(row: &Row, path: Option<&PathCell>) -> String {
    let reasons = match path {
        Some(path) => path.path.reasons.clone(),
        None => row.all_reasons(),
    };
    let mut described: Vec<String> = reasons.iter().map(|reason| reason.as_str().to_owned()).collect();
    let mut last = None;
    for suggestions in row.suggestions.iter() {
        match (described.last_mut(), last == Some(suggestions.kind)) {
            (Some(described), true) => described.push_str(&format!(" {}", suggestions.id)),
            _ => described.push(format!("{} {}", suggestions.kind.as_str(), suggestions.id)),
        }
        last = Some(suggestions.kind);
    }
    described.join(", ")
}

fn path_suggestions(path: Option<&PathCell>) -> String {
    let reasons = path.into_iter().flat_map(|path| &path.path.reasons);
    reasons.map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ")
}

fn price_line(cost: &Cost, prices: &Prices) -> Vec<Cell> {
    let price = |unit| prices.find(&cost.region, cost.charge, unit);
    let (hour, gb) = (price(PricingUnit::Hour), price(PricingUnit::Gb));
    let described: Vec<String> = [(hour, "per hour"), (gb, "per GB")]
        .into_iter()
        .filter_map(|(price, unit)| price.map(|price| format!("${} {unit}", price.usd)))
        .collect();
    let dates: Vec<&str> = [hour, gb].into_iter().flatten().map(|price| price.date.as_str()).collect();
    let described = match dates.iter().min() {
        None => "unknown price".to_owned(),
        Some(date) => format!("{} ({date})", described.join(", ")),
    };
    vec![
        (cost.charge.as_str().to_owned(), PLAIN),
        (cost.region.to_string(), PLAIN),
        (cost.charge.billing_basis().to_owned(), PLAIN),
        (described, PLAIN),
    ]
}

fn verdict_style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Private => AnsiColor::Green,
        Verdict::Public | Verdict::Mixed => AnsiColor::Yellow,
        Verdict::None => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn bundle_style(verdict: BundleVerdict) -> Style {
    let colour = match verdict {
        BundleVerdict::Private => AnsiColor::Green,
        BundleVerdict::Public | BundleVerdict::Mixed | BundleVerdict::Unknown => AnsiColor::Yellow,
        BundleVerdict::Broken => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}

fn reach_style(reach: Reach) -> Style {
    let colour = match reach {
        Reach::Ok => AnsiColor::Green,
        Reach::Blocked | Reach::Dead => AnsiColor::Red,
        Reach::Unknown => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// Lines with aligned cells. A column that is empty except for its header is omitted.
fn aligned(f: &mut fmt::Formatter<'_>, lines: &[Vec<Cell>]) -> fmt::Result {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let has_head = lines.first().is_some_and(|line| line.iter().all(|(_, style)| *style == DIM));
    let body = &lines[usize::from(has_head)..];
    let width = |column: usize| {
        let filled = body.iter().any(|line| line.get(column).is_some_and(|(text, _)| !text.is_empty()));
        let longest = lines.iter().filter_map(|line| line.get(column)).map(|(text, _)| text.chars().count());
        if filled { longest.max().unwrap_or(0) } else { 0 }
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for line in lines {
        let mut cells = line.iter().zip(&widths).filter(|(_, width)| **width > 0).peekable();
        let mut text = String::new();
        let mut blanks = 0;
        while let Some(((cell, style), width)) = cells.next() {
            if !cell.is_empty() {
                text.push_str(&" ".repeat(blanks));
                blanks = 0;
                text.push_str(&format!("{style}{cell}{style:#}"));
            }
            blanks += width - cell.chars().count() + 2;
            if cells.peek().is_none() {
                break;
            }
        }
        writeln!(f, "  {text}")?;
    }
    Ok(())
}

/// The available bundles with their purpose and source.
pub(crate) struct BundleList<'a>(pub &'a [Bundle]);

impl Display for BundleList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for bundle in self.0 {
            writeln!(f, "{BOLD}{}{BOLD:#} {}", bundle.name, bundle.purpose)?;
            for template in bundle.templates() {
                writeln!(f, "  {template}")?;
            }
            for source in bundle.sources() {
                writeln!(f, "  {DIM}{source}{DIM:#}")?;
            }
        }
        Ok(())
    }
}
