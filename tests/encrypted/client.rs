//! Clients for DNS over TLS and DNS over HTTPS that trust a single certificate, and its generator.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::common::Reply;

/// Time limit for a reply. Only a reply that never arrives exceeds it.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A certificate for loopback addresses and its key, in files.
pub(crate) struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub der: CertificateDer<'static>,
}

impl Identity {
    /// Creates a new certificate and writes it to `NAME.cert.pem` and `NAME.key.pem`.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let addresses = [2, 3, 4, 5].map(|last| format!("127.0.0.{last}")).to_vec();
        let generated = rcgen::generate_simple_self_signed(addresses).unwrap();
        let certificate = dir.join(format!("{name}.cert.pem"));
        let key = dir.join(format!("{name}.key.pem"));
        fs::write(&certificate, generated.cert.pem()).unwrap();
        fs::write(&key, generated.signing_key.serialize_pem()).unwrap();
        Self { certificate, key, der: generated.cert.der().clone() }
    }

    /// Settings of a client that trusts this certificate. Connections that share them resume each other's
    /// sessions.
    pub(crate) fn client_config(&self, alpn: &[u8]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        Arc::new(config)
    }
}

async fn connect(
    listener: SocketAddr,
    from: IpAddr,
    config: Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let stream = socket.connect(listener).await?;
    TlsConnector::from(config).connect(ServerName::from(listener.ip()), stream).await
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("completes in time")
}

/// A connection for DNS over TLS.
pub(crate) struct Dot {
    runtime: Runtime,
    stream: TlsStream<TcpStream>,
}

impl Dot {
    pub(crate) fn connect(listener: SocketAddr, from: IpAddr, identity: &Identity) -> io::Result<Self> {
        Self::connect_with(listener, from, identity.client_config(b"dot"))
    }

    pub(crate) fn connect_with(
        listener: SocketAddr,
        from: IpAddr,
        config: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let runtime = runtime();
        let stream = runtime.block_on(in_time(connect(listener, from, config)))?;
        Ok(Self { runtime, stream })
    }

    /// The kind of handshake: full or resumed.
    pub(crate) fn handshake_kind(&self) -> rustls::HandshakeKind {
        self.stream.get_ref().1.handshake_kind().unwrap()
    }

    /// Closes the sending direction. Replies can still be received.
    pub(crate) fn half_close(&mut self) {
        self.runtime.block_on(self.stream.shutdown()).unwrap();
    }

    /// Whether the server closes the connection with close_notify, without sending anything else.
    pub(crate) fn is_closed_in_order(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = self.runtime.block_on(in_time(self.stream.read_to_end(&mut rest)));
        end.is_ok() && rest.is_empty()
    }

    /// The certificate that the server presented.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }

    /// Sends messages in one write.
    pub(crate) fn send(&mut self, messages: &[&[u8]]) {
        let mut octets = Vec::new();
        for message in messages {
            octets.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
            octets.extend(*message);
        }
        self.runtime.block_on(async {
            self.stream.write_all(&octets).await.unwrap();
            self.stream.flush().await.unwrap();
        });
    }

    pub(crate) fn receive(&mut self) -> Vec<u8> {
        self.runtime.block_on(in_time(async {
            let length = self.stream.read_u16().await.unwrap();
            let mut message = vec![0; length.into()];
            self.stream.read_exact(&mut message).await.unwrap();
            message
        }))
    }

    pub(crate) fn exchange(&mut self, message: &[u8]) -> Vec<u8> {
        self.send(&[message]);
        self.receive()
    }

    /// Waits until the server closes the connection. Returns false if it sent anything before.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = self.runtime.block_on(in_time(self.stream.read_to_end(&mut rest)));
        end.is_err() || rest.is_empty()
    }
}

/// Status, header fields and body.
pub(crate) type Response = (u16, http::HeaderMap, Vec<u8>);

/// A connection for DNS over HTTPS.
pub(crate) struct Doh {
    runtime: Runtime,
    authority: String,
    http: SendRequest<Bytes>,
}

impl Doh {
    pub(crate) fn connect(listener: SocketAddr, from: IpAddr, identity: &Identity) -> Self {
        Self::try_connect(listener, from, identity).unwrap()
    }

    pub(crate) fn try_connect(listener: SocketAddr, from: IpAddr, identity: &Identity) -> io::Result<Self> {
        let runtime = runtime();
        let http = runtime.block_on(in_time(async {
            let stream = connect(listener, from, identity.client_config(b"h2")).await?;
            let (http, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
            tokio::spawn(connection);
            Ok::<_, io::Error>(http)
        }))?;
        Ok(Self { runtime, authority: listener.to_string(), http })
    }

    /// Sends a request and returns the status and body of the response.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: &[u8],
    ) -> Result<(u16, Vec<u8>), h2::Error> {
        let (status, _, body) = self.full_request(method, path, media_type, body)?;
        Ok((status, body))
    }

    /// Sends all messages by POST, each in its own stream, and returns the reply that arrives first.
    pub(crate) fn first_reply(&mut self, messages: &[Vec<u8>]) -> Reply {
        let uri = format!("https://{}/dns-query", self.authority);
        let http = self.http.clone();
        self.runtime.block_on(in_time(async move {
            let (replied, mut replies) = tokio::sync::mpsc::unbounded_channel();
            for message in messages {
                let request = http::Request::builder().method("POST").uri(&uri);
                let request = request.header("content-type", "application/dns-message").body(()).unwrap();
                let mut http = http.clone().ready().await.unwrap();
                let (response, mut stream) = http.send_request(request, false).unwrap();
                stream.send_data(Bytes::copy_from_slice(message), true).unwrap();
                let replied = replied.clone();
                tokio::spawn(async move {
                    let mut body = response.await.unwrap().into_body();
                    let mut octets = Vec::new();
                    while let Some(chunk) = body.data().await {
                        octets.extend(chunk.unwrap());
                    }
                    let _ = replied.send(Reply::of(&octets));
                });
            }
            replies.recv().await.unwrap()
        }))
    }

    /// Sends a request and returns the complete response.
    pub(crate) fn full_request(
        &mut self,
        method: &str,
        path: &str,
        media_type: Option<&str>,
        body: &[u8],
    ) -> Result<Response, h2::Error> {
        let uri = format!("https://{}{path}", self.authority);
        let mut request = http::Request::builder().method(method).uri(uri);
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let request = request.body(()).unwrap();
        let body = Bytes::copy_from_slice(body);
        let http = self.http.clone();
        self.runtime.block_on(in_time(async move {
            let mut http = http.ready().await?;
            let (response, mut stream) = http.send_request(request, false)?;
            // The server may reject the request before it has read the body.
            let _ = stream.send_data(body, true);
            let (parts, mut body) = response.await?.into_parts();
            let mut octets = Vec::new();
            while let Some(chunk) = body.data().await {
                let chunk = chunk?;
                body.flow_control().release_capacity(chunk.len())?;
                octets.extend(chunk);
            }
            Ok((parts.status.as_u16(), parts.headers, octets))
        }))
    }

    /// Sends a query by POST.
    pub(crate) fn post(&mut self, message: &[u8]) -> Vec<u8> {
        self.exchange("POST", "/dns-query", Some("application/dns-message"), message)
    }

    /// Sends a query by GET.
    pub(crate) fn get(&mut self, message: &[u8]) -> Vec<u8> {
        self.exchange("GET", &format!("/dns-query?dns={}", base64url(message)), None, b"")
    }

    fn exchange(&mut self, method: &str, path: &str, media_type: Option<&str>, body: &[u8]) -> Vec<u8> {
        let (status, headers, octets) = self.full_request(method, path, media_type, body).unwrap();
        assert_eq!(status, 200);
        assert_eq!(headers["content-type"], "application/dns-message");
        assert_eq!(headers["content-length"], octets.len().to_string());
        octets
    }
}

/// Encodes octets as base64url without padding (RFC 4648 section 5).
pub(crate) fn base64url(octets: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in octets.chunks(3) {
        let bits = chunk.iter().fold(0_usize, |bits, octet| bits << 8 | usize::from(*octet))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(alphabet[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}
