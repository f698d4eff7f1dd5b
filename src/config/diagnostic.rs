//! Diagnostics of a configuration: all in one report, each with its position and help.

use std::fmt::{self, Write as _};

use super::source::{Mark, SourceMap};

/// Stable codes of diagnostics. The manual has an example of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// Invalid TOML.
    Syntax,
    /// A file cannot be read.
    UnreadableFile,
    /// Files include each other in a cycle, or too deeply.
    IncludeLoop,
    /// A table that may occur once occurs twice.
    DuplicateSection,
    /// A key that this table does not have.
    UnknownKey,
    /// A required key is missing.
    MissingKey,
    /// A value that is not valid for its key.
    InvalidValue,
    /// Two objects have the same ID.
    DuplicateId,
    /// A reference to something that is not configured.
    UnknownReference,
    /// A subnet outside its VPC, or an address outside its subnet.
    OutsideCidr,
    /// Two subnets, or two sites, with overlapping addresses.
    OverlappingCidr,
    /// A subnet without a route table.
    NoRouteTable,
    /// Two routes of one table for the same destination.
    DuplicateRoute,
    /// A prefix list without known entries.
    UnknownPrefixList,
    /// An endpoint service whose private DNS names are not known.
    UnknownService,
    /// Private DNS that AWS's API would reject.
    PrivateDnsRefused,
    /// Two claims on the same name that AWS's API would reject.
    ConflictingDomain,
    /// An object of another account that is not shared.
    NotShared,
    /// A record that is not valid in its zone.
    InvalidRecord,
    /// An error in a zone file.
    ZoneFile,
    /// A private hosted zone that hides names of public DNS.
    ZoneShadowsPublic,
    /// A listener that conflicts with another one or is incomplete.
    Listener,
    /// A certificate or private key that is not usable for TLS.
    Certificate,
    /// A listener that other hosts can reach, without `server.allow`.
    BeyondLoopback,
    /// An admin address that other hosts can reach, without `server.admin_hosts`.
    AdminBeyondLoopback,
    /// A location that can be determined only by a listener with a view.
    AmbiguousPlace,
    /// A name server that is a listener of this daemon.
    ForwardLoop,
    /// A valid configuration that is probably not intended.
    Surprising,
}

impl Code {
    /// The code as it is printed, in kebab-case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Syntax => "syntax",
            Self::UnreadableFile => "unreadable-file",
            Self::IncludeLoop => "include-loop",
            Self::DuplicateSection => "duplicate-section",
            Self::UnknownKey => "unknown-key",
            Self::MissingKey => "missing-key",
            Self::InvalidValue => "invalid-value",
            Self::DuplicateId => "duplicate-id",
            Self::UnknownReference => "unknown-reference",
            Self::OutsideCidr => "outside-cidr",
            Self::OverlappingCidr => "overlapping-cidr",
            Self::NoRouteTable => "no-route-table",
            Self::DuplicateRoute => "duplicate-route",
            Self::UnknownPrefixList => "unknown-prefix-list",
            Self::UnknownService => "unknown-service",
            Self::PrivateDnsRefused => "private-dns-refused",
            Self::NotShared => "not-shared",
            Self::ConflictingDomain => "conflicting-domain",
            Self::InvalidRecord => "invalid-record",
            Self::ZoneFile => "zone-file",
            Self::ZoneShadowsPublic => "zone-shadows-public",
            Self::Listener => "listener",
            Self::Certificate => "certificate",
            Self::BeyondLoopback => "beyond-loopback",
            Self::AdminBeyondLoopback => "admin-beyond-loopback",
            Self::AmbiguousPlace => "ambiguous-place",
            Self::ForwardLoop => "forward-loop",
            Self::Surprising => "surprising",
        }
    }
}

/// The severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used but may not be what was intended.
    Warning,
}

/// A diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// Its severity.
    pub severity: Severity,
    /// Its position.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
}

/// All diagnostics of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Adds an error.
    pub fn error(&mut self, code: Code, mark: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.add(code, Severity::Error, mark, message.into())
    }

    /// Adds a warning.
    pub fn warning(&mut self, code: Code, mark: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.add(code, Severity::Warning, mark, message.into())
    }

    fn add(&mut self, code: Code, severity: Severity, mark: Mark, message: String) -> &mut Diagnostic {
        let message = on_one_line(message);
        self.diagnostics.push(Diagnostic { code, severity, mark, message, help: None });
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Whether there is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// The diagnostics in the order of their positions.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        all.sort_by_key(|d| (d.mark, d.severity));
        all
    }

    /// Number of errors.
    pub fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// Number of warnings.
    pub fn warning_count(&self) -> usize {
        self.diagnostics.len() - self.error_count()
    }

    /// The complete report as text, one block per diagnostic, followed by a summary.
    pub fn render(&self, sources: &SourceMap) -> String {
        let mut out = String::new();
        for diagnostic in self.sorted() {
            let _ = writeln!(out, "{}", Rendered { diagnostic, sources });
        }
        let _ = writeln!(out, "{}", self.summary());
        out
    }

    /// "2 errors, 1 warning".
    pub fn summary(&self) -> String {
        match (self.error_count(), self.warning_count()) {
            (0, 0) => "no errors".to_owned(),
            (errors, 0) => count(errors, "error"),
            (0, warnings) => count(warnings, "warning"),
            (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
        }
    }
}

impl Diagnostic {
    /// Adds help.
    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// The diagnostic on one line: `file:line:column: error[code]: message`.
    pub fn headline(&self, sources: &SourceMap) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let rest = format!("{severity}[{}]: {}", self.code.as_str(), self.message);
        match sources.position(self.mark) {
            Some(p) => format!("{}:{}:{}: {rest}", p.path.display(), p.line, p.column),
            None => rest,
        }
    }
}

/// Escapes line breaks and control characters in a message, which may quote the configuration.
fn on_one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len());
    for c in message.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// "1 error", "2 errors".
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A diagnostic with the line that it refers to.
struct Rendered<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.diagnostic.headline(self.sources))?;
        if let Some(place) = self.sources.position(self.diagnostic.mark) {
            let number = place.line.to_string();
            // Tabs are kept, so that the caret is aligned in any terminal.
            let before = place.text.chars().take(place.column - 1);
            let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            writeln!(f, " {number} | {}", place.text)?;
            writeln!(f, " {:width$} | {indent}{}", "", "^".repeat(place.width), width = number.len())?;
        }
        if let Some(help) = &self.diagnostic.help {
            writeln!(f, "   help: {help}")?;
        }
        Ok(())
    }
}
