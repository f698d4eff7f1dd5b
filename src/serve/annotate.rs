//! How an answer carries its paths: Extended DNS Errors for people, EDNS option 65001 for programs.
//!
//! Grammar of an EXTRA-TEXT: `key=value` pairs in this order, those that have no value left out.
//!
//! ```text
//! egress=<class> via=<id>[,<id>…] addr=<address>[,<address>][+N] from=<place> service=<service> reach=<reach>
//! hint=<REASON>[,<REASON>…]
//! ```

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::dns::{Ede, OptionCode, Query};
use crate::explain::{self, Explanation};
use crate::resolve::{AddressPath, Class, EgressPath, Occasion, Outcome};
use crate::world::{EdeMode, Vantage, World};

/// The EDNS option that carries paths for programs, out of the local range (RFC 6891 9).
pub const PATHS_OPTION: u16 = 65_001;

/// What the option's data begins with: a word that no other use of the code has, and a version.
pub const PATHS_MAGIC: &str = "plustwo/1 ";

/// How many distinct paths are told each in an EDE of its own.
const MAX_TOLD: usize = 4;

/// Room for most texts, in octets.
const USUAL_TEXT: usize = 192;

/// How many addresses of a path are told.
const MAX_ADDRESSES: usize = 2;

/// Whether a client is told paths although its query does not ask for them.
pub fn is_told_unasked(world: &World, peer: IpAddr) -> bool {
    world.annotate.ede == EdeMode::Always && is_told(world, peer)
}

/// Whether a client is told paths when its query asks for them.
pub fn is_told_asked(world: &World, peer: IpAddr) -> bool {
    world.annotate.ede != EdeMode::Off && is_told(world, peer)
}

/// Whether a query asks for paths.
pub fn asks(query: &Query) -> bool {
    query.edns.as_ref().is_some_and(|edns| edns.option(PATHS_OPTION).is_some())
}

/// The paths for people.
pub fn edes(world: &World, vantage: Vantage, outcome: &Outcome) -> Vec<Ede> {
    path_texts(world, vantage, outcome).into_iter().map(|text| Ede::new(Ede::OTHER, text)).collect()
}

/// The paths for programs, where a query asks for them and this client is told.
pub fn option(
    world: &World,
    vantage: Vantage,
    peer: IpAddr,
    query: &Query,
    outcome: &Outcome,
    occasion: Occasion,
) -> Option<(u16, Vec<u8>)> {
    if !asks(query) || !world.annotate.option || !is_told(world, peer) {
        return None;
    }
    let explanation = Explanation::of_answered(world, vantage, &query.question, outcome, occasion);
    let mut data = PATHS_MAGIC.to_owned();
    data.push_str(&explain::json::compact(&explanation));
    Some((PATHS_OPTION, data.into_bytes()))
}

/// Whether a client is told paths at all.
pub fn is_told(world: &World, peer: IpAddr) -> bool {
    world.annotate.to.iter().any(|prefix| prefix.contains(&peer))
}

/// One text for each distinct path, and one that counts the rest; for an answer without addresses one text
/// when a reason applies.
pub fn path_texts(world: &World, vantage: Vantage, outcome: &Outcome) -> Vec<String> {
    let from = world.place_name(vantage.place);
    let groups = grouped(&outcome.paths);
    if groups.is_empty() {
        if outcome.reasons.is_empty() {
            return Vec::new();
        }
        let mut text = format!("egress={} from={from}", Class::None.as_str());
        push_list(&mut text, " hint=", outcome.reasons.iter().map(|reason| reason.as_str()));
        return vec![text];
    }
    let mut texts: Vec<String> =
        groups.iter().take(MAX_TOLD).map(|(path, addresses)| text(world, &from, path, addresses)).collect();
    if groups.len() > MAX_TOLD {
        texts.push(format!("egress=more paths={} from={from}", groups.len() - MAX_TOLD));
    }
    texts
}

/// The distinct paths with their addresses, in the answer's order.
fn grouped(paths: &[AddressPath]) -> Vec<(&EgressPath, Vec<IpAddr>)> {
    let mut groups: Vec<(&EgressPath, Vec<IpAddr>)> = Vec::new();
    for one in paths {
        match groups.iter_mut().find(|(path, _)| path.is_told_as(&one.path)) {
            Some((_, addresses)) => addresses.push(one.address),
            None => groups.push((&one.path, vec![one.address])),
        }
    }
    for (_, addresses) in &mut groups {
        addresses.sort_unstable();
    }
    groups
}

fn text(world: &World, from: &str, path: &EgressPath, addresses: &[IpAddr]) -> String {
    let mut text = String::with_capacity(USUAL_TEXT);
    for part in ["egress=", path.class.as_str()] {
        text.push_str(part);
    }
    if !path.via.is_empty() {
        push_list(&mut text, " via=", path.via.iter().map(|id| &**id));
    }
    let mut before = " addr=";
    for address in addresses.iter().take(MAX_ADDRESSES) {
        text.push_str(before);
        // Writing into a String cannot fail.
        let _ = write!(text, "{address}");
        before = ",";
    }
    if addresses.len() > MAX_ADDRESSES {
        let _ = write!(text, "+{}", addresses.len() - MAX_ADDRESSES);
    }
    for part in [" from=", from] {
        text.push_str(part);
    }
    if let Some((endpoint, _)) = path.endpoint {
        for part in [" service=", &world.endpoints[endpoint].service] {
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

/// Appends a key and its values with commas between them.
fn push_list<'v>(text: &mut String, key: &str, values: impl Iterator<Item = &'v str>) {
    let mut before = key;
    for value in values {
        text.push_str(before);
        text.push_str(value);
        before = ",";
    }
}

/// The code is the project's own; the registry of option codes must not give it another meaning here.
const _: () = assert!(PATHS_OPTION != OptionCode::EDE && PATHS_OPTION >= 65_001);
