//! Records in the zones that AWS creates, and in those that only this project has.

/// The values of an SOA record (RFC 1035 section 3.3.13), and its TTL.
#[derive(Clone, Copy, Debug)]
pub struct SoaValues {
    /// The primary name server. Empty if it is the name `ns0` in the zone itself.
    pub mname: &'static str,
    /// The mailbox of the person responsible for the zone.
    pub rname: &'static str,
    /// The serial number.
    pub serial: u32,
    /// The refresh interval in seconds.
    pub refresh: u32,
    /// The retry interval in seconds.
    pub retry: u32,
    /// The expiry time in seconds.
    pub expire: u32,
    /// The MINIMUM field in seconds. Together with the TTL, it limits the TTL of negative answers (RFC 2308
    /// section 4).
    pub minimum: u32,
    /// The TTL of the record in seconds.
    pub ttl: u32,
}

/// The SOA record of private hosted zones, and of the zones managed for endpoints (Route 53 Developer Guide,
/// "SOA and NS records that Amazon Route 53 creates", and packet captures).
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

/// The name servers of private hosted zones (ECS Developer Guide, service discovery tutorial).
pub const HOSTED_ZONE_NAME_SERVERS: [&str; 4] =
    ["ns-0.awsdns-00.com", "ns-512.awsdns-00.net", "ns-1024.awsdns-00.org", "ns-1536.awsdns-00.co.uk"];

/// TTL of the NS records of private hosted zones, in seconds.
pub const HOSTED_ZONE_NS_TTL_S: u32 = 172_800;

/// The SOA record of zones with generated names. The owner, the form of MNAME and the length of RNAME are
/// consistent with the sizes of captured replies; the serial and timers are assumed.
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

/// The SOA record of the sealed internet. It is specific to this project.
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

/// The SOA record of zones that are simulated for a site. It is specific to this project.
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

/// The first label of the instance metadata service's name in the internal domain of a region. The reverse
/// zone of its address is autodefined; that it contains this name is assumed.
pub const METADATA_LABEL: &str = "instance-data";

/// The address of the instance metadata service.
pub const METADATA_ADDRESS: std::net::Ipv4Addr = std::net::Ipv4Addr::new(169, 254, 169, 254);

/// The reverse name of 169.254.169.254, which is also a zone.
pub const METADATA_REVERSE_ZONE: &str = "254.169.254.169.in-addr.arpa";

/// Loopback zones of every VPC with DNS hostnames enabled (source as for [`PRIVATE_REVERSE_ZONES`]), in
/// addition to the reverse names of ::1 and ::.
pub const LOOPBACK_ZONES: [&str; 3] = ["localhost", "localdomain", "127.in-addr.arpa"];

/// Reverse zones of private addresses of every VPC with DNS hostnames enabled (Route 53 Developer Guide,
/// "Domain names that VPC Resolver creates autodefined system rules for"): RFC 1918 10/8 and 192.168/16.
pub const PRIVATE_REVERSE_ZONES: [&str; 2] = ["10.in-addr.arpa", "168.192.in-addr.arpa"];

/// The second octets of 172.16.0.0/12, which has one reverse zone per second octet.
pub const PRIVATE_172_OCTETS: std::ops::RangeInclusive<u8> = 16..=31;
