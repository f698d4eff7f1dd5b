//! The small texts of a configuration: prefixes, addresses, route destinations and targets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use crate::aws::{Id, IdKind, PrefixListId, Region, RouteTarget, SecurityGroupId};
use crate::dns::{Name, Rcode, RecordType};

use super::source::Text;

impl<K: IdKind> Text for Id<K> {
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

/// A name server that a rule sends to: an address, port 53 unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target(pub SocketAddr);

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(SocketAddr::new(address, 53)));
        }
        let wrong = || format!("`{text}` is no name server: write `192.0.2.53` or `192.0.2.53:5353`");
        text.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.port() == 53 { self.0.ip().fmt(f) } else { self.0.fmt(f) }
    }
}

impl Text for Target {
    const FORM: &'static str = "a name server's address, with a port if it is not 53";
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
