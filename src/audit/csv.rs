//! An audit as CSV (RFC 4180): one line for each group of locations, name and path.

use super::cost;
use super::keyword::Keyword;
use super::row::{PathCell, Row};
use super::survey::Survey;

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
    "suggestions",
    "destination",
    "cost",
    "records",
];

/// The complete text. Values of a list are separated by blanks.
pub(crate) fn text(survey: &Survey<'_>, only: &[Keyword]) -> String {
    let mut text = line(&HEAD.map(str::to_owned));
    for group in &survey.groups {
        let places = group.places().join("; ");
        let views = group.views(survey.world).join(" ");
        for row in survey.rows(group).filter(|row| super::table::is_shown(row, only)) {
            let paths: Vec<Option<&PathCell>> = match row.paths.is_empty() {
                true => vec![None],
                false => row.paths.iter().map(Some).collect(),
            };
            for path in paths {
                text += &line(&cells(&places, &views, row, path));
            }
        }
    }
    text
}

fn cells(places: &str, views: &str, row: &Row, cell: Option<&PathCell>) -> [String; 17] {
    let path = cell.map(|cell| &cell.path);
    let reasons: Vec<&str> = match path {
        Some(path) => path.reasons.iter().map(|reason| reason.as_str()).collect(),
        None => row.reasons.iter().map(|reason| reason.as_str()).collect(),
    };
    let suggestions: Vec<String> =
        row.suggestions.iter().map(|it| format!("{}:{}", it.kind.as_str(), it.id)).collect();
    let addresses = cell.map_or_else(String::new, |cell| {
        cell.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    });
    [
        places.to_owned(),
        views.to_owned(),
        row.name(),
        row.question.qtype.to_string(),
        cell.map_or(row.verdict, |cell| cell.verdict).as_str().to_owned(),
        row.source.as_str().to_owned(),
        row.answered_by(),
        row.rcode.to_string(),
        addresses,
        path.map_or("none", |path| path.class.as_str()).to_owned(),
        path.map_or_else(String::new, |path| path.via.join(" ")),
        path.map(|path| path.reach).or(row.reach()).map_or("", |reach| reach.as_str()).to_owned(),
        reasons.join(" "),
        suggestions.join(" "),
        cell.map_or_else(String::new, |cell| cell.destinations.join("; ")),
        cell.map_or_else(String::new, |cell| cost::describe(&cell.costs, &cell.path)),
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
    fn cells_are_quoted_if_necessary() {
        let cells = ["a b", "a,b", "quote \"so\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(line(&cells), "a b,\"a,b\",\"quote \"\"so\"\"\",\"two\nlines\",\r\n");
    }
}
