//! Keywords that select rows: the values of `--fail-on` and `--only`.

use super::bundle::BundleVerdict;
use super::row::{Row, Verdict};
use crate::config::correction;
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
    Suggestion(SuggestionKind),
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
        let suggestions = SuggestionKind::ALL.iter().copied().map(Self::Suggestion);
        let all = verdicts.chain(reaches).chain(classes.map(Self::Class)).chain(reasons).chain(suggestions);
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
            Self::Suggestion(change) => change.as_str(),
        }
    }

    /// Whether a row matches.
    pub fn matches(self, row: &Row) -> bool {
        match self {
            Self::Verdict(verdict) => row.verdict == verdict,
            Self::Bundle(_) => false,
            Self::Reach(reach) => {
                row.paths.iter().any(|path| path.path.reach == reach) || row.reach() == Some(reach)
            }
            Self::Class(class) => row.paths.iter().any(|path| path.path.class == class),
            Self::Reason(reason) => row.all_reasons().contains(&reason),
            Self::Suggestion(change) => row.suggestions.iter().any(|suggestions| suggestions.kind == change),
        }
    }

    /// Whether the verdict of a bundle matches.
    pub fn matches_bundle(self, verdict: BundleVerdict) -> bool {
        self.as_str() == verdict.as_str()
    }
}

impl std::str::FromStr for Keyword {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(keyword) = Self::all().find(|keyword| keyword.as_str() == text) {
            return Ok(keyword);
        }
        let known: Vec<&str> = Self::all().map(Self::as_str).collect();
        let other_case = known.iter().find(|keyword| keyword.eq_ignore_ascii_case(text));
        let correction = match other_case {
            Some(keyword) => format!("; did you mean `{keyword}`?"),
            None => correction(text, &known),
        };
        Err(format!("unknown verdict, reach, path class, reason or suggestion `{text}`{correction}"))
    }
}
