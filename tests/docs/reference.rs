//! The configuration reference, generated from the JSON Schema: a table for each section, in the order of the
//! types in `src/config/v1/`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{files, read};

/// The sources of the reference.
pub(crate) struct Reference {
    /// The schema, as `plustwo schema` prints it.
    schema: Value,
    /// The text of `src/config/v1/`: the schema sorts keys alphabetically, the source has them in a
    /// meaningful order.
    source: String,
}

/// A section: its path, and the definition of its keys.
pub(crate) struct Section<'s> {
    /// `vpc.endpoint`; empty for the top level.
    pub path: String,
    /// Whether it is a list.
    pub is_list: bool,
    /// The definition.
    pub definition: &'s Value,
    /// The name of the definition, which is that of the type.
    name: String,
}

impl Section<'_> {
    /// Its header in TOML.
    fn header(&self) -> String {
        if self.is_list { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) }
    }

    /// The anchor of its heading, on GitHub and in the book.
    fn anchor(&self) -> String {
        self.path.replace('.', "")
    }
}

impl Reference {
    /// The schema of the program.
    pub(crate) fn new() -> Self {
        let schema = serde_json::from_str(&plustwo::config::json_schema()).expect("the schema is JSON");
        let source = files("src/config/v1".as_ref(), "rs").iter().map(|path| read(path)).collect();
        Self { schema, source }
    }

    /// All sections, parents before children. A section with the type of an earlier one is not repeated.
    pub(crate) fn sections(&self) -> Vec<Section<'_>> {
        let root = Section {
            path: String::new(),
            is_list: false,
            definition: &self.schema,
            name: "Config".to_owned(),
        };
        let mut found = vec![root];
        let mut next = 0;
        while let Some(section) = found.get(next) {
            let is_listed = found[..next].iter().any(|earlier| earlier.name == section.name);
            let keys = if is_listed { Vec::new() } else { self.keys(section) };
            let below: Vec<Section<'_>> =
                keys.into_iter().filter_map(|key| self.below(section, key)).collect();
            next += 1;
            found.splice(next..next, below);
        }
        found
    }

    /// The section of a key of another section.
    fn below<'s>(&'s self, section: &Section<'s>, key: &str) -> Option<Section<'s>> {
        let value = &section.definition["properties"][key];
        let is_list = value.get("items").is_some();
        let (name, definition) = self.definition(value.get("items").unwrap_or(value))?;
        definition.get("properties")?;
        let parent = if section.path.is_empty() { String::new() } else { format!("{}.", section.path) };
        Some(Section { path: format!("{parent}{key}"), is_list, definition, name: name.to_owned() })
    }

    /// The keys of a section, in the order of its type.
    pub(crate) fn keys<'s>(&self, section: &Section<'s>) -> Vec<&'s str> {
        let body = self.fields(&section.name);
        let at = |key: &&str| {
            let forms = [format!("rename = \"{key}\""), format!("    pub {key}: "), format!("    {key}: ")];
            forms.iter().find_map(|form| body.find(form.as_str())).expect("a key is a field")
        };
        let mut keys: Vec<&str> = properties(section).keys().map(String::as_str).collect();
        keys.sort_by_key(at);
        keys
    }

    /// The source text between the braces of a type; for a type that is deserialised through another one,
    /// that of the other.
    fn fields(&self, name: &str) -> &str {
        let (before, body) =
            self.source.split_once(&format!("struct {name} {{\n")).expect("a type is declared");
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        if let Some((_, written)) = attributes.split_once("#[serde(from = \"") {
            return self.fields(written.split('"').next().unwrap_or_default());
        }
        body.split_once("\n}\n").expect("a type ends").0
    }

    /// The definition that a value refers to, with its name. An optional key refers to it or to null.
    fn definition<'s>(&'s self, value: &'s Value) -> Option<(&'s str, &'s Value)> {
        let parts = value["anyOf"].as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        let name = parts.iter().find_map(|part| part["$ref"].as_str())?.strip_prefix("#/$defs/")?;
        Some((name, &self.schema["$defs"][name]))
    }

    /// The values of an enumeration, or of the elements of a list, with their meanings.
    fn words(&self, value: &Value) -> Vec<(String, String)> {
        let value = value.get("items").unwrap_or(value);
        let Some((_, definition)) = self.definition(value) else { return Vec::new() };
        let alone = std::slice::from_ref(definition);
        let parts = definition["oneOf"].as_array().map_or(alone, Vec::as_slice);
        let words = |part: &Value| {
            let meaning = if part == definition { String::new() } else { summary(part) };
            let words: Vec<&Value> =
                part.get("const").into_iter().chain(part["enum"].as_array().into_iter().flatten()).collect();
            words
                .into_iter()
                .filter_map(Value::as_str)
                .map(|word| (word.to_owned(), meaning.clone()))
                .collect::<Vec<_>>()
        };
        parts.iter().flat_map(words).collect()
    }

    /// The contents of the column `type`.
    fn kind(&self, value: &Value) -> String {
        if let Some(items) = value.get("items") {
            let is_table =
                self.definition(items).is_some_and(|(_, definition)| definition.get("properties").is_some());
            // For an element that can also be a string, the section shows the table.
            let is_string = items["anyOf"].as_array().is_some_and(|parts| parts[0]["type"] == "string");
            return if is_table && is_string {
                "array of strings or tables".to_owned()
            } else if is_table {
                "array of tables".to_owned()
            } else {
                format!("array: {}", self.kind(items))
            };
        }
        let words: Vec<String> = self.words(value).iter().map(|(word, _)| format!("`{word}`")).collect();
        if !words.is_empty() {
            return words.join(" · ");
        }
        if let Some(parts) = value["anyOf"].as_array() {
            let kinds: Vec<String> =
                parts.iter().filter(|part| part["type"] != "null").map(|part| self.kind(part)).collect();
            return kinds.join(" or ");
        }
        let types =
            value["type"].as_array().map_or_else(|| vec![&value["type"]], |types| types.iter().collect());
        match types[0].as_str() {
            None | Some("object") => "table".to_owned(),
            Some("boolean") => "`true` · `false`".to_owned(),
            Some("number") => "number".to_owned(),
            Some("integer") => match (value["minimum"].as_i64(), value["maximum"].as_i64()) {
                (least, Some(most)) => format!("integer, {} to {most}", least.unwrap_or(0)),
                (None | Some(0), None) => "integer".to_owned(),
                (Some(least), None) => format!("integer from {least}"),
            },
            _ => value["title"].as_str().unwrap_or("a string").to_owned(),
        }
    }

    /// The complete text below the handwritten introduction.
    pub(crate) fn text(&self) -> String {
        let sections = self.sections();
        let mut text = String::new();
        let mut reported: Vec<&Section<'_>> = Vec::new();
        for section in &sections {
            if section.path.is_empty() {
                text.push_str("\n## Top level\n\n");
            } else {
                let level = if section.path.contains('.') { "###" } else { "##" };
                write!(text, "\n{level} `{}`\n\n", section.header()).unwrap();
            }
            if let Some(like) = reported.iter().find(|like| like.name == section.name) {
                writeln!(
                    text,
                    "{} Its keys are those of [`{}`](#{}).",
                    summary(section.definition),
                    like.header(),
                    like.anchor()
                )
                .unwrap();
                continue;
            }
            writeln!(text, "{}\n", summary(section.definition)).unwrap();
            text.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
            for key in self.keys(section) {
                let value = &section.definition["properties"][key];
                let default = match default(section, key) {
                    Default::Required => "**required**".to_owned(),
                    Default::Value(value) => format!("`{}`", toml_text(&value)),
                    Default::Table => "see the section".to_owned(),
                    Default::None => "–".to_owned(),
                    Default::Unknown => "**not in the schema**".to_owned(),
                };
                let name = match self.below(section, key) {
                    Some(below) => format!("[`{key}`](#{})", below.anchor()),
                    None => format!("`{key}`"),
                };
                writeln!(text, "| {name} | {} | {default} | {} |", self.kind(value), summary(value)).unwrap();
            }
            for key in self.keys(section) {
                let words = self.words(&section.definition["properties"][key]);
                if !words.is_empty() {
                    writeln!(text, "\n`{key}`:\n").unwrap();
                }
                for (word, meaning) in words {
                    writeln!(text, "- `{word}`: {meaning}").unwrap();
                }
            }
            reported.push(section);
        }
        text
    }

    /// All sections and keys, such as `vpc.endpoint` and `vpc.endpoint.service`.
    pub(crate) fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        for section in self.sections() {
            let parent = if section.path.is_empty() { String::new() } else { format!("{}.", section.path) };
            paths.extend(self.keys(&section).into_iter().map(|key| format!("{parent}{key}")));
        }
        paths
    }

    /// The keys and values without a doc comment, and the keys whose default is not in the schema.
    pub(crate) fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        for section in self.sections() {
            for key in self.keys(&section) {
                let value = &section.definition["properties"][key];
                let place = format!("{} {key}", section.header());
                if summary(value).is_empty() {
                    gaps.push(format!("{place} has no doc comment"));
                }
                for (word, _) in self.words(value).iter().filter(|(_, meaning)| meaning.is_empty()) {
                    gaps.push(format!("{place} = `{word}` has no doc comment"));
                }
                if matches!(default(&section, key), Default::Unknown) {
                    gaps.push(format!("{place} has no default: #[schemars(extend(\"default\" = …))]"));
                }
            }
        }
        gaps
    }

    /// A configuration with one of each section and all required keys and, optionally, all keys with a
    /// default, set to it.
    pub(crate) fn configuration(&self, with_defaults: bool) -> toml::Table {
        self.table(&self.sections()[0], with_defaults)
    }

    fn table(&self, section: &Section<'_>, with_defaults: bool) -> toml::Table {
        let mut table = toml::Table::new();
        for key in self.keys(section) {
            let value = &section.definition["properties"][key];
            if let Some(below) = self.below(section, key) {
                let one = toml::Value::Table(self.table(&below, with_defaults));
                table.insert(key.to_owned(), if below.is_list { vec![one].into() } else { one });
                continue;
            }
            match default(section, key) {
                Default::Required => table.insert(key.to_owned(), self.sample(value)),
                Default::Value(value) if with_defaults => table.insert(key.to_owned(), toml_value(&value)),
                _ => None,
            };
        }
        table
    }

    /// A valid value of a key.
    fn sample(&self, value: &Value) -> toml::Value {
        if value.get("items").is_some() {
            return toml::Value::Array(Vec::new());
        }
        if let [(word, _), ..] = &self.words(value)[..] {
            return word.as_str().into();
        }
        let simple = match value["type"].as_str() {
            Some("boolean") => Some(false.into()),
            Some("integer") => Some(value["minimum"].as_i64().unwrap_or(0).into()),
            Some("number") => Some(0.0.into()),
            _ => None,
        };
        if let Some(simple) = simple {
            return simple;
        }
        let form = value["title"].as_str().unwrap_or("a string");
        // `such as` contains an example; IDs and addresses have none.
        if let Some((_, shown)) = form.split_once("such as `") {
            return shown.split('`').next().unwrap_or_default().into();
        }
        let samples = [
            ("a string", "text"),
            ("a domain name", "a.example"),
            ("an IP address", "192.0.2.1"),
            ("an IP address or a CIDR prefix", "192.0.2.1"),
            ("a CIDR prefix or the ID of a prefix list", "192.0.2.0/24"),
            ("a location: the ID of a subnet or site, or `outside`", "outside"),
            ("the ID of a VPC", "vpc-1"),
            ("the ID of a subnet", "subnet-1"),
            ("the ID of a route table", "rtb-1"),
            ("the ID of a NAT gateway", "nat-1"),
            ("the ID of a VPC endpoint", "vpce-1"),
            ("the ID of a security group", "sg-1"),
            ("the ID of an instance", "i-1"),
            ("the ID of a prefix list", "pl-1"),
            ("the ID of a resolver endpoint", "rslvr-in-1"),
            ("the ID of a resolver rule", "rslvr-rr-1"),
            ("the ID of a site", "site-1"),
            ("the ID of a Route 53 Profile", "rp-1"),
            ("the ID of a hosted zone", "Z1"),
            ("the ID of a resource configuration", "rcfg-1"),
            ("the ID of a service network", "sn-1"),
            ("the ID of a resource configuration or a service", "rcfg-1"),
            ("the ID of a peering connection", "pcx-1"),
            ("the ID of a transit gateway", "tgw-1"),
            ("the ID of a transit gateway attachment", "tgw-attach-1"),
            ("the ID of the gateway of a link", "vgw-1"),
            ("the ID of a network ACL", "acl-1"),
            ("the ID of a transit gateway route table", "tgw-rtb-1"),
            ("the ID of a network interface", "eni-1"),
        ];
        let sample = samples.iter().find(|(known, _)| *known == form);
        sample.unwrap_or_else(|| panic!("no sample of `{form}`: add one to tests/docs/reference.rs")).1.into()
    }
}

/// The default of a key.
enum Default {
    /// The key is required.
    Required,
    /// A value.
    Value(Value),
    /// The key is a section, whose keys have their own defaults.
    Table,
    /// No default, or a default that the description states.
    None,
    /// Not in the schema.
    Unknown,
}

fn default(section: &Section<'_>, key: &str) -> Default {
    let value = &section.definition["properties"][key];
    let required = section.definition["required"].as_array();
    if required.is_some_and(|keys| keys.iter().any(|required| required == key)) {
        return Default::Required;
    }
    let is_null = |kind: &Value| kind == "null";
    let may_be_null = value["type"].as_array().is_some_and(|kinds| kinds.iter().any(is_null))
        || value["anyOf"].as_array().is_some_and(|parts| parts.iter().any(|part| is_null(&part["type"])));
    match value.get("default") {
        Some(Value::Null) => Default::None,
        Some(default) => Default::Value(default.clone()),
        None if may_be_null => Default::None,
        None if value["type"] == "array" => Default::Value(Value::Array(Vec::new())),
        None if value.get("$ref").is_some() && section.path.is_empty() => Default::Table,
        None => Default::Unknown,
    }
}

/// A doc comment as one line of a table.
fn summary(value: &Value) -> String {
    value["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn properties<'s>(section: &Section<'s>) -> &'s Map<String, Value> {
    section.definition["properties"].as_object().expect("a section has keys")
}

fn toml_value(value: &Value) -> toml::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => {
            value.as_i64().map(toml::Value::from).or(value.as_f64().map(Into::into)).expect("a TOML number")
        }
        Value::String(value) => value.as_str().into(),
        Value::Array(values) => values.iter().map(toml_value).collect::<Vec<_>>().into(),
        Value::Null | Value::Object(_) => panic!("{value} cannot be a default"),
    }
}

fn toml_text(value: &Value) -> String {
    toml_value(value).to_string()
}
