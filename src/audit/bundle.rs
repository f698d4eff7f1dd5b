//! Bundles: names that are needed together, with one verdict for all of them.

use super::locations::LocationGroup;
use super::row::{Row, Verdict};
use super::survey::Survey;
use crate::aws::Region;
use crate::aws::bundles::Bundle;
use crate::dns::Name;
use crate::resolve::Reach;

/// The verdict of a bundle from one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BundleVerdict {
    /// Every name is reached privately.
    Private,
    /// Every name is reached publicly.
    Public,
    /// Some names are reached privately, others publicly.
    Mixed,
    /// A name has no address, or its traffic does not arrive.
    Broken,
    /// It is unknown whether a name is reached.
    Unknown,
}

impl BundleVerdict {
    /// All variants.
    pub const ALL: &'static [Self] = &[Self::Private, Self::Public, Self::Mixed, Self::Broken, Self::Unknown];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
            Self::Mixed => "mixed",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
        }
    }
}

/// A bundle in a region, as seen from one group of locations.
#[derive(Debug)]
pub(crate) struct BundleRow<'s> {
    /// The name of the bundle.
    pub bundle: &'s str,
    /// The region of its names.
    pub region: &'s Region,
    /// The verdict.
    pub verdict: BundleVerdict,
    /// The rows that determine the verdict: those that are broken, unknown or not private.
    pub because: Vec<&'s Row>,
}

/// The verdicts of each bundle in each region, from a group of locations.
pub(crate) fn verdicts<'s>(
    survey: &'s Survey<'_>,
    group: &LocationGroup,
    bundles: &[&'s Bundle],
    regions: &'s [Region],
) -> Vec<BundleRow<'s>> {
    let mut described = Vec::new();
    for bundle in bundles {
        for region in regions {
            let names: Vec<Name> =
                bundle.hosts(region).iter().filter_map(|host| Name::parse(host).ok()).collect();
            // If both record types are requested, a name may lack one of them.
            let has_address =
                |name: &Name| survey.rows(group).any(|row| row.question.qname == *name && row.has_address());
            let rows = survey.rows(group).filter(|row| names.contains(&row.question.qname));
            let counted: Vec<&Row> =
                rows.filter(|row| row.has_address() || !has_address(&row.question.qname)).collect();
            let (verdict, because) = judge(&counted);
            described.push(BundleRow { bundle: &bundle.name, region, verdict, because });
        }
    }
    described
}

fn judge<'s>(rows: &[&'s Row]) -> (BundleVerdict, Vec<&'s Row>) {
    let having = |wanted: &dyn Fn(&Row) -> bool| -> Vec<&'s Row> {
        rows.iter().copied().filter(|row| wanted(row)).collect()
    };
    let broken = having(&|row| matches!(row.reach(), None | Some(Reach::Dead | Reach::Blocked)));
    if !broken.is_empty() {
        return (BundleVerdict::Broken, broken);
    }
    let unknown = having(&|row| row.reach() == Some(Reach::Unknown));
    if !unknown.is_empty() {
        return (BundleVerdict::Unknown, unknown);
    }
    let public = having(&|row| row.verdict != Verdict::Private);
    let verdict = match public.len() {
        0 => BundleVerdict::Private,
        all if all == rows.len() && public.iter().all(|row| row.verdict == Verdict::Public) => {
            BundleVerdict::Public
        }
        _ => BundleVerdict::Mixed,
    };
    (verdict, public)
}
