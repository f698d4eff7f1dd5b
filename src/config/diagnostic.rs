//! What is wrong with a configuration, told all at once, each with its place and what to do about it.

use std::fmt::{self, Write as _};

use super::source::{Mark, SourceMap};

/// Stable names of everything that can be wrong. The manual lists each with an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Code {
    /// The text is no TOML.
    Syntax,
    /// A file cannot be read.
    UnreadableFile,
    /// Files include each other in a circle, or too deep.
    IncludeLoop,
    /// A table that may stand once stands twice.
    DuplicateSection,
    /// A key that no table of this kind has.
    UnknownKey,
    /// A key that must be there is not.
    MissingKey,
    /// A value that cannot stand here.
    InvalidValue,
    /// Two objects have one id.
    DuplicateId,
    /// A name that nothing in the configuration declares.
    UnknownReference,
    /// A subnet outside its VPC, or an address outside its subnet.
    OutsideCidr,
    /// Two subnets, or two sites, that share addresses where they must not.
    OverlappingCidr,
    /// A subnet without a route table.
    NoRouteTable,
    /// Two routes of one table to one destination.
    DuplicateRoute,
    /// A prefix list whose entries nobody has told.
    UnknownPrefixList,
    /// An endpoint service whose private names nobody has confirmed.
    UnknownService,
    /// Private DNS that AWS's API would refuse.
    PrivateDnsRefused,
    /// Two claims on one name that AWS's API would refuse.
    ConflictingDomain,
    /// Something of another account that was not shared.
    NotShared,
    /// A record that cannot stand in its zone.
    InvalidRecord,
    /// A zone file with a mistake.
    ZoneFile,
    /// A private hosted zone that hides names which public DNS has.
    ZoneShadowsPublic,
    /// A listener that cannot be told apart from another, or has nothing to serve.
    Listener,
    /// A certificate or a private key that no TLS can be spoken with.
    Certificate,
    /// A listener that other hosts reach, without `server.allow`.
    BeyondLoopback,
    /// An admin address that other hosts reach, without `server.admin_hosts`.
    AdminBeyondLoopback,
    /// A place that only a bound listener could tell.
    AmbiguousPlace,
    /// A name server that leads back to this daemon.
    ForwardLoop,
    /// Something legal that will surprise.
    Surprising,
}

impl Code {
    /// The name as it is printed, in kebab-case.
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

/// Whether a finding stops the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It must be mended first.
    Error,
    /// It works, and may not be what was meant.
    Warning,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable name.
    pub code: Code,
    /// Whether it stops the configuration.
    pub severity: Severity,
    /// Where.
    pub mark: Mark,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
}

/// Everything found wrong with one configuration.
#[derive(Clone, Debug, Default)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// Tells an error.
    pub fn error(&mut self, code: Code, mark: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.add(code, Severity::Error, mark, message.into())
    }

    /// Tells a warning.
    pub fn warning(&mut self, code: Code, mark: Mark, message: impl Into<String>) -> &mut Diagnostic {
        self.add(code, Severity::Warning, mark, message.into())
    }

    fn add(&mut self, code: Code, severity: Severity, mark: Mark, message: String) -> &mut Diagnostic {
        let message = on_one_line(message);
        self.diagnostics.push(Diagnostic { code, severity, mark, message, help: None });
        let last = self.diagnostics.len() - 1;
        &mut self.diagnostics[last]
    }

    /// Whether anything stops the configuration from being used.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.severity == Severity::Error)
    }

    /// The findings in the order of their places.
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut all: Vec<&Diagnostic> = self.diagnostics.iter().collect();
        all.sort_by_key(|d| (d.mark, d.severity));
        all
    }

    /// How many errors there are.
    pub fn error_count(&self) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == Severity::Error).count()
    }

    /// How many warnings there are.
    pub fn warning_count(&self) -> usize {
        self.diagnostics.len() - self.error_count()
    }

    /// The whole report as text for a person, one block a finding, and a closing count.
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
    /// Adds how to mend it.
    pub fn help(&mut self, help: impl Into<String>) {
        self.help = Some(help.into());
    }

    /// The finding on one line: `file:line:column: error[code]: message`.
    pub fn headline(&self, sources: &SourceMap) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let rest = format!("{severity}[{}]: {}", self.code.as_str(), self.message);
        match sources.place(self.mark) {
            Some(p) => format!("{}:{}:{}: {rest}", p.path.display(), p.line, p.column),
            None => rest,
        }
    }
}

/// A message with what was written in it, of which a headline shows all: line breaks and the like are escaped.
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

/// A finding with the line it speaks of.
struct Rendered<'a> {
    diagnostic: &'a Diagnostic,
    sources: &'a SourceMap,
}

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.diagnostic.headline(self.sources))?;
        if let Some(place) = self.sources.place(self.diagnostic.mark) {
            let number = place.line.to_string();
            // Tabs are kept, so that the caret stands under what it means in any terminal.
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
