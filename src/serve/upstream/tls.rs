//! TLS to name servers: authentication of servers, client certificates, and descriptions of failures.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use webpki::EndEntityCert;

use super::message::Failure;
use super::tls_errors::{CertificateRejection, describe};
use crate::serve::tls::{InvalidPem, certificates, certified_key, provider};
use crate::world::{SpkiPin, TlsTrust};

/// The certificate authorities by which servers without `ca` are authenticated.
#[derive(Clone, Debug)]
pub struct Trust(Arc<RootCertStore>);

/// A certificate that cannot be used as a trust anchor.
#[derive(Debug, thiserror::Error)]
#[error("not a valid CA certificate")]
pub struct BadAuthority(#[from] rustls::Error);

/// The authorities in Mozilla's root store.
impl Default for Trust {
    fn default() -> Self {
        Self(Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
    }
}

impl Trust {
    /// Adds an authority, given by its certificate in DER.
    ///
    /// # Errors
    ///
    /// If the octets are not a valid certificate.
    pub fn add(&mut self, der: &[u8]) -> Result<(), BadAuthority> {
        Ok(Arc::make_mut(&mut self.0).add(CertificateDer::from(der.to_vec()))?)
    }
}

/// Checks whether the files configured for a server are usable for TLS.
///
/// # Errors
///
/// If a file is unusable; the error describes the first one.
pub(in crate::serve) fn check_trust(trust: &TlsTrust) -> Result<(), InvalidPem> {
    ParsedFiles::new(trust).map(drop)
}

/// The files of a server, parsed.
#[derive(Default)]
struct ParsedFiles {
    /// The authorities trusted instead of the default ones, with their certificates.
    ca: Option<(RootCertStore, Vec<CertificateDer<'static>>)>,
    /// The client certificate.
    client: Option<Arc<CertifiedKey>>,
}

impl ParsedFiles {
    /// Parses the files.
    fn new(trust: &TlsTrust) -> Result<Self, InvalidPem> {
        let ca = match &trust.ca {
            None => None,
            Some(file) => {
                let certificates = certificates(file)?;
                let mut roots = RootCertStore::empty();
                for (index, certificate) in certificates.iter().enumerate() {
                    roots.add(certificate.clone()).map_err(|_| {
                        InvalidPem::new(
                            file,
                            format!("contains a certificate that cannot be parsed (number {})", index + 1),
                        )
                    })?;
                }
                Some((roots, certificates))
            }
        };
        let client = trust.client.as_ref().map(certified_key).transpose()?.map(Arc::new);
        Ok(Self { ca, client })
    }
}

/// Authenticates one server: by a chain to an authority, by its public key, or by both.
#[derive(Debug)]
struct Verifier {
    /// Verifies chain, name and validity period. If only pins are configured, it verifies just the signatures
    /// of handshakes.
    webpki: Arc<WebPkiServerVerifier>,
    /// Whether chain, name and validity period are verified.
    verifies_chain: bool,
    /// The certificates of the `ca` configured for the server. `None` if the default authorities are trusted.
    ca: Option<Vec<CertificateDer<'static>>>,
    /// Hashes of the accepted public keys. If empty, every key is accepted.
    pins: Arc<[SpkiPin]>,
}

impl Verifier {
    /// Verifies the chain, the name and the validity period.
    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let verified = self.webpki.verify_server_cert(end_entity, intermediates, name, &[], now);
        let Err(error) = verified else { return Ok(()) };
        match &error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
                Err(CertificateRejection::unknown_issuer(end_entity, intermediates, self.ca.is_some()).into())
            }
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other)))
                if matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity)) =>
            {
                // `openssl req -x509` marks a self-signed certificate as an authority. It is accepted if `ca`
                // contains it. Its validity period was verified before the CA flag (RFC 5280 section 6.1.3).
                match self.ca.iter().flatten().any(|trusted| trusted == end_entity) {
                    true => verify_server_name(&ParsedCertificate::try_from(end_entity)?, name),
                    false => Err(CertificateRejection::authority_as_server().into()),
                }
            }
            _ => Err(error),
        }
    }

    /// Verifies the public key (RFC 7858 section 4.2) of the server's certificate only, because anyone can
    /// append other certificates.
    fn verify_key(&self, end_entity: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let certificate = EndEntityCert::try_from(end_entity)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let key = ring::digest::digest(&ring::digest::SHA256, &certificate.subject_public_key_info());
        match self.pins.iter().any(|pin| pin == key.as_ref()) {
            true => Ok(()),
            false => Err(CertificateRejection::pin_mismatch(key.as_ref()).into()),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.verifies_chain {
            self.verify_chain(end_entity, intermediates, server_name, now)?;
        }
        self.verify_key(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Presents the client certificate, if there is one, and records that it was requested.
#[derive(Debug)]
struct ClientCertificate {
    key: Option<Arc<CertifiedKey>>,
    observations: Arc<ConnectionObservations>,
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.observations.requested.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

/// Observations of the connections to one server.
#[derive(Debug, Default)]
struct ConnectionObservations {
    /// Whether a client certificate is configured.
    has_client_certificate: bool,
    /// Whether the server requested a client certificate on the most recent connection.
    requested: AtomicBool,
    /// Description of the most recent TLS failure.
    error: Mutex<Option<String>>,
}

impl ConnectionObservations {
    /// Describes why a connection ended before anything was received. A server that rejects a client
    /// certificate may close the connection before its alert is read.
    fn describe_close(&self) -> Option<String> {
        let requested = self.requested.load(Ordering::Relaxed);
        requested.then(|| match self.has_client_certificate {
            true => "requested a client certificate and closed the connection: it may have rejected `client_certificate`"
                .to_owned(),
            false => "requires a client certificate: set `client_certificate` and `client_key`".to_owned(),
        })
    }

    /// Locks the description of the most recent failure.
    fn error(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens TLS sessions to one server.
#[derive(Clone)]
pub(super) struct TlsDialer {
    /// An error if the server's files are unusable, which `check` reports.
    connector: Result<TlsConnector, Arc<str>>,
    /// The name in its certificate, or its address.
    name: Arc<str>,
    observations: Arc<ConnectionObservations>,
}

impl TlsDialer {
    /// Creates a dialer for one application protocol (RFC 7301). The server is authenticated as configured in
    /// `trust`, or else by the default authorities.
    pub(super) fn new(default: &Trust, trust: Option<&TlsTrust>, protocol: &[u8], name: &Arc<str>) -> Self {
        let files = trust.map_or_else(|| Ok(ParsedFiles::default()), ParsedFiles::new);
        let has_client_certificate = trust.is_some_and(|trust| trust.client.is_some());
        let observations =
            Arc::new(ConnectionObservations { has_client_certificate, ..ConnectionObservations::default() });
        let pins = trust.map(|trust| trust.pins.clone()).unwrap_or_default();
        let connector = files
            .map_err(|invalid| invalid.to_string())
            .and_then(|files| {
                connector(default, files, pins, protocol, observations.clone())
                    .map_err(|error| error.to_string())
            })
            .map_err(Arc::from);
        Self { connector, name: name.clone(), observations }
    }

    /// Performs a handshake on a connection.
    pub(super) async fn handshake(&self, tcp: TcpStream) -> Result<DescribedStream, Failure> {
        let name = ServerName::try_from(self.name.to_string()).map_err(|_| {
            Failure::Network(format!("has `{}` configured, which is not a host name", self.name))
        })?;
        let connector = self.connector.as_ref().map_err(|why| Failure::Network(why.to_string()))?;
        self.observations.requested.store(false, Ordering::Relaxed);
        *self.observations.error() = None;
        match connector.connect(name, tcp).await {
            Ok(stream) => {
                Ok(DescribedStream { stream, observations: self.observations.clone(), received: false })
            }
            Err(error) => Err(Failure::Network(match rustls_error(&error) {
                Some(error) => describe(error, self.observations.has_client_certificate),
                None if is_connection_end(&error) => self
                    .observations
                    .describe_close()
                    .unwrap_or_else(|| "closed the connection during the TLS handshake".to_owned()),
                None => return Err(error.into()),
            })),
        }
    }

    /// Description of the TLS failure of the most recent connection after its handshake, if any.
    pub(super) fn error(&self) -> Option<String> {
        self.observations.error().clone()
    }
}

impl fmt::Debug for TlsDialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDialer").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Creates the client side of TLS to one server.
fn connector(
    default: &Trust,
    files: ParsedFiles,
    pins: Arc<[SpkiPin]>,
    protocol: &[u8],
    observations: Arc<ConnectionObservations>,
) -> Result<TlsConnector, rustls::Error> {
    let ParsedFiles { ca, client } = files;
    let verifies_chain = ca.is_some() || pins.is_empty();
    let (roots, ca) = match ca {
        Some((roots, certificates)) => (Arc::new(roots), Some(certificates)),
        None => (default.0.clone(), None),
    };
    let webpki = WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let verifier = Verifier { webpki, verifies_chain, ca, pins };
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        // Not dangerous despite rustls's name: this verifier always verifies signatures, and verifies chains
        // unless only pins are configured (RFC 7858 section 4.2).
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(ClientCertificate { key: client, observations }));
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A TLS stream whose errors are replaced by descriptions.
pub(super) struct DescribedStream {
    stream: TlsStream<TcpStream>,
    observations: Arc<ConnectionObservations>,
    /// Whether anything was received since the handshake.
    received: bool,
}

impl DescribedStream {
    /// Replaces an error with its description, which is also stored because h2 discards errors.
    fn described(&self, error: io::Error) -> io::Error {
        let why = match rustls_error(&error) {
            Some(error) => Some(describe(error, self.observations.has_client_certificate)),
            None if is_connection_end(&error) && !self.received => self.observations.describe_close(),
            None => None,
        };
        match why {
            Some(why) => self.fail(why),
            None => error,
        }
    }

    /// Creates an error with this text and stores the text.
    fn fail(&self, why: String) -> io::Error {
        *self.observations.error() = Some(why.clone());
        io::Error::other(why)
    }
}

impl AsyncRead for DescribedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        Poll::Ready(match read {
            Err(error) => Err(self.described(error)),
            Ok(()) if buffer.filled().len() > before => {
                self.received = true;
                Ok(())
            }
            Ok(()) if self.received || buffer.remaining() == 0 => Ok(()),
            Ok(()) => self.observations.describe_close().map_or(Ok(()), |why| Err(self.fail(why))),
        })
    }
}

impl AsyncWrite for DescribedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, octets));
        Poll::Ready(written.map_err(|error| self.described(error)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| self.described(error)))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The TLS error inside an I/O error.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Whether an error is the end of the connection.
fn is_connection_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | BrokenPipe | ConnectionReset | ConnectionAborted)
}
