//! Records that AWS puts into the zones it makes.

/// The values of an SOA record (RFC 1035 3.3.13), and its TTL.
#[derive(Clone, Copy, Debug)]
pub struct SoaValues {
    /// The primary name server. Empty where it is a name in the zone.
    pub mname: &'static str,
    /// The mailbox of whoever is responsible.
    pub rname: &'static str,
    /// Serial number.
    pub serial: u32,
    /// Refresh, in seconds.
    pub refresh: u32,
    /// Retry, in seconds.
    pub retry: u32,
    /// Expire, in seconds.
    pub expire: u32,
    /// Minimum, in seconds; with the TTL it bounds negative answers (RFC 2308 4).
    pub minimum: u32,
    /// The record's own TTL, in seconds.
    pub ttl: u32,
}

/// The SOA record of a private hosted zone, and of the zones managed for endpoints (Route 53 Developer
/// Guide, "SOA and NS records that Amazon Route 53 creates", and captures).
pub const HOSTED_ZONE_SOA: SoaValues = SoaValues {
    mname: "ns-1536.awsdns-00.co.uk",
    rname: "awsdns-hostmaster.amazon.com",
    serial: 1,
    refresh: 7200,
    retry: 900,
    expire: 1_209_600,
    minimum: 86_400,
    ttl: 900,
};

/// The name servers of a private hosted zone (ECS Developer Guide, service discovery tutorial).
pub const HOSTED_ZONE_NAME_SERVERS: [&str; 4] =
    ["ns-0.awsdns-00.com", "ns-512.awsdns-00.net", "ns-1024.awsdns-00.org", "ns-1536.awsdns-00.co.uk"];

/// TTL of those NS records, in seconds.
pub const HOSTED_ZONE_NS_TTL_S: u32 = 172_800;

/// The SOA record of zones of generated names. Owner, the shape of MNAME and the length of RNAME fit
/// the sizes of captured replies; serial and timers are assumed.
pub const INTERNAL_SOA: SoaValues = SoaValues {
    mname: "",
    rname: "hostmaster.amazon.com",
    serial: 2_012_103_100,
    refresh: 3600,
    retry: 3600,
    expire: 3600,
    minimum: 60,
    ttl: 60,
};

/// The SOA record of the sealed internet. The project's own.
pub const SEALED_SOA: SoaValues = SoaValues {
    mname: "sealed.plustwo",
    rname: "hostmaster.plustwo",
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: 60,
    ttl: 60,
};

/// The SOA record of a zone that is played for a site. The project's own.
pub const SITE_SOA: SoaValues = SoaValues {
    mname: "ns.site.plustwo",
    rname: "hostmaster.plustwo",
    serial: 1,
    refresh: 3600,
    retry: 600,
    expire: 86_400,
    minimum: 60,
    ttl: 60,
};

/// The label of the instance metadata service's name, in a region's internal domain, and the zone of its reverse name.
/// The zone is autodefined; that it holds this name is assumed.
pub const METADATA_LABEL: &str = "instance-data";

/// The address of the instance metadata service.
pub const METADATA_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 169, 254);

/// The reverse name of 169.254.169.254, a zone of its own.
pub const METADATA_REVERSE_ZONE: &str = "254.169.254.169.in-addr.arpa";

/// Zones of loopback that every VPC with host names has (the same page), besides the reverse names of ::1 and ::.
pub const LOOPBACK_ZONES: [&str; 3] = ["localhost", "localdomain", "127.in-addr.arpa"];

/// Reverse zones of private addresses that every VPC with host names has (Route 53 Developer Guide,
/// "Domain names that VPC Resolver creates autodefined system rules for"), RFC 1918 10/8 and 192.168/16.
pub const PRIVATE_REVERSE_ZONES: [&str; 2] = ["10.in-addr.arpa", "168.192.in-addr.arpa"];

/// The second octets of 172.16.0.0/12, whose reverse zones are one each.
pub const PRIVATE_172_OCTETS: std::ops::RangeInclusive<u8> = 16..=31;
