//! The import report: what was read, converted and skipped, what is missing, and what is unsupported.
//!
//! The keys of the JSON format are a public interface; some of them differ from the field names.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::config::count;

/// The version of the JSON format.
const SCHEMA_VERSION: u32 = 1;

/// The result of importing a directory.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ImportReport {
    /// The objects that were read, by kind: the top-level key of their document, such as `Vpcs`.
    pub read: BTreeMap<String, ObjectSummary>,
    /// Objects that others refer to and that no document contains.
    pub missing: Vec<Missing>,
    /// Objects and features that might change answers and cannot be converted.
    #[serde(rename = "not_understood")]
    pub unsupported: Vec<Unsupported>,
}

/// The number of objects of one kind, by disposition.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ObjectSummary {
    /// The number of objects by file.
    pub files: BTreeMap<String, usize>,
    /// The number of converted objects.
    #[serde(rename = "written")]
    pub converted: usize,
    /// The number of skipped objects by reason.
    #[serde(rename = "left_out")]
    pub skipped: BTreeMap<String, usize>,
    /// The number of unsupported objects.
    #[serde(rename = "not_understood")]
    pub unsupported: usize,
}

impl ObjectSummary {
    /// Returns the total number of objects.
    pub fn total(&self) -> usize {
        self.files.values().sum()
    }
}

/// Something that no document contains.
#[derive(Clone, Debug, Serialize)]
pub struct Missing {
    /// What is missing, and what the conversion assumes instead.
    pub what: String,
    /// The command that supplies it.
    pub call: String,
}

/// Something that cannot be converted.
#[derive(Clone, Debug, Serialize)]
pub struct Unsupported {
    /// What it is.
    pub message: String,
    /// The location of its first occurrence.
    #[serde(rename = "place")]
    pub location: Option<String>,
    /// The number of occurrences.
    pub times: usize,
}

impl ImportReport {
    /// Returns the report as JSON, together with the diagnostics of the configuration.
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

    /// Returns a one-line summary, or `None` if nothing is missing or unsupported.
    pub fn summary(&self) -> Option<String> {
        let (missing, unsupported) = (self.missing.len(), self.unsupported.len());
        (missing + unsupported > 0).then(|| {
            format!("{}, {}", count(missing, "missing item"), count(unsupported, "unsupported item"))
        })
    }
}

/// Formats the report as text.
impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "read")?;
        for (kind, summary) in &self.read {
            let files: Vec<&str> = summary.files.keys().map(String::as_str).collect();
            let files = match files.as_slice() {
                few if few.len() <= 2 => few.join(", "),
                [first, rest @ ..] => format!("{first} and {} more files", rest.len()),
                [] => String::new(),
            };
            write!(f, "  {:>5} {kind} ({files}): {} converted", summary.total(), summary.converted)?;
            if summary.unsupported > 0 {
                write!(f, ", {} unsupported", summary.unsupported)?;
            }
            writeln!(f)?;
            for (why, times) in &summary.skipped {
                writeln!(f, "  {times:>5}   skipped: {why}")?;
            }
        }
        if !self.missing.is_empty() {
            writeln!(f, "missing")?;
        }
        for Missing { what, call } in &self.missing {
            writeln!(f, "  {what}\n    {call}")?;
        }
        if !self.unsupported.is_empty() {
            writeln!(f, "unsupported")?;
        }
        for Unsupported { message, location, times } in &self.unsupported {
            let location = location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default();
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            writeln!(f, "  {location}{message}{times}")?;
        }
        Ok(())
    }
}
