//! The message printed when the daemon starts on a terminal.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anstyle::Style;

use crate::daemon::Daemon;
use crate::world::{
    Endpoint, EndpointKind, Index, Listener, ListenerTransport, Live, PlaceKind, PrivateDns, Subnet, Vpc,
    World,
};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Maximum number of locations with example commands.
const MAX_PLACES: usize = 5;

/// The start message: a summary of the network, the listeners, and example commands.
pub(super) struct Started {
    config: String,
    live: Arc<Live>,
    listeners: Vec<(Listener, SocketAddr)>,
    admin: Option<SocketAddr>,
}

impl Started {
    /// The message for a daemon whose listeners are open.
    pub(super) fn of(config: &Path, daemon: &Daemon) -> Self {
        Self {
            config: config.display().to_string(),
            live: daemon.engine().live().clone(),
            listeners: daemon.addresses().to_vec(),
            admin: daemon.admin_address().ok(),
        }
    }
}

impl Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.live.load();
        writeln!(f, "{BOLD}plustwo {}{BOLD:#} serves {}\n", env!("CARGO_PKG_VERSION"), self.config)?;
        let mut subnets: HashMap<Index<Vpc>, Vec<&Subnet>> = HashMap::new();
        for subnet in world.network.subnets.iter() {
            subnets.entry(subnet.vpc).or_default().push(subnet);
        }
        for (index, vpc) in world.network.vpcs.indexed() {
            let cidrs: Vec<String> = vpc.cidrs.iter().map(ToString::to_string).collect();
            writeln!(f, "  {BOLD}{}{BOLD:#}  {}  {}", vpc.id, vpc.region, cidrs.join(", "))?;
            for subnet in subnets.remove(&index).unwrap_or_default() {
                let table = world.network.route_tables[subnet.route_table].id.as_deref().unwrap_or("-");
                let cidr = subnet.cidrs.first().map(ToString::to_string).unwrap_or_default();
                writeln!(f, "    {:<22} {:<18} {:<17} {table}", subnet.id, cidr, subnet.availability_zone)?;
            }
            for endpoint in vpc.endpoints.iter().map(|index| &world.network.endpoints[*index]) {
                let note = note(endpoint);
                writeln!(f, "    {:<22} {:<45} {DIM}{note}{DIM:#}", endpoint.id, endpoint.service)?;
                for association in &endpoint.associations {
                    let names = association.private_name.iter().filter(|_| association.is_private);
                    for name in names.chain(&association.dns_name) {
                        let name = name.to_string();
                        let name = name.trim_end_matches('.');
                        writeln!(f, "      {DIM}{name}{DIM:#}")?;
                    }
                }
            }
        }
        for site in world.network.sites.iter() {
            let cidrs: Vec<String> = site.cidrs.iter().map(ToString::to_string).collect();
            let links: Vec<&str> = site.links.iter().map(|link| &*link.target).collect();
            writeln!(f, "  {BOLD}{}{BOLD:#}  {}  via {}", site.id, cidrs.join(", "), links.join(", "))?;
        }
        writeln!(f)?;
        for (listener, address) in &self.listeners {
            match &listener.transport {
                ListenerTransport::Plain { .. } => writeln!(f, "  DNS    {address}")?,
                ListenerTransport::Dot(_) => writeln!(f, "  DoT    {address}")?,
                ListenerTransport::Doh { path, .. } => writeln!(f, "  DoH    https://{address}{path}")?,
            }
        }
        if let Some(admin) = self.admin {
            writeln!(f, "  HTTP   http://{admin}/metrics  /v1/explain  /v1/network")?;
        }
        self.example_commands(&world, f)
    }
}

/// The effect of an endpoint on names, in a few words.
fn note(endpoint: &Endpoint) -> String {
    let kind = match endpoint.kind {
        EndpointKind::Interface => "",
        EndpointKind::Gateway => return "gateway".to_owned(),
        EndpointKind::GatewayLoadBalancer => return "load balancer".to_owned(),
        EndpointKind::Tunnel => return "tunnel, no names".to_owned(),
        EndpointKind::Resource => "resource, ",
        EndpointKind::ServiceNetwork => "service network, ",
    };
    if !endpoint.is_available {
        return format!("{kind}not available, no names");
    }
    let private_dns = match endpoint.private_dns {
        PrivateDns::On => "private DNS",
        PrivateDns::OnlyForInboundResolver => "private DNS for inbound only",
        PrivateDns::Off => "no private DNS",
    };
    let unhealthy = endpoint.interfaces.iter().filter(|interface| !interface.is_healthy).count();
    match unhealthy {
        0 => format!("{kind}{private_dns}"),
        1 => format!("{kind}{private_dns}, 1 interface unhealthy"),
        more => format!("{kind}{private_dns}, {more} interfaces unhealthy"),
    }
}

impl Started {
    /// Example `dig` commands for the first few locations that have loopback addresses.
    fn example_commands(&self, world: &World, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let near = |address: &SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
        let mut plain = self.listeners.iter().filter(|(listener, _)| listener.tls().is_none());
        let Some((_, listener)) = plain.find(|(_, address)| near(address)) else { return Ok(()) };
        let server =
            if listener.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listener.ip().to_string() };
        let port = if listener.port() == 53 { String::new() } else { format!(" -p {}", listener.port()) };
        let name = world
            .network
            .endpoints
            .iter()
            .find(|endpoint| {
                endpoint.private_dns == PrivateDns::On && endpoint.kind == EndpointKind::Interface
            })
            .and_then(|endpoint| endpoint.private_names.iter().find(|name| !name.is_wildcard()))
            .map_or_else(
                || "example.com".to_owned(),
                |name| name.to_string().trim_end_matches('.').to_owned(),
            );
        writeln!(f, "\n  try:\n    dig @{server}{port} {name}")?;
        let mut described: Vec<Arc<str>> = Vec::new();
        for (source, place) in world.network.places.clients() {
            let place_name = world.network.place_name(place);
            let loopback = source.addr().is_loopback() && source.addr().is_ipv4();
            if !loopback || described.contains(&place_name) || described.len() >= MAX_PLACES {
                continue;
            }
            if let Some(address) = source.hosts().next() {
                let preposition = match world.network.places[place].kind {
                    PlaceKind::Subnet(_) => "as a client in",
                    PlaceKind::Site(_) | PlaceKind::Outside => "from",
                };
                writeln!(
                    f,
                    "    dig -b {address} @{server}{port} {name}   {DIM}# {preposition} {place_name}{DIM:#}"
                )?;
            }
            described.push(place_name);
        }
        writeln!(f, "    plustwo explain {name}\n")
    }
}
