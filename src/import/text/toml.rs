//! TOML as a person would write it: tables with a comment above, lists of inline tables a line each.

use std::fmt::{Display, Write as _};

/// The longest line that a list may stand on.
const WIDTH: usize = 100;

/// A text as a TOML string.
pub fn quote(text: &str) -> String {
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

/// The text so far.
#[derive(Default)]
pub struct TomlWriter(String);

impl TomlWriter {
    /// The whole.
    pub fn finish(self) -> String {
        self.0
    }

    /// A heading of what follows.
    pub fn heading(&mut self, words: &str) {
        let words = one_line(words);
        let rule = "-".repeat(WIDTH.saturating_sub(words.chars().count() + 8));
        let _ = writeln!(self.0, "\n# ---- {words} {rule}");
    }

    /// A line of comment.
    pub fn comment(&mut self, words: &str) {
        let _ = writeln!(self.0, "# {}", one_line(words));
    }

    /// The head of a table in a list, below an empty line and a comment.
    pub fn table(&mut self, name: &str, comment: Option<&str>) {
        self.0.push('\n');
        if let Some(comment) = comment {
            self.comment(comment);
        }
        let _ = writeln!(self.0, "[[{name}]]");
    }

    /// A key with a string.
    pub fn string(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key} = {}", quote(value));
    }

    /// A key with a string, if there is one.
    pub fn optional_string(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(key, value);
        }
    }

    /// A key with a number or a truth value.
    pub fn value(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    /// A key with a list of strings.
    pub fn strings(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let values: Vec<String> = values.into_iter().map(|value| quote(value.as_ref())).collect();
        self.array(key, &values, false);
    }

    /// A key with a list of strings, if there are any.
    pub fn non_empty_strings(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.strings(key, values);
        }
    }

    /// A key with a list of inline tables, each on a line of its own.
    pub fn inline_tables(&mut self, key: &str, tables: &[InlineTable]) {
        let written: Vec<String> = tables.iter().map(InlineTable::to_toml).collect();
        self.array(key, &written, true);
    }

    fn array(&mut self, key: &str, items: &[String], is_tall: bool) {
        let line = format!("{key} = [{}]", items.join(", "));
        if line.chars().count() <= WIDTH && (!is_tall || items.len() < 2) {
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
pub struct InlineTable(Vec<String>);

impl InlineTable {
    /// With a key and a string.
    pub fn string(mut self, key: &str, value: &str) -> Self {
        self.0.push(format!("{key} = {}", quote(value)));
        self
    }

    /// With a key and a string, if there is one.
    pub fn optional_string(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(key, value),
            None => self,
        }
    }

    /// With a key and a number or a truth value.
    pub fn value(mut self, key: &str, value: impl Display) -> Self {
        self.0.push(format!("{key} = {value}"));
        self
    }

    /// With a key and a list of strings.
    pub fn strings(mut self, key: &str, values: &[String]) -> Self {
        let values: Vec<String> = values.iter().map(|value| quote(value)).collect();
        self.0.push(format!("{key} = [{}]", values.join(", ")));
        self
    }

    /// As it stands in the text.
    pub fn to_toml(&self) -> String {
        if self.0.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", self.0.join(", ")) }
    }
}

/// A text on one line: what is no character of a line is a space.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
