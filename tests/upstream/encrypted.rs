//! DNS over TLS and over HTTPS, with a certificate authority of the test.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use plustwo::serve::upstream::{Trust, UpstreamOptions};
use plustwo::world::{Server, ServerTransport};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::scripted::{Seen, good, serve_stream};
use crate::{Bench, is_good, options, upstream};

/// A server's side of TLS with a certificate for `dns.example`, and options that trust it.
fn tls(protocol: &str) -> (TlsAcceptor, UpstreamOptions) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(["dns.example".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let mut trust = Trust::default();
    trust.add(authority.der()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), UpstreamOptions { trust, ..options() })
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn dns_over_tls_is_asked_and_its_name_is_proved() {
    let (acceptor, options) = tls("dot");
    let (listener, address) = listen().await;
    let seen: Seen = Arc::default();
    let seen_there = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), seen_there.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve_stream(stream, peer, Arc::new(good), seen).await;
                }
            });
        }
    });
    let server = |name: &str| Server { address, transport: ServerTransport::Tls { name: name.into() } };
    let bench = Bench::new(options);
    let right = upstream([server("dns.example")]);
    for index in 0..3 {
        assert!(is_good(&bench.ask(&right, &format!("{index}.example")).await));
    }
    let peers: Vec<SocketAddr> = seen.lock().unwrap().iter().map(|(peer, _)| *peer).collect();
    assert_eq!(peers, [peers[0]; 3]);

    let wrong = bench.ask(&upstream([server("other.example")]), "a.example").await.unwrap_err();
    assert!(wrong.ede.text.contains("certificate"), "{}", wrong.ede.text);
    let untrusting = Bench::default().ask(&right, "a.example").await.unwrap_err();
    assert!(untrusting.ede.text.contains("certificate"), "{}", untrusting.ede.text);
}

#[tokio::test]
async fn dns_over_https_is_asked() {
    let (acceptor, options) = tls("h2");
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = acceptor.accept(stream).await.unwrap();
            let mut connection = h2::server::handshake(stream).await.unwrap();
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
    });
    let transport = ServerTransport::Https { name: "dns.example".into(), path: "/dns-query".into() };
    let upstream = upstream([Server { address, transport }]);
    let bench = Bench::new(options);
    for index in 0..3 {
        assert!(is_good(&bench.ask(&upstream, &format!("{index}.example")).await));
    }
}
