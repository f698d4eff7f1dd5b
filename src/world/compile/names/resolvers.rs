//! The resolver of each VPC: its views, inbound endpoints, and the VPCs whose private addresses it returns.

use super::*;
use crate::config::{Direction, PeeringSide};

impl NamesCompiler<'_, '_> {
    /// A resolver with its views for every VPC.
    pub(super) fn resolvers(&mut self) {
        let with_dns64: HashSet<Index<Vpc>> =
            self.network.subnets.iter().filter(|subnet| subnet.dns64).map(|subnet| subnet.vpc).collect();
        for (index, vpc) in self.network.vpcs.indexed() {
            let view = self.add_view(ViewKind::Vpc(index), vpc.id.clone(), None);
            let inbound_view =
                self.add_view(ViewKind::Inbound(index), format!("{}/inbound", vpc.id).into(), None);
            let dns64_view = with_dns64
                .contains(&index)
                .then(|| self.add_view(ViewKind::Vpc(index), format!("{}/dns64", vpc.id).into(), Some(view)));
            self.names.resolvers.add(index, VpcResolver::new(view, dns64_view, inbound_view));
        }
    }

    /// Adds a view. One that differs from another only in DNS64 shares its claims.
    fn add_view(&mut self, kind: ViewKind, name: Arc<str>, dns64_of: Option<ViewId>) -> ViewId {
        let claims = dns64_of.unwrap_or_else(|| self.names.views.next_index());
        self.names.views.add(View { kind, name, claims, dns64: dns64_of.is_some() })
    }

    /// The VPCs whose private addresses are resolved across peering connections and transit gateways.
    pub(super) fn peers(&mut self) {
        for written in &self.cx.config.vpc_peering_connection {
            let Some(made) = self.declarations.peering_connections.get(&written.id.to_string()) else {
                continue;
            };
            let [requester, accepter] = self.network.peering_connections[*made].vpcs;
            self.resolves_across(&written.accepter, accepter, requester);
            self.resolves_across(&written.requester, requester, accepter);
        }
        for resolver in self.names.resolvers.iter_mut() {
            resolver.dns_peers.sort();
            resolver.dns_peers.dedup();
        }
        // Names resolve across the gateway in both directions, so each member shares the same list of peers.
        for gateway in self.network.transit_gateways.iter() {
            for vpc in &*gateway.dns_members {
                self.names.resolvers[*vpc].transit_peers.push(gateway.dns_members.clone());
            }
        }
    }

    /// `remote` resolves private addresses of the VPC on a side that allows it; both must have DNS host names
    /// enabled ("Enable DNS resolution for a VPC peering connection", VPC Peering Guide).
    fn resolves_across(&mut self, side: &PeeringSide, vpc: Index<Vpc>, remote: Index<Vpc>) {
        if !side.allow_dns_resolution_from_remote_vpc {
            return;
        }
        for needed in [vpc, remote] {
            if !self.network.vpcs[needed].dns_hostnames {
                let message = format!(
                    "names of VPC `{}` resolve to public addresses across this connection: VPC `{}` has no DNS hostnames",
                    self.network.vpcs[vpc].id, self.network.vpcs[needed].id
                );
                let warning = self.cx.report.warning(Code::Surprising, side.vpc.mark(), message);
                warning.help("both VPCs require `enable_dns_support` and `enable_dns_hostnames`");
                return;
            }
        }
        self.names.resolvers[remote].dns_peers.push(vpc);
        self.peered.entry(remote).or_default().insert(vpc);
    }

    /// Inbound endpoints, which give access to a VPC's resolver, and checks of outbound ones.
    pub(super) fn resolver_endpoints(&mut self) {
        for (written, vpc) in &self.declarations.resolver_endpoints {
            let prefix = match written.direction {
                Direction::Inbound | Direction::InboundDelegation => {
                    let view = self.view_of_endpoint(*vpc, written.dns64_enabled);
                    let endpoint = InboundEndpoint { id: written.id.value().to_shared(), vpc: *vpc, view };
                    self.names.inbound_endpoints.add(endpoint);
                    "rslvr-in-"
                }
                Direction::Outbound => {
                    if written.dns64_enabled {
                        let message = "`dns64_enabled` requires an inbound endpoint";
                        self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
                    }
                    "rslvr-out-"
                }
            };
            if !written.id.value().as_str().starts_with(prefix) {
                let message = format!("the ID of an endpoint with this direction must begin with `{prefix}`");
                self.cx.report.error(Code::InvalidValue, written.id.mark(), message);
            }
        }
    }

    /// The view of an inbound endpoint: that of the VPC, or a separate one with DNS64.
    fn view_of_endpoint(&mut self, vpc: Index<Vpc>, dns64: bool) -> ViewId {
        let plain = self.names.resolvers[vpc].inbound_view;
        if !dns64 {
            return plain;
        }
        let made = self.names.views.indexed().find(|(_, view)| view.dns64 && view.claims == plain);
        match made {
            Some((index, _)) => index,
            None => {
                let name = format!("{}/inbound/dns64", self.network.vpcs[vpc].id);
                self.add_view(ViewKind::Inbound(vpc), name.into(), Some(plain))
            }
        }
    }
}

/// The view of the inbound endpoint with this ID; an error if there is none.
pub(in crate::world::compile) fn inbound_view(
    cx: &mut Context<'_>,
    declarations: &Declarations<'_>,
    endpoints: &Arena<InboundEndpoint>,
    id: &Marked<String>,
) -> Option<ViewId> {
    if let Some(endpoint) = endpoints.iter().find(|endpoint| *endpoint.id == **id.value()) {
        return Some(endpoint.view);
    }
    let ids = || declarations.resolver_endpoints.iter().map(|(written, _)| written.id.value().as_str());
    if ids().any(|other| other == id.value()) {
        let message = format!("the resolver of a site must be an inbound endpoint, but `{id}` is outbound");
        cx.report.error(Code::UnknownReference, id.mark(), message);
    } else if !cx.is_of_other_kind(id.value(), id.mark(), &["rslvr-in-"], "an inbound endpoint or `public`") {
        cx.unknown("inbound endpoint", id.value(), id.mark(), || ids().collect());
    }
    None
}
