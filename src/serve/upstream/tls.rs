//! TLS to name servers: who is trusted, and the name a server must prove.

use std::fmt;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::message::Failure;

/// The certificate authorities that name servers are believed by.
#[derive(Clone, Debug)]
pub struct Trust(RootCertStore);

/// A certificate that cannot be a root of trust.
#[derive(Debug, thiserror::Error)]
#[error("not a certificate of an authority")]
pub struct BadAuthority(#[from] rustls::Error);

/// Those of Mozilla's programme.
impl Default for Trust {
    fn default() -> Self {
        Self(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
    }
}

impl Trust {
    /// Trusts one more authority, given by its certificate in DER.
    ///
    /// # Errors
    ///
    /// When the octets are no certificate.
    pub fn add(&mut self, der: &[u8]) -> Result<(), BadAuthority> {
        Ok(self.0.add(CertificateDer::from(der.to_vec()))?)
    }

    /// What makes connections for one protocol (RFC 7301).
    pub(super) fn connector(&self, protocol: &[u8]) -> TlsConnector {
        // Named, because a program with two providers of cryptography in it has no default one.
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has cipher suites for TLS 1.2 and 1.3");
        let mut config = builder.with_root_certificates(self.0.clone()).with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

/// TLS to one server.
#[derive(Clone)]
pub(super) struct Secure {
    pub connector: TlsConnector,
    /// The name in its certificate, or its address.
    pub name: Arc<str>,
}

impl Secure {
    /// Puts TLS over a connection.
    pub async fn wrap(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(self.name.to_string())
            .map_err(|_| Failure::Network(format!("`{}` cannot be a server's name", self.name)))?;
        Ok(self.connector.connect(name, tcp).await?)
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secure").field("name", &self.name).finish_non_exhaustive()
    }
}
