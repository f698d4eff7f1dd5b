//! An audit as CSV (RFC 4180): one line for each group of locations, name and path.

use super::cost;
use super::row::{Row, PathCell};
use super::survey::Survey;
use super::keyword::Keyword;

/// The header line.
const HEAD: [&str; 17] = [
    "places",
    "resolver",
    "name",
    "type",
    "verdict",
    "source",
    "answered_by",
    "rcode",
    "addresses",
    "class",
    "via",
    "reach",
    "reasons",
    "missed",
    "lands",
    "cost",
    "records",
];

/// The complete text. Values of a list are separated by blanks.
pub fn text(survey: &Survey<'_>, only: &[Keyword]) -> String {
    let mut text = line(&HEAD.map(str::to_owned));
    for group in &survey.groups {
        let places = group.places().join("; ");
        let views = group.views(survey.world).join(" ");
        for row in survey.rows(group).filter(|row| super::table::is_shown(row, only)) {
            let ways: Vec<Option<&PathCell>> = match row.ways.is_empty() {
                true => vec![None],
                false => row.ways.iter().map(Some).collect(),
            };
            for way in ways {
                text += &line(&cells(&places, &views, row, way));
            }
        }
    }
    text
}

fn cells(places: &str, views: &str, row: &Row, way: Option<&PathCell>) -> [String; 17] {
    let path = way.map(|way| &way.path);
    let reasons: Vec<&str> = match path {
        Some(path) => path.reasons.iter().map(|reason| reason.as_str()).collect(),
        None => row.reasons.iter().map(|reason| reason.as_str()).collect(),
    };
    let missed: Vec<String> =
        row.missed.iter().map(|missed| format!("{}:{}", missed.kind.as_str(), missed.id)).collect();
    let addresses = way.map_or_else(String::new, |way| {
        way.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    });
    [
        places.to_owned(),
        views.to_owned(),
        row.name(),
        row.question.qtype.to_string(),
        way.map_or(row.verdict, |way| way.verdict).as_str().to_owned(),
        row.source.as_str().to_owned(),
        row.answered_by(),
        row.rcode.to_string(),
        addresses,
        path.map_or("none", |path| path.class.as_str()).to_owned(),
        path.map_or_else(String::new, |path| path.via.join(" ")),
        path.map(|path| path.reach).or(row.reach()).map_or("", |reach| reach.as_str()).to_owned(),
        reasons.join(" "),
        missed.join(" "),
        way.map_or_else(String::new, |way| way.lands.join("; ")),
        way.map_or_else(String::new, |way| cost::words(&way.costs, &way.path)),
        row.records.join("; "),
    ]
}

/// A line. Cells are quoted if necessary.
fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let cells = ["a b", "a,b", "say \"so\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(line(&cells), "a b,\"a,b\",\"say \"\"so\"\"\",\"two\nlines\",\r\n");
    }
}
