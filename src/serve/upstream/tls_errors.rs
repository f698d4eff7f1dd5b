//! Descriptions of TLS failures. Each text is a predicate that follows the server's address.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};
use webpki::EndEntityCert;

use crate::observe::civil_from_days;

/// Maximum number of names of a certificate in an error.
const MAX_NAMES: usize = 4;

/// Maximum number of characters of a name in an error.
const MAX_CHARACTERS: usize = 64;

/// Why a certificate was rejected, for causes that rustls does not describe.
#[derive(Debug)]
pub(super) struct CertificateRejection(String);

impl CertificateRejection {
    /// The certificate is not signed by a trusted authority. `has_ca`: `ca` is configured for the server.
    pub(super) fn unknown_issuer(
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        has_ca: bool,
    ) -> Self {
        let (issuer, is_self_signed) = top_issuer(end_entity, intermediates);
        let issuer = issuer.map(|issuer| format!(" ({issuer})")).unwrap_or_default();
        Self(match (is_self_signed, has_ca) {
            (true, true) => format!("has a self-signed certificate that is not in its `ca`{issuer}"),
            (true, false) => {
                format!("has a self-signed certificate{issuer}: set `ca = \"file.pem\"` or `spki_pin`")
            }
            (false, true) => {
                format!("has a certificate signed by an authority that is not in its `ca`{issuer}")
            }
            (false, false) => {
                format!("has a certificate from an untrusted authority{issuer}: set `ca = \"file.pem\"`")
            }
        })
    }

    /// The certificate is marked as that of an authority (RFC 5280 section 4.2.1.9).
    pub(super) fn authority_as_server() -> Self {
        Self(
            "presented a CA certificate (CA:TRUE) as its own: set `ca` to exactly that certificate, \
             or `spki_pin`"
                .to_owned(),
        )
    }

    /// The hash of the public key is not among the pins.
    pub(super) fn pin_mismatch(hash: &[u8]) -> Self {
        Self(format!("has a public key whose pin, sha256/{}, is not in `spki_pin`", BASE64.encode(hash)))
    }
}

impl fmt::Display for CertificateRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CertificateRejection {}

impl From<CertificateRejection> for rustls::Error {
    fn from(rejected: CertificateRejection) -> Self {
        Self::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(rejected))))
    }
}

/// Describes an error. `has_client_certificate`: a client certificate is configured for the server.
pub(super) fn describe(error: &rustls::Error, has_client_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => describe_certificate_error(error),
        rustls::Error::AlertReceived(alert) => describe_alert(*alert, has_client_certificate),
        rustls::Error::NoCertificatesPresented => "presented no certificate".to_owned(),
        rustls::Error::PeerIncompatible(why) => describe_incompatibility(why).to_owned(),
        rustls::Error::InvalidMessage(_) => "sent something that is not TLS".to_owned(),
        rustls::Error::InappropriateMessage { .. }
        | rustls::Error::InappropriateHandshakeMessage { .. }
        | rustls::Error::PeerMisbehaved(_) => "violated the TLS protocol".to_owned(),
        rustls::Error::DecryptError => "sent a TLS record that cannot be decrypted".to_owned(),
        rustls::Error::PeerSentOversizedRecord => "sent a TLS record that is too large".to_owned(),
        rustls::Error::NoApplicationProtocol => NO_PROTOCOL.to_owned(),
        rustls::Error::UnsupportedNameType => {
            "is configured with a name that certificates cannot be verified for".to_owned()
        }
        rustls::Error::FailedToGetCurrentTime => {
            "has a certificate that cannot be verified: the clock of this host cannot be read".to_owned()
        }
        _ => "failed the TLS handshake".to_owned(),
    }
}

/// For a server that does not offer the protocol in ALPN (RFC 7301).
const NO_PROTOCOL: &str = "does not offer DNS over this transport (no common application protocol)";

/// Describes an error of a server's certificate.
fn describe_certificate_error(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "has an expired certificate".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("has a certificate that expired on {}", date(*not_after))
        }
        CertificateError::NotValidYet => "has a certificate that is not yet valid".to_owned(),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "has a certificate that is not valid before {} (this host's date is {})",
            date(*not_before),
            date(*time)
        ),
        CertificateError::NotValidForName => "has a certificate for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = expected.to_str();
            match names(presented) {
                None => format!("has a certificate without a name; expected one for {expected}"),
                Some(names) => format!("has a certificate for {names}, not for {expected}"),
            }
        }
        CertificateError::UnknownIssuer => "has a certificate from an untrusted authority".to_owned(),
        CertificateError::Revoked => "has a revoked certificate".to_owned(),
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::InvalidOcspResponse => {
            "has a certificate with an unknown revocation status".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "has a certificate that is not for TLS servers (extended key usage)".to_owned()
        }
        CertificateError::BadEncoding => "has a certificate that cannot be parsed".to_owned(),
        CertificateError::BadSignature => {
            "has an invalid signature in its certificate or handshake".to_owned()
        }
        CertificateError::UnhandledCriticalExtension => {
            "has a certificate with an unsupported critical extension".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "has a certificate with an unsupported signature algorithm".to_owned()
        }
        CertificateError::Other(OtherError(other)) => match (other.downcast_ref(), other.downcast_ref()) {
            (Some(CertificateRejection(why)), _) => why.clone(),
            (None, Some(error)) => describe_chain_error(error).to_owned(),
            (None, None) => BAD_CHAIN.to_owned(),
        },
        _ => BAD_CHAIN.to_owned(),
    }
}

/// For causes that have no specific description.
const BAD_CHAIN: &str = "has an invalid certificate chain";

/// Describes an error of the certificate chain that rustls received from webpki.
fn describe_chain_error(error: &webpki::Error) -> &'static str {
    match error {
        webpki::Error::NameConstraintViolation => {
            "has a certificate that violates the name constraints of its authority"
        }
        webpki::Error::UnsupportedCertVersion => "has a certificate that is not X.509 version 3",
        webpki::Error::EndEntityUsedAsCa | webpki::Error::PathLenConstraintViolated => {
            "has a certificate signed by one that must not sign certificates"
        }
        webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded
        | webpki::Error::MaximumNameConstraintComparisonsExceeded => {
            "has a certificate chain that is too long"
        }
        webpki::Error::UnsupportedCriticalExtension => {
            "has a certificate with an unsupported critical extension"
        }
        _ => BAD_CHAIN,
    }
}

/// Describes why the server rejected the handshake, based on its alert (RFC 8446 section 6.2).
fn describe_alert(alert: AlertDescription, has_client_certificate: bool) -> String {
    let rejected = |why: &str| match has_client_certificate {
        true => format!("rejected the client certificate: {why}"),
        false => format!("rejected the TLS handshake: {why}"),
    };
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            match has_client_certificate {
                true => rejected("it requires one from another authority"),
                false => {
                    "requires a client certificate: set `client_certificate` and `client_key`".to_owned()
                }
            }
        }
        AlertDescription::UnknownCA => rejected("the authority is unknown to the server"),
        AlertDescription::CertificateExpired => rejected("the certificate has expired"),
        AlertDescription::CertificateRevoked => rejected("the certificate was revoked"),
        AlertDescription::UnsupportedCertificate => rejected("the certificate type is not supported"),
        AlertDescription::BadCertificate | AlertDescription::CertificateUnknown => {
            rejected("the certificate is invalid")
        }
        AlertDescription::AccessDenied => rejected("access is denied"),
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            "rejected the TLS handshake: no common cipher suite, or a client certificate is required"
                .to_owned()
        }
        AlertDescription::ProtocolVersion => UNSUPPORTED_VERSION.to_owned(),
        AlertDescription::UnrecognisedName => {
            "rejected the TLS handshake: it does not serve the name after `#`".to_owned()
        }
        AlertDescription::NoApplicationProtocol => NO_PROTOCOL.to_owned(),
        AlertDescription::InternalError => "reported an internal error during the TLS handshake".to_owned(),
        AlertDescription::DecryptError => {
            "rejected the TLS handshake: it could not verify a signature".to_owned()
        }
        other => format!("rejected the TLS handshake (alert {})", u8::from(other)),
    }
}

/// For a server that supports no TLS version in common with plustwo.
const UNSUPPORTED_VERSION: &str = "supports neither TLS 1.2 nor TLS 1.3";

/// Describes what the server does not support.
fn describe_incompatibility(why: &PeerIncompatible) -> &'static str {
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => UNSUPPORTED_VERSION,
        PeerIncompatible::NoCertificateRequestSignatureSchemesInCommon => {
            "accepts no signature algorithm that the key of the client certificate supports"
        }
        PeerIncompatible::NoCipherSuitesInCommon
        | PeerIncompatible::NoKxGroupsInCommon
        | PeerIncompatible::NoSignatureSchemesInCommon
        | PeerIncompatible::NoEcPointFormatsInCommon => "has no TLS algorithm in common with plustwo",
        _ => "lacks a required TLS feature",
    }
}

/// A date in UTC: `2026-01-02`.
fn date(time: UnixTime) -> String {
    let (year, month, day) = civil_from_days(i64::try_from(time.as_secs() / 86_400).unwrap_or_default());
    format!("{year:04}-{month:02}-{day:02}")
}

/// Lists the names of a certificate for an error. `None` if it has none.
fn names(presented: &[String]) -> Option<String> {
    // rustls formats them as `DnsName("dns.example")` and `IpAddress(192.0.2.53)`.
    let inner = |name: &String| {
        let (kind, rest) = name.split_once('(')?;
        let inner = rest.strip_suffix(')')?.trim_matches('"');
        matches!(kind, "DnsName" | "IpAddress").then(|| printable(inner))
    };
    let all: Vec<String> = presented.iter().filter_map(inner).collect();
    match all.len() {
        0 => None,
        1..=MAX_NAMES => Some(all.join(", ")),
        more => Some(format!("{} and {} more names", all[..MAX_NAMES].join(", "), more - MAX_NAMES)),
    }
}

/// The issuer at the top of the chain that the server sent, and whether the server's certificate is
/// self-signed.
fn top_issuer(
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
) -> (Option<String>, bool) {
    let Ok(leaf) = EndEntityCert::try_from(end_entity) else { return (None, false) };
    if leaf.issuer() == leaf.subject() {
        return (common_name(leaf.issuer()), true);
    }
    let above: Vec<_> = intermediates.iter().filter_map(|der| EndEntityCert::try_from(der).ok()).collect();
    let mut issuer = leaf.issuer().to_vec();
    // Each iteration moves up one level. The bound ends cycles of certificates.
    for _ in 0..above.len() {
        match above.iter().find(|certificate| certificate.subject() == issuer) {
            Some(certificate) => issuer = certificate.issuer().to_vec(),
            None => break,
        }
    }
    (common_name(&issuer), false)
}

/// Extracts `CN=Corp CA` from a distinguished name in DER (RFC 5280 section 4.1.2.4), or the organisation if
/// the name has no common name.
fn common_name(name: &[u8]) -> Option<String> {
    /// `id-at-commonName`, `id-at-organizationName`, `id-at-organizationalUnitName` (RFC 5280 appendix A.1).
    const ATTRIBUTES: [(&[u8], &str); 3] =
        [(&[0x55, 4, 3], "CN"), (&[0x55, 4, 10], "O"), (&[0x55, 4, 11], "OU")];
    let mut found: [Option<String>; ATTRIBUTES.len()] = Default::default();
    // The verifier returns the content of the outer SEQUENCE, which starts with a SET.
    let mut sets = match Tlv::first(name)? {
        (Tlv { tag: SEQUENCE, value }, _) => value,
        _ => name,
    };
    while let Some((set, rest)) = Tlv::first(sets) {
        sets = rest;
        let mut attributes = set.value;
        while let Some((attribute, rest)) = Tlv::first(attributes) {
            attributes = rest;
            let Some((oid, value)) = Tlv::first(attribute.value) else { continue };
            let Some((value, _)) = Tlv::first(value) else { continue };
            let index = ATTRIBUTES.iter().position(|(known, _)| oid.tag == OID && oid.value == *known);
            if let Some(at) = index {
                found[at] = Some(format!("{}={}", ATTRIBUTES[at].1, value.text()));
            }
        }
    }
    found.into_iter().flatten().next()
}

/// `SEQUENCE` in DER.
const SEQUENCE: u8 = 0x30;
/// `OBJECT IDENTIFIER` in DER.
const OID: u8 = 0x06;
/// `BMPString` in DER: UTF-16.
const BMP_STRING: u8 = 0x1e;

/// A DER element: a tag and a value.
struct Tlv<'d> {
    tag: u8,
    value: &'d [u8],
}

impl<'d> Tlv<'d> {
    /// The first element and what follows it. `None` at the end, and if the octets are not DER with lengths
    /// below 65,536.
    fn first(octets: &'d [u8]) -> Option<(Self, &'d [u8])> {
        let (&tag, rest) = octets.split_first()?;
        let (&short, rest) = rest.split_first()?;
        let (length, rest) = match short {
            0..=0x7f => (usize::from(short), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), rest.get(2..)?),
            _ => return None,
        };
        Some((Self { tag, value: rest.get(..length)? }, rest.get(length..)?))
    }

    /// A string of any type that is allowed in names.
    fn text(&self) -> String {
        match self.tag {
            BMP_STRING => {
                let (units, _) = self.value.as_chunks::<2>();
                let units: Vec<u16> = units.iter().map(|unit| u16::from_be_bytes(*unit)).collect();
                printable(&String::from_utf16_lossy(&units))
            }
            _ => printable(&String::from_utf8_lossy(self.value)),
        }
    }
}

/// Makes text from the network safe to print on one line: replaces control characters and truncates it.
fn printable(text: &str) -> String {
    let safe = |c: char| if c.is_control() { '?' } else { c };
    let short: String = text.chars().take(MAX_CHARACTERS).map(safe).collect();
    match text.chars().nth(MAX_CHARACTERS) {
        Some(_) => format!("{short}…"),
        None => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_are_extracted_and_malformed_names_rejected() {
        let cn = b"\x31\x10\x30\x0e\x06\x03\x55\x04\x03\x0c\x07Corp CA";
        let o = b"\x31\x0d\x30\x0b\x06\x03\x55\x04\x0a\x13\x04Corp";
        let inner = [&o[..], &cn[..]].concat();
        let outer = [&[SEQUENCE, inner.len() as u8][..], &inner].concat();
        for name in [&inner, &outer, &cn.to_vec()] {
            assert_eq!(common_name(name).as_deref(), Some("CN=Corp CA"));
        }
        assert_eq!(common_name(o).as_deref(), Some("O=Corp"));
        let utf16 = b"\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x1e\x04\0A\0\n";
        assert_eq!(common_name(utf16).as_deref(), Some("CN=A?"));
        for end in 0..inner.len() {
            _ = common_name(&inner[..end]);
        }
        for other in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x31\x82\xff\xff\x30"] {
            assert_eq!(common_name(other), None);
        }
    }

    /// Whether a text contains a Rust identifier: a word with upper-case letters after the first, except for
    /// known terms.
    fn has_debug_name(text: &str) -> bool {
        let terms = ["TLS", "DNS", "SPKI"];
        text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
            word.chars().skip(1).any(char::is_uppercase)
                && word.chars().any(char::is_lowercase)
                && !terms.contains(&word)
        })
    }

    #[test]
    fn every_error_is_described_without_debug_names() {
        assert!(has_debug_name("received fatal alert: HandshakeFailure"));
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_767_312_000));
        let certificates = [
            CertificateError::Expired,
            CertificateError::NotValidYet,
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownIssuer,
            CertificateError::UnknownRevocationStatus,
            CertificateError::ExpiredRevocationListContext { time, next_update: time },
            CertificateError::BadSignature,
            CertificateError::BadEncoding,
            CertificateError::NotValidForName,
            CertificateError::InvalidPurpose,
            CertificateError::InvalidOcspResponse,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: Vec::new(),
            },
            CertificateError::Other(OtherError(Arc::new(webpki::Error::NameConstraintViolation))),
            CertificateError::Other(OtherError(Arc::new(webpki::Error::UnsupportedCertVersion))),
            CertificateError::Other(OtherError(Arc::new(webpki::Error::EmptyEkuExtension))),
            CertificateError::Other(OtherError(Arc::new(std::io::Error::other("SomeError")))),
        ];
        let errors = (0..=u8::MAX)
            .map(|alert| rustls::Error::AlertReceived(AlertDescription::from(alert)))
            .chain(certificates.into_iter().map(rustls::Error::InvalidCertificate))
            .chain([
                rustls::Error::NoCertificatesPresented,
                rustls::Error::UnsupportedNameType,
                rustls::Error::DecryptError,
                rustls::Error::EncryptError,
                rustls::Error::General("SomeError".to_owned()),
                rustls::Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
                rustls::Error::PeerIncompatible(PeerIncompatible::NullCompressionRequired),
                rustls::Error::PeerMisbehaved(rustls::PeerMisbehaved::TooMuchEarlyDataReceived),
                rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType),
                rustls::Error::HandshakeNotComplete,
                rustls::Error::FailedToGetCurrentTime,
                rustls::Error::PeerSentOversizedRecord,
            ]);
        for error in errors {
            for has_client_certificate in [false, true] {
                let text = describe(&error, has_client_certificate);
                assert!(!text.is_empty() && !has_debug_name(&text), "{error:?}: {text}");
                assert!(!text.contains(['{', '(']) || text.ends_with(')'), "{text}");
            }
        }
        let expired = CertificateError::ExpiredContext { time, not_after: time };
        assert_eq!(describe_certificate_error(&expired), "has a certificate that expired on 2026-01-02");
        assert_eq!(describe_certificate_error(&CertificateError::Revoked), "has a revoked certificate");
    }

    #[test]
    fn names_of_certificates_are_listed_without_debug_names() {
        let list = |all: &[&str]| names(&all.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(list(&["DirectoryName"]), None);
        assert_eq!(
            list(&["DnsName(\"a.example\")", "IpAddress(192.0.2.1)"]).as_deref(),
            Some("a.example, 192.0.2.1")
        );
        let many = list(&["DnsName(\"a\")"; 9]);
        assert_eq!(many.as_deref(), Some("a, a, a, a and 5 more names"));
    }
}
