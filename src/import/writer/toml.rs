//! TOML output in the form in which it would be written by hand: tables with a comment above, and one line
//! per inline table of a list.

use std::fmt::{Display, Write as _};

/// The maximum line length for an array on a single line, in characters.
const WIDTH: usize = 100;

/// Returns `text` as a TOML string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The TOML document under construction.
#[derive(Default)]
pub(super) struct TomlWriter(String);

impl TomlWriter {
    /// Returns the document.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// Writes the heading of a group of tables.
    pub(super) fn heading(&mut self, heading: &str) {
        let heading = one_line(heading);
        let rule = "-".repeat(WIDTH.saturating_sub(heading.chars().count() + 8));
        let _ = writeln!(self.0, "\n# ---- {heading} {rule}");
    }

    /// Writes a comment line.
    pub(super) fn comment(&mut self, comment: &str) {
        let _ = writeln!(self.0, "# {}", one_line(comment));
    }

    /// Writes the header of an element of an array of tables, with an optional comment above.
    pub(super) fn table(&mut self, name: &str, comment: Option<&str>) {
        self.0.push('\n');
        if let Some(comment) = comment {
            self.comment(comment);
        }
        let _ = writeln!(self.0, "[[{name}]]");
    }

    /// Writes a string.
    pub(super) fn string(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {}", quote(value));
    }

    /// Writes a string, if present.
    pub(super) fn optional_string(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    /// Writes a value whose `Display` form is TOML: a number, a Boolean, or a formatted inline table.
    pub(super) fn value(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// Writes an array of strings.
    pub(super) fn strings(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let values: Vec<String> = values.into_iter().map(|value| quote(value.as_ref())).collect();
        self.array(key, &values, false);
    }

    /// Writes an array of strings, unless it is empty.
    pub(super) fn non_empty_strings(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.strings(key, values);
        }
    }

    /// Writes an array of inline tables. Two or more are written on separate lines.
    pub(super) fn inline_tables(&mut self, key: &str, tables: &[InlineTable]) {
        let items: Vec<String> = tables.iter().map(InlineTable::to_toml).collect();
        self.array(key, &items, true);
    }

    /// Writes an array on a single line, unless it is too long or `splits` and there are two or more items.
    fn array(&mut self, key: &str, items: &[String], splits: bool) {
        let line = format!("{key} = [{}]", items.join(", "));
        if line.chars().count() <= WIDTH && (!splits || items.len() < 2) {
            let _ = writeln!(self.0, "{line}");
            return;
        }
        let _ = writeln!(self.0, "{key} = [");
        for item in items {
            let _ = writeln!(self.0, "  {item},");
        }
        self.0.push_str("]\n");
    }
}

/// An inline table.
#[derive(Default)]
pub(super) struct InlineTable(Vec<String>);

impl InlineTable {
    /// Adds a string.
    pub(super) fn string(mut self, key: &str, value: &str) -> Self {
        self.0.push(format!("{key} = {}", quote(value)));
        self
    }

    /// Adds a string, if present.
    pub(super) fn optional_string(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(key, value),
            None => self,
        }
    }

    /// Adds a value whose `Display` form is TOML: a number, a Boolean, or a formatted inline table.
    pub(super) fn value(mut self, key: &str, value: impl Display) -> Self {
        self.0.push(format!("{key} = {value}"));
        self
    }

    /// Adds an array of strings.
    pub(super) fn strings(mut self, key: &str, values: &[String]) -> Self {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        self.0.push(format!("{key} = [{}]", values.join(", ")));
        self
    }

    /// Returns the table as TOML.
    pub(super) fn to_toml(&self) -> String {
        if self.0.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", self.0.join(", ")) }
    }
}

/// Returns `text` on a single line, with control characters replaced by spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
