//! DNS over TLS and over HTTPS: which servers are trusted, what is presented to them, and what an error says. Each test
//! makes its own certificate authorities.

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
use crate::test_server::Seen;
use crate::{Bench, is_good, options, upstream};

/// The name that servers are configured with.
pub const NAME: &str = "dns.example";

/// What carries DNS over TLS.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Dot,
    Doh,
}

pub const BOTH: [Protocol; 2] = [Protocol::Dot, Protocol::Doh];

/// An authority with a common name.
pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with its chain, and its key.
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
}

impl Identity {
    /// A certificate for these names, changed by `edit` before the authority signs it.
    pub fn signed(
        names: &[&str],
        by: &CertifiedIssuer<'static, KeyPair>,
        edit: impl Fn(&mut CertificateParams),
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        Self { chain: vec![params.signed_by(&key, by).unwrap().der().clone()], key }
    }

    /// A certificate that its own key signs.
    pub fn self_signed(names: &[&str], edit: impl Fn(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        edit(&mut params);
        Self { chain: vec![params.self_signed(&key).unwrap().der().clone()], key }
    }

    /// The chain in PEM form.
    pub fn pem(&self) -> PemFile {
        pem(&self.chain)
    }

    /// Certificate and key in PEM form.
    fn files(&self) -> TlsFiles {
        TlsFiles { certificate: self.pem(), key: file(&self.key.serialize_pem()) }
    }

    /// The hash of its public key.
    pub fn pin(&self) -> SpkiPin {
        let hash = ring::digest::digest(&ring::digest::SHA256, &self.key.subject_public_key_info());
        hash.as_ref().try_into().unwrap()
    }

    /// A server's side of TLS.
    pub fn serves(&self) -> ServerConfig {
        self.serves_over(rustls::ALL_VERSIONS, None)
    }

    /// The same for some versions of TLS, requiring client certificates of an authority.
    fn serves_over(
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

fn of_authority(authority: &CertifiedIssuer<'static, KeyPair>) -> Option<PemFile> {
    Some(pem(&[authority.der().clone()]))
}

/// A server over TLS on loopback, which answers every question with one address.
pub struct Encrypted {
    pub address: SocketAddr,
    protocol: Protocol,
    /// Who asked what, over DoT.
    seen: Seen,
    /// The client certificate of each connection.
    clients: Arc<Mutex<Vec<Option<CertificateDer<'static>>>>>,
}

impl Encrypted {
    pub async fn start(protocol: Protocol, mut config: ServerConfig) -> Self {
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
        let (seen, clients) = (Seen::default(), Arc::<Mutex<Vec<_>>>::default());
        let (seen_there, clients_there) = (seen.clone(), clients.clone());
        tokio::spawn(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                let (acceptor, seen, clients) = (acceptor.clone(), seen_there.clone(), clients_there.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let presented = stream.get_ref().1.peer_certificates();
                    clients.lock().unwrap().push(presented.map(|chain| chain[0].clone().into_owned()));
                    match protocol {
                        Protocol::Dot => serve_dot(stream, peer, seen).await,
                        Protocol::Doh => serve_http(stream).await,
                    }
                });
            }
        });
        Self { address, protocol, seen, clients }
    }

    /// An upstream of this server alone.
    fn upstream(&self, name: &str, trust: Option<TlsTrust>) -> Upstream {
        let transport = match self.protocol {
            Protocol::Dot => ServerTransport::Tls { name: name.into() },
            Protocol::Doh => ServerTransport::Https { name: name.into(), path: "/dns-query".into() },
        };
        let server = Server { tls: trust.map(Arc::new), ..Server::new(self.address, transport) };
        upstream([server])
    }

    /// The outcome of one question by a client that has not spoken to it.
    async fn ask(&self, trust: Option<TlsTrust>) -> Result<Answer, Unanswered> {
        Bench::default().ask(&self.upstream(NAME, trust), "a.example").await
    }

    /// The text of the extended error after the server's address.
    async fn error(&self, trust: Option<TlsTrust>) -> String {
        let upstream = self.upstream(NAME, trust);
        let error = Bench::default().ask(&upstream, "a.example").await.unwrap_err();
        let before = format!("rslvr-rr-corp: {} ", upstream.identity.servers[0]);
        error.ede.text.strip_prefix(&before).unwrap_or_else(|| panic!("{}", error.ede.text)).to_owned()
    }
}

/// Answers the messages of one connection.
async fn serve_dot(mut stream: TlsStream<TcpStream>, peer: SocketAddr, seen: Seen) {
    while let Ok(length) = stream.read_u16().await {
        let mut message = vec![0; usize::from(length)];
        if stream.read_exact(&mut message).await.is_err() {
            return;
        }
        seen.lock().unwrap().push((peer, message.clone()));
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
async fn the_common_authorities_vouch_for_servers_without_settings() {
    let authority = authority("Common CA");
    let mut trust = Trust::default();
    trust.add(authority.der()).unwrap();
    let identity = Identity::signed(&[NAME], &authority, |_| {});
    for protocol in BOTH {
        let server = Encrypted::start(protocol, identity.serves()).await;
        let bench = Bench::new(UpstreamOptions { trust: trust.clone(), ..options() });
        let upstream = server.upstream(NAME, None);
        for index in 0..3 {
            assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
        }
        assert_eq!(server.clients.lock().unwrap().len(), 1, "one connection");
        // Settings that say nothing of authorities leave the common ones.
        let presents = TlsTrust { client: Some(identity.files()), ..TlsTrust::default() };
        assert!(is_good(&bench.ask(&server.upstream(NAME, Some(presents)), "a.example").await));
    }
    let server = Encrypted::start(Protocol::Dot, identity.serves()).await;
    let bench = Bench::new(UpstreamOptions { trust, ..options() });
    assert!(is_good(&bench.ask(&server.upstream(NAME, None), "a.example").await));
    assert_eq!(server.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_ca_names_it_and_only_there() {
    let (corp, other) = (authority("Corp CA"), authority("Other CA"));
    let identity = Identity::signed(&[NAME], &corp, |_| {});
    let ca = |authority| Some(TlsTrust { ca: of_authority(authority), ..TlsTrust::default() });
    for protocol in BOTH {
        let server = Encrypted::start(protocol, identity.serves()).await;
        assert!(is_good(&server.ask(ca(&corp)).await));
        assert_eq!(
            server.error(None).await,
            "has a certificate from an untrusted authority (CN=Corp CA): set `ca = \"file.pem\"`"
        );
        assert_eq!(
            server.error(ca(&other)).await,
            "has a certificate signed by an authority that is not in its `ca` (CN=Corp CA)"
        );
        // Several in one file, and the common authorities are none of them.
        let both = pem(&[other.der().clone(), corp.der().clone()]);
        assert!(is_good(&server.ask(Some(TlsTrust { ca: Some(both), ..TlsTrust::default() })).await));
        let mut common = Trust::default();
        common.add(corp.der()).unwrap();
        let bench = Bench::new(UpstreamOptions { trust: common, ..options() });
        assert!(bench.ask(&server.upstream(NAME, ca(&other)), "a.example").await.is_err());
    }
}

#[tokio::test]
async fn a_pinned_key_is_trusted_without_an_authority_and_no_other_key_is() {
    let (identity, other) = (Identity::self_signed(&["other.example"], |_| {}), authority("Other CA"));
    let pins = |pins: &[SpkiPin]| TlsTrust { pins: pins.into(), ..TlsTrust::default() };
    let refusal = format!(
        "has a public key whose pin, sha256/{}, is not in `spki_pin`",
        BASE64.encode(&identity.pin())
    );
    for protocol in BOTH {
        let server = Encrypted::start(protocol, identity.serves()).await;
        // Neither the name nor the issuer counts (RFC 7858 4.2), one of several pins is enough.
        assert!(is_good(&server.ask(Some(pins(&[identity.pin()]))).await));
        assert!(is_good(&server.ask(Some(pins(&[[1; 32], identity.pin()]))).await));
        assert_eq!(server.error(Some(pins(&[[1; 32]]))).await, refusal);
        // With an authority too, both must hold.
        let both = |ca: Option<PemFile>, pin| Some(TlsTrust { ca, ..pins(&[pin]) });
        let unsigned = server.error(both(of_authority(&other), identity.pin())).await;
        assert!(unsigned.starts_with("has a self-signed certificate that is not in its `ca`"), "{unsigned}");
        let signed = Identity::signed(&[NAME], &other, |_| {});
        let server = Encrypted::start(protocol, signed.serves()).await;
        assert!(is_good(&server.ask(both(of_authority(&other), signed.pin())).await));
        let wrong = server.error(both(of_authority(&other), identity.pin())).await;
        assert!(wrong.contains(&BASE64.encode(&signed.pin())), "{wrong}");
        // A pinned key is proved, not only shown: the chain of one server, the key of another.
        let mut thief = Identity::self_signed(&[NAME], |_| {});
        thief.chain.push(identity.chain[0].clone());
        let server = Encrypted::start(protocol, thief.serves()).await;
        assert!(server.ask(Some(pins(&[identity.pin()]))).await.is_err(), "a pin in the chain is not enough");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_when_it_is_in_ca() {
    let as_authority =
        |params: &mut CertificateParams| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let expired = |params: &mut CertificateParams| {
        as_authority(params);
        (params.not_before, params.not_after) = (date_time_ymd(2019, 1, 2), date_time_ymd(2020, 1, 2));
    };
    let ca = |identity: &Identity| Some(TlsTrust { ca: Some(identity.pem()), ..TlsTrust::default() });
    for protocol in BOTH {
        // As `openssl req -x509` makes them, and as other tools do.
        for identity in [Identity::self_signed(&[NAME], as_authority), Identity::self_signed(&[NAME], |_| {})]
        {
            let server = Encrypted::start(protocol, identity.serves()).await;
            assert!(is_good(&server.ask(ca(&identity)).await));
        }
        let server = Encrypted::start(protocol, Identity::self_signed(&[NAME], as_authority).serves()).await;
        let other = ca(&Identity::self_signed(&[NAME], as_authority));
        assert!(server.error(other).await.starts_with("has the certificate of an authority (CA:TRUE)"));
        // Its name and its validity count all the same.
        let other_name = Identity::self_signed(&["other.example"], as_authority);
        let server = Encrypted::start(protocol, other_name.serves()).await;
        assert_eq!(
            server.error(ca(&other_name)).await,
            "has a certificate for other.example, not for dns.example"
        );
        let expired = Identity::self_signed(&[NAME], expired);
        let server = Encrypted::start(protocol, expired.serves()).await;
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
        Some(TlsTrust { ca: of_authority(&corp), client: client.map(Identity::files), ..TlsTrust::default() })
    };
    for protocol in BOTH {
        for versions in [[&version::TLS12], [&version::TLS13]] {
            let server = Encrypted::start(protocol, identity.serves_over(&versions, Some(&corp))).await;
            assert!(is_good(&server.ask(presents(Some(&client))).await), "{protocol:?} {versions:?}");
            assert_eq!(*server.clients.lock().unwrap(), [Some(client.chain[0].clone())]);
            assert_eq!(
                server.error(presents(None)).await,
                "requires a client certificate: set `client_certificate` and `client_key`",
                "{protocol:?} {versions:?}"
            );
            let refused = server.error(presents(Some(&stranger))).await;
            assert!(
                refused.contains("client certificate") || refused.contains("client_certificate"),
                "{refused}"
            );
        }
        // A server that requires none gets none.
        let server = Encrypted::start(protocol, identity.serves()).await;
        assert!(is_good(&server.ask(presents(Some(&client))).await));
        assert_eq!(*server.clients.lock().unwrap(), [None]);
    }
}

#[tokio::test]
async fn errors_of_certificates_are_in_plain_words() {
    type Edit = fn(&mut CertificateParams);
    let corp = authority("Corp CA");
    let trust = Some(TlsTrust { ca: of_authority(&corp), ..TlsTrust::default() });
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
        (&[], |_| {}, "has a certificate without a name, not one for dns.example"),
        (
            &[NAME],
            |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth],
            "has a certificate that is not for TLS servers (extended key usage)",
        ),
    ];
    for protocol in BOTH {
        for (names, edit, expected) in cases {
            let server = Encrypted::start(protocol, Identity::signed(names, &corp, edit).serves()).await;
            let error = server.error(trust.clone()).await;
            assert!(error.starts_with(expected), "{error}\n{expected}");
            assert!(!error.contains(['{', '"', '\\']) && !error.contains("Context"), "{error}");
        }
        // An intermediate that the server sends: the authority above it is the one that is not trusted.
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Middle\nCA");
        let root = authority("Root CA");
        let middle = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &root).unwrap();
        let mut identity = Identity::signed(&[NAME], &middle, |_| {});
        let alone = Encrypted::start(protocol, identity.serves()).await.error(trust.clone()).await;
        assert_eq!(alone, "has a certificate signed by an authority that is not in its `ca` (CN=Middle?CA)");
        identity.chain.push(middle.der().clone());
        let chain = Encrypted::start(protocol, identity.serves()).await.error(trust.clone()).await;
        assert_eq!(chain, "has a certificate signed by an authority that is not in its `ca` (CN=Root CA)");
    }
}

#[tokio::test]
async fn errors_of_handshakes_are_in_plain_words() {
    let corp = authority("Corp CA");
    let trust = Some(TlsTrust { ca: of_authority(&corp), ..TlsTrust::default() });
    let identity = Identity::signed(&[NAME], &corp, |_| {});
    for protocol in BOTH {
        let mut config = identity.serves();
        config.alpn_protocols = vec![b"imap".to_vec()];
        assert_eq!(
            Encrypted::start(protocol, config).await.error(trust.clone()).await,
            "does not offer DNS over this transport (no common application protocol)"
        );
        // What a server sends at once in place of a handshake, after the alert of RFC 8446 6 if it is one.
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
            (b"\x15\x03\x03\x00\x02\x02\xfe", "refused the TLS handshake (alert 254)"),
            (b"220 mail.example ESMTP\r\n", "sent something that is not TLS"),
            (b"", "closed the connection during the TLS handshake"),
        ];
        for (octets, expected) in cases {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let mut hello = [0; 4096];
                    // All that the client sends is read, so that closing sends no reset.
                    let _ = stream.read(&mut hello).await;
                    let _ = stream.write_all(octets).await;
                }
            });
            let server = Encrypted { address, protocol, seen: Seen::default(), clients: Arc::default() };
            assert_eq!(server.error(trust.clone()).await, expected, "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn another_ca_is_another_upstream_and_the_same_ca_is_the_same() {
    let (old, new) = (authority("Old CA"), authority("New CA"));
    let identity = Identity::signed(&[NAME], &new, |_| {});
    let ca = |authority| Some(TlsTrust { ca: of_authority(authority), ..TlsTrust::default() });
    for protocol in BOTH {
        let server = Encrypted::start(protocol, identity.serves()).await;
        let bench = Bench::default();
        let before = server.upstream(NAME, ca(&old));
        assert!(bench.ask(&before, "a.example").await.is_err());
        // The file of the same path holds another authority: neither the failure nor the connection is reused.
        let after = server.upstream(NAME, ca(&new));
        assert!(is_good(&bench.ask(&after, "a.example").await));
        // Read again, it is the same upstream, with its open connection.
        let again = server.upstream(NAME, ca(&new));
        assert_eq!(after.identity, again.identity);
        assert!(is_good(&bench.ask(&again, "b.example").await));
        assert_eq!(server.clients.lock().unwrap().len(), 1, "one connection was authenticated");
    }
}
