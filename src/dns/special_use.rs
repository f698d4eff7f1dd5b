//! Special-use domain names (IANA, "Special-Use Domain Names") and locally served zones (IANA,
//! "Locally-Served DNS Zones"): names about the resolver itself, and names that a resolver does not query on
//! the internet.
//!
//! The names that RFC 6761 reserves for documentation (`example`, `example.com` and so on) are not included,
//! since resolvers do not treat them specially (RFC 6761 6.5). Neither is `internal`: it is reserved for
//! private use without an RFC, and the configured servers for public DNS may serve it.

use super::code::RecordType;

/// A zone that the resolver serves itself.
#[derive(Clone, Copy, Debug)]
pub struct SpecialUse {
    /// The apex of the zone.
    pub apex: &'static str,
    /// The specification: RFC and section.
    pub rfc: &'static str,
    /// Whether the zone describes the queried resolver. Another resolver's answer would describe that one, so
    /// a forwarding rule for an ancestor does not apply to the zone.
    pub is_about_resolver: bool,
    /// The records other than the SOA record: the owner relative to the apex (empty for the apex itself), the
    /// type, and the data as in a zone file. An entry without a type is a name that exists without records.
    pub records: &'static [SpecialUseRecord],
}

/// A record of a special-use zone: owner, type, data.
type SpecialUseRecord = (&'static str, Option<RecordType>, &'static str);

/// Defines an empty zone: NODATA for its apex, NXDOMAIN below.
const fn empty(apex: &'static str, rfc: &'static str) -> SpecialUse {
    SpecialUse { apex, rfc, is_about_resolver: false, records: &[] }
}

/// Defines a zone with records.
const fn zone(apex: &'static str, rfc: &'static str, records: &'static [SpecialUseRecord]) -> SpecialUse {
    SpecialUse { apex, rfc, is_about_resolver: false, records }
}

/// Defines a zone that describes the resolver.
const fn resolver_zone(
    apex: &'static str,
    rfc: &'static str,
    records: &'static [SpecialUseRecord],
) -> SpecialUse {
    SpecialUse { apex, rfc, is_about_resolver: true, records }
}

const A: Option<RecordType> = Some(RecordType::A);
const AAAA: Option<RecordType> = Some(RecordType::AAAA);
const PTR: Option<RecordType> = Some(RecordType::PTR);

/// TTL of the records in these zones, in seconds. `ipv4only.arpa` uses [`IPV4ONLY_TTL_S`].
pub const TTL_S: u32 = 10_800;

/// TTL of the records of `ipv4only.arpa`, in seconds: the TTL in public DNS.
pub const IPV4ONLY_TTL_S: u32 = 86_400;

/// TTL of negative answers in these zones, in seconds. RFC 6303 3 recommends 10800; a lower value makes a
/// configuration change that adds such a name visible sooner.
pub const NEGATIVE_TTL_S: u32 = 60;

/// The special-use zones. Those of 172.16.0.0/12 and 100.64.0.0/10, one per second octet, are in
/// [`PER_OCTET_ZONES`].
pub const SPECIAL_USE_ZONES: &[SpecialUse] = &[
    // Zones that describe the resolver.
    resolver_zone("resolver.arpa", "RFC 9462 8.2", &[("_dns", None, "")]),
    resolver_zone("ipv4only.arpa", "RFC 8880 7.1", &[("", A, "192.0.0.170"), ("", A, "192.0.0.171")]),
    resolver_zone("170.0.0.192.in-addr.arpa", "RFC 8880 7.2", &[("", PTR, "ipv4only.arpa.")]),
    resolver_zone("171.0.0.192.in-addr.arpa", "RFC 8880 7.2", &[("", PTR, "ipv4only.arpa.")]),
    // Names that are not delegated in public DNS.
    zone(
        "localhost",
        "RFC 6761 6.3",
        &[("", A, "127.0.0.1"), ("", AAAA, "::1"), ("*", A, "127.0.0.1"), ("*", AAAA, "::1")],
    ),
    empty("invalid", "RFC 6761 6.4"),
    empty("test", "RFC 6761 6.2"),
    empty("local", "RFC 6762 22.1"),
    empty("onion", "RFC 7686 2"),
    empty("alt", "RFC 9476 3.1"),
    empty("home.arpa", "RFC 8375 4"),
    // Reverse zones of addresses with only local meaning.
    empty("10.in-addr.arpa", "RFC 6303 4.1"),
    empty("168.192.in-addr.arpa", "RFC 6303 4.1"),
    empty("0.in-addr.arpa", "RFC 6303 4.2"),
    zone("127.in-addr.arpa", "RFC 6303 4.2", &[("1.0.0", PTR, "localhost.")]),
    empty("254.169.in-addr.arpa", "RFC 6303 4.2"),
    empty("2.0.192.in-addr.arpa", "RFC 6303 4.2"),
    empty("100.51.198.in-addr.arpa", "RFC 6303 4.2"),
    empty("113.0.203.in-addr.arpa", "RFC 6303 4.2"),
    empty("255.255.255.255.in-addr.arpa", "RFC 6303 4.2"),
    empty("0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa", "RFC 6303 4.3"),
    zone(
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
        "RFC 6303 4.3",
        &[("", PTR, "localhost.")],
    ),
    empty("d.f.ip6.arpa", "RFC 6303 4.4"),
    empty("8.e.f.ip6.arpa", "RFC 6303 4.5"),
    empty("9.e.f.ip6.arpa", "RFC 6303 4.5"),
    empty("a.e.f.ip6.arpa", "RFC 6303 4.5"),
    empty("b.e.f.ip6.arpa", "RFC 6303 4.5"),
    empty("8.b.d.0.1.0.0.2.ip6.arpa", "RFC 6303 4.6"),
];

/// Reverse zones, one for each second octet: the first octet, the range of the second octet, and
/// the specification.
pub const PER_OCTET_ZONES: [(u8, std::ops::RangeInclusive<u8>, &str); 2] =
    [(172, 16..=31, "RFC 6303 4.1"), (100, 64..=127, "RFC 7793 2")];
