//! Upstreams of FORWARD rules and of the internet.

use std::net::{SocketAddr, SocketAddrV6};

use data_encoding::BASE64;
use nix::net::if_::if_nametoindex;

use super::*;
use crate::config::{
    InternetMode, ResolverRule, RuleSource, ServerAddress, ServerAddressError, ServerEntry, ServerOrder,
    ServerScheme,
};

impl NamesCompiler<'_, '_> {
    /// The name servers of a FORWARD rule. `None` if it has no valid targets, which is reported elsewhere.
    pub(super) fn rule_upstream(
        &mut self,
        rule: &ResolverRule,
        endpoint: Vec<IpAddr>,
    ) -> Option<Index<Upstream>> {
        let sources = if rule.source == RuleSource::Any { Vec::new() } else { endpoint };
        let name = rule.id.value().to_shared();
        self.upstream(name, &rule.targets, rule.order, sources)
    }

    /// The upstream for names without a private claim.
    pub(super) fn internet(&mut self) {
        let internet = &self.cx.config.internet;
        let sealed = internet.mode == InternetMode::Sealed;
        match internet.servers.first() {
            Some(server) if sealed => {
                let error = self.cx.report.error(
                    Code::InvalidValue,
                    server.mark(),
                    "`servers` has no effect: the internet is sealed",
                );
                error.help("write `mode = \"forward\"` in [internet]");
            }
            None if !sealed => {
                let message = "`mode = \"forward\"` in [internet] requires `servers`";
                let error = self.cx.report.error(Code::MissingKey, Mark::default(), message);
                error.help("write `servers = [\"169.254.169.253\"]`");
            }
            _ => {}
        }
        let upstream = self.upstream(Arc::from("internet"), &internet.servers, internet.order, Vec::new());
        if !sealed {
            self.names.internet = upstream;
        }
    }

    /// The upstream of a list of servers. Each invalid server is one error, so that all are reported. `None`
    /// if no server is left.
    fn upstream(
        &mut self,
        name: Arc<str>,
        targets: &[ServerEntry],
        order: ServerOrder,
        sources: Vec<IpAddr>,
    ) -> Option<Index<Upstream>> {
        let mut servers: Vec<Server> = Vec::with_capacity(targets.len());
        for entry in targets {
            let Some(server) = self.server(entry) else { continue };
            let same =
                |other: &Server| (other.address, &other.transport) == (server.address, &server.transport);
            if servers.iter().any(same) {
                let message = format!("duplicate server {server}: the first one applies");
                self.cx.report.warning(Code::Surprising, entry.mark(), message).help("remove it");
                continue;
            }
            servers.push(server);
        }
        if servers.is_empty() {
            return None;
        }
        let identity =
            UpstreamIdentity { servers: servers.into(), order: self::order(order), sources: sources.into() };
        Some(self.names.upstreams.add(Upstream { name, identity }))
    }

    /// One server of a list. `None` after its one error.
    fn server(&mut self, entry: &ServerEntry) -> Option<Server> {
        let written = &entry.server;
        let Some(address) = &written.address else {
            self.no_address(entry);
            return None;
        };
        let target: ServerAddress = match address.value().parse() {
            Ok(target) => target,
            Err(ServerAddressError { message, help }) => {
                self.cx.report.error(Code::InvalidValue, address.mark(), message).help(help);
                return None;
            }
        };
        let mut server = server(&target);
        self.set_scope(&mut server, address)?;
        self.check_loop(&server, address.mark())?;
        server.edns = written.edns;
        server.case = written.case;
        server.tls = self.trust(entry, &server)?;
        Some(server)
    }

    /// Reports an element without an address, unless that key was pruned as unreadable, which has been
    /// reported.
    fn no_address(&mut self, entry: &ServerEntry) {
        if let Some(kind) = entry.wrong_type {
            let message = format!("invalid name server: expected a string or a table, found {kind}");
            let error = self.cx.report.error(Code::InvalidValue, entry.mark(), message);
            error.help("write `\"192.0.2.53\"` or `{ address = \"192.0.2.53\", edns = false }`");
        } else if !self.cx.pruned_keys.contains(&(entry.mark().range().start, "address".to_owned())) {
            let error = self.cx.report.error(Code::MissingKey, entry.mark(), "missing key `address`");
            error.help("write `{ address = \"192.0.2.53\" }`");
        }
    }

    /// Converts the interface of a link-local address to its index on this host, which sockets require.
    /// `None` after an error.
    fn set_scope(&mut self, server: &mut Server, written: &Marked<String>) -> Option<()> {
        let (Some(zone), SocketAddr::V6(address)) = (&server.zone, server.address) else { return Some(()) };
        let index = match zone.parse::<u32>() {
            Ok(index) => index,
            Err(_) => match if_nametoindex(&**zone) {
                Ok(index) => index,
                Err(_) => {
                    let message =
                        format!("`{}`: this host has no network interface `{zone}`", written.value());
                    let error = self.cx.report.error(Code::InvalidValue, written.mark(), message);
                    error.help("list the interfaces of this host with `ip link`");
                    return None;
                }
            },
        };
        self.cx.interfaces.push(index);
        server.address = SocketAddrV6::new(*address.ip(), address.port(), 0, index).into();
        Some(())
    }

    /// Rejects a server that is a listener of this daemon, which would forward to itself. `None` after that
    /// error.
    fn check_loop(&mut self, server: &Server, mark: Mark) -> Option<()> {
        let address = server.address;
        let own = self.cx.config.listener.iter().find_map(|listener| {
            listen::listen_addresses(self.cx.config, self.network, self.declarations, listener)
                .into_iter()
                .find(|listen| {
                    let same_host = listen.ip() == address.ip()
                        || (listen.ip().is_unspecified() && address.ip().is_loopback());
                    same_host && listen.port() == address.port()
                })
        });
        let Some(listen) = own else { return Some(()) };
        let message = format!("{server} is the daemon's own listener {listen}");
        let error = self.cx.report.error(Code::ForwardLoop, mark, message);
        error.help("forwarding to it would loop: use another server");
        None
    }

    /// How a server's certificate is verified: `Some(None)` with default settings, `None` after an error.
    /// Files are read here and parsed by the TLS layer.
    #[expect(clippy::option_option, reason = "no settings are not an error")]
    fn trust(&mut self, entry: &ServerEntry, server: &Server) -> Option<Option<Arc<TlsTrust>>> {
        let written = &entry.server;
        let keys = [
            ("ca", written.ca.as_ref()),
            ("spki_pin", written.spki_pin.first()),
            ("client_certificate", written.client_certificate.as_ref()),
            ("client_key", written.client_key.as_ref()),
        ];
        let Some((key, first)) = keys.iter().find_map(|(key, value)| Some((*key, (*value)?))) else {
            return Some(None);
        };
        if matches!(server.transport, ServerTransport::Udp | ServerTransport::Tcp) {
            let message =
                format!("`{key}` requires a server with `tls://` or `https://`, but the server is {server}");
            let error = self.cx.report.error(Code::InvalidValue, first.mark(), message);
            error.help(format!(
                "remove it, or write `address = \"tls://{}#dns.example\"`",
                BracketedAddress(server.address.ip())
            ));
            return None;
        }
        let pins = written.spki_pin.iter().map(|pin| self.pin(pin)).collect::<Option<Arc<[SpkiPin]>>>()?;
        let ca = match &written.ca {
            Some(ca) => Some(self.pem(ca)?),
            None => None,
        };
        let client = match (&written.client_certificate, &written.client_key) {
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: self.pem(certificate)?, key: self.pem(key)? })
            }
            (None, None) => None,
            (Some(alone), None) => return self.lacks(entry, alone, "client_certificate", "client_key"),
            (None, Some(alone)) => return self.lacks(entry, alone, "client_key", "client_certificate"),
        };
        Some(Some(Arc::new(TlsTrust { ca, pins, client })))
    }

    /// Reports a key without the other one that it requires.
    fn lacks<T>(&mut self, entry: &ServerEntry, alone: &Marked<String>, key: &str, other: &str) -> Option<T> {
        // A key that was pruned as unreadable has been reported.
        if !self.cx.pruned_keys.contains(&(entry.mark().range().start, other.to_owned())) {
            let message = format!("`{key}` requires `{other}`");
            let error = self.cx.report.error(Code::MissingKey, alone.mark(), message);
            error.help(format!("write `{other} = \"{other}.pem\"`, a PEM file"));
        }
        None
    }

    /// A PEM file. `None` after an error.
    fn pem(&mut self, named: &Marked<String>) -> Option<PemFile> {
        let (path, text) = self.cx.named_file(named)?;
        Some(PemFile { path, text: text.into(), mark: named.mark() })
    }

    /// `sha256/` and a hash in base64. `None` after an error.
    fn pin(&mut self, written: &Marked<String>) -> Option<SpkiPin> {
        let text = written.value();
        let hash = text.strip_prefix("sha256/").and_then(|hash| BASE64.decode(hash.as_bytes()).ok());
        let pin = hash.and_then(|hash| SpkiPin::try_from(hash).ok());
        if pin.is_none() {
            let message = format!("invalid SPKI pin `{text}`");
            let error = self.cx.report.error(Code::InvalidValue, written.mark(), message);
            error.help("write `sha256/` and 44 characters of Base64 (a SHA-256 hash)");
        }
        pin
    }
}

/// An address as in a URL.
struct BracketedAddress(IpAddr);

impl Display for BracketedAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => ip.fmt(f),
            IpAddr::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

/// The order as used by the world.
pub(super) fn order(written: ServerOrder) -> Order {
    match written {
        ServerOrder::Random => Order::Random,
        ServerOrder::Latency => Order::Latency,
    }
}

/// A server with a target's address and default options, without the scope of its address.
fn server(target: &ServerAddress) -> Server {
    let transport = match &target.scheme {
        ServerScheme::Udp => ServerTransport::Udp,
        ServerScheme::Tcp => ServerTransport::Tcp,
        ServerScheme::Tls(name) => ServerTransport::Tls { name: name.as_str().into() },
        ServerScheme::Https(name, path) => {
            ServerTransport::Https { name: name.as_str().into(), path: path.as_str().into() }
        }
    };
    let port = target.port.unwrap_or_else(|| Server::default_port(&transport));
    let zone = target.zone.as_deref().map(Arc::from);
    Server { zone, ..Server::new(SocketAddr::new(target.ip, port), transport) }
}
