//! The differences between two worlds as text.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Style};

use super::diff::{DifferenceGroup, Differences, LocationPair};
use crate::config::count;
use crate::dns::RecordType;
use crate::world::MAX_SHOWN;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Maximum number of names of a group that are shown.
const NAMES_SHOWN: usize = 10;

/// Differences with colours, which are stripped when the output is not a terminal.
pub(crate) struct DiffReport<'a> {
    /// The differences.
    pub found: &'a Differences<'a>,
    /// Whether every name and every change is shown.
    pub shows_all: bool,
}

impl Display for DiffReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.found;
        for (places, which) in [(&found.only_before, "before"), (&found.only_after, "after")] {
            if !places.is_empty() {
                writeln!(f, "{BOLD}only {which}{BOLD:#}  {}", places.join(", "))?;
            }
        }
        for group in &found.groups {
            self.group(f, group)?;
        }
        let differing = found.groups.iter().map(|group| group.rows.len()).sum::<usize>();
        let scope = format!("{} from {}", count(found.queried, "question"), count(found.places, "location"));
        let unmatched = found.only_before.len() + found.only_after.len();
        let result = match (differing, unmatched) {
            (0, 0) => "no difference".to_owned(),
            (0, _) => format!("{} in only one network", count(unmatched, "location")),
            _ => format!("{}, {}", count(differing, "difference"), count(found.groups.len(), "group")),
        };
        writeln!(f, "{scope}: {result}; {} in the network", count(found.changes.len(), "change"))?;
        // Without differences, it matters whether anything was changed at all.
        if found.groups.is_empty() {
            self.changes(f, found.changes.iter())?;
        }
        for note in found.notes() {
            writeln!(f, "{DIM}note{DIM:#} {note}")?;
        }
        Ok(())
    }
}

impl DiffReport<'_> {
    fn group(&self, f: &mut fmt::Formatter<'_>, group: &DifferenceGroup) -> fmt::Result {
        let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
        let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
        let names = match &group.rows[..] {
            [one] => describe(one),
            rows => count(rows.len(), "name"),
        };
        writeln!(f, "{BOLD}{names}{BOLD:#} {DIM}from{DIM:#} {}", group.places.join(", "))?;
        writeln!(f, "  {red}-{red:#} {}", group.change.before)?;
        writeln!(f, "  {green}+{green:#} {}", group.change.after)?;
        match group.is_attributed {
            true => writeln!(f, "  {DIM}cause{DIM:#}")?,
            false => writeln!(f, "  {DIM}possible causes{DIM:#}")?,
        }
        self.changes(f, group.causes.iter())?;
        if group.rows.len() > 1 {
            writeln!(f, "  {DIM}names{DIM:#}")?;
            let most = if self.shows_all { usize::MAX } else { NAMES_SHOWN };
            for pair in group.rows.iter().take(most) {
                writeln!(f, "    {}", describe(pair))?;
            }
            if group.rows.len() > most {
                writeln!(f, "    … and {} more", group.rows.len() - most)?;
            }
        }
        writeln!(f)
    }

    fn changes<'c>(
        &self,
        f: &mut fmt::Formatter<'_>,
        changes: impl ExactSizeIterator<Item = &'c crate::world::Change>,
    ) -> fmt::Result {
        let (all, most) = (changes.len(), if self.shows_all { usize::MAX } else { MAX_SHOWN });
        for change in changes.take(most) {
            writeln!(f, "    {change}")?;
        }
        if all > most {
            writeln!(f, "    … and {} more", all - most)?;
        }
        Ok(())
    }
}

/// A name, with its type unless it is A.
fn describe(pair: &LocationPair) -> String {
    match pair.after.question.qtype {
        RecordType::A => pair.after.name(),
        other => format!("{} {other}", pair.after.name()),
    }
}
