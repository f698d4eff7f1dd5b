//! Whom FORWARD rules and the internet ask.

use std::net::SocketAddr;

use super::*;
use crate::config::{Carrier, InternetMode, ResolverRule, RuleSource, ServerOrder, Target};

impl Compiler<'_> {
    /// The name servers of a FORWARD rule. `None` when it has no targets, which is told elsewhere.
    pub(super) fn rule_upstream(
        &mut self,
        rule: &ResolverRule,
        endpoint: Vec<IpAddr>,
    ) -> Option<Index<Upstream>> {
        self.check_targets(&rule.targets);
        let sources = if rule.source == RuleSource::Any { Vec::new() } else { endpoint };
        let name = rule.id.value().text();
        self.upstream(name, &rule.targets, rule.order, sources)
    }

    /// Whom names are asked of that nothing private claims.
    pub(super) fn internet(&mut self) {
        let internet = &self.config.internet;
        let sealed = internet.mode == InternetMode::Sealed;
        match internet.servers.first() {
            Some(server) if sealed => {
                let error = self.report.error(
                    Code::InvalidValue,
                    server.mark(),
                    "the internet is sealed, so no server is asked",
                );
                error.help("write `mode = \"forward\"` under [internet]");
            }
            None if !sealed => {
                let message = "`mode = \"forward\"` under [internet] needs servers to ask";
                let error = self.report.error(Code::MissingKey, Mark::default(), message);
                error.help("write `servers = [\"169.254.169.253\"]`");
            }
            _ => {}
        }
        self.check_targets(&internet.servers);
        if !sealed {
            self.internet =
                self.upstream(Arc::from("internet"), &internet.servers, internet.order, Vec::new());
        }
    }

    /// AWS mixes no families in a rule; and a server that is one of this daemon's own listeners would ask
    /// itself for ever.
    fn check_targets(&mut self, targets: &[Marked<Target>]) {
        for target in targets {
            let address = server(target.value()).address;
            let own = self.config.listener.iter().find_map(|listener| {
                self.listen_addresses(listener).into_iter().find(|door| {
                    let same_host = door.ip() == address.ip()
                        || (door.ip().is_unspecified() && address.ip().is_loopback());
                    same_host && door.port() == address.port()
                })
            });
            if let Some(door) = own {
                let message = format!("{target} is this daemon itself: it listens on {door}");
                let error = self.report.error(Code::ForwardLoop, target.mark(), message);
                error.help("questions would come back for ever; name another server");
            }
        }
    }

    fn upstream(
        &mut self,
        name: Arc<str>,
        targets: &[Marked<Target>],
        order: ServerOrder,
        sources: Vec<IpAddr>,
    ) -> Option<Index<Upstream>> {
        if targets.is_empty() {
            return None;
        }
        let identity = UpstreamIdentity {
            servers: targets.iter().map(|target| server(target.value())).collect(),
            order: self::order(order),
            sources: sources.into(),
        };
        Some(self.upstreams.add(Upstream { name, identity }))
    }
}

/// The order as the world has it.
pub(super) fn order(written: ServerOrder) -> Order {
    match written {
        ServerOrder::Random => Order::Random,
        ServerOrder::Latency => Order::Latency,
    }
}

fn server(target: &Target) -> Server {
    let transport = match &target.carrier {
        Carrier::Udp => ServerTransport::Udp,
        Carrier::Tcp => ServerTransport::Tcp,
        Carrier::Tls(name) => ServerTransport::Tls { name: name.as_str().into() },
        Carrier::Https(name, path) => {
            ServerTransport::Https { name: name.as_str().into(), path: path.as_str().into() }
        }
    };
    let port = target.port.unwrap_or_else(|| Server::default_port(&transport));
    Server { address: SocketAddr::new(target.ip, port), transport }
}
