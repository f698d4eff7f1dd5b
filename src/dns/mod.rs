//! The protocol floor: names, records and messages of the DNS, with no opinion about answers.
//!
//! Everything here is a plain value or a pure function. Nothing does input or output, and
//! nothing panics on octets that came from the network.
//!
//! - [`name`] and [`suffix_map`]: domain names and the longest-suffix match over them.
//! - [`code`]: record types, classes, rcodes and opcodes.
//! - [`rdata`], with `presentation`, `layout` and `svcb` behind it: the data of a record
//!   in wire form and as text.
//! - [`zone_file`]: master files (RFC 1035 5).
//! - [`special_use`]: names that a resolver answers itself.
//! - [`reverse`]: the names under `in-addr.arpa` and `ip6.arpa`.
//! - [`answer`]: RRsets and the decided content of a reply.
//! - [`edns`]: the OPT record and its options.
//! - [`mod@peek`]: reading a plain query without taking it apart.
//! - [`query`]: reading a message, or deciding to turn it away.
//! - [`reply`]: reading what another name server answered.
//! - [`mod@encode`], with `writer` behind it: writing the reply.
//! - [`sections`]: walking over a message for its padding and its shortest TTL.

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

/// What the library behind rarer record types may log: at `warn` it logs what any stranger provokes.
pub const LOG_FILTER: &str = "hickory_proto=error";

/// The longest message, in octets: what the 16-bit length before it says over TCP (RFC 1035 4.2.2). No
/// datagram of UDP is longer (RFC 768).
pub const MAX_MESSAGE: usize = 65_535;
