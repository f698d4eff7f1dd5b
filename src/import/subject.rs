//! The object that a document describes, for commands whose output does not identify it: the zone of record
//! sets, the prefix list of entries, the transit gateway route table of routes.

use std::collections::{HashMap, HashSet};

use super::document::{Document, DocumentError, RawJson};
use super::ledger::SourceLocation;
use super::objects::Object;
use super::reader::DocumentReader;

impl DocumentReader<'_> {
    /// Finds the hosted zone of each document of record sets. The name of the apex, which owns the SOA
    /// record, identifies the zone; if several zones have this name, the path must contain the id.
    pub(super) fn match_record_sets(&mut self) -> Vec<DocumentError> {
        let mut errors = Vec::new();
        let mut zones_by_name: HashMap<String, Vec<String>> = HashMap::new();
        for zone in &self.inventory.hosted_zones {
            zones_by_name.entry(normalised_name(&zone.name)).or_default().push(zone.id());
        }
        let ids: HashSet<&String> = zones_by_name.values().flatten().collect();
        for document in &mut self.inventory.record_sets {
            let path = self.files[document.file].path.to_string_lossy();
            let id_in_path = id_in(&path, &["Z"]);
            let first_of_type = |wanted: &str| document.sets.iter().find(|set| set.record_type == wanted);
            let apex = first_of_type("SOA")
                .or_else(|| first_of_type("NS"))
                .map(|set| set.name.trim_end_matches('.'));
            let candidates = apex.and_then(|apex| zones_by_name.get(&normalised_name(apex)));
            document.zone = match (candidates.map_or(&[][..], Vec::as_slice), id_in_path) {
                (_, Some(id)) if ids.contains(&id) => Some(id),
                ([zone], _) => Some(zone.clone()),
                ([], id) => {
                    let apex = apex.unwrap_or("an unknown zone");
                    let location = SourceLocation { file: document.file, at: document.at.start };
                    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
                    let message = format!("records of {apex}{id}: no document contains this hosted zone");
                    self.ledger.note_unsupported(Some(location), message);
                    None
                }
                (several, _) => {
                    let apex = apex.unwrap_or_default();
                    let ids = several.join(", ");
                    let message =
                        format!("ambiguous hosted zone `{apex}`: several zones have this name: {ids}");
                    let help =
                        format!("add the id of the zone to the file name, such as `{}.json`", several[0]);
                    let (file, at) = (document.file, document.at.clone());
                    errors.push(DocumentError { file, at, message, help: Some(help) });
                    None
                }
            };
        }
        errors
    }

    /// Returns whether a list contains the objects that its key suggests. Other commands use the same keys,
    /// so the list must contain `field`; an empty list is accepted if its path contains an id with one of the
    /// prefixes.
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

    /// Returns the id of the health check that a document describes. It is a UUID.
    pub(super) fn health_check_id(&mut self, document: &Document<'_>) -> Option<String> {
        let path = self.files[document.file].path.to_string_lossy().into_owned();
        self.subject_id_or(document, "HealthCheckId", "health check", uuid_in(&path), "<id>")
    }

    /// Returns the id of the transit gateway route table that a document describes.
    pub(super) fn transit_route_table_id(&mut self, document: &Document<'_>) -> Option<String> {
        let what = "transit gateway route table";
        self.subject_id(document, "TransitGatewayRouteTableId", &["tgw-rtb-"], what)
    }

    /// Returns the id of the object that a document describes: the value of the top-level key `key`, or an id
    /// in the name of the file or of a parent directory.
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

    /// Returns the value of the top-level key `key`, or else `found`, the id found in the path. Adds an error
    /// if both are missing.
    fn subject_id_or(
        &mut self,
        document: &Document<'_>,
        key: &str,
        what: &str,
        found: Option<String>,
        example: &str,
    ) -> Option<String> {
        if let Some(id) = document.get(key).and_then(|value| serde_json::from_str(value.text).ok()) {
            return Some(id);
        }
        if found.is_none() {
            let message = format!("unknown {what}: the document does not contain its id");
            let help = format!(
                "add the id to the file name, such as `{example}.json`, or add `\"{key}\": \"…\"` to the document"
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

/// Returns a zone name in the form used for comparison: in lower case, without a trailing dot.
fn normalised_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Returns the id in a file name, for any command whose output does not contain the id.
pub(super) fn any_id_in(name: &str) -> Option<String> {
    const PREFIXES: &[&str] = &["pl-", "tgw-rtb-", "rslvr-in-", "rslvr-out-", "rp-", "vpc-", "Z"];
    PREFIXES.iter().find_map(|prefix| id_in(name, &[prefix])).or_else(|| uuid_in(name))
}

/// Returns the last UUID in a path.
fn uuid_in(path: &str) -> Option<String> {
    const HYPHENS: [usize; 4] = [8, 13, 18, 23];
    let is_uuid = |text: &str| {
        text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match HYPHENS.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            })
    };
    (0..path.len()).rev().find_map(|at| path.get(at..at + 36).filter(|text| is_uuid(text)).map(str::to_owned))
}

/// Returns the last id in a path that has one of the prefixes.
fn id_in(path: &str, prefixes: &[&str]) -> Option<String> {
    let parts = path.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    parts.into_iter().find_map(|part| {
        let found =
            prefixes.iter().flat_map(|prefix| part.match_indices(prefix).map(move |(at, _)| (prefix, at)));
        let mut ids = found.filter_map(|(prefix, at)| {
            let is_start = at == 0 || !part.as_bytes()[at - 1].is_ascii_alphanumeric();
            let (id, rest) = (&part[at..], &part[at + prefix.len()..]);
            // The id of a hosted zone contains no hyphen after the prefix. It is recognised by its capital
            // letters and digits.
            if *prefix == "Z" {
                let end = id.find('-').unwrap_or(id.len());
                let is_valid = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
                return (is_start && end > 8 && id[..end].bytes().all(is_valid))
                    .then(|| id[..end].to_owned());
            }
            // Ids that AWS assigns end with hexadecimal digits. Anything after them belongs to the file name.
            let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
            let is_assigned_by_aws = digits >= 8 && rest[digits..].chars().next().is_none_or(|c| c == '-');
            let end = if is_assigned_by_aws { prefix.len() + digits } else { id.len() };
            (is_start && !rest.is_empty()).then(|| id[..end].to_owned())
        });
        ids.next()
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
        let find = |path, prefix| id_in(path, &[prefix]);
        let expected = || Some("tgw-rtb-0a1b2c3d4e5f60718".to_owned());
        assert_eq!(find("x/tgw-rtb-0a1b2c3d4e5f60718-routes.json", "tgw-rtb-"), expected());
        assert_eq!(find("tgw-rtb-0a1b2c3d4e5f60718/routes.json", "tgw-rtb-"), expected());
        assert_eq!(find("routes-of-tgw-rtb-0a1b2c3d4e5f60718.json", "tgw-rtb-"), expected());
        assert_eq!(find("addresses-rslvr-in-lab.json", "rslvr-in-"), Some("rslvr-in-lab".to_owned()));
        assert_eq!(find("Z0123456789ABC-records.json", "Z"), Some("Z0123456789ABC".to_owned()));
        assert_eq!(find("Zones-Z0123456789ABC.json", "Z"), Some("Z0123456789ABC".to_owned()));
        assert_eq!(find("myvpc-vpc-0a1b2c3d.json", "vpc-"), Some("vpc-0a1b2c3d".to_owned()));
        assert_eq!(find("Zones.json", "Z"), None);
        assert_eq!(find("vpc.json", "vpc-"), None);
    }
}
