//! hickory-server as upstream, over each transport: an independent implementation of the server side of DNS
//! over UDP, TCP, TLS and HTTPS, whose replies are not encoded by code of this project.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::rdata::{A, CNAME, SOA, TXT};
use hickory_proto::rr::{Name as HickoryName, RData, Record};
use hickory_server::Server as HickoryServer;
use hickory_server::net::runtime::TokioRuntimeProvider;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use plustwo::config::QueryLog;
use plustwo::dns::{Answer, Class, Name, Question, Rcode, RecordType};
use plustwo::observe::{Observer, ObserverOptions};
use plustwo::serve::bind::bind_both;
use plustwo::serve::upstream::{Trust, UpstreamOptions, Upstreams};
use plustwo::world::{Order, Server, ServerTransport, Upstream, UpstreamIdentity};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, UdpSocket};

/// Sufficient for loopback under load.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Replies that the server may buffer per TCP connection.
const RESPONSE_BUFFER: usize = 64;

/// Parses a name.
fn name(text: &str) -> HickoryName {
    HickoryName::from_str(text).unwrap()
}

/// A zone with an address, an alias and a TXT record set that is too long for a datagram.
fn zone() -> Catalog {
    let origin = name("hickory.example.");
    let mut zone: InMemoryZoneHandler<TokioRuntimeProvider> =
        InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let soa = SOA::new(name("ns.hickory.example."), name("hostmaster.hickory.example."), 1, 2, 3, 4, 60);
    let texts: Vec<String> = (0..20).map(|number| format!("{number:0>200}")).collect();
    let records = [
        ("hickory.example.", RData::SOA(soa)),
        ("www.hickory.example.", RData::A(A::new(192, 0, 2, 1))),
        ("alias.hickory.example.", RData::CNAME(CNAME(name("www.hickory.example.")))),
        ("long.hickory.example.", RData::TXT(TXT::new(texts))),
    ];
    for (owner, data) in records {
        assert!(zone.upsert_mut(Record::from_rdata(name(owner), 300, data), 1));
    }
    let mut catalog = Catalog::new();
    catalog.upsert(origin.into(), vec![Arc::new(zone)]);
    catalog
}

/// TLS server settings with a certificate for `dns.example`, by ALPN protocol, and trust in its CA.
fn tls() -> (impl Fn(&str) -> Arc<ServerConfig>, Trust) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(["dns.example".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let mut trust = Trust::default();
    trust.add(authority.der()).unwrap();
    let config = move |protocol: &str| {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Arc::new(config)
    };
    (config, trust)
}

/// The running server, its addresses by transport, and trust in its certificate.
async fn start() -> (HickoryServer<Catalog>, Vec<Server>, Trust) {
    let (config, trust) = tls();
    let mut server = HickoryServer::new(zone());
    let localhost = (Ipv4Addr::LOCALHOST, 0);
    let (udp, tcp) = bind_both(localhost.into()).unwrap();
    let plain = udp.local_addr().unwrap();
    server.register_socket(UdpSocket::from_std(udp).unwrap());
    server.register_listener(TcpListener::from_std(tcp).unwrap(), TIMEOUT, RESPONSE_BUFFER);
    let dot = TcpListener::bind(localhost).await.unwrap();
    let dot_address = dot.local_addr().unwrap();
    server.register_tls_listener_with_tls_config(dot, TIMEOUT, config("dot")).unwrap();
    let doh = TcpListener::bind(localhost).await.unwrap();
    let doh_address = doh.local_addr().unwrap();
    let path = "/dns-query".to_owned();
    server
        .register_https_listener_with_tls_config(
            doh,
            TIMEOUT,
            config("h2"),
            Some("dns.example".to_owned()),
            path,
        )
        .unwrap();
    let to = |address: SocketAddr, transport| Server::new(address, transport);
    let servers = vec![
        to(plain, ServerTransport::Udp),
        to(plain, ServerTransport::Tcp),
        to(dot_address, ServerTransport::Tls { name: "dns.example".into() }),
        to(doh_address, ServerTransport::Https { name: "dns.example".into(), path: "/dns-query".into() }),
    ];
    (server, servers, trust)
}

fn question(text: &str, qtype: RecordType) -> Question {
    Question { qname: Name::parse(text).unwrap(), qtype, qclass: Class::IN }
}

/// The rcode, the number of records by type in the answer section, and the number of record sets in the
/// authority section.
fn shape(answer: &Answer) -> (Rcode, BTreeMap<u16, usize>, usize) {
    let sets = answer.answer.iter().map(|set| (set.rtype.0, set.rotated(0).count()));
    (answer.rcode, sets.collect(), answer.authority.len())
}

#[tokio::test]
async fn answers_of_hickory_server_are_accepted_over_every_transport() {
    let (_server, servers, trust) = start().await;
    let observer =
        Observer::new(ObserverOptions { query_log: QueryLog::default(), remembered_lookups: 1 }).unwrap();
    let options =
        UpstreamOptions { try_timeout: TIMEOUT, total_timeout: TIMEOUT, trust, ..UpstreamOptions::default() };
    let upstreams = Upstreams::new(options, observer.forward().clone());
    for server in servers {
        let transport = server.to_string();
        let identity =
            UpstreamIdentity { servers: [server].into(), order: Order::Random, sources: Arc::from([]) };
        let upstream = Upstream { name: "rslvr-rr-hickory".into(), identity };
        let (a, cname, txt) = (RecordType::A.0, RecordType::CNAME.0, RecordType::TXT.0);
        let cases = [
            ("www", RecordType::A, (Rcode::NOERROR, BTreeMap::from([(a, 1)]), 0)),
            ("alias", RecordType::A, (Rcode::NOERROR, BTreeMap::from([(cname, 1), (a, 1)]), 0)),
            // Truncated over UDP, so the query is repeated over TCP.
            ("long", RecordType::TXT, (Rcode::NOERROR, BTreeMap::from([(txt, 1)]), 0)),
            ("www", RecordType::AAAA, (Rcode::NOERROR, BTreeMap::new(), 1)),
            ("none", RecordType::A, (Rcode::NXDOMAIN, BTreeMap::new(), 1)),
        ];
        for (label, qtype, expected) in cases {
            let question = question(&format!("{label}.hickory.example"), qtype);
            let answer = upstreams.query(&upstream, &question, |_, _| {}).await;
            let answer = answer.unwrap_or_else(|failure| panic!("{question} over {transport}: {failure:?}"));
            assert_eq!(shape(&answer), expected, "{question} over {transport}");
        }
    }
}
