//! What an import tells: what was read, what is missing, what nobody understood.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::config::count;

/// The version of the report's JSON.
const SCHEMA_VERSION: u32 = 1;

/// What became of a folder's documents.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// What was read, by the key of the document that holds it, such as `Vpcs`.
    pub read: BTreeMap<String, ObjectSummary>,
    /// What objects refer to and no document holds.
    pub missing: Vec<Missing>,
    /// What would change answers and nobody reads.
    pub unsupported: Vec<Unsupported>,
}

/// The objects of one kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ObjectSummary {
    /// How many stand in which file.
    pub files: BTreeMap<String, usize>,
    /// How many stand in the text.
    pub converted: usize,
    /// How many change no answer, and why.
    pub skipped: BTreeMap<String, usize>,
    /// How many nobody understood.
    pub unsupported: usize,
}

impl ObjectSummary {
    /// How many there are.
    pub fn total(&self) -> usize {
        self.files.values().sum()
    }
}

/// Something that no document holds.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// What it is, and what it is needed for.
    pub what: String,
    /// The call that supplies it.
    pub call: String,
}

/// Something that nobody reads.
#[derive(Clone, Debug, Serialize)]
pub struct Unsupported {
    /// What it is.
    pub message: String,
    /// The first place where it stands.
    pub location: Option<String>,
    /// How many times it stands.
    pub times: usize,
}

impl ImportReport {
    /// The report for programs, with what is wrong with the configuration.
    pub fn to_json(&self, findings: &[String]) -> String {
        let value = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "read": self.read,
            "missing": self.missing,
            "not_understood": self.unsupported,
            "findings": findings,
        });
        format!("{value:#}")
    }

    /// One line, where the whole would be too much. `None` when there is nothing to tell.
    pub fn summary(&self) -> Option<String> {
        let (missing, not_understood) = (self.missing.len(), self.unsupported.len());
        (missing + not_understood > 0).then(|| {
            format!("{} missing, {} not understood", count(missing, "thing"), count(not_understood, "thing"))
        })
    }
}

/// The report for people.
impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "read")?;
        for (kind, read) in &self.read {
            let files: Vec<&str> = read.files.keys().map(String::as_str).collect();
            let files = match files.as_slice() {
                few if few.len() <= 2 => few.join(", "),
                [first, rest @ ..] => format!("{first} and {} more files", rest.len()),
                [] => String::new(),
            };
            write!(f, "  {:>5} {kind} ({files}): {} written", read.total(), read.converted)?;
            if read.unsupported > 0 {
                write!(f, ", {} not understood", read.unsupported)?;
            }
            writeln!(f)?;
            for (why, times) in &read.skipped {
                writeln!(f, "  {times:>5}   left out: {why}")?;
            }
        }
        if !self.missing.is_empty() {
            writeln!(f, "missing")?;
        }
        for Missing { what, call } in &self.missing {
            writeln!(f, "  {what}\n    {call}")?;
        }
        if !self.unsupported.is_empty() {
            writeln!(f, "not understood")?;
        }
        for Unsupported { message, location: place, times } in &self.unsupported {
            let place = place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            writeln!(f, "  {place}{message}{times}")?;
        }
        Ok(())
    }
}
