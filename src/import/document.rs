//! Splitting of a file into documents. Each is the JSON output of one AWS CLI command.
//!
//! ```text
//!  file ──► JSON values (one, several in sequence, or a list of pages) ──► documents
//!              └─► not JSON, output of a failed command, or empty ──► errors with locations
//! ```

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::directory::File;

/// The start of the message that the AWS CLI prints for a failed API call.
const ERROR_PREFIX: &str = "An error occurred (";

/// The maximum length, in characters, of quoted error output.
const MAX_ERROR_CHARS: usize = 200;

/// The maximum nesting depth of lists of pages.
const MAX_NESTED_PAGES: usize = 8;

/// The output of one command, or one page of it.
pub(super) struct Document<'f> {
    /// The index of its file.
    pub file: usize,
    /// The byte range of its first line in the file, for diagnostics.
    pub at: Range<usize>,
    /// Its top-level members, in document order.
    pub members: Vec<Member<'f>>,
    /// Whether it is an element of a list, as pages are.
    pub is_in_list: bool,
}

impl<'f> Document<'f> {
    /// Returns the value of a top-level key.
    pub(super) fn get(&self, key: &str) -> Option<&RawJson<'f>> {
        self.members.iter().find(|member| member.key == key).map(|member| &member.value)
    }
}

/// A top-level member of a document.
pub(super) struct Member<'f> {
    /// The key.
    pub key: String,
    /// The unparsed value.
    pub value: RawJson<'f>,
}

/// An unparsed JSON value with its location.
#[derive(Clone)]
pub(super) struct RawJson<'f> {
    /// The JSON text.
    pub text: &'f str,
    /// The byte offset of the text in its file.
    pub start: usize,
}

impl<'f> RawJson<'f> {
    /// Creates a value from a slice of `whole`, which starts at byte `start` of its file.
    fn within(value: &'f RawValue, whole: &'f str, start: usize) -> Self {
        let text = value.get();
        Self { text, start: start + (text.as_ptr() as usize - whole.as_ptr() as usize) }
    }

    /// Returns the byte range of its first line in the file.
    pub(super) fn range(&self) -> Range<usize> {
        // The first line is enough to recognise the value in a diagnostic.
        let first_line = self.text.find('\n').unwrap_or(self.text.len());
        self.start..self.start + first_line.max(1)
    }

    /// Returns whether it is an object.
    pub(super) fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    /// Returns the elements of an array, or `None` if it is not an array. `null` counts as an empty array,
    /// since some tools write `null` instead of an empty list.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        if self.text == "null" {
            return Some(Vec::new());
        }
        let items: Vec<&'f RawValue> = serde_json::from_str(self.text).ok()?;
        Some(items.into_iter().map(|item| Self::within(item, self.text, self.start)).collect())
    }

    /// Returns the members of an object, or `None` if it is not an object.
    pub(super) fn members(&self) -> Option<Vec<Member<'f>>> {
        let Members(members) = serde_json::from_str(self.text).ok()?;
        let member = |(key, value)| Member { key, value: Self::within(value, self.text, self.start) };
        Some(members.into_iter().map(member).collect())
    }
}

/// The members of an object in document order, with unparsed values.
struct Members<'f>(Vec<(String, &'f RawValue)>);

impl<'de: 'f, 'f> Deserialize<'de> for Members<'f> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'f>(std::marker::PhantomData<&'f ()>);
        impl<'de: 'f, 'f> serde::de::Visitor<'de> for Visitor<'f> {
            type Value = Members<'f>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'f>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// An error in a file.
pub(super) struct DocumentError {
    /// The index of the file.
    pub file: usize,
    /// The byte range in the file.
    pub at: Range<usize>,
    /// The message.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

/// The contents of a file.
pub(super) enum Contents<'f> {
    /// Documents in file order.
    Documents(Vec<Document<'f>>),
    /// Something other than JSON output of the AWS CLI, such as a README.
    Other,
    /// A file that should contain documents, but is invalid.
    Invalid(DocumentError),
}

/// Reads the documents of a file. `index` is the index of the file.
pub(super) fn read(file: &File, index: usize) -> Contents<'_> {
    let extension = file.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_expected_json = matches!(extension.as_str(), "" | "json");
    let invalid = |at: Range<usize>, message: &str, help: Option<&str>| {
        let (message, help) = (message.to_owned(), help.map(str::to_owned));
        Contents::Invalid(DocumentError { file: index, at, message, help })
    };
    let text = file.text.as_str();
    if !file.is_text {
        let help = "save the file as UTF-8, or as UTF-16 with a byte order mark";
        return if is_expected_json {
            invalid(text.len()..text.len(), "invalid UTF-8 or UTF-16 text", Some(help))
        } else {
            Contents::Other
        };
    }
    // A byte order mark, which some editors and shells write.
    let bom_len = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let trimmed = text[bom_len..].trim_start();
    let start = text.len() - trimmed.len();
    if trimmed.is_empty() {
        let help =
            "run the command again and check its standard error: a failed command leaves an empty file";
        return if is_expected_json { invalid(0..0, "empty file", Some(help)) } else { Contents::Other };
    }
    if let Some(line) = text.lines().find(|line| line.contains(ERROR_PREFIX)) {
        // The message may also be part of a JSON value, such as a description.
        let is_error_output = trimmed.starts_with(line.trim()) || !trimmed.starts_with(['{', '[']);
        if is_error_output {
            return Contents::Invalid(failed_call_error(
                line,
                line.as_ptr() as usize - text.as_ptr() as usize,
                index,
            ));
        }
    }
    if !trimmed.starts_with(['{', '[']) {
        let help = "use the output of `aws … --output json`";
        return if is_expected_json {
            invalid(start..start + 1, "invalid JSON", Some(help))
        } else {
            Contents::Other
        };
    }
    match parse_documents(trimmed, start, index) {
        Ok(documents) => Contents::Documents(documents),
        Err(error) => Contents::Invalid(error),
    }
}

/// Creates the error for a line that the AWS CLI printed for a failed call. The line starts at byte `start`
/// of its file.
fn failed_call_error(line: &str, start: usize, file: usize) -> DocumentError {
    let message = format!("output of a failed command: {}", line.trim());
    DocumentError {
        file,
        at: start..start + line.len(),
        message,
        help: Some(failed_call_help(line).to_owned()),
    }
}

/// Returns the help for a failed call, by its error message.
fn failed_call_help(message: &str) -> &'static str {
    if message.contains("Throttl") || message.contains("RequestLimitExceeded") {
        "run the command again later, or with `AWS_RETRY_MODE=adaptive`"
    } else if message.contains("Unauthorized") || message.contains("AccessDenied") {
        "run the command with the required permission, or remove the file: the report then lists what is missing"
    } else {
        "run the command again, or remove the file: the report then lists what is missing"
    }
}

/// Parses the documents of a text that starts at byte `start` of its file.
fn parse_documents(text: &str, start: usize, file: usize) -> Result<Vec<Document<'_>>, DocumentError> {
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match value {
            Ok(value) => collect_documents(RawJson::within(value, text, start), file, 0, &mut documents)?,
            Err(error) => {
                let at = start + byte_offset(text, error.line(), error.column());
                let rest = text.get(at - start..).unwrap_or_default();
                // Standard output and standard error may have been redirected to the same file.
                if let Some(line) = rest.lines().next().filter(|line| line.starts_with(ERROR_PREFIX)) {
                    return Err(failed_call_error(line, at, file));
                }
                let is_truncated = error.is_eof();
                let reason = error.to_string();
                let reason = reason.split(" at line ").next().unwrap_or_default();
                let message = if is_truncated {
                    format!("unexpected end of document: {reason}")
                } else {
                    format!("invalid JSON: {reason}")
                };
                let help = is_truncated.then(|| "run the command again: its output is incomplete".to_owned());
                return Err(DocumentError { file, at: at..at + 1, message, help });
            }
        }
    }
    Ok(documents)
}

/// Adds a value to `documents`: an object as a document, an array as a list of pages.
fn collect_documents<'f>(
    value: RawJson<'f>,
    file: usize,
    depth: usize,
    documents: &mut Vec<Document<'f>>,
) -> Result<(), DocumentError> {
    if let Some(pages) = value.items().filter(|_| depth < MAX_NESTED_PAGES) {
        return pages.into_iter().try_for_each(|page| collect_documents(page, file, depth + 1, documents));
    }
    let at = value.range();
    let Some(members) = value.members() else {
        let message = "expected a JSON object".to_owned();
        let help = "use the output of `aws … --output json` without `--query`".to_owned();
        return Err(DocumentError { file, at, message, help: Some(help) });
    };
    let is_error = |member: &&Member<'_>| {
        // Some successful commands print an empty list of errors.
        let is_empty = || member.value.items().is_some_and(|all| all.is_empty());
        matches!(member.key.as_str(), "Error" | "Errors" | "__type") && !is_empty()
    };
    if let Some(error) = members.iter().find(is_error) {
        let output = error.value.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let output: String = output.chars().take(MAX_ERROR_CHARS).collect();
        let message = format!("output of a failed command: {output}");
        let help = failed_call_help(&output).to_owned();
        return Err(DocumentError { file, at: error.value.range(), message, help: Some(help) });
    }
    documents.push(Document { file, at, members, is_in_list: depth > 0 });
    Ok(())
}

/// Converts a line and column reported by serde_json to a byte offset.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}
