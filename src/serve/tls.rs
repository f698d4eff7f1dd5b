//! Server certificates of encrypted listeners, which can be replaced while the listeners run.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::upstream;
use crate::config::{Code, Report};
use crate::world::{PemFile, TlsFiles, World};

/// The certificate of a listener. A handshake uses the current one; established connections are not affected
/// by a replacement.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Loads a certificate from files.
    ///
    /// # Errors
    /// The files are not usable for TLS.
    pub fn of(files: &TlsFiles) -> Result<Self, InvalidPem> {
        certified_key(files).map(|key| Self(ArcSwap::from_pointee(key)))
    }

    /// Replaces the certificate for future handshakes.
    ///
    /// # Errors
    /// The files are not usable for TLS; the previous certificate remains.
    pub fn replace(&self, files: &TlsFiles) -> Result<(), InvalidPem> {
        self.0.store(Arc::new(certified_key(files)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// A PEM file that is not usable for TLS.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {why}", file.path.display())]
pub struct InvalidPem {
    /// The file.
    pub file: PemFile,
    why: String,
}

impl InvalidPem {
    /// Creates the error for a file from its cause: a predicate, such as "contains no certificate".
    pub(super) fn new(file: &PemFile, why: String) -> Self {
        Self { file: file.clone(), why }
    }
}

/// Reports every file of a world that is not usable for TLS: certificates of listeners, and files configured
/// for upstream servers. Returns true if there is none.
pub fn check(world: &World, report: &mut Report) -> bool {
    let before = report.error_count();
    for files in world.settings.listeners.iter().filter_map(|listener| listener.tls()) {
        if let Err(error) = certified_key(files) {
            report.error(Code::Certificate, error.file.mark, error.to_string());
        }
    }
    let servers = world.names.upstreams.iter().flat_map(|upstream| upstream.identity.servers.iter());
    for trust in servers.filter_map(|server| server.tls.as_deref()) {
        if let Err(error) = upstream::check_trust(trust) {
            report.error(Code::Certificate, error.file.mark, error.to_string());
        }
    }
    report.error_count() == before
}

/// The TLS server settings of this project: ring's algorithms, TLS 1.2 and 1.3, no client certificates.
///
/// # Errors
/// The provider does not support a protocol version, which does not happen with ring.
pub fn server_config(
    certificate: Arc<Certificate>,
    protocol: &[u8],
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(Arc::new(config))
}

/// The cryptography provider. Always set: if another crate adds a second one, rustls has no default.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates in a PEM file, in order; at least one.
pub(super) fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file.text.as_bytes()).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(InvalidPem::new(file, "contains no certificate".to_owned()))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(InvalidPem::new(file, not_pem(&error))),
    }
}

/// Why a file cannot be read as PEM (RFC 7468).
fn not_pem(error: &pem::Error) -> String {
    let why = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not valid Base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be parsed",
    };
    format!("is not a PEM file: {why}")
}

/// A certificate with its chain and private key, verified to match.
pub(super) fn certified_key(files: &TlsFiles) -> Result<CertifiedKey, InvalidPem> {
    let invalid = |file: &PemFile, why: String| InvalidPem::new(file, why);
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(files.key.text.as_bytes()).map_err(|error| {
        let why = match error {
            pem::Error::NoItemsFound => "contains no private key".to_owned(),
            error => not_pem(&error),
        };
        invalid(&files.key, why)
    })?;
    // Loaded separately from the certificate, so that the error names the right file.
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|error| invalid(&files.key, format!("contains an unusable private key: {error}")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let why = format!("is not the key of the certificate in `{}`", files.certificate.path.display());
            Err(invalid(&files.key, why))
        }
        Err(error) => {
            let why = format!("contains an unusable certificate: {error}");
            Err(invalid(&files.certificate, why))
        }
    }
}
