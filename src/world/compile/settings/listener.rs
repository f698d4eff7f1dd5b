//! Listeners: address, view, transport and certificate files.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::config::{self, Transport};
use listen::{listen_addresses, resolver_address};

/// The default listener, if none is configured.
const DEFAULT_LISTENER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);

/// A configured listener, at one of its addresses.
#[derive(Clone, Copy)]
struct ListenerDraft<'w> {
    written: &'w config::Listener,
    address: SocketAddr,
    /// Its position for diagnostics.
    mark: Mark,
}

/// The path in the examples of RFC 8484, which clients try first.
const DEFAULT_PATH: &str = "/dns-query";

impl SettingsCompiler<'_, '_> {
    /// The listeners and their views.
    pub(super) fn listeners(&mut self) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let mut taken = HashSet::new();
        for written in &self.cx.config.listener {
            let bound = [
                written.vpc.as_ref().map(|vpc| (vpc.mark(), "vpc")),
                written.inbound.as_ref().map(|inbound| (inbound.mark(), "inbound")),
            ];
            let mark = match (&written.address, bound.iter().flatten().next()) {
                (Some(address), _) => address.mark(),
                (None, Some((mark, _))) => *mark,
                (None, None) => {
                    let message = "a listener requires `address`, `vpc` or `inbound`";
                    let error = self.cx.report.error(Code::MissingKey, written.mark(), message);
                    error.help("write `address = \"127.0.0.1:5300\"`");
                    continue;
                }
            };
            if bound.iter().all(Option::is_some) {
                let message = "a listener cannot have both `vpc` and `inbound`";
                self.cx.report.error(Code::Listener, mark, message);
                continue;
            }
            let mut view = None;
            if let Some(vpc) = &written.vpc {
                view =
                    self.declarations.vpc_named(self.cx, vpc).map(|index| self.names.resolvers[index].view);
            }
            if let Some(inbound) = &written.inbound {
                let id = inbound.with(inbound.to_string());
                let endpoints = &self.names.inbound_endpoints;
                view = match id.value().as_str() {
                    "public" => None,
                    _ => names::inbound_view(self.cx, self.declarations, endpoints, &id),
                };
                view = view.or(Some(self.names.public_view));
            }
            for address in listen_addresses(self.cx.config, self.network, self.declarations, written) {
                let listener = ListenerDraft { written, address, mark };
                if taken.contains(&address) && address.port() != 0 {
                    self.cx.report.error(
                        Code::Listener,
                        mark,
                        format!("two listeners have the address {address}"),
                    );
                    continue;
                }
                self.check_resolver_address(listener, view);
                if let Some(carries) = self.carries(listener) {
                    let server_name = written.server_name.as_ref().map(|name| name.value().clone());
                    listeners.push(Listener { address, view, transport: carries, server_name });
                    taken.insert(address);
                }
            }
        }
        if self.cx.config.listener.is_empty() {
            let carries = ListenerTransport::Plain { udp: true, tcp: true };
            listeners.push(Listener {
                address: DEFAULT_LISTENER,
                view: None,
                transport: carries,
                server_name: None,
            });
        }
        if listeners.iter().any(|listener| listener.view.is_none()) {
            self.check_ambiguous_places();
        }
        listeners
    }

    /// Reports a listener at an address of its VPC at which that VPC has no resolver. Secondary CIDR blocks
    /// have none at their base plus two ("DNS attributes for your VPC").
    fn check_resolver_address(&mut self, listener: ListenerDraft<'_>, view: Option<ViewId>) {
        let Some(ViewKind::Vpc(vpc)) = view.map(|view| self.names.views[view].kind) else { return };
        let vpc = &self.network.vpcs[vpc];
        let Some(own) = resolver_address(vpc) else { return };
        let ip = listener.address.ip();
        if vpc.contains(ip) && ip != IpAddr::V4(own) {
            let message = format!("the resolver address of VPC `{}` is {own}, not {ip}", vpc.id);
            let warning = self.cx.report.warning(Code::Surprising, listener.mark, message);
            warning.help(format!(
                "the VPC Resolver has the base address of the primary CIDR block plus two, 169.254.169.253 and fd00:ec2::253: \
                 write `address = \"{own}:53\"`"
            ));
        }
    }

    /// The transport of a listener. `None` after an error.
    fn carries(&mut self, listener: ListenerDraft<'_>) -> Option<ListenerTransport> {
        let ListenerDraft { written, address, mark } = listener;
        let has = |transport| written.transports.contains(&transport);
        let (udp, tcp, dot, doh) =
            (has(Transport::Udp), has(Transport::Tcp), has(Transport::Dot), has(Transport::Doh));
        match (udp || tcp, dot, doh) {
            (false, false, false) => {
                let message = format!("listener {address} has no transports");
                self.cx.report.error(Code::Listener, mark, message);
                None
            }
            (true, false, false) => {
                self.reject_keys(listener, "is for plain DNS");
                Some(ListenerTransport::Plain { udp, tcp })
            }
            (false, true, false) => {
                self.reject_path(listener, "is for `dot`");
                self.tls_files(listener).map(ListenerTransport::Dot)
            }
            (false, false, true) => {
                let path = self.http_path(listener);
                self.tls_files(listener).map(|tls| ListenerTransport::Doh { tls, path })
            }
            _ => {
                let message = format!(
                    "listener {address} combines plain DNS (`udp`, `tcp`), `dot` or `doh`: only one of them is possible"
                );
                let error = self.cx.report.error(Code::Listener, mark, message);
                error.help("declare one [[listener]] for each, with different ports");
                None
            }
        }
    }

    fn reject_keys(&mut self, listener: ListenerDraft<'_>, what: &str) {
        for (key, value) in [("certificate", &listener.written.certificate), ("key", &listener.written.key)] {
            self.refuse(listener, key, value.as_ref(), what);
        }
        if let Some(name) = &listener.written.server_name {
            self.refuse(listener, "server_name", Some(&name.with(name.to_string())), what);
        }
        self.reject_path(listener, what);
    }

    fn reject_path(&mut self, listener: ListenerDraft<'_>, what: &str) {
        self.refuse(listener, "path", listener.written.path.as_ref(), what);
    }

    fn refuse(&mut self, listener: ListenerDraft<'_>, key: &str, value: Option<&Marked<String>>, what: &str) {
        let Some(value) = value else { return };
        let message = format!("listener {} {what}, which has no `{key}`", listener.address);
        let error = self.cx.report.error(Code::Listener, value.mark(), message);
        error.help(match key {
            "path" => "remove it, or write `transports = [\"doh\"]`",
            _ => "remove it, or write `transports = [\"dot\"]` or `transports = [\"doh\"]`",
        });
    }

    fn tls_files(&mut self, listener: ListenerDraft<'_>) -> Option<TlsFiles> {
        let certificate = self.pem_file(listener, "certificate", listener.written.certificate.as_ref());
        let key = self.pem_file(listener, "key", listener.written.key.as_ref());
        Some(TlsFiles { certificate: certificate?, key: key? })
    }

    fn pem_file(
        &mut self,
        listener: ListenerDraft<'_>,
        key: &str,
        named: Option<&Marked<String>>,
    ) -> Option<PemFile> {
        let Some(named) = named else {
            let message = format!("missing key `{key}` for listener {}", listener.address);
            let error = self.cx.report.error(Code::MissingKey, listener.mark, message);
            error.help(format!("write `{key} = \"{key}.pem\"`, a PEM file"));
            return None;
        };
        let (path, text) = self.cx.named_file(named)?;
        Some(PemFile { path, text: text.into(), mark: named.mark() })
    }

    fn http_path(&mut self, listener: ListenerDraft<'_>) -> Arc<str> {
        let Some(path) = &listener.written.path else { return DEFAULT_PATH.into() };
        let text = path.value();
        let visible = |c: char| c.is_ascii_graphic() && !"?#{}".contains(c);
        if !text.starts_with('/') || !text.chars().all(visible) {
            let message =
                format!("invalid URL path `{text}`: it must begin with `/` and have no query string");
            self.cx.report.error(Code::Listener, path.mark(), message);
        }
        text.as_str().into()
    }
}
