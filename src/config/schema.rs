//! The JSON Schema of the configuration, generated from its types.

use super::recovery::PathSegment;
use super::v1::Config;

/// The schema as JSON text, for editors and for `plustwo schema`.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Config);
    format!("{:#}\n", schema.as_value())
}

/// The keys that a table at this path must have, according to the schema.
pub(super) fn required_keys(path: &[PathSegment]) -> Vec<String> {
    let schema = schemars::schema_for!(Config);
    let root = schema.as_value();
    let mut here = root;
    for step in path {
        let next = match step {
            PathSegment::Key(key) => here.get("properties").and_then(|p| p.get(key)),
            PathSegment::Index(_) => here.get("items"),
        };
        let Some(next) = next else { return Vec::new() };
        let name = next.get("$ref").and_then(|r| r.as_str()).and_then(|r| r.strip_prefix("#/$defs/"));
        here = match name {
            Some(name) => match root.get("$defs").and_then(|defs| defs.get(name)) {
                Some(definition) => definition,
                None => return Vec::new(),
            },
            None => next,
        };
    }
    let required = here.get("required").and_then(|r| r.as_array());
    required.into_iter().flatten().filter_map(|key| key.as_str().map(str::to_owned)).collect()
}
