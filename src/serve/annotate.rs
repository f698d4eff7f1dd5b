//! Annotations: Extended DNS Errors for people, EDNS option 65001 for programs.
//!
//! Grammar of the EXTRA-TEXT: `key=value` pairs in this order; pairs without a value are omitted.
//!
//! ```text
//! egress=<class> via=<id>[,<id>…] addr=<address>[,<address>][+N] from=<place> service=<service> reach=<reach>
//! hint=<REASON>[,<REASON>…]
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::dns::{Ede, Query};
use crate::explain::{self, Explanation};
use crate::resolve::{AddressPath, Class, EgressPath, Outcome, QueryContext};
use crate::world::{EdeMode, Vantage, World};

/// The EDNS option that carries paths for programs, from the range for local/experimental use (RFC 6891
/// section 9).
pub const PATHS_OPTION: u16 = 65_001;

/// Prefix of the option's data: a word that identifies this use of the code, and a version.
pub const PATHS_MAGIC: &str = "plustwo/1 ";

/// Maximum number of distinct paths that are reported, each in an EDE of its own.
const MAX_PATH_EDES: usize = 4;

/// Initial capacity for a text, in octets.
const TYPICAL_TEXT_OCTETS: usize = 192;

/// Maximum number of addresses listed per path.
const MAX_ADDRESSES: usize = 2;

/// Whether a client's replies are annotated without a request.
pub fn annotates_by_default(world: &World, peer: IpAddr) -> bool {
    world.settings.annotate.ede == EdeMode::Always && may_receive_annotations(world, peer)
}

/// Whether a client's replies are annotated on request.
pub fn annotates_on_request(world: &World, peer: IpAddr) -> bool {
    world.settings.annotate.ede != EdeMode::Off && may_receive_annotations(world, peer)
}

/// Whether a query requests annotations.
pub fn requests_annotation(query: &Query) -> bool {
    query.edns.as_ref().is_some_and(|edns| edns.option(PATHS_OPTION).is_some())
}

/// The paths as Extended DNS Errors.
pub fn edes(world: &World, vantage: Vantage, outcome: &Outcome) -> Vec<Ede> {
    path_texts(world, vantage, outcome).into_iter().map(|text| Ede::new(Ede::OTHER, text)).collect()
}

/// The explanation as option 65001, if the query requests it and the client is allowed to receive it.
pub fn option(
    world: &World,
    vantage: Vantage,
    peer: IpAddr,
    query: &Query,
    outcome: &Outcome,
    context: QueryContext,
) -> Option<(u16, Vec<u8>)> {
    if !requests_annotation(query) || !world.settings.annotate.option || !may_receive_annotations(world, peer)
    {
        return None;
    }
    let explanation = Explanation::of_answered(world, vantage, &query.question, outcome, context);
    let mut data = PATHS_MAGIC.to_owned();
    data.push_str(&explain::json::compact(&explanation));
    Some((PATHS_OPTION, data.into_bytes()))
}

/// Whether a client is allowed to receive annotations.
pub fn may_receive_annotations(world: &World, peer: IpAddr) -> bool {
    world.settings.annotate.to.iter().any(|prefix| prefix.contains(&peer))
}

/// One text for each distinct path, and one with the number of the others; for an answer without addresses,
/// one text if there is a reason.
pub fn path_texts(world: &World, vantage: Vantage, outcome: &Outcome) -> Vec<String> {
    let from = world.network.place_name(vantage.place);
    let groups = grouped(&outcome.paths);
    if groups.is_empty() {
        if outcome.reasons.is_empty() {
            return Vec::new();
        }
        let mut text = format!("egress={} from={from}", Class::None.as_str());
        push_list(&mut text, " hint=", outcome.reasons.iter().map(|reason| reason.as_str()));
        return vec![text];
    }
    let mut texts: Vec<String> = groups
        .iter()
        .take(MAX_PATH_EDES)
        .map(|(path, addresses)| text(world, &from, path, addresses))
        .collect();
    if groups.len() > MAX_PATH_EDES {
        texts.push(format!("egress=more paths={} from={from}", groups.len() - MAX_PATH_EDES));
    }
    texts
}

/// The distinct paths with their addresses, in the order of the answer.
fn grouped(paths: &[AddressPath]) -> Vec<(&EgressPath, Vec<IpAddr>)> {
    let mut groups: Vec<(&EgressPath, Vec<IpAddr>)> = Vec::new();
    for address_path in paths {
        match groups.iter_mut().find(|(path, _)| path.has_same_annotation(&address_path.path)) {
            Some((_, addresses)) => addresses.push(address_path.address),
            None => groups.push((&address_path.path, vec![address_path.address])),
        }
    }
    for (_, addresses) in &mut groups {
        addresses.sort_unstable();
    }
    groups
}

fn text(world: &World, from: &str, path: &EgressPath, addresses: &[IpAddr]) -> String {
    let mut text = String::with_capacity(TYPICAL_TEXT_OCTETS);
    for part in ["egress=", path.class.as_str()] {
        text.push_str(part);
    }
    if !path.via.is_empty() {
        push_list(&mut text, " via=", path.via.iter().map(|id| &**id));
    }
    let mut separator = " addr=";
    for address in addresses.iter().take(MAX_ADDRESSES) {
        text.push_str(separator);
        // Writing to a String cannot fail.
        let _ = write!(text, "{address}");
        separator = ",";
    }
    if addresses.len() > MAX_ADDRESSES {
        let _ = write!(text, "+{}", addresses.len() - MAX_ADDRESSES);
    }
    for part in [" from=", from] {
        text.push_str(part);
    }
    if let Some((endpoint, _)) = path.endpoint {
        for part in [" service=", &world.network.endpoints[endpoint].service] {
            text.push_str(part);
        }
    }
    for part in [" reach=", path.reach.as_str()] {
        text.push_str(part);
    }
    if !path.reasons.is_empty() {
        push_list(&mut text, " hint=", path.reasons.iter().map(|reason| reason.as_str()));
    }
    text
}

/// Appends a key and its values, separated by commas.
fn push_list<'v>(text: &mut String, key: &str, values: impl Iterator<Item = &'v str>) {
    let mut separator = key;
    for value in values {
        text.push_str(separator);
        text.push_str(value);
        separator = ",";
    }
}

/// The code must be in the range for local and experimental use.
const _: () = assert!(PATHS_OPTION >= 65_001 && PATHS_OPTION <= 65_534);
