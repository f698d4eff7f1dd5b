//! EDNS: the OPT record of a query and its options (RFC 6891).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The OPT record of a query, of EDNS version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The requestor's UDP payload size, as sent; values below 512 count as 512 (RFC 6891 6.2.3).
    pub payload: u16,
    /// The DO bit: DNSSEC OK (RFC 3225).
    pub dnssec_ok: bool,
    /// The client subnet option; the first one if there are several.
    pub client_subnet: Option<ClientSubnet>,
    /// The other options in their order, as code and data; at most [`Edns::MAX_OPTIONS`] of them.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Edns {
    /// Maximum number of options stored in addition to the client subnet; further ones are ignored.
    pub const MAX_OPTIONS: usize = 16;

    /// Returns the data of the first option with this code. The client subnet is not among
    /// [`options`](Self::options).
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        let found = self.options.iter().find(|(other, _)| *other == code);
        found.map(|(_, data)| data.as_slice())
    }

    /// Parses the data of an OPT record. Returns `None` if an option is malformed.
    pub(crate) fn parse(payload: u16, dnssec_ok: bool, mut data: &[u8]) -> Option<Self> {
        let mut edns = Self { payload, dnssec_ok, client_subnet: None, options: Vec::new() };
        while !data.is_empty() {
            let (head, rest) = data.split_first_chunk::<4>()?;
            let code = u16::from_be_bytes([head[0], head[1]]);
            let length = u16::from_be_bytes([head[2], head[3]]);
            let (value, rest) = rest.split_at_checked(usize::from(length))?;
            data = rest;
            if code == OptionCode::CLIENT_SUBNET {
                let subnet = ClientSubnet::parse(value)?;
                edns.client_subnet.get_or_insert(subnet);
            } else if edns.options.len() < Self::MAX_OPTIONS {
                edns.options.push((code, value.to_vec()));
            }
        }
        Some(edns)
    }
}

/// Codes of EDNS options (IANA, "DNS EDNS0 Option Codes (OPT)").
pub struct OptionCode;

impl OptionCode {
    /// Name Server Identifier (RFC 5001).
    pub const NSID: u16 = 3;
    /// Client Subnet (RFC 7871).
    pub const CLIENT_SUBNET: u16 = 8;
    /// DNS Cookies (RFC 7873).
    pub const COOKIE: u16 = 10;
    /// The idle timeout of TCP connections (RFC 7828).
    pub const TCP_KEEPALIVE: u16 = 11;
    /// Padding (RFC 7830).
    pub const PADDING: u16 = 12;
    /// Extended DNS Error (RFC 8914).
    pub const EDE: u16 = 15;
}

/// A client subnet: the network on whose behalf a query is sent (RFC 7871 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientSubnet {
    /// The network, with host bits zero. An absent address (family 0) is 0.0.0.0/0.
    pub network: IpNet,
}

impl ClientSubnet {
    /// Parses the data of the option in a query.
    ///
    /// Returns `None` unless the family is IPv4, IPv6 or (with an empty prefix) 0; the scope prefix length is
    /// 0; there are exactly as many address octets as the prefix needs; and the bits after the prefix are
    /// zero.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let (&[family_high, family_low, source, scope], address) = data.split_first_chunk()?;
        if scope != 0 || address.len() != usize::from(source).div_ceil(8) {
            return None;
        }
        let address = match u16::from_be_bytes([family_high, family_low]) {
            0 if source == 0 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            1 => zero_padded::<4>(address)?.into(),
            2 => zero_padded::<16>(address)?.into(),
            _ => return None,
        };
        let network = IpNet::new(address, source).ok()?;
        (network.addr() == network.network()).then_some(Self { network })
    }

    /// Returns the data of the option with this scope prefix length.
    pub fn encode(&self, scope: u8) -> Vec<u8> {
        let mut data = [0; Self::MAX_LEN];
        let length = self.write(scope, &mut data);
        data[..length].to_vec()
    }

    /// Maximum length of the option's data in octets: family, two prefix lengths, an IPv6 address.
    pub const MAX_LEN: usize = 4 + 16;

    /// Writes the data of the option with this scope prefix length to the start of `data`, which must have
    /// room for [`MAX_LEN`](Self::MAX_LEN) octets. Returns the number of octets written.
    pub fn write(&self, scope: u8, data: &mut [u8]) -> usize {
        let source = self.network.prefix_len();
        let family: u8 = if self.network.addr().is_ipv4() { 1 } else { 2 };
        data[..4].copy_from_slice(&[0, family, source, scope]);
        let length = usize::from(source).div_ceil(8);
        match self.network.network() {
            IpAddr::V4(address) => data[4..4 + length].copy_from_slice(&address.octets()[..length]),
            IpAddr::V6(address) => data[4..4 + length].copy_from_slice(&address.octets()[..length]),
        }
        4 + length
    }
}

/// Returns the octets, padded with zeros to `N`; `None` if there are more than `N`.
fn zero_padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut padded = [0; N];
    padded.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(padded)
}

/// An Extended DNS Error: additional information about the outcome (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ede {
    /// The INFO-CODE; see the constants.
    pub code: u16,
    /// The EXTRA-TEXT, meant for people; may be empty.
    pub text: String,
}

impl Ede {
    /// Creates an error with this code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Maximum number of extended errors of other name servers that one answer includes.
    pub const MAX_UPSTREAM: usize = 4;

    /// Maximum length in octets of the text of an extended error of another name server.
    pub const MAX_UPSTREAM_TEXT: usize = 256;

    /// Parses the data of the option as sent by another name server (RFC 8914 2). Returns `None` if the
    /// INFO-CODE is missing.
    ///
    /// The text is forwarded to clients and written to logs, so it is sanitised: control characters are
    /// removed, invalid UTF-8 is replaced, and anything beyond [`MAX_UPSTREAM_TEXT`](Self::MAX_UPSTREAM_TEXT)
    /// is cut off.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (code, text) = data.split_first_chunk()?;
        let sent = String::from_utf8_lossy(&text[..text.len().min(Self::MAX_UPSTREAM_TEXT)]);
        let mut text = String::new();
        for character in sent.chars().filter(|character| !character.is_control()) {
            // The replacement character is longer than the invalid octet it replaces.
            if text.len() + character.len_utf8() > Self::MAX_UPSTREAM_TEXT {
                break;
            }
            text.push(character);
        }
        Some(Self { code: u16::from_be_bytes(*code), text })
    }

    /// Returns the extended errors among the options of a response, without duplicates, at most
    /// [`MAX_UPSTREAM`](Self::MAX_UPSTREAM) of them. Parsing stops at an option whose length is wrong.
    pub(crate) fn parse_all(mut options: &[u8]) -> Vec<Self> {
        let mut edes = Vec::new();
        while let Some((&[code_high, code_low, high, low], rest)) = options.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some((data, rest)) = rest.split_at_checked(length) else { break };
            options = rest;
            if u16::from_be_bytes([code_high, code_low]) != OptionCode::EDE {
                continue;
            }
            Self::add_upstream(&mut edes, Self::parse(data));
        }
        edes
    }

    /// Adds extended errors of other name servers to those of an answer, without duplicates and up to
    /// [`MAX_UPSTREAM`](Self::MAX_UPSTREAM) in total.
    pub fn add_upstream(edes: &mut Vec<Self>, more: impl IntoIterator<Item = Self>) {
        for ede in more {
            if edes.len() < Self::MAX_UPSTREAM && !edes.contains(&ede) {
                edes.push(ede);
            }
        }
    }

    /// Returns the data of the option (RFC 8914 2).
    pub fn encode(&self) -> Vec<u8> {
        [&self.code.to_be_bytes()[..], self.text.as_bytes()].concat()
    }
}

/// Defines the INFO-CODEs and their registered names.
macro_rules! info_codes {
    ($($constant:ident = $code:literal, $name:literal;)*) => {
        impl Ede {
            $(
                #[doc = concat!("INFO-CODE ", $code, ": ", $name, ".")]
                pub const $constant: u16 = $code;
            )*

            /// Returns the registered name of an INFO-CODE (IANA, "Extended DNS Error Codes").
            pub fn code_name(code: u16) -> Option<&'static str> {
                match code {
                    $($code => Some($name),)*
                    _ => None,
                }
            }
        }
    };
}

info_codes! {
    OTHER = 0, "Other";
    UNSUPPORTED_DNSKEY_ALGORITHM = 1, "Unsupported DNSKEY Algorithm";
    UNSUPPORTED_DS_DIGEST_TYPE = 2, "Unsupported DS Digest Type";
    STALE_ANSWER = 3, "Stale Answer";
    FORGED_ANSWER = 4, "Forged Answer";
    DNSSEC_INDETERMINATE = 5, "DNSSEC Indeterminate";
    DNSSEC_BOGUS = 6, "DNSSEC Bogus";
    SIGNATURE_EXPIRED = 7, "Signature Expired";
    SIGNATURE_NOT_YET_VALID = 8, "Signature Not Yet Valid";
    DNSKEY_MISSING = 9, "DNSKEY Missing";
    RRSIGS_MISSING = 10, "RRSIGs Missing";
    NO_ZONE_KEY_BIT_SET = 11, "No Zone Key Bit Set";
    NSEC_MISSING = 12, "NSEC Missing";
    CACHED_ERROR = 13, "Cached Error";
    NOT_READY = 14, "Not Ready";
    BLOCKED = 15, "Blocked";
    CENSORED = 16, "Censored";
    FILTERED = 17, "Filtered";
    PROHIBITED = 18, "Prohibited";
    STALE_NXDOMAIN_ANSWER = 19, "Stale NXDOMAIN Answer";
    NOT_AUTHORITATIVE = 20, "Not Authoritative";
    NOT_SUPPORTED = 21, "Not Supported";
    NO_REACHABLE_AUTHORITY = 22, "No Reachable Authority";
    NETWORK_ERROR = 23, "Network Error";
    INVALID_DATA = 24, "Invalid Data";
    SIGNATURE_EXPIRED_BEFORE_VALID = 25, "Signature Expired before Valid";
    TOO_EARLY = 26, "Too Early";
    UNSUPPORTED_NSEC3_ITERATIONS_VALUE = 27, "Unsupported NSEC3 Iterations Value";
    UNABLE_TO_CONFORM_TO_POLICY = 28, "Unable to conform to policy";
    SYNTHESIZED = 29, "Synthesized";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn client_subnet_parsing_is_strict() {
        let parse = |data: &[u8]| ClientSubnet::parse(data).map(|ecs| ecs.network.to_string());
        assert_eq!(parse(&[0, 1, 24, 0, 10, 1, 2]).as_deref(), Some("10.1.2.0/24"));
        assert_eq!(parse(&[0, 1, 20, 0, 10, 1, 16]).as_deref(), Some("10.1.16.0/20"));
        assert_eq!(parse(&[0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]).as_deref(), Some("2001:db8::/32"));
        assert_eq!(parse(&[0, 0, 0, 0]).as_deref(), Some("0.0.0.0/0"));
        assert_eq!(parse(&[0, 2, 0, 0]).as_deref(), Some("::/0"));
        for bad in [
            &[0, 1, 24][..],
            &[0, 1, 24, 24, 10, 1, 2],
            &[0, 1, 24, 0, 10, 1],
            &[0, 1, 24, 0, 10, 1, 2, 0],
            &[0, 1, 20, 0, 10, 1, 17],
            &[0, 1, 33, 0, 10, 1, 2, 3, 0],
            &[0, 2, 129, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 8, 0, 10],
            &[0, 3, 0, 0],
        ] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_number_of_options_is_bounded() {
        let data: Vec<u8> = (0..40).flat_map(|code| [1, code, 0, 1, code]).collect();
        let edns = Edns::parse(1232, true, &data).expect("valid options");
        assert_eq!(edns.options.len(), Edns::MAX_OPTIONS);
        assert_eq!(edns.option(257), Some(&[1][..]));
        assert_eq!(edns.option(300), None);
        assert_eq!(Edns::parse(1232, true, &[0, 3, 0]), None);
        assert_eq!(Edns::parse(1232, true, &[0, 3, 0, 1]), None);
    }

    #[test]
    fn info_codes_have_registered_names() {
        assert!((0..30).all(|code| Ede::code_name(code).is_some()));
        assert_eq!(Ede::code_name(30), None);
        assert_eq!(Ede::code_name(Ede::SYNTHESIZED), Some("Synthesized"));
        assert_eq!(Ede::new(Ede::BLOCKED, "no").encode(), [0, 15, b'n', b'o']);
    }

    proptest! {
        #[test]
        fn client_subnets_round_trip(address in any::<IpAddr>(), length in 0u8..=32) {
            let network = IpNet::new(address, length).unwrap().trunc();
            let subnet = ClientSubnet { network };
            prop_assert_eq!(ClientSubnet::parse(&subnet.encode(0)), Some(subnet));
        }
    }
}
