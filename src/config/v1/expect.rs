//! What a user expects of a configuration, checked by `plustwo check`.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::source::Marked;
use crate::config::text::ExpectedLocation;
use crate::dns::{Name, Rcode, RecordType};

/// One expectation. What is not said is not checked.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Who asks: a subnet's id, a site's id, `outside`, or an address.
    pub from: Marked<ExpectedLocation>,
    /// The name that is asked for.
    pub name: Marked<Name>,
    /// The record type; A unless said.
    #[serde(rename = "type")]
    pub record_type: Option<Marked<RecordType>>,
    /// The response code.
    pub rcode: Option<Marked<Rcode>>,
    /// What answers, as the metric label `source` has it: `endpoint`, `private-hosted-zone`, `public`, …
    pub source: Option<Marked<String>>,
    /// The addresses of the answer, in any order.
    pub addresses: Option<Vec<Marked<IpAddr>>>,
    /// The class of every path of the answer.
    pub path: Option<Marked<String>>,
    /// An id that every path goes by.
    pub via: Option<Marked<String>>,
    /// The reach of every path: `ok`, `blocked`, `dead` or `unknown`.
    pub reach: Option<Marked<String>>,
    /// A reason that the answer carries.
    pub reason: Option<Marked<String>>,
}
