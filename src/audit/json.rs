//! Audits and differences as JSON.

use serde_json::{Value, json};

use super::bundle::{self, BundleRow};
use super::cost::{self, Cost};
use super::keyword::Keyword;
use super::row::{PathCell, Row};
use super::survey::Survey;
use super::table::{is_shown, notes};
use crate::aws::Region;
use crate::aws::bundles::Bundle;
use crate::aws::prices::{Prices, PricingUnit};

/// The version of the format. It increases when a key changes its meaning or is removed.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// A complete audit.
pub(crate) fn audit(
    survey: &Survey<'_>,
    regions: &[Region],
    bundles: &[&Bundle],
    only: &[Keyword],
    prices: &Prices,
) -> Value {
    let groups: Vec<Value> = survey
        .groups
        .iter()
        .map(|group| {
            let locations = group.locations.iter().map(|location| {
                json!({
                    "place": &*location.place,
                    "prefixes": location.prefixes,
                    "resolver": &*survey.world.names.views[location.vantage.view].name,
                })
            });
            let rows = survey.rows(group).filter(|row| is_shown(row, only)).map(|row| one(row, prices));
            let mut value =
                json!({ "places": locations.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>() });
            if !bundles.is_empty() {
                let verdicts = bundle::verdicts(survey, group, bundles, regions);
                value["bundles"] = verdicts.iter().map(bundle_row).collect();
            }
            value
        })
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "regions": regions.iter().map(Region::as_str).collect::<Vec<_>>(),
        "names": survey.questions.len(),
        "groups": groups,
        "prices_of": prices.newest_date(),
        "notes": notes(survey),
    })
}

fn bundle_row(row: &BundleRow<'_>) -> Value {
    json!({
        "bundle": row.bundle,
        "region": row.region.as_str(),
        "verdict": row.verdict.as_str(),
        "because": row.because.iter().map(|row| row.name()).collect::<Vec<_>>(),
    })
}

/// A row. Without prices if they are not requested.
fn one(row: &Row, prices: &Prices) -> Value {
    json!({
        "name": row.name(),
        "type": row.question.qtype.to_string(),
        "verdict": row.verdict.as_str(),
        "source": row.source.as_str(),
        "claim": row.claim.as_ref().map(|(kind, id)| json!({ "kind": kind, "id": &**id, "profile": row.profile.as_deref() })),
        "rcode": row.rcode.to_string(),
        "records": row.records,
        "ways": row.paths.iter().map(|path| path_value(path, prices)).collect::<Vec<_>>(),
        "reasons": row.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
        "suggestions": row.suggestions.iter().map(|it| json!({
            "reason": it.kind.as_str(),
            "id": it.id,
        })).collect::<Vec<_>>(),
    })
}

fn path_value(path: &PathCell, prices: &Prices) -> Value {
    json!({
        "addresses": path.addresses,
        "verdict": path.verdict.as_str(),
        "class": path.path.class.as_str(),
        "via": path.path.via.iter().map(|id| &**id).collect::<Vec<_>>(),
        "reach": path.path.reach.as_str(),
        "reasons": path.path.reasons.iter().map(|reason| reason.as_str()).collect::<Vec<_>>(),
        "destination": path.destinations,
        "cost": cost::describe(&path.costs, &path.path),
        "charges": path.costs.iter().map(|cost| charge(cost, prices)).collect::<Vec<_>>(),
    })
}

fn charge(cost: &Cost, prices: &Prices) -> Value {
    let price = |unit| prices.find(&cost.region, cost.charge, unit);
    let dates =
        [PricingUnit::Hour, PricingUnit::Gb].into_iter().filter_map(price).map(|price| price.date.as_str());
    json!({
        "charge": cost.charge.as_str(),
        "region": cost.region.as_str(),
        // Decimal strings, because binary fractions would be inexact.
        "usd_hour": price(PricingUnit::Hour).map(|price| &price.usd),
        "usd_gb": price(PricingUnit::Gb).map(|price| &price.usd),
        "price_of": dates.min(),
    })
}

/// The differences between two worlds.
pub(crate) fn diff(found: &super::diff::Differences<'_>) -> Value {
    let side = |row: Option<&Row>| row.map(|row| one(row, &Prices::default()));
    let groups = found.groups.iter().map(|group| {
        json!({
            "places": group.places,
            "before": group.change.before,
            "after": group.change.after,
            "names": group.rows.iter().map(|pair| json!({
                "name": pair.after.name(),
                "type": pair.after.question.qtype.to_string(),
                "before": side(Some(&pair.before)),
                "after": side(Some(&pair.after)),
            })).collect::<Vec<_>>(),
            "is_attributed": group.is_attributed,
            "causes": group.causes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "only_before": found.only_before,
        "only_after": found.only_after,
        "changes": found.changes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "names": found.queried,
        "notes": found.notes(),
    })
}
