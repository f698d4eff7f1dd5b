//! Keywords that select rows: the values of `--fail-on` and `--only`.

use super::bundle::BundleVerdict;
use super::row::{Row, Verdict};
use crate::config::nearest;
use crate::explain::SuggestionKind;
use crate::resolve::{Class, Reach, Reason};

/// A keyword of a row, or of the verdict of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyword {
    /// A verdict.
    Verdict(Verdict),
    /// A bundle verdict that rows do not have.
    Bundle(BundleVerdict),
    /// The reach of a path.
    Reach(Reach),
    /// The class of a path.
    Class(Class),
    /// A reason.
    Reason(Reason),
    /// A suggestion.
    Missed(SuggestionKind),
}

impl Keyword {
    /// All keywords. One that is both a class and a verdict or reach is the latter.
    pub fn all() -> impl Iterator<Item = Self> {
        let verdicts = Verdict::ALL.iter().copied().map(Self::Verdict);
        let bundles = BundleVerdict::ALL.iter().copied().map(Self::Bundle);
        let reaches = Reach::ALL.iter().copied().map(Self::Reach);
        let classes =
            Class::ALL.iter().copied().filter(|class| !matches!(class, Class::Unknown | Class::None));
        let reasons = Reason::ALL.iter().copied().map(Self::Reason);
        let missed = SuggestionKind::ALL.iter().copied().map(Self::Missed);
        let all = verdicts.chain(reaches).chain(classes.map(Self::Class)).chain(reasons).chain(missed);
        all.chain(bundles)
    }

    /// Its spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verdict(verdict) => verdict.as_str(),
            Self::Bundle(verdict) => verdict.as_str(),
            Self::Reach(reach) => reach.as_str(),
            Self::Class(class) => class.as_str(),
            Self::Reason(reason) => reason.as_str(),
            Self::Missed(change) => change.as_str(),
        }
    }

    /// Whether a row matches.
    pub fn is_of(self, row: &Row) -> bool {
        match self {
            Self::Verdict(verdict) => row.verdict == verdict,
            Self::Bundle(_) => false,
            Self::Reach(reach) => {
                row.ways.iter().any(|way| way.path.reach == reach) || row.reach() == Some(reach)
            }
            Self::Class(class) => row.ways.iter().any(|way| way.path.class == class),
            Self::Reason(reason) => row.all_reasons().contains(&reason),
            Self::Missed(change) => row.missed.iter().any(|missed| missed.kind == change),
        }
    }

    /// Whether the verdict of a bundle matches.
    pub fn is_of_bundle(self, verdict: BundleVerdict) -> bool {
        self.as_str() == verdict.as_str()
    }
}

impl std::str::FromStr for Keyword {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(word) = Self::all().find(|word| word.as_str() == text) {
            return Ok(word);
        }
        let known: Vec<&str> = Self::all().map(Self::as_str).collect();
        let otherwise_written = known.iter().copied().find(|word| word.eq_ignore_ascii_case(text));
        let near = otherwise_written.or_else(|| nearest(text, &known));
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        Err(format!(
            "there is no verdict, reach, path class, reason or missed change `{text}`{}",
            near.unwrap_or_default()
        ))
    }
}
