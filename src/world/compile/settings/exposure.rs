//! Warnings about listeners that are reachable from other hosts without an explicit list of clients.
//!
//! An operator who listens on `0.0.0.0` either opens a resolver to everyone or finds every query refused;
//! `server.allow` shows that the question was considered, so its absence is reported.

use super::*;

/// An IPv4 prefix of at most this length contains a large part of the internet.
const WIDE_V4: u8 = 7;

/// The same for IPv6: 2000::/3 is all that is allocated (RFC 4291 section 2.4).
const WIDE_V6: u8 = 3;

/// Maximum number of prefixes in a warning.
const SHOWN: usize = 3;

impl SettingsCompiler<'_, '_> {
    /// Warns of listeners and of an admin address beyond loopback. Runs after subnets, sites and clients.
    pub(super) fn check_exposure(&mut self) {
        self.check_listeners_exposure();
        let server = &self.cx.config.server;
        let admin = server.admin.value().0;
        if is_beyond_loopback(admin.ip()) && server.admin_hosts.is_none() {
            let message = format!(
                "the admin listener {admin} is not on a loopback address: every host that reaches it can read the network and \
                 reload the configuration"
            );
            let warning = self.cx.report.warning(Code::AdminBeyondLoopback, server.admin.mark(), message);
            warning.help(
                "write `admin = \"127.0.0.1:9530\"`; or restrict access with a firewall and list the host names that clients use in \
                 `admin_hosts`, which is `[]` if they use addresses",
            );
        }
    }

    /// Warns once, of the first listener whose address is beyond loopback.
    fn check_listeners_exposure(&mut self) {
        if is_configured(&self.cx.config.server.allow) {
            return;
        }
        // A listener without an address uses that of its resolver, for the clients of that VPC.
        let written = self.cx.config.listener.iter().filter_map(|listener| listener.address.as_ref());
        let mut addresses = written.map(|address| (address.value().0, address.mark()));
        let exposed = addresses.find(|(address, _)| is_beyond_loopback(address.ip()));
        let Some((address, mark)) = exposed else { return };
        let declared = self.declared_prefixes();
        let wide = declared.iter().find(|prefix| is_wide(prefix));
        let beyond: Vec<&IpNet> =
            declared.iter().filter(|prefix| is_beyond_loopback(prefix.addr())).collect();
        let (who, help) = match (wide, beyond.as_slice()) {
            (Some(wide), _) => (
                format!("every client in {wide} may query, which makes this an open resolver"),
                "narrow the declared prefix, or confirm it with `allow` in [server]",
            ),
            (None, []) => (
                "all clients but those on this host receive REFUSED: no subnet, site or [[client]] prefix other than loopback is \
                 declared"
                    .to_owned(),
                "declare the locations of the clients; `allow` in [server] permits forwarders that send the subnets of their \
                 clients (EDNS Client Subnet)",
            ),
            (None, beyond) => (
                format!("clients in declared locations ({}) may query, all others receive REFUSED", shown(beyond)),
                "set `allow` in [server] to the prefixes that may query in addition to the declared locations, or to `allow \
                 = []` for none",
            ),
        };
        let message = format!("{address} is not a loopback address, and `server.allow` is not set: {who}");
        self.cx.report.warning(Code::BeyondLoopback, mark, message).help(help);
    }

    /// The prefixes of configured clients.
    fn declared_prefixes(&self) -> Vec<IpNet> {
        let subnets = self.network.subnets.iter().flat_map(|subnet| subnet.cidrs.iter().copied());
        let sites = self.network.sites.iter().flat_map(|site| site.cidrs.iter().copied());
        let clients = self.cx.config.client.iter().map(|client| client.source.value().0);
        clients.chain(subnets).chain(sites).collect()
    }
}

/// Whether another host can reach an address. The link-local addresses of AWS's resolver are local to a host
/// outside AWS.
fn is_beyond_loopback(address: IpAddr) -> bool {
    let address = address.to_canonical();
    !crate::net::is_loopback(address) && !crate::net::is_link_local_service(address)
}

/// Whether a list is configured; defaults have no mark.
fn is_configured<T>(list: &[Marked<T>]) -> bool {
    list.is_empty() || list.iter().any(|entry| entry.mark() != Mark::default())
}

/// Whether a prefix contains most of the internet, so that it restricts no clients.
fn is_wide(prefix: &IpNet) -> bool {
    match prefix {
        IpNet::V4(prefix) => prefix.prefix_len() <= WIDE_V4,
        IpNet::V6(prefix) => prefix.prefix_len() <= WIDE_V6,
    }
}

/// The first prefixes, and the number of others.
fn shown(prefixes: &[&IpNet]) -> String {
    let mut shown: Vec<String> = prefixes.iter().take(SHOWN).map(ToString::to_string).collect();
    if prefixes.len() > SHOWN {
        shown.push(format!("{} more", prefixes.len() - SHOWN));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Severity};

    /// The warnings of this module for a configuration: code and message.
    fn warnings(text: &str) -> Vec<(Code, String)> {
        let mut loaded =
            config::load_text(Path::new("test.toml"), text.to_owned(), &|path| std::fs::read_to_string(path));
        assert!(
            compile_with(&mut loaded, &|path| std::fs::read_to_string(path)).is_some(),
            "{}",
            loaded.report.render(&loaded.sources)
        );
        let found = loaded.report.sorted().into_iter();
        let own = found.filter(|it| matches!(it.code, Code::BeyondLoopback | Code::AdminBeyondLoopback));
        own.map(|it| {
            assert_eq!(it.severity, Severity::Warning);
            (it.code, it.message.clone())
        })
        .collect()
    }

    fn listener(address: &str) -> String {
        format!("[[listener]]\naddress = \"{address}\"\n")
    }

    fn client(source: &str) -> String {
        format!("[[client]]\nsource = \"{source}\"\nplace = \"outside\"\n")
    }

    #[test]
    fn a_listener_beyond_loopback_is_reported_with_its_clients() {
        for address in ["0.0.0.0:53", "[::]:53", "10.0.0.2:53", "192.0.2.1:53", "[2001:db8::1]:53"] {
            for (declared, expected) in [
                (String::new(), "all clients but those on this host receive REFUSED"),
                (client("127.0.0.0/8"), "all clients but those on this host receive REFUSED"),
                (client("192.168.0.0/16"), "(192.168.0.0/16) may query, all others receive REFUSED"),
                (
                    client("0.0.0.0/0"),
                    "every client in 0.0.0.0/0 may query, which makes this an open resolver",
                ),
                (client("128.0.0.0/1") + &client("192.168.0.0/16"), "an open resolver"),
                (client("::/0"), "an open resolver"),
            ] {
                let found = warnings(&(listener(address) + &declared));
                let [(Code::BeyondLoopback, message)] = found.as_slice() else {
                    panic!("{address}: {found:?}")
                };
                assert!(message.contains(expected) && message.starts_with(address), "{message}");
            }
        }
    }

    #[test]
    fn loopback_addresses_and_explicit_permissions_cause_no_warning() {
        let no_warning: [(Code, String); 0] = [];
        assert_eq!(warnings(""), no_warning);
        for address in ["127.0.0.1:53", "[::1]:53", "127.9.9.9:53", "169.254.169.253:53"] {
            assert_eq!(warnings(&listener(address)), no_warning, "{address}");
        }
        for allow in ["[]", "[\"10.0.0.0/8\"]", "[\"127.0.0.0/8\", \"::1/128\"]"] {
            let text = format!("[server]\nallow = {allow}\n{}", listener("0.0.0.0:53"));
            assert_eq!(warnings(&text), no_warning, "{allow}");
        }
    }

    #[test]
    fn an_admin_address_beyond_loopback_is_reported_unless_its_host_names_are_configured() {
        for address in ["0.0.0.0:9530", "[::]:9530", "10.0.0.2:9530"] {
            let found = warnings(&format!("[server]\nadmin = \"{address}\"\n"));
            let [(Code::AdminBeyondLoopback, message)] = found.as_slice() else { panic!("{found:?}") };
            assert!(message.contains(address), "{message}");
            let named = format!("[server]\nadmin = \"{address}\"\nadmin_hosts = []\n");
            assert_eq!(warnings(&named).len(), 0);
        }
        assert_eq!(warnings("[server]\nadmin = \"[::1]:9530\"\n").len(), 0);
    }

    #[test]
    fn shipped_configurations_have_no_warnings() {
        for text in [config::BUILT_IN_LAB, include_str!("../../../../deploy/container/plustwo.toml")] {
            assert_eq!(warnings(text).len(), 0);
        }
    }
}
