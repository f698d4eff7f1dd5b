//! DNS over TLS and DNS over HTTPS: authentication of servers, client certificates, and descriptions of
//! errors. Each test creates its own certificate authorities.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use data_encoding::BASE64;
use http::Response;
use plustwo::config::Mark;
use plustwo::dns::Answer;
use plustwo::serve::upstream::{Trust, Unanswered, UpstreamOptions};
use plustwo::world::{PemFile, Server, ServerTransport, SpkiPin, TlsFiles, TlsTrust, Upstream};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PublicKeyData, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring as provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::server::TlsStream;

use crate::scripts::good;
use crate::test_server::ReceivedMessages;
use crate::{Fixture, is_good, options, upstream};

/// The configured name of the servers.
pub(crate) const NAME: &str = "dns.example";

/// An encrypted transport.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Dot,
    Doh,
}

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Dot, Protocol::Doh];

/// Creates an authority with a common name.
pub(crate) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with its chain, and its key.
pub(crate) struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
}

impl Identity {
    /// Creates a certificate for these names, which `edit` changes before the authority signs it.
    pub(crate) fn signed(
        names: &[&str],
        authority: &CertifiedIssuer<'static, KeyPair>,
        edit: impl Fn(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        Self { chain: vec![params.signed_by(&key, authority).unwrap().der().clone()], key }
    }

    /// Creates a self-signed certificate for these names.
    pub(crate) fn self_signed(names: &[&str], edit: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    /// The chain in PEM form.
    pub(crate) fn pem(&self) -> PemFile {
        pem(&self.chain)
    }

    /// Certificate and key in PEM form.
    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.pem(), key: file(&self.key.serialize_pem()) }
    }

    /// The hash of its public key.
    pub(crate) fn pin(&self) -> SpkiPin {
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.key.subject_public_key_info());
        hash.as_ref().try_into().unwrap()
    }

    /// A TLS server configuration with this certificate.
    pub(crate) fn server_config(&self) -> ServerConfig {
        self.server_config_with(rustls::ALL_VERSIONS, None)
    }

    /// A TLS server configuration for these versions of TLS. If `clients_of` is set, client certificates of
    /// this authority are required.
    fn server_config_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients_of: Option<&CertifiedIssuer<'static, KeyPair>>,
    ) -> ServerConfig {
        let provider = Arc::new(provider::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
        let builder = match clients_of {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        builder.with_single_cert(self.chain.clone(), key).unwrap()
    }
}

fn file(text: &str) -> PemFile {
    PemFile { path: "test.pem".into(), text: text.into(), mark: Mark::default() }
}

fn pem(certificates: &[CertificateDer<'_>]) -> PemFile {
    let one = |der: &CertificateDer<'_>| {
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", BASE64.encode(der))
    };
    file(&certificates.iter().map(one).collect::<String>())
}

fn authority_pem(authority: &CertifiedIssuer<'static, KeyPair>) -> Option<PemFile> {
    Some(pem(&[authority.der().clone()]))
}

/// A server over TLS on loopback that answers every question with one address.
pub(crate) struct EncryptedServer {
    pub address: SocketAddr,
    protocol: Protocol,
    /// The queries received over DNS over TLS.
    received: ReceivedMessages,
    /// The client certificate of each connection.
    clients: Arc<Mutex<Vec<Option<CertificateDer<'static>>>>>,
}

impl EncryptedServer {
    pub(crate) async fn start(protocol: Protocol, mut config: ServerConfig) -> Self {
        let alpn: &[u8] = match protocol {
            Protocol::Dot => b"dot",
            Protocol::Doh => b"h2",
        };
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![alpn.to_vec()];
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (received, clients) = (ReceivedMessages::default(), Arc::<Mutex<Vec<_>>>::default());
        let (task_received, task_clients) = (received.clone(), clients.clone());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (acceptor, received, clients) =
                    (acceptor.clone(), task_received.clone(), task_clients.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let presented = stream.get_ref().1.peer_certificates();
                    clients.lock().unwrap().push(presented.map(|chain| chain[0].clone().into_owned()));
                    match protocol {
                        Protocol::Dot => serve_dot(stream, peer, received).await,
                        Protocol::Doh => serve_http(stream).await,
                    }
                });
            }
        });
        Self { address, protocol, received, clients }
    }

    /// An upstream with only this server.
    fn upstream(&self, name: &str, trust: Option<TlsTrust>) -> Upstream {
        let transport = match self.protocol {
            Protocol::Dot => ServerTransport::Tls { name: name.into() },
            Protocol::Doh => ServerTransport::Https { name: name.into(), path: "/dns-query".into() },
        };
        let server = Server { tls: trust.map(Arc::new), ..Server::new(self.address, transport) };
        upstream([server])
    }

    /// The outcome of a question over a new connection.
    async fn query(&self, trust: Option<TlsTrust>) -> Result<Answer, Unanswered> {
        Fixture::default().query(&self.upstream(NAME, trust), "a.example").await
    }

    /// The text of the extended error after the server's address.
    async fn error(&self, trust: Option<TlsTrust>) -> String {
        let upstream = self.upstream(NAME, trust);
        let error = Fixture::default().query(&upstream, "a.example").await.unwrap_err();
        let before = format!("rslvr-rr-corp: {} ", upstream.identity.servers[0]);
        error.ede.text.strip_prefix(&before).unwrap_or_else(|| panic!("{}", error.ede.text)).to_owned()
    }
}

/// Answers the queries of one connection.
async fn serve_dot(mut stream: TlsStream<TcpStream>, peer: SocketAddr, received: ReceivedMessages) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        received.lock().unwrap().push((peer, message.clone()));
        for reply in good(&message) {
            let framed = [&(reply.len() as u16).to_be_bytes()[..], &reply].concat();
            stream.write_all(&framed).await.unwrap();
            stream.flush().await.unwrap();
        }
    }
}

/// Answers the POST requests of one connection.
async fn serve_http(stream: TlsStream<TcpStream>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        assert_eq!(request.uri().path(), "/dns-query");
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut message = Vec::new();
            while let Some(part) = body.data().await {
                message.extend_from_slice(&part.unwrap());
            }
            assert_eq!(message[..2], [0, 0]);
            let mut send = respond.send_response(Response::new(()), false).unwrap();
            send.send_data(Bytes::from(good(&message).remove(0)), true).unwrap();
        });
    }
}

#[tokio::test]
async fn servers_without_settings_are_authenticated_by_the_default_authorities() {
    let authority = authority("Common CA");
    let mut trust = Trust::default();
    trust.add(authority.der()).unwrap();
    let identity = Identity::signed(&[NAME], &authority, |_| {});
    for protocol in PROTOCOLS {
        let server = EncryptedServer::start(protocol, identity.server_config()).await;
        let fixture = Fixture::new(UpstreamOptions { trust: trust.clone(), ..options() });
        let upstream = server.upstream(NAME, None);
        for index in 0..3 {
            assert!(is_good(&fixture.query(&upstream, &format!("{index}.example")).await));
        }
        assert_eq!(server.clients.lock().unwrap().len(), 1, "one connection");
        // Without `ca`, the default authorities apply even if other settings are present.
        let presents = TlsTrust { client: Some(identity.files()), ..TlsTrust::default() };
        assert!(is_good(&fixture.query(&server.upstream(NAME, Some(presents)), "a.example").await));
    }
    let server = EncryptedServer::start(Protocol::Dot, identity.server_config()).await;
    let fixture = Fixture::new(UpstreamOptions { trust, ..options() });
    assert!(is_good(&fixture.query(&server.upstream(NAME, None), "a.example").await));
    assert_eq!(server.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_private_authority_is_trusted_only_for_servers_whose_ca_contains_it() {
    let (corp, other) = (authority("Corp CA"), authority("Other CA"));
    let identity = Identity::signed(&[NAME], &corp, |_| {});
    let ca = |authority| Some(TlsTrust { ca: authority_pem(authority), ..TlsTrust::default() });
    for protocol in PROTOCOLS {
        let server = EncryptedServer::start(protocol, identity.server_config()).await;
        assert!(is_good(&server.query(ca(&corp)).await));
        assert_eq!(
            server.error(None).await,
            "has a certificate from an untrusted authority (CN=Corp CA): set `ca = \"file.pem\"`"
        );
        assert_eq!(
            server.error(ca(&other)).await,
            "has a certificate signed by an authority that is not in its `ca` (CN=Corp CA)"
        );
        // A file can contain several authorities, and replaces the default ones.
        let both = pem(&[other.der().clone(), corp.der().clone()]);
        assert!(is_good(&server.query(Some(TlsTrust { ca: Some(both), ..TlsTrust::default() })).await));
        let mut default = Trust::default();
        default.add(corp.der()).unwrap();
        let fixture = Fixture::new(UpstreamOptions { trust: default, ..options() });
        assert!(fixture.query(&server.upstream(NAME, ca(&other)), "a.example").await.is_err());
    }
}

#[tokio::test]
async fn only_a_pinned_key_is_trusted_regardless_of_its_authority() {
    let (identity, other) = (Identity::self_signed(&["other.example"], |_| {}), authority("Other CA"));
    let pins = |pins: &[SpkiPin]| TlsTrust { pins: pins.into(), ..TlsTrust::default() };
    let rejection = format!(
        "has a public key whose pin, sha256/{}, is not in `spki_pin`",
        BASE64.encode(&identity.pin())
    );
    for protocol in PROTOCOLS {
        let server = EncryptedServer::start(protocol, identity.server_config()).await;
        // Neither the name nor the issuer is verified (RFC 7858 section 4.2); one matching pin is sufficient.
        assert!(is_good(&server.query(Some(pins(&[identity.pin()]))).await));
        assert!(is_good(&server.query(Some(pins(&[[1; 32], identity.pin()]))).await));
        assert_eq!(server.error(Some(pins(&[[1; 32]]))).await, rejection);
        // If an authority is configured as well, both must match.
        let both = |ca: Option<PemFile>, pin| Some(TlsTrust { ca, ..pins(&[pin]) });
        let unsigned = server.error(both(authority_pem(&other), identity.pin())).await;
        assert!(unsigned.starts_with("has a self-signed certificate that is not in its `ca`"), "{unsigned}");
        let signed = Identity::signed(&[NAME], &other, |_| {});
        let server = EncryptedServer::start(protocol, signed.server_config()).await;
        assert!(is_good(&server.query(both(authority_pem(&other), signed.pin())).await));
        let wrong = server.error(both(authority_pem(&other), identity.pin())).await;
        assert!(wrong.contains(&BASE64.encode(&signed.pin())), "{wrong}");
        // The server must prove that it has the pinned key: a certificate with that key in the chain is not
        // sufficient.
        let mut impostor = Identity::self_signed(&[NAME], |_| {});
        impostor.chain.push(identity.chain[0].clone());
        let server = EncryptedServer::start(protocol, impostor.server_config()).await;
        assert!(
            server.query(Some(pins(&[identity.pin()]))).await.is_err(),
            "the pinned key is only in the chain"
        );
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_ca_contains_it() {
    let as_authority =
        |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let expired = |params: &mut CertificateParams| {
        as_authority(params);
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 2), date_time_ymd(2020, 1, 2));
    };
    let ca = |identity: &Identity| Some(TlsTrust { ca: Some(identity.pem()), ..TlsTrust::default() });
    for protocol in PROTOCOLS {
        // Marked as an authority, as by `openssl req -x509`, and not marked.
        for identity in [Identity::self_signed(&[NAME], as_authority), Identity::self_signed(&[NAME], |_| {})]
        {
            let server = EncryptedServer::start(protocol, identity.server_config()).await;
            assert!(is_good(&server.query(ca(&identity)).await));
        }
        let server =
            EncryptedServer::start(protocol, Identity::self_signed(&[NAME], as_authority).server_config())
                .await;
        let other = ca(&Identity::self_signed(&[NAME], as_authority));
        assert!(server.error(other).await.starts_with("presented a CA certificate (CA:TRUE)"));
        // Its name and its validity period are verified nevertheless.
        let other_name = Identity::self_signed(&["other.example"], as_authority);
        let server = EncryptedServer::start(protocol, other_name.server_config()).await;
        assert_eq!(
            server.error(ca(&other_name)).await,
            "has a certificate for other.example, not for dns.example"
        );
        let expired = Identity::self_signed(&[NAME], expired);
        let server = EncryptedServer::start(protocol, expired.server_config()).await;
        assert_eq!(server.error(ca(&expired)).await, "has a certificate that expired on 2020-01-02");
    }
}

#[tokio::test]
async fn a_client_certificate_is_presented_to_a_server_that_requires_one() {
    let (corp, other) = (authority("Corp CA"), authority("Other CA"));
    let identity = Identity::signed(&[NAME], &corp, |_| {});
    let client = Identity::signed(&["plustwo.example"], &corp, |_| {});
    let stranger = Identity::signed(&["plustwo.example"], &other, |_| {});
    let presents = |client: Option<&Identity>| {
        Some(TlsTrust {
            ca: authority_pem(&corp),
            client: client.map(Identity::files),
            ..TlsTrust::default()
        })
    };
    for protocol in PROTOCOLS {
        for versions in [[&version::TLS12], [&version::TLS13]] {
            let server =
                EncryptedServer::start(protocol, identity.server_config_with(&versions, Some(&corp))).await;
            assert!(is_good(&server.query(presents(Some(&client))).await), "{protocol:?} {versions:?}");
            assert_eq!(*server.clients.lock().unwrap(), [Some(client.chain[0].clone())]);
            assert_eq!(
                server.error(presents(None)).await,
                "requires a client certificate: set `client_certificate` and `client_key`",
                "{protocol:?} {versions:?}"
            );
            let error = server.error(presents(Some(&stranger))).await;
            assert!(error.contains("client certificate") || error.contains("client_certificate"), "{error}");
        }
        // It is not presented to a server that does not require one.
        let server = EncryptedServer::start(protocol, identity.server_config()).await;
        assert!(is_good(&server.query(presents(Some(&client))).await));
        assert_eq!(*server.clients.lock().unwrap(), [None]);
    }
}

#[tokio::test]
async fn certificate_errors_are_described() {
    type Edit = fn(&mut CertificateParams);
    let corp = authority("Corp CA");
    let trust = Some(TlsTrust { ca: authority_pem(&corp), ..TlsTrust::default() });
    let cases: [(&[&str], Edit, &str); 7] = [
        (
            &[NAME],
            |params| {
                (params.not_before, params.not_after) = (date_time_ymd(2025, 1, 2), date_time_ymd(2026, 1, 2))
            },
            "has a certificate that expired on 2026-01-02",
        ),
        (
            &[NAME],
            |params| params.not_before = date_time_ymd(2999, 1, 2),
            "has a certificate that is not valid before 2999-01-02 (this host's date is ",
        ),
        (&["other.example"], |_| {}, "has a certificate for other.example, not for dns.example"),
        (
            &["*.example.net", "192.0.2.53"],
            |_| {},
            "has a certificate for *.example.net, 192.0.2.53, not for dns.example",
        ),
        (
            &["a", "b", "c", "d", "e", "f"],
            |_| {},
            "has a certificate for a, b, c, d and 2 more names, not for",
        ),
        (&[], |_| {}, "has a certificate without a name; expected one for dns.example"),
        (
            &[NAME],
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "has a certificate that is not for TLS servers (extended key usage)",
        ),
    ];
    for protocol in PROTOCOLS {
        for (names, edit, expected) in cases {
            let server =
                EncryptedServer::start(protocol, Identity::signed(names, &corp, edit).server_config()).await;
            let error = server.error(trust.clone()).await;
            assert!(error.starts_with(expected), "{error}\n{expected}");
            assert!(!error.contains(['{', '"', '\\']) && !error.contains("Context"), "{error}");
        }
        // If the server sends an intermediate certificate, the error names the authority above it.
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Middle\nCA");
        let root = authority("Root CA");
        let middle = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
        let mut identity = Identity::signed(&[NAME], &middle, |_| {});
        let alone =
            EncryptedServer::start(protocol, identity.server_config()).await.error(trust.clone()).await;
        assert_eq!(alone, "has a certificate signed by an authority that is not in its `ca` (CN=Middle?CA)");
        identity.chain.push(middle.der().clone());
        let chain =
            EncryptedServer::start(protocol, identity.server_config()).await.error(trust.clone()).await;
        assert_eq!(chain, "has a certificate signed by an authority that is not in its `ca` (CN=Root CA)");
    }
}

#[tokio::test]
async fn handshake_errors_are_described() {
    let corp = authority("Corp CA");
    let trust = Some(TlsTrust { ca: authority_pem(&corp), ..TlsTrust::default() });
    let identity = Identity::signed(&[NAME], &corp, |_| {});
    for protocol in PROTOCOLS {
        let mut config = identity.server_config();
        config.alpn_protocols = vec![b"imap".to_vec()];
        assert_eq!(
            EncryptedServer::start(protocol, config).await.error(trust.clone()).await,
            "does not offer DNS over this transport (no common application protocol)"
        );
        // Data that a server sends instead of a handshake; the first ones are alerts (RFC 8446 section 6).
        let cases: [(&[u8], &str); 6] = [
            (b"\x15\x03\x03\x00\x02\x02\x46", "supports neither TLS 1.2 nor TLS 1.3"),
            (
                b"\x15\x03\x03\x00\x02\x02\x28",
                "rejected the TLS handshake: no common cipher suite, or a client certificate is required",
            ),
            (
                b"\x15\x03\x03\x00\x02\x02\x70",
                "rejected the TLS handshake: it does not serve the name after `#`",
            ),
            (b"\x15\x03\x03\x00\x02\x02\xfe", "rejected the TLS handshake (alert 254)"),
            (b"220 mail.example ESMTP\r\n", "sent something that is not TLS"),
            (b"", "closed the connection during the TLS handshake"),
        ];
        for (octets, expected) in cases {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut hello = [0; 4096];
                    // Read the data of the client, so that closing does not send a reset.
                    let _ = stream.read(&mut hello).await;
                    let _ = stream.write_all(octets).await;
                }
            });
            let server = EncryptedServer {
                address,
                protocol,
                received: ReceivedMessages::default(),
                clients: Arc::default(),
            };
            assert_eq!(server.error(trust.clone()).await, expected, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn the_identity_of_an_upstream_includes_the_contents_of_its_ca() {
    let (old, new) = (authority("Old CA"), authority("New CA"));
    let identity = Identity::signed(&[NAME], &new, |_| {});
    let ca = |authority| Some(TlsTrust { ca: authority_pem(authority), ..TlsTrust::default() });
    for protocol in PROTOCOLS {
        let server = EncryptedServer::start(protocol, identity.server_config()).await;
        let fixture = Fixture::default();
        let before = server.upstream(NAME, ca(&old));
        assert!(fixture.query(&before, "a.example").await.is_err());
        // The same path now has another authority, so neither the failure nor the connection is reused.
        let after = server.upstream(NAME, ca(&new));
        assert!(is_good(&fixture.query(&after, "a.example").await));
        // With the same contents, it is the same upstream, with its open connection.
        let same = server.upstream(NAME, ca(&new));
        assert_eq!(after.identity, same.identity);
        assert!(is_good(&fixture.query(&same, "b.example").await));
        assert_eq!(server.clients.lock().unwrap().len(), 1, "one connection was authenticated");
    }
}
