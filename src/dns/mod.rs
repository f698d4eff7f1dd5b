//! DNS protocol layer: names, records and messages, independent of how answers are decided.
//!
//! Everything here is a plain value or a pure function. Nothing performs I/O, and nothing panics
//! on octets received from the network.
//!
//! - [`name`] and [`suffix_map`]: domain names, and longest-suffix match over them.
//! - [`code`]: record types, classes, rcodes and opcodes.
//! - [`rdata`], with `presentation`, `rdata_format` and `svcb` behind it: the data of a record
//!   in wire form and presentation form.
//! - [`zone_file`]: master files (RFC 1035 5).
//! - [`special_use`]: special-use names and locally served zones.
//! - [`reverse`]: names under `in-addr.arpa` and `ip6.arpa`.
//! - [`answer`]: RRsets and the content of a reply.
//! - [`edns`]: the OPT record and its options.
//! - [`mod@peek`]: allocation-free parsing of simple queries.
//! - [`query`]: parsing of queries, and why a message is rejected or discarded.
//! - [`mod@response`]: parsing of responses from other name servers.
//! - [`mod@encode`], with `writer` behind it: encoding of replies, with name compression.
//! - [`sections`]: a walk over the records of a message, for padding and freshness.

pub mod answer;
pub mod code;
pub mod edns;
pub mod encode;
pub mod name;
pub mod peek;
pub(crate) mod presentation;
pub mod query;
pub mod rdata;
pub(crate) mod rdata_format;
pub mod response;
pub mod reverse;
pub mod sections;
pub mod special_use;
pub mod suffix_map;
pub(crate) mod svcb;
pub(crate) mod writer;
pub mod zone_file;

pub use answer::{Answer, RrSet};
pub use code::{Class, Opcode, Rcode, RecordType};
pub use edns::{ClientSubnet, Ede, Edns, OptionCode};
pub use encode::{
    ADVERTISED_PAYLOAD, Annotations, Encoded, ReplyLayout, RrSetLayout, encode, encode_rejection,
    encode_with_layout, udp_limit,
};
pub use name::{MAX_NAME, Name, NameError};
pub use peek::{Peek, PeekedEdns};
pub use presentation::from_octal_escapes;
pub use query::{DiscardReason, Query, QueryError, Question, Rejection};
pub use rdata::{Rdata, RdataError};
pub use response::{Response, ResponseError};
pub use reverse::{ReverseName, parse_reverse, reverse_name, reverse_zones};
pub use sections::{PADDING_BLOCK, freshness_lifetime_s, has_padding, pad};
pub use suffix_map::SuffixMap;
pub use zone_file::{ZoneFileError, ZoneRecord, parse_zone_file};

/// Log filter directive for `hickory_proto`, which parses the less common record types: at `warn` it logs
/// messages that any client can trigger.
pub const LOG_FILTER: &str = "hickory_proto=error";

/// Maximum length of a message in octets: the limit of the two-octet length field used over TCP (RFC 1035
/// 4.2.2). A UDP datagram cannot be longer either (RFC 768).
pub const MAX_MESSAGE: usize = 65_535;
