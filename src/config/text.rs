//! The small texts of a configuration: prefixes, addresses, route destinations and targets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use crate::aws::{Id, IdKind, IdOrArn, PrefixListId, Region, RouteTarget, SecurityGroupId};
use crate::dns::{Name, Rcode, RecordType};

use super::source::Text;

impl<K: IdKind> Text for Id<K> {
    const FORM: &'static str = K::WHAT;
}

impl<K: IdKind> Text for IdOrArn<K> {
    const FORM: &'static str = K::WHAT;
}

impl Text for Region {
    const FORM: &'static str = "a region, such as `ap-northeast-1`";
}

impl Text for Name {
    const FORM: &'static str = "a domain name";
}

impl Text for RecordType {
    const FORM: &'static str = "a record type, such as `A`";
}

impl Text for Rcode {
    const FORM: &'static str = "a response code, such as `NXDOMAIN`";
}

impl Text for IpAddr {
    const FORM: &'static str = "an IP address";
}

impl Text for RouteTarget {
    const FORM: &'static str = "a route's target, such as `igw-1`";
}

impl Text for String {
    const FORM: &'static str = "a text";
}

/// A prefix without host bits, such as `10.0.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr(pub IpNet);

/// Why a text is no prefix.
#[derive(Debug, Error)]
pub enum CidrError {
    /// Neither an IPv4 nor an IPv6 prefix.
    #[error("`{0}` is no prefix: write an address and a length, such as `10.0.0.0/16`")]
    Shape(String),
    /// The address has bits set beyond the length.
    #[error("`{0}` has bits set beyond its length: write `{1}`")]
    HostBits(String, IpNet),
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let net: IpNet = text.parse().map_err(|_| CidrError::Shape(text.to_owned()))?;
        if net.trunc() != net {
            return Err(CidrError::HostBits(text.to_owned(), net.trunc()));
        }
        Ok(Self(net))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for Cidr {
    const FORM: &'static str = "a prefix, such as `10.0.0.0/16`";
}

/// One address or a prefix: who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sources(pub IpNet);

impl FromStr for Sources {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(IpNet::from(address))),
            Err(_) => Ok(Self(text.parse::<Cidr>()?.0)),
        }
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for Sources {
    const FORM: &'static str = "an address or a prefix";
}

/// Where a route leads, or what a security group's rule admits: a prefix, a prefix list or a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A prefix.
    Cidr(Cidr),
    /// `pl-…`
    PrefixList(PrefixListId),
    /// `sg-…`, in security groups only.
    SecurityGroup(SecurityGroupId),
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("pl-") {
            return text.parse().map(Self::PrefixList).map_err(|e: crate::aws::IdError| e.to_string());
        }
        if text.starts_with("sg-") {
            return text.parse().map(Self::SecurityGroup).map_err(|e: crate::aws::IdError| e.to_string());
        }
        text.parse().map(Self::Cidr).map_err(|e: CidrError| e.to_string())
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cidr(cidr) => cidr.fmt(f),
            Self::PrefixList(id) => id.fmt(f),
            Self::SecurityGroup(id) => id.fmt(f),
        }
    }
}

impl Text for Destination {
    const FORM: &'static str = "a prefix or a prefix list's id";
}

/// A name server that is sent to: `192.0.2.53`, `192.0.2.53:5353`, `tcp://192.0.2.53`,
/// `tls://192.0.2.53#dns.example`, `https://192.0.2.53/dns-query#dns.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What carries queries to it.
    pub carrier: Carrier,
    /// Where it is; no port where the carrier's own is meant.
    pub ip: IpAddr,
    /// The port, if it is said.
    pub port: Option<u16>,
}

/// What carries queries to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// UDP, and TCP for what does not fit.
    Udp,
    /// TCP alone.
    Tcp,
    /// DNS over TLS; the name is the certificate's.
    Tls(String),
    /// DNS over HTTPS; the name is the certificate's, then the path.
    Https(String, String),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "`{text}` is no name server: {why}; write `192.0.2.53`, `tcp://192.0.2.53:5353`, \
                 `tls://192.0.2.53#name` or `https://192.0.2.53/dns-query#name`"
            )
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        let (place, name) = match rest.split_once('#') {
            Some((place, name)) => (place, Some(name)),
            None => (rest, None),
        };
        let (authority, path) = match place.split_once('/') {
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (place, None),
        };
        let (ip, port) = ip_and_port(authority).ok_or_else(|| wrong("it has no address"))?;
        let named = || match name {
            Some(name) if !name.is_empty() => Ok(name.to_owned()),
            _ => Err(wrong("the name that its certificate has is missing after a `#`")),
        };
        let carrier = match scheme {
            "udp" => Carrier::Udp,
            "tcp" => Carrier::Tcp,
            "tls" => Carrier::Tls(named()?),
            "https" => Carrier::Https(named()?, path.clone().unwrap_or_else(|| "/dns-query".to_owned())),
            _ => return Err(wrong("`udp`, `tcp`, `tls` and `https` are known")),
        };
        if path.is_some() && scheme != "https" {
            return Err(wrong("only https has a path"));
        }
        if name.is_some() && !matches!(carrier, Carrier::Tls(_) | Carrier::Https(..)) {
            return Err(wrong("only tls and https have a certificate's name"));
        }
        Ok(Self { carrier, ip, port })
    }
}

/// `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:53`.
fn ip_and_port(text: &str) -> Option<(IpAddr, Option<u16>)> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some((ip, None));
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return Some((ip.parse::<std::net::Ipv6Addr>().ok()?.into(), None));
    }
    let address: SocketAddr = text.parse().ok()?;
    Some((address.ip(), Some(address.port())))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match (self.port, self.ip) {
            (Some(port), ip) => SocketAddr::new(ip, port).to_string(),
            (None, IpAddr::V6(ip)) if self.carrier != Carrier::Udp => format!("[{ip}]"),
            (None, ip) => ip.to_string(),
        };
        match &self.carrier {
            Carrier::Udp => f.write_str(&place),
            Carrier::Tcp => write!(f, "tcp://{place}"),
            Carrier::Tls(name) => write!(f, "tls://{place}#{name}"),
            Carrier::Https(name, path) => write!(f, "https://{place}{path}#{name}"),
        }
    }
}

impl Text for Target {
    const FORM: &'static str = "a name server, such as `192.0.2.53` or `tls://192.0.2.53#dns.example`";
}

/// Where a listener listens: an address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address with a port: write `127.0.0.1:53` or `[::1]:53`");
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Text for ListenAddress {
    const FORM: &'static str = "an address with a port, such as `127.0.0.1:5300`";
}

/// A place by its name: a subnet's id, a site's id, or `outside`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedPlace(pub String);

impl FromStr for ExpectedPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ExpectedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Text for ExpectedPlace {
    const FORM: &'static str = "a place: a subnet's id, a site's id, or `outside`";
}
