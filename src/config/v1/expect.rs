//! Expectations, verified by `plustwo check`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::source::Marked;
use crate::config::text::ExpectedLocation;
use crate::dns::{Name, Rcode, RecordType};

/// An expectation. Keys that are omitted are not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The location of the client: the ID of a subnet or site, `outside`, or an address.
    pub from: Marked<ExpectedLocation>,
    /// The query name.
    pub name: Marked<Name>,
    /// The record type. Default: A.
    #[serde(rename = "type")]
    pub record_type: Option<Marked<RecordType>>,
    /// The response code.
    pub rcode: Option<Marked<Rcode>>,
    /// The source of the answer, as in the metric label `source`: `endpoint`, `private-hosted-zone`,
    /// `public`, …
    pub source: Option<Marked<String>>,
    /// The addresses in the answer, in any order.
    pub addresses: Option<Vec<Marked<IpAddr>>>,
    /// The class of every path of the answer.
    pub path: Option<Marked<String>>,
    /// An ID that every path contains.
    pub via: Option<Marked<String>>,
    /// The reach of every path: `ok`, `blocked`, `dead` or `unknown`.
    pub reach: Option<Marked<String>>,
    /// A reason that the answer has.
    pub reason: Option<Marked<String>>,
}

impl Expect {
    /// Whether anything is expected.
    pub fn has_condition(&self) -> bool {
        // Exhaustive, so that a new condition must be considered.
        let Self { from: _, name: _, record_type: _, rcode, source, addresses, path, via, reach, reason } =
            self;
        let words = [source, path, via, reach, reason];
        rcode.is_some() || addresses.is_some() || words.into_iter().any(Option::is_some)
    }
}
