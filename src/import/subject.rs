//! What a document is about, where the call does not say in its answer what it was asked about: records of a zone,
//! entries of a prefix list, routes of a transit gateway's table.

use std::collections::{HashMap, HashSet};

use super::document::{Document, DocumentError, RawJson};
use super::ledger::SourceLocation;
use super::objects::Object;
use super::reader::DocumentReader;

impl DocumentReader<'_> {
    /// Finds the zone of each document of record sets: by the name at its apex, where the SOA record stands, and by
    /// the file's name where several zones have that name.
    pub fn match_record_sets(&mut self) -> Vec<DocumentError> {
        let mut mistakes = Vec::new();
        let mut of_name: HashMap<String, Vec<String>> = HashMap::new();
        for zone in &self.inventory.hosted_zones {
            of_name.entry(normalised_name(&zone.name)).or_default().push(zone.id());
        }
        let ids: HashSet<&String> = of_name.values().flatten().collect();
        for document in &mut self.inventory.record_sets {
            let path = self.files[document.file].path.to_string_lossy();
            let named = id_in(&path, &["Z"]);
            let at_apex = |wanted: &str| document.sets.iter().find(|set| set.record_type == wanted);
            let apex = at_apex("SOA").or_else(|| at_apex("NS")).map(|set| set.name.trim_end_matches('.'));
            let of_apex = apex.and_then(|apex| of_name.get(&normalised_name(apex)));
            document.zone = match (of_apex.map_or(&[][..], Vec::as_slice), named) {
                (_, Some(named)) if ids.contains(&named) => Some(named),
                ([one], _) => Some(one.clone()),
                ([], named) => {
                    let apex = apex.unwrap_or("no name");
                    let spot = SourceLocation { file: document.file, at: document.at.start };
                    let named = named.map(|id| format!(" ({id})")).unwrap_or_default();
                    let message =
                        format!("records of {apex}{named}, which is no hosted zone that a document holds");
                    self.ledger.note_unsupported(Some(spot), message);
                    None
                }
                (several, _) => {
                    let apex = apex.unwrap_or_default();
                    let message = format!("several hosted zones are called `{apex}`: {}", several.join(", "));
                    let help =
                        format!("put the zone's id into the file's name, such as `{}.json`", several[0]);
                    let (file, at) = (document.file, document.at.clone());
                    mistakes.push(DocumentError { file, at, message, help: Some(help) });
                    None
                }
            };
        }
        mistakes
    }

    /// Whether a list is what its key may stand for: other calls print lists of the same name, and an empty one tells
    /// nothing but by its file's name.
    pub(super) fn is_list_of(
        &self,
        document: &Document<'_>,
        value: &RawJson<'_>,
        field: &str,
        prefixes: &[&str],
    ) -> bool {
        let path = self.files[document.file].path.to_string_lossy();
        let is_empty = || value.items().is_some_and(|items| items.is_empty());
        value.text.contains(&format!("\"{field}\"")) || is_empty() && id_in(&path, prefixes).is_some()
    }

    /// The health check that a document is about: its id is a UUID.
    pub(super) fn health_check_id(&mut self, document: &Document<'_>) -> Option<String> {
        let path = self.files[document.file].path.to_string_lossy().into_owned();
        self.subject_id_or(document, "HealthCheckId", "a health check", uuid_in(&path), "<its id>")
    }

    /// The route table of a transit gateway that a document is about.
    pub(super) fn transit_route_table_id(&mut self, document: &Document<'_>) -> Option<String> {
        let what = "a transit gateway's route table";
        self.subject_id(document, "TransitGatewayRouteTableId", &["tgw-rtb-"], what)
    }

    /// What a document is about that does not say so: a key beside it, or an id in its file's name or in that of
    /// a folder above.
    pub(super) fn subject_id(
        &mut self,
        document: &Document<'_>,
        key: &str,
        prefixes: &[&str],
        what: &str,
    ) -> Option<String> {
        let path = self.files[document.file].path.to_string_lossy().into_owned();
        let example = format!("{}…", prefixes.first().unwrap_or(&""));
        self.subject_id_or(document, key, what, id_in(&path, prefixes), &example)
    }

    /// The same, where the id that the path has is found already.
    fn subject_id_or(
        &mut self,
        document: &Document<'_>,
        key: &str,
        what: &str,
        found: Option<String>,
        example: &str,
    ) -> Option<String> {
        if let Some(id) = document.get(key).and_then(|said| serde_json::from_str(said.text).ok()) {
            return Some(id);
        }
        if found.is_none() {
            let message = format!("this document is about {what}, and does not say about which");
            let help = format!(
                "put the id into its file's name, such as `{example}.json`, or `\"{key}\": \"…\"` into the document"
            );
            self.errors.push(DocumentError {
                file: document.file,
                at: document.at.clone(),
                message,
                help: Some(help),
            });
        }
        found
    }
}

/// A zone's name as it is compared: names differ by neither case nor the dot at their end.
fn normalised_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The id in a file's name of whatever a call may be about that does not repeat it.
pub(super) fn any_id_in(name: &str) -> Option<String> {
    const PREFIXES: &[&str] = &["pl-", "tgw-rtb-", "rslvr-in-", "rslvr-out-", "rp-", "vpc-", "Z"];
    PREFIXES.iter().find_map(|prefix| id_in(name, &[prefix])).or_else(|| uuid_in(name))
}

/// The last UUID in a path.
fn uuid_in(path: &str) -> Option<String> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_uuid = |text: &str| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, octet)| match HYPHENS.contains(&at) {
                true => octet == b'-',
                false => octet.is_ascii_hexdigit(),
            })
    };
    (0..path.len()).rev().find_map(|at| path.get(at..at + 36).filter(|text| is_uuid(text)).map(str::to_owned))
}

/// The last id in a path that begins so.
fn id_in(path: &str, prefixes: &[&str]) -> Option<String> {
    let words = path.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.into_iter().find_map(|word| {
        let starts = prefixes.iter().filter_map(|prefix| {
            let at = word.find(prefix)?;
            let is_start = at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric();
            let (id, rest) = (&word[at..], &word[at + prefix.len()..]);
            // A hosted zone's id has no hyphen to know it by, only its capitals.
            if *prefix == "Z" {
                let end = id.find('-').unwrap_or(id.len());
                let is_capital = |octet: u8| octet.is_ascii_uppercase() || octet.is_ascii_digit();
                return (is_start && end > 8 && id[..end].bytes().all(is_capital))
                    .then(|| id[..end].to_owned());
            }
            // AWS's own ids end with hexadecimal digits; what follows them is not theirs.
            let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
            let is_aws = digits >= 8 && rest[digits..].chars().next().is_none_or(|c| c == '-');
            let end = if is_aws { prefix.len() + digits } else { id.len() };
            (is_start && !rest.is_empty()).then(|| id[..end].to_owned())
        });
        starts.into_iter().next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_found_in_a_path() {
        let id = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
        assert_eq!(uuid_in(&format!("x/health/{id}-status.json")).as_deref(), Some(id));
        assert_eq!(uuid_in("x/0f1e2d3c-4b5a.json"), None);
    }

    #[test]
    fn an_id_is_found_in_a_path() {
        let found = |path, prefix| id_in(path, &[prefix]);
        let id = || Some("tgw-rtb-0a1b2c3d4e5f60718".to_owned());
        assert_eq!(found("x/tgw-rtb-0a1b2c3d4e5f60718-routes.json", "tgw-rtb-"), id());
        assert_eq!(found("tgw-rtb-0a1b2c3d4e5f60718/routes.json", "tgw-rtb-"), id());
        assert_eq!(found("routes-of-tgw-rtb-0a1b2c3d4e5f60718.json", "tgw-rtb-"), id());
        assert_eq!(found("addresses-rslvr-in-lab.json", "rslvr-in-"), Some("rslvr-in-lab".to_owned()));
        assert_eq!(found("Z0123456789ABC-records.json", "Z"), Some("Z0123456789ABC".to_owned()));
        assert_eq!(found("Zones.json", "Z"), None);
        assert_eq!(found("vpc.json", "vpc-"), None);
    }
}
