//! Strings in the configuration: prefixes, addresses, route destinations, name servers.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use thiserror::Error;

use crate::aws::{Id, IdKind, IdOrArn, PrefixListId, Region, RouteTarget, SecurityGroupId};
use crate::dns::{Name, Rcode, RecordType};

use super::source::FromConfigStr;

impl<K: IdKind> FromConfigStr for Id<K> {
    const EXPECTED: &'static str = K::EXPECTED;
}

impl<K: IdKind> FromConfigStr for IdOrArn<K> {
    const EXPECTED: &'static str = K::EXPECTED;
}

impl FromConfigStr for Region {
    const EXPECTED: &'static str = "a region, such as `ap-northeast-1`";
}

impl FromConfigStr for Name {
    const EXPECTED: &'static str = "a domain name";
}

impl FromConfigStr for RecordType {
    const EXPECTED: &'static str = "a record type, such as `A`";
}

impl FromConfigStr for Rcode {
    const EXPECTED: &'static str = "a response code, such as `NXDOMAIN`";
}

impl FromConfigStr for IpAddr {
    const EXPECTED: &'static str = "an IP address";
}

impl FromConfigStr for RouteTarget {
    const EXPECTED: &'static str = "a route target, such as `igw-1`";
}

impl FromConfigStr for String {
    const EXPECTED: &'static str = "a string";
}

/// A CIDR prefix without host bits, such as `10.0.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr(pub IpNet);

/// Why a string is not a valid CIDR prefix.
#[derive(Debug, Error)]
pub enum CidrError {
    /// Neither an IPv4 nor an IPv6 prefix.
    #[error("invalid CIDR prefix `{0}`: expected an address and a length, such as `10.0.0.0/16`")]
    Syntax(String),
    /// The length exceeds that of an address of this family, in bits.
    #[error("invalid CIDR prefix `{0}`: the length must be between 0 and {1}")]
    Length(String, u8),
    /// The address has bits set beyond the prefix length.
    #[error("invalid CIDR prefix `{0}`: host bits are set; write `{1}`")]
    HostBits(String, IpNet),
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let net: IpNet = text.parse().map_err(|_| Self::syntax_error(text))?;
        if net.trunc() != net {
            return Err(CidrError::HostBits(text.to_owned(), net.trunc()));
        }
        Ok(Self(net))
    }
}

impl Cidr {
    /// The error for a string that is not a prefix: of its length if that is all that is wrong.
    fn syntax_error(text: &str) -> CidrError {
        let (address, length) = text.split_once('/').unwrap_or((text, ""));
        match address.parse::<IpAddr>() {
            Ok(address) if !length.is_empty() && length.bytes().all(|octet| octet.is_ascii_digit()) => {
                CidrError::Length(text.to_owned(), if address.is_ipv4() { 32 } else { 128 })
            }
            _ => CidrError::Syntax(text.to_owned()),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromConfigStr for Cidr {
    const EXPECTED: &'static str = "a CIDR prefix, such as `10.0.0.0/16`";
}

/// A source address or prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SourcePrefix(pub IpNet);

impl FromStr for SourcePrefix {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(IpNet::from(address))),
            Err(_) => Ok(Self(text.parse::<Cidr>()?.0)),
        }
    }
}

impl fmt::Display for SourcePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromConfigStr for SourcePrefix {
    const EXPECTED: &'static str = "an IP address or a CIDR prefix";
}

/// The destination of a route or security group rule: a prefix, a prefix list or a security group.
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

impl FromConfigStr for Destination {
    const EXPECTED: &'static str = "a CIDR prefix or the ID of a prefix list";
}

/// The address of an upstream name server: `192.0.2.53`, `192.0.2.53:5353`, `fe80::1%eth0`,
/// `tcp://192.0.2.53`, `tls://192.0.2.53#dns.example`, `https://192.0.2.53/dns-query#dns.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// The transport.
    pub scheme: ServerScheme,
    /// Its IP address: never unspecified, multicast, broadcast or IPv4-mapped.
    pub ip: IpAddr,
    /// The zone of a link-local IPv6 address (RFC 4007 section 11): the name or index of an interface.
    /// Present for every link-local address and no other.
    pub zone: Option<String>,
    /// The port, never 0. `None`: the transport's default.
    pub port: Option<u16>,
}

/// The transport to a name server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerScheme {
    /// UDP, and TCP for truncated answers.
    Udp,
    /// TCP only.
    Tcp,
    /// DNS over TLS, with the name in the certificate.
    Tls(String),
    /// DNS over HTTPS, with the name in the certificate and the path.
    Https(String, String),
}

/// Why a string is not a valid server address, with help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct ServerAddressError {
    /// What is wrong, quoting the string.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

/// The valid forms of a server address, for help.
const TARGET_FORMS: &str = "write `192.0.2.53`, `tcp://192.0.2.53:5353`, `tls://192.0.2.53#name` or `https://192.0.2.53/dns-query#name`";

/// Valid ports, for help.
const PORT_HELP: &str = "write a port between 1 and 65535, or omit it for the default of the transport";

impl ServerAddress {
    /// A description of valid strings, with its article, for the schema.
    pub const EXPECTED: &'static str =
        "a name server, such as `192.0.2.53` or `tls://192.0.2.53#dns.example`";
}

impl FromStr for ServerAddress {
    type Err = ServerAddressError;

    fn from_str(text: &str) -> Result<Self, ServerAddressError> {
        let error = |why: &str, help: String| ServerAddressError { message: format!("`{text}` {why}"), help };
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        if !matches!(scheme, "udp" | "tcp" | "tls" | "https") {
            let why = format!("has the unknown scheme `{scheme}`");
            return Err(error(&why, "use `udp`, `tcp`, `tls` or `https`".to_owned()));
        }
        let (rest, name) = match rest.split_once('#') {
            Some((rest, name)) => (rest, Some(name)),
            None => (rest, None),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, Some(format!("/{path}"))),
            None => (rest, None),
        };
        let Authority { host, zone, port } = Authority::split(authority).ok_or_else(|| {
            error("has neither an address nor an address with a port", TARGET_FORMS.to_owned())
        })?;
        let Ok(ip) = host.parse::<IpAddr>() else {
            return Err(not_an_address(text, scheme, host, path.as_deref(), name));
        };
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(0)) => {
                return Err(error("has port 0, which is invalid for a server", PORT_HELP.to_owned()));
            }
            Some(Ok(port)) => Some(port),
            Some(Err(_)) => {
                return Err(error("has an invalid port", PORT_HELP.to_owned()));
            }
        };
        if let Some((why, help)) = unusable(ip) {
            return Err(error(why, help));
        }
        check_zone(ip, zone).map_err(|(why, help)| error(why, help))?;
        let is_encrypted = matches!(scheme, "tls" | "https");
        if path.is_some() && scheme != "https" {
            return Err(error("has a path, which only `https://` has", TARGET_FORMS.to_owned()));
        }
        if let Some(path) = &path
            && !path.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet))
        {
            let help = "write only the path, such as `/dns-query`, without `{?dns}`".to_owned();
            return Err(error("has characters in its path that are invalid in a URL", help));
        }
        if name.is_some() && !is_encrypted {
            let why = "has a certificate name, which only `tls://` and `https://` have";
            return Err(error(why, TARGET_FORMS.to_owned()));
        }
        // Names in certificates have no trailing dot (RFC 6066 section 3).
        let name = match name.map(|name| name.strip_suffix('.').unwrap_or(name)) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ if is_encrypted => {
                let help = format!(
                    "write `{scheme}://{rest}#dns.example`, with the name in the certificate of the server"
                );
                return Err(error("lacks the name in the certificate of the server, after `#`", help));
            }
            _ => String::new(),
        };
        if is_encrypted && !is_certificate_name(&name) {
            let help =
                "write a host name without a wildcard, such as `dns.example`, or an IP address".to_owned();
            return Err(error("has an invalid name after the `#`", help));
        }
        let carrier = match scheme {
            "udp" => ServerScheme::Udp,
            "tcp" => ServerScheme::Tcp,
            "tls" => ServerScheme::Tls(name),
            _ => ServerScheme::Https(name, path.unwrap_or_else(|| "/dns-query".to_owned())),
        };
        Ok(Self { scheme: carrier, ip, zone: zone.map(str::to_owned), port })
    }
}

/// Host, zone and port of an address, not parsed yet.
struct Authority<'t> {
    /// The IP address, if valid.
    host: &'t str,
    /// The part after `%`.
    zone: Option<&'t str>,
    /// The part after the last `:`.
    port: Option<&'t str>,
}

impl<'t> Authority<'t> {
    /// Splits `192.0.2.1`, `192.0.2.1:53`, `2001:db8::1`, `fe80::1%eth0`, `[2001:db8::1]`,
    /// `[fe80::1%eth0]:53`. `None` if brackets do not match.
    fn split(text: &'t str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inner, after) = rest.split_once(']')?;
                // Brackets are only for IPv6 addresses (RFC 3986 section 3.2.2).
                if !inner.contains(':') {
                    return None;
                }
                match after {
                    "" => (inner, None),
                    _ => (inner, Some(after.strip_prefix(':')?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let (host, zone) = match host.split_once('%') {
            Some((host, zone)) => (host, Some(zone)),
            None => (host, None),
        };
        Some(Self { host, zone, port })
    }
}

/// The error for a host that is not an IP address. Host names get specific help: they cannot be resolved
/// without a resolver, which is what is being configured.
fn not_an_address(
    text: &str,
    scheme: &str,
    host: &str,
    path: Option<&str>,
    name: Option<&str>,
) -> ServerAddressError {
    let is_host_name = host.contains(|c: char| c.is_ascii_alphabetic()) && is_certificate_name(host);
    if !is_host_name {
        let why = if host.is_empty() { "has no address" } else { "has an invalid IP address" };
        return ServerAddressError { message: format!("`{text}` {why}"), help: TARGET_FORMS.to_owned() };
    }
    let name = name.filter(|name| !name.is_empty()).unwrap_or(host);
    let example = match scheme {
        "https" => format!("https://192.0.2.53{}#{name}", path.unwrap_or("/dns-query")),
        "tls" => format!("tls://192.0.2.53#{name}"),
        "tcp" => "tcp://192.0.2.53".to_owned(),
        _ => "192.0.2.53".to_owned(),
    };
    ServerAddressError {
        message: format!("`{text}` has the host name `{host}` where an IP address is required"),
        help: format!(
            "names of upstream servers are not resolved: write `{example}`, with the server's address"
        ),
    }
}

/// Why an address cannot be that of a server, and help; `None` if it can.
fn unusable(ip: IpAddr) -> Option<(&'static str, String)> {
    let server_address_help = || "write the address of the server".to_owned();
    if ip.is_multicast() {
        return Some(("is a multicast address, not that of a server", server_address_help()));
    }
    match ip {
        // "This host on this network" (RFC 1122 section 3.2.1.3): never a destination.
        IpAddr::V4(v4) if v4.octets()[0] == 0 && !v4.is_unspecified() => {
            Some(("is in 0.0.0.0/8, which cannot be the address of a server", server_address_help()))
        }
        IpAddr::V4(v4) if v4.is_unspecified() => Some((
            "is an unspecified address, not that of a server",
            "write `127.0.0.1` for this host".to_owned(),
        )),
        IpAddr::V4(v4) if v4.is_broadcast() => {
            Some(("is the broadcast address, not that of a server", server_address_help()))
        }
        IpAddr::V6(v6) if v6.is_unspecified() => {
            Some(("is an unspecified address, not that of a server", "write `::1` for this host".to_owned()))
        }
        IpAddr::V6(v6) => v6
            .to_ipv4_mapped()
            .map(|v4| ("is an IPv4-mapped IPv6 address", format!("write `{v4}`, which is the same server"))),
        IpAddr::V4(_) => None,
    }
}

/// A link-local IPv6 address must have a zone, because it is a different host on each link (RFC 4007 section
/// 6); other addresses must not have one.
fn check_zone(ip: IpAddr, zone: Option<&str>) -> Result<(), (&'static str, String)> {
    let is_link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    match zone {
        None if is_link_local => {
            let help = format!("add the interface: `{ip}%eth0`, or `[{ip}%eth0]:53` with a port");
            Err(("is a link-local address without an interface", help))
        }
        Some("" | "0") => Err((
            "has an empty interface after the `%`",
            format!("write `{ip}%eth0`, or use the index of the interface"),
        )),
        Some(_) if !is_link_local => Err((
            "names an interface, which only a link-local address (fe80::/10) has",
            format!("write `{ip}`"),
        )),
        _ => Ok(()),
    }
}

/// Whether a certificate can be verified for this name: a host name (RFC 1123 section 2.1; underscores are
/// accepted, as in TLS libraries, and the top-level domain must not be numeric) or an IP address.
fn is_certificate_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_number = |label: &str| label.bytes().all(|octet| octet.is_ascii_digit());
    name.parse::<IpAddr>().is_ok()
        || (name.len() <= 253
            && name.split('.').all(label)
            && !name.rsplit('.').next().is_some_and(is_number))
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = match &self.zone {
            Some(zone) => format!("{}%{zone}", self.ip),
            None => self.ip.to_string(),
        };
        let host_port = match self.port {
            Some(port) if self.ip.is_ipv6() => format!("[{ip}]:{port}"),
            Some(port) => format!("{ip}:{port}"),
            None if self.ip.is_ipv6() && self.scheme != ServerScheme::Udp => format!("[{ip}]"),
            None => ip,
        };
        match &self.scheme {
            ServerScheme::Udp => f.write_str(&host_port),
            ServerScheme::Tcp => write!(f, "tcp://{host_port}"),
            ServerScheme::Tls(name) => write!(f, "tls://{host_port}#{name}"),
            ServerScheme::Https(name, path) => write!(f, "https://{host_port}{path}#{name}"),
        }
    }
}

/// The address and port of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || {
            format!(
                "invalid socket address `{text}`: write an address and a port, such as `127.0.0.1:53` or `[::1]:53`"
            )
        };
        text.parse().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromConfigStr for ListenAddress {
    const EXPECTED: &'static str = "a socket address, such as `127.0.0.1:5300`";
}

/// A location by name: the ID of a subnet or site, or `outside`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExpectedLocation(pub String);

impl FromStr for ExpectedLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ExpectedLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromConfigStr for ExpectedLocation {
    const EXPECTED: &'static str = "a location: the ID of a subnet or site, or `outside`";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_addresses_round_trip() {
        for text in [
            "192.0.2.53",
            "192.0.2.53:5353",
            "2001:db8::53",
            "[2001:db8::53]:5353",
            "fe80::1%eth0",
            "[fe80::1%eth0]:5353",
            "tcp://192.0.2.53",
            "tcp://[fe80::1%2]:5353",
            "tls://192.0.2.53:8853#dns.example",
            "tls://[fe80::1%eth0]#dns.example",
            "https://[2001:db8::53]/a/b?c#192.0.2.53",
        ] {
            let target: ServerAddress = text.parse().unwrap();
            assert_eq!(target.to_string(), text);
        }
        for (text, short) in [
            ("udp://192.0.2.53", "192.0.2.53"),
            ("[2001:db8::53]", "2001:db8::53"),
            ("tls://2001:db8::53#dns.example.", "tls://[2001:db8::53]#dns.example"),
            ("https://192.0.2.53#dns.example", "https://192.0.2.53/dns-query#dns.example"),
        ] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), short);
        }
    }

    #[test]
    fn a_host_name_instead_of_an_address_is_reported_with_a_remedy() {
        let help = |text: &str| text.parse::<ServerAddress>().unwrap_err().help;
        assert!(help("https://dns.example/dns-query").contains("`https://192.0.2.53/dns-query#dns.example`"));
        assert!(help("https://dns.example:8443/q#a.example").contains("`https://192.0.2.53/q#a.example`"));
        assert!(help("tls://dns.example").contains("`tls://192.0.2.53#dns.example`"));
    }
}
