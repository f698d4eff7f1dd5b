//! A file's text to documents: what one call of the AWS CLI printed.
//!
//! ```text
//!  file ──► JSON values (one, several after each other, or a list of pages) ──► documents
//!              └─► no JSON, an error's text, nothing at all ──► mistakes, each with its place
//! ```

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::folder::File;

/// How the AWS CLI tells of a failed call.
const ERROR_PREFIX: &str = "An error occurred (";

/// How much of an error's text is told, in characters.
const MAX_ERROR_CHARS: usize = 200;

/// How deep lists of pages may lie in lists.
const MAX_NESTED_PAGES: usize = 8;

/// What one call printed, or one page of it.
pub struct Document<'f> {
    /// The file it stands in, by its number.
    pub file: usize,
    /// Where it stands in the file.
    pub at: Range<usize>,
    /// Its top-level keys with their values, in their order.
    pub members: Vec<Member<'f>>,
    /// Whether it stands in a list, as pages do.
    pub is_in_list: bool,
}

impl<'f> Document<'f> {
    /// What stands under a top-level key.
    pub fn get(&self, key: &str) -> Option<&RawJson<'f>> {
        self.members.iter().find(|member| member.key == key).map(|member| &member.value)
    }
}

/// A top-level key of a document.
pub struct Member<'f> {
    /// The key.
    pub key: String,
    /// Its value as written.
    pub value: RawJson<'f>,
}

/// A JSON value as written, with its place.
#[derive(Clone)]
pub struct RawJson<'f> {
    /// Its text.
    pub text: &'f str,
    /// Where it begins in its file.
    pub start: usize,
}

impl<'f> RawJson<'f> {
    /// A value that was read out of `whole`, which begins in its file at `start`.
    fn within(value: &'f RawValue, whole: &'f str, start: usize) -> Self {
        let text = value.get();
        Self { text, start: start + (text.as_ptr() as usize - whole.as_ptr() as usize) }
    }

    /// Where it stands in its file.
    pub fn range(&self) -> Range<usize> {
        // The first line says which one it is.
        let first_line = self.text.find('\n').unwrap_or(self.text.len());
        self.start..self.start + first_line.max(1)
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.text.starts_with('{')
    }

    /// The items of a list; `None` for what is no list. Some tools write `null` for an empty one.
    pub fn items(&self) -> Option<Vec<Self>> {
        if self.text == "null" {
            return Some(Vec::new());
        }
        let items: Vec<&'f RawValue> = serde_json::from_str(self.text).ok()?;
        Some(items.into_iter().map(|item| Self::within(item, self.text, self.start)).collect())
    }

    /// The members of an object; `None` for what is no object.
    pub fn members(&self) -> Option<Vec<Member<'f>>> {
        let Members(members) = serde_json::from_str(self.text).ok()?;
        let member = |(key, value)| Member { key, value: Self::within(value, self.text, self.start) };
        Some(members.into_iter().map(member).collect())
    }
}

/// The members of an object in their order, values as written.
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

/// Something wrong with a file, where it stands.
pub struct DocumentError {
    /// The file, by its number.
    pub file: usize,
    /// Where in it.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

/// What a file is.
pub enum Contents<'f> {
    /// Documents, in their order.
    Documents(Vec<Document<'f>>),
    /// Nothing that the AWS CLI prints as JSON, such as a readme.
    Other,
    /// It should be documents and is not.
    Invalid(DocumentError),
}

/// Reads the documents of a file.
pub fn read(file: &File, number: usize) -> Contents<'_> {
    let extension = file.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_meant = matches!(extension.as_str(), "" | "json");
    let wrong = |at: Range<usize>, message: &str, help: Option<&str>| {
        let (message, help) = (message.to_owned(), help.map(str::to_owned));
        Contents::Invalid(DocumentError { file: number, at, message, help })
    };
    let text = file.text.as_str();
    if !file.is_text {
        let help = "documents are text in UTF-8, or in UTF-16 with its mark";
        return if is_meant {
            wrong(text.len()..text.len(), "from here on this is no text", Some(help))
        } else {
            Contents::Other
        };
    }
    // A mark of the order of octets, which some editors and shells write.
    let skipped = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let trimmed = text[skipped..].trim_start();
    let start = text.len() - trimmed.len();
    if trimmed.is_empty() {
        let help = "a call that failed leaves one: make it again and read what it says on standard error";
        return if is_meant { wrong(0..0, "this file is empty", Some(help)) } else { Contents::Other };
    }
    if let Some(line) = text.lines().find(|line| line.contains(ERROR_PREFIX)) {
        let begins_so = trimmed.starts_with(line.trim()) || !trimmed.starts_with(['{', '[']);
        if begins_so {
            return Contents::Invalid(failed_call_error(
                line,
                line.as_ptr() as usize - text.as_ptr() as usize,
                number,
            ));
        }
    }
    if !trimmed.starts_with(['{', '[']) {
        let help = "documents are what `aws … --output json` prints";
        return if is_meant {
            wrong(start..start + 1, "this is no JSON", Some(help))
        } else {
            Contents::Other
        };
    }
    match documents(trimmed, start, number) {
        Ok(documents) => Contents::Documents(documents),
        Err(mistake) => Contents::Invalid(mistake),
    }
}

/// A line that the AWS CLI tells of a failed call, which begins in its file at `start`.
fn failed_call_error(line: &str, start: usize, file: usize) -> DocumentError {
    let message = format!("this is an error's text and no document: {}", line.trim());
    DocumentError { file, at: start..start + line.len(), message, help: Some(failed_call_help(line).to_owned()) }
}

/// What to do about a call that failed.
fn failed_call_help(told: &str) -> &'static str {
    if told.contains("Throttl") || told.contains("RequestLimitExceeded") {
        "make the call again, later or with AWS_RETRY_MODE=adaptive"
    } else if told.contains("Unauthorized") || told.contains("AccessDenied") {
        "make the call with the right to it, or take the file away: the report then says what is missing"
    } else {
        "make the call again, or take the file away: the report then says what is missing"
    }
}

/// The documents of a text that begins in its file at `start`.
fn documents(text: &str, start: usize, file: usize) -> Result<Vec<Document<'_>>, DocumentError> {
    let mut found = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        match value {
            Ok(value) => collect_documents(RawJson::within(value, text, start), file, 0, &mut found)?,
            Err(error) => {
                let at = start + byte_offset(text, error.line(), error.column());
                let rest = text.get(at - start..).unwrap_or_default();
                // Both of what a call told may have gone into the file.
                if let Some(line) = rest.lines().next().filter(|line| line.starts_with(ERROR_PREFIX)) {
                    return Err(failed_call_error(line, at, file));
                }
                let cut = error.is_eof();
                let told = error.to_string();
                let told = told.split(" at line ").next().unwrap_or_default();
                let message = if cut {
                    format!("the document ends too early: {told}")
                } else {
                    format!("this is no JSON: {told}")
                };
                let help = cut.then(|| "the call was cut off while it was written: make it again".to_owned());
                return Err(DocumentError { file, at: at..at + 1, message, help });
            }
        }
    }
    Ok(found)
}

/// Takes a value as a document, or as a list of pages.
fn collect_documents<'f>(
    value: RawJson<'f>,
    file: usize,
    depth: usize,
    found: &mut Vec<Document<'f>>,
) -> Result<(), DocumentError> {
    if let Some(pages) = value.items().filter(|_| depth < MAX_NESTED_PAGES) {
        return pages.into_iter().try_for_each(|page| collect_documents(page, file, depth + 1, found));
    }
    let at = value.range();
    let Some(members) = value.members() else {
        let message = "a document is an object, and this is none".to_owned();
        let help = "documents are what `aws … --output json` prints without `--query`".to_owned();
        return Err(DocumentError { file, at, message, help: Some(help) });
    };
    let tells_an_error = |member: &&Member<'_>| {
        let says_nothing = || member.value.items().is_some_and(|all| all.is_empty());
        matches!(member.key.as_str(), "Error" | "Errors" | "__type") && !says_nothing()
    };
    if let Some(error) = members.iter().find(tells_an_error) {
        let told = error.value.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told: String = told.chars().take(MAX_ERROR_CHARS).collect();
        let message = format!("this is an error's text and no document: {told}");
        let help = failed_call_help(&told).to_owned();
        return Err(DocumentError { file, at: error.value.range(), message, help: Some(help) });
    }
    found.push(Document { file, at, members, is_in_list: depth > 0 });
    Ok(())
}

/// The octet that a line and a column of serde_json stand for.
fn byte_offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}
