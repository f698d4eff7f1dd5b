//! EDNS: the OPT record of a query and its options (RFC 6891).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The OPT record of a query, of EDNS version 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edns {
    /// The UDP payload size the client can take, as sent; less than 512 means 512
    /// (RFC 6891 6.2.3).
    pub payload: u16,
    /// The DO bit: the client wants DNSSEC records (RFC 3225).
    pub dnssec_ok: bool,
    /// The client subnet option; the first one if there are several.
    pub client_subnet: Option<ClientSubnet>,
    /// The other options in their order, as code and data; at most [`Edns::MAX_OPTIONS`].
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Edns {
    /// How many options beside the client subnet are kept.
    pub const MAX_OPTIONS: usize = 16;

    /// The data of the first option with this code. The client subnet is not among them.
    pub fn option(&self, code: u16) -> Option<&[u8]> {
        let found = self.options.iter().find(|(other, _)| *other == code);
        found.map(|(_, data)| data.as_slice())
    }

    /// Reads the data of an OPT record; `None` if an option or the client subnet is malformed.
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

/// The codes of EDNS options (IANA, "DNS EDNS0 Option Codes").
pub struct OptionCode;

impl OptionCode {
    /// The name server's identifier (RFC 5001).
    pub const NSID: u16 = 3;
    /// The client's subnet (RFC 7871).
    pub const CLIENT_SUBNET: u16 = 8;
    /// Cookies (RFC 7873).
    pub const COOKIE: u16 = 10;
    /// How long TCP connections stay open (RFC 7828).
    pub const TCP_KEEPALIVE: u16 = 11;
    /// Padding (RFC 7830).
    pub const PADDING: u16 = 12;
    /// An extended DNS error (RFC 8914).
    pub const EDE: u16 = 15;
}

/// The network a query was asked for (RFC 7871 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientSubnet {
    /// The network; the bits after its prefix are zero. An absent address (family 0) is
    /// 0.0.0.0/0.
    pub network: IpNet,
}

impl ClientSubnet {
    /// Reads the data of the option in a query.
    ///
    /// `None` unless the family is IPv4, IPv6 or, with an empty prefix, none; the scope is 0;
    /// there are exactly as many octets of address as the prefix needs; and the bits after the
    /// prefix are zero.
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

    /// The data of the option with this scope.
    pub fn encode(&self, scope: u8) -> Vec<u8> {
        let mut data = [0; Self::MAX_LEN];
        let length = self.write(scope, &mut data);
        data[..length].to_vec()
    }

    /// The longest data of the option: family, two lengths, an IPv6 address.
    pub const MAX_LEN: usize = 4 + 16;

    /// Writes the data of the option with this scope to the front of `data`, which has room for
    /// [`LONGEST`](Self::LONGEST) octets. Says how many they are.
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

fn zero_padded<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut whole = [0; N];
    whole.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(whole)
}

/// An extended DNS error: why an answer came out as it did (RFC 8914).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ede {
    /// The info code; see the constants.
    pub code: u16,
    /// Text for people, possibly empty.
    pub text: String,
}

impl Ede {
    /// An error with this code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// The most extended errors of one answer that are taken over from other name servers.
    pub const MAX_UPSTREAM: usize = 4;

    /// The longest text of an extended error that is taken over from another name server, in octets.
    pub const MAX_UPSTREAM_TEXT: usize = 256;

    /// Reads the data of the option as another name server sent it (RFC 8914 2). `None` if there is no info code.
    ///
    /// The text is for people, and goes on to clients and into logs: control characters are left out of it, what is
    /// not UTF-8 is replaced, and what is longer than [`MAX_UPSTREAM_TEXT`](Self::MAX_UPSTREAM_TEXT) is cut.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (code, text) = data.split_first_chunk()?;
        let sent = String::from_utf8_lossy(&text[..text.len().min(Self::MAX_UPSTREAM_TEXT)]);
        let mut text = String::new();
        for character in sent.chars().filter(|character| !character.is_control()) {
            // What replaces an octet that is not UTF-8 is longer than it.
            if text.len() + character.len_utf8() > Self::MAX_UPSTREAM_TEXT {
                break;
            }
            text.push(character);
        }
        Some(Self { code: u16::from_be_bytes(*code), text })
    }

    /// The extended errors among the options of a response, at most [`MAX_UPSTREAM`](Self::MAX_UPSTREAM), each once.
    /// What follows a malformed option is not read.
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

    /// Adds extended errors of other name servers to those of an answer: each once, and no more than
    /// [`MAX_UPSTREAM`](Self::MAX_UPSTREAM) in all.
    pub fn add_upstream(edes: &mut Vec<Self>, more: impl IntoIterator<Item = Self>) {
        for ede in more {
            if edes.len() < Self::MAX_UPSTREAM && !edes.contains(&ede) {
                edes.push(ede);
            }
        }
    }

    /// The data of the option (RFC 8914 2).
    pub fn encode(&self) -> Vec<u8> {
        [&self.code.to_be_bytes()[..], self.text.as_bytes()].concat()
    }
}

/// Defines the info codes and their registered names.
macro_rules! info_codes {
    ($($constant:ident = $code:literal, $name:literal;)*) => {
        impl Ede {
            $(
                #[doc = concat!("Info code ", $code, ": ", $name, ".")]
                pub const $constant: u16 = $code;
            )*

            /// The name an info code is registered with (IANA, "Extended DNS Error Codes").
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
    fn client_subnets_are_strict() {
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
    fn keeps_a_bounded_number_of_options() {
        let data: Vec<u8> = (0..40).flat_map(|code| [1, code, 0, 1, code]).collect();
        let edns = Edns::parse(1232, true, &data).expect("good options");
        assert_eq!(edns.options.len(), Edns::MAX_OPTIONS);
        assert_eq!(edns.option(257), Some(&[1][..]));
        assert_eq!(edns.option(300), None);
        assert_eq!(Edns::parse(1232, true, &[0, 3, 0]), None);
        assert_eq!(Edns::parse(1232, true, &[0, 3, 0, 1]), None);
    }

    #[test]
    fn info_codes_are_named() {
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
