//! Numeric codes of the protocol: record types, classes, rcodes and opcodes.

use std::fmt;
use std::str::FromStr;

/// Error returned when text is neither a known mnemonic nor the generic form of a code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {text:?}: use a mnemonic, or {prefix} followed by a number")]
pub struct UnknownCode {
    text: String,
    what: &'static str,
    prefix: &'static str,
}

/// Defines a code as a newtype with constants, and its conversions to and from text.
macro_rules! code {
    (
        $(#[$docs:meta])* $type:ident($number:ty), $what:literal, $prefix:literal;
        $($(#[$const_docs:meta])* $name:ident = $value:literal,)*
    ) => {
        $(#[$docs])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $number);

        impl $type {
            $($(#[$const_docs])* pub const $name: Self = Self($value);)*

            /// Returns the mnemonic of this code, if it is among the constants defined here.
            pub fn known_mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.known_mnemonic() {
                    Some(mnemonic) => f.pad(mnemonic),
                    None => f.pad(&format!(concat!($prefix, "{}"), self.0)),
                }
            }
        }

        impl FromStr for $type {
            type Err = UnknownCode;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $(
                    if text.eq_ignore_ascii_case(stringify!($name)) {
                        return Ok(Self::$name);
                    }
                )*
                parse_generic(text, $prefix).map(Self).ok_or_else(|| UnknownCode {
                    text: text.to_owned(),
                    what: $what,
                    prefix: $prefix,
                })
            }
        }
    };
}

/// Parses the generic form: the prefix in any case, followed by decimal digits only.
fn parse_generic<N: FromStr>(text: &str, prefix: &str) -> Option<N> {
    let (head, digits) = text.split_at_checked(prefix.len())?;
    if !head.eq_ignore_ascii_case(prefix) || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

code! {
    /// The type of a record or of a question (RFC 1035 3.2.2). Unknown types print as
    /// `TYPE123` (RFC 3597 5).
    RecordType(u16), "record type", "TYPE";
    /// An IPv4 address (RFC 1035).
    A = 1,
    /// An authoritative server (RFC 1035).
    NS = 2,
    /// A mail destination, obsolete (RFC 1035).
    MD = 3,
    /// A mail forwarder, obsolete (RFC 1035).
    MF = 4,
    /// The canonical name of an alias (RFC 1035).
    CNAME = 5,
    /// The start of a zone of authority (RFC 1035).
    SOA = 6,
    /// The host of a mailbox, experimental (RFC 1035).
    MB = 7,
    /// A member of a mail group, experimental (RFC 1035).
    MG = 8,
    /// The new name of a mailbox, experimental (RFC 1035).
    MR = 9,
    /// Arbitrary data, experimental (RFC 1035).
    NULL = 10,
    /// A pointer to another name (RFC 1035).
    PTR = 12,
    /// CPU and operating system of a host (RFC 1035); also used for minimal ANY responses (RFC 8482).
    HINFO = 13,
    /// Mailboxes responsible for a mail list, experimental (RFC 1035).
    MINFO = 14,
    /// A mail exchange (RFC 1035).
    MX = 15,
    /// Text (RFC 1035).
    TXT = 16,
    /// A responsible person (RFC 1183).
    RP = 17,
    /// An AFS database server (RFC 1183).
    AFSDB = 18,
    /// A route through an intermediate host (RFC 1183).
    RT = 21,
    /// A signature, predecessor of RRSIG (RFC 2931).
    SIG = 24,
    /// A key, predecessor of DNSKEY (RFC 2930).
    KEY = 25,
    /// Mappings of X.400 addresses (RFC 2163).
    PX = 26,
    /// An IPv6 address (RFC 3596).
    AAAA = 28,
    /// A geographical location (RFC 1876).
    LOC = 29,
    /// The next name in a zone, predecessor of NSEC (RFC 2535).
    NXT = 30,
    /// The location of a service (RFC 2782).
    SRV = 33,
    /// A naming authority pointer (RFC 3403).
    NAPTR = 35,
    /// A key exchanger (RFC 2230).
    KX = 36,
    /// A certificate (RFC 4398).
    CERT = 37,
    /// A redirection of a whole subtree (RFC 6672).
    DNAME = 39,
    /// The EDNS pseudo-record (RFC 6891).
    OPT = 41,
    /// Delegation signer (RFC 4034).
    DS = 43,
    /// A fingerprint of an SSH key (RFC 4255).
    SSHFP = 44,
    /// A DNSSEC signature (RFC 4034).
    RRSIG = 46,
    /// Authenticated denial of existence (RFC 4034).
    NSEC = 47,
    /// A DNSSEC key (RFC 4034).
    DNSKEY = 48,
    /// Hashed authenticated denial of existence (RFC 5155).
    NSEC3 = 50,
    /// Parameters of NSEC3 (RFC 5155).
    NSEC3PARAM = 51,
    /// A certificate association for TLS (RFC 6698).
    TLSA = 52,
    /// A certificate association for S/MIME (RFC 8162).
    SMIMEA = 53,
    /// Child copy of a DS record (RFC 7344).
    CDS = 59,
    /// Child copy of a DNSKEY record (RFC 7344).
    CDNSKEY = 60,
    /// An OpenPGP key (RFC 7929).
    OPENPGPKEY = 61,
    /// Child-to-parent synchronisation (RFC 7477).
    CSYNC = 62,
    /// A service binding (RFC 9460).
    SVCB = 64,
    /// A service binding for HTTPS (RFC 9460).
    HTTPS = 65,
    /// Sender Policy Framework; published as TXT today (RFC 7208 3.1).
    SPF = 99,
    /// Transaction key (RFC 2930).
    TKEY = 249,
    /// Transaction signature (RFC 8945).
    TSIG = 250,
    /// Incremental zone transfer (RFC 1995).
    IXFR = 251,
    /// Zone transfer (RFC 5936).
    AXFR = 252,
    /// All mailbox-related records (RFC 1035).
    MAILB = 253,
    /// All mail agent records (RFC 1035).
    MAILA = 254,
    /// A request for all records, or for any subset that the server chooses (RFC 1035 3.2.3, RFC 8482).
    ANY = 255,
    /// A URI (RFC 7553).
    URI = 256,
    /// The certification authorities that may issue certificates (RFC 8659).
    CAA = 257,
}

impl RecordType {
    /// Returns whether this is not a data type: OPT, a QTYPE or meta-TYPE from 128 to 255, or one of the two
    /// [reserved](Self::is_reserved) values (RFC 6895 3.1).
    pub fn is_meta(self) -> bool {
        self == Self::OPT || (128..=255).contains(&self.0) || self.is_reserved()
    }

    /// Returns whether this is 0 or 65535, which neither records nor queries may use (RFC 6895 3.1).
    pub fn is_reserved(self) -> bool {
        matches!(self.0, 0 | u16::MAX)
    }

    /// Returns whether this is A or AAAA.
    pub fn is_address(self) -> bool {
        matches!(self, Self::A | Self::AAAA)
    }
}

code! {
    /// The class of a record or of a question (RFC 1035 3.2.4).
    Class(u16), "class", "CLASS";
    /// The Internet.
    IN = 1,
    /// Chaosnet; used to query information about the server itself (RFC 4892).
    CH = 3,
    /// Hesiod.
    HS = 4,
    /// No class (RFC 2136).
    NONE = 254,
    /// Any class, in questions only.
    ANY = 255,
}

code! {
    /// The response code, including the extended bits of EDNS (RFC 1035 4.1.1, RFC 6891 6.1.3).
    Rcode(u16), "rcode", "RCODE";
    /// No error.
    NOERROR = 0,
    /// The message could not be parsed as a query.
    FORMERR = 1,
    /// The server failed.
    SERVFAIL = 2,
    /// The name does not exist.
    NXDOMAIN = 3,
    /// The kind of query is not implemented.
    NOTIMP = 4,
    /// The server refuses to answer, for policy reasons.
    REFUSED = 5,
    /// A name exists that should not (RFC 2136).
    YXDOMAIN = 6,
    /// An RRset exists that should not (RFC 2136).
    YXRRSET = 7,
    /// An RRset that should exist does not (RFC 2136).
    NXRRSET = 8,
    /// The server is not authoritative, or the requester not authorised (RFC 2136, RFC 8945).
    NOTAUTH = 9,
    /// The name is not in the zone (RFC 2136).
    NOTZONE = 10,
    /// The EDNS version is not implemented (RFC 6891).
    BADVERS = 16,
    /// A bad or missing server cookie (RFC 7873).
    BADCOOKIE = 23,
}

code! {
    /// The kind of a message (RFC 1035 4.1.1).
    Opcode(u8), "opcode", "OPCODE";
    /// A standard query.
    QUERY = 0,
    /// An inverse query, obsolete (RFC 3425).
    IQUERY = 1,
    /// A server status request.
    STATUS = 2,
    /// A zone change notification (RFC 1996).
    NOTIFY = 4,
    /// A dynamic update (RFC 2136).
    UPDATE = 5,
    /// DNS stateful operations (RFC 8490).
    DSO = 6,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_for_every_number() {
        for number in 0..=u16::MAX {
            let rtype = RecordType(number);
            assert_eq!(rtype.to_string().parse(), Ok(rtype));
            let rcode = Rcode(number);
            assert_eq!(rcode.to_string().parse(), Ok(rcode));
        }
    }

    #[test]
    fn parses_mnemonics_and_generic_forms() {
        assert_eq!("aaaa".parse(), Ok(RecordType::AAAA));
        assert_eq!("type1".parse(), Ok(RecordType::A));
        assert_eq!(RecordType(1234).to_string(), "TYPE1234");
        assert_eq!(Class(7).to_string(), "CLASS7");
        assert_eq!(Rcode(11).to_string(), "RCODE11");
        assert_eq!("class3".parse(), Ok(Class::CH));
        for bad in ["", "TYPE", "TYPE65536", "TYPE+1", "TYPE-1", "BOGUS", "é"] {
            assert!(bad.parse::<RecordType>().is_err(), "{bad}");
        }
    }

    #[test]
    fn meta_types_are_not_data_types() {
        assert!(RecordType::OPT.is_meta());
        assert!(RecordType::ANY.is_meta());
        assert!(RecordType::TSIG.is_meta());
        assert!(RecordType(0).is_meta() && RecordType(u16::MAX).is_meta());
        assert!(RecordType(0).is_reserved() && !RecordType::OPT.is_reserved());
        // Private use (RFC 6895 3.1).
        assert!(!RecordType(65_280).is_meta() && !RecordType(65_534).is_meta());
        assert!(!RecordType::CAA.is_meta());
        assert!(!RecordType::SPF.is_meta());
    }
}
