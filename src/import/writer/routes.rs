//! Route tables and prefix lists.

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::aws::{Facts, Region};
use crate::import::inventory::ReadObject;
use crate::import::objects::gateway::VirtualInterface;
use crate::import::objects::network::{DhcpOptions, DhcpValue, PrefixList, Route, RouteTable};
use crate::import::objects::{Object, name_tag};

impl Route {
    /// Returns whether the route forwards traffic.
    pub(super) fn is_active(&self) -> bool {
        self.state.as_deref().is_none_or(|state| !matches!(state, "blackhole" | "filtered"))
    }

    /// Returns the destination: a CIDR block or prefix list.
    fn destination(&self) -> Option<&str> {
        let cidr = self.destination_cidr_block.as_deref().or(self.destination_ipv6_cidr_block.as_deref());
        self.destination_prefix_list_id.as_deref().or(cidr)
    }

    /// Returns the target. For a route to an instance, the API returns both the instance and its network
    /// interface.
    fn target(&self) -> Option<&str> {
        let targets = [
            &self.gateway_id,
            &self.nat_gateway_id,
            &self.transit_gateway_id,
            &self.vpc_peering_connection_id,
            &self.egress_only_internet_gateway_id,
            &self.instance_id,
            &self.network_interface_id,
            &self.carrier_gateway_id,
            &self.local_gateway_id,
            &self.core_network_arn,
        ];
        targets.into_iter().flatten().map(String::as_str).find(|target| !target.is_empty())
    }
}

impl<'a> ConfigWriter<'a> {
    /// Writes the route tables of a VPC.
    pub(super) fn write_route_tables(&mut self, vpc: &str) {
        let index = self.index;
        for table in index.route_tables.get(vpc) {
            let id = table.route_table_id.as_str();
            self.toml.table("vpc.route_table", name_tag(&table.tags));
            self.toml.string("id", id);
            if table.associations.iter().any(|association| association.main) {
                self.toml.value("main", true);
            }
            let routes: Vec<InlineTable> =
                table.routes.iter().filter_map(|route| self.convert_route(vpc, table, route)).collect();
            self.toml.inline_tables("routes", &routes);
            for gateway in table.associations.iter().filter_map(|one| one.gateway_id.as_deref()) {
                let location = self.ledger.location(RouteTable::KIND, id);
                let message = format!("{id}: the edge association with gateway {gateway} is not supported");
                self.ledger.note_unsupported(location, message);
            }
            self.ledger.mark_converted(RouteTable::KIND, id);
        }
        let mut tables = index.route_tables.get(vpc).iter();
        if !self.has_document(RouteTable::KIND) {
            let command = self.with_region(vpc, "aws ec2 describe-route-tables");
            self.ledger.note_missing(format!("route tables of VPC {vpc}"), command);
        } else if !tables.any(|table| table.associations.iter().any(|one| one.main)) {
            let command = format!("aws ec2 describe-route-tables --filters Name=vpc-id,Values={vpc}");
            let command = self.with_region(vpc, &command);
            self.ledger.note_missing(format!("main route table of VPC {vpc}"), command);
        }
    }

    /// Converts a route. Returns `None` for `local` routes, which are implied, and for routes that cannot be
    /// converted.
    fn convert_route(&mut self, vpc: &str, table: &RouteTable, route: &Route) -> Option<InlineTable> {
        let location = self.ledger.location(RouteTable::KIND, &table.route_table_id);
        let id = &table.route_table_id;
        if route.gateway_id.as_deref() == Some("local") {
            return None;
        }
        let Some(destination) = route.destination() else {
            self.ledger.note_unsupported(location, format!("{id}: a route without a destination is omitted"));
            return None;
        };
        let target = match (route.target(), &route.odb_network_arn) {
            (Some(target), _) => target,
            (None, Some(arn)) => {
                let message = format!("{id}: the route to {destination} via ODB network {arn} is omitted");
                self.ledger.note_unsupported(location, message);
                return None;
            }
            // The target was deleted, and the route no longer contains its id.
            (None, None) if !route.is_active() => {
                let inline = InlineTable::default().string("destination", destination);
                return Some(
                    inline.string("state", self.inactive_state(table, route).unwrap_or("blackhole")),
                );
            }
            (None, None) => {
                let message = format!("{id}: the route to {destination} is omitted: it has no target");
                self.ledger.note_unsupported(location, message);
                return None;
            }
        };
        self.route_targets.insert(target.to_owned());
        self.check_target(vpc, target, route);
        if destination.starts_with("pl-") {
            self.reference_prefix_list(vpc, destination);
        }
        let mut inline = InlineTable::default().string("destination", destination).string("target", target);
        let state = self.inactive_state(table, route);
        // The NAT gateway may have been deleted after the route tables were listed.
        let is_deleted = self.index.deleted_nat_gateways.contains(target);
        inline = inline.optional_string("state", state.or(is_deleted.then_some("blackhole")));
        if let Some(origin) = self.propagated_origin(table, route) {
            inline = inline.string("origin", origin);
            if let Some(learnt_by) = self.learnt_by(target, destination, id) {
                inline = inline.string("learnt_by", learnt_by);
            }
        }
        Some(inline)
    }

    /// Returns the state of a route that does not forward traffic. Unknown states are reported.
    fn inactive_state<'r>(&mut self, table: &RouteTable, route: &'r Route) -> Option<&'r str> {
        match route.state.as_deref()? {
            "active" => None,
            known @ ("blackhole" | "filtered") => Some(known),
            other => {
                self.note_unknown_value(table, route, "state", other, "ignored");
                None
            }
        }
    }

    /// Returns the origin of a route that was propagated or advertised. Unknown origins are reported.
    fn propagated_origin<'r>(&mut self, table: &RouteTable, route: &'r Route) -> Option<&'r str> {
        match route.origin.as_deref()? {
            "CreateRoute" | "CreateRouteTable" => None,
            known @ ("EnableVgwRoutePropagation" | "Advertisement") => Some(known),
            other => {
                self.note_unknown_value(table, route, "origin", other, "treated as `CreateRoute`");
                None
            }
        }
    }

    /// Reports an unknown value of a route's field. `handling` states how the route is converted instead.
    fn note_unknown_value(
        &mut self,
        table: &RouteTable,
        route: &Route,
        field: &str,
        value: &str,
        handling: &str,
    ) {
        let id = &table.route_table_id;
        let location = self.ledger.location(RouteTable::KIND, id);
        let destination = route.destination().unwrap_or_default();
        let message = format!("{id}: unknown {field} `{value}` of the route to {destination} is {handling}");
        self.ledger.note_unsupported(location, message);
    }

    /// Returns how a virtual private gateway learnt a route. `None` is the default of the configuration: BGP
    /// over a VPN connection.
    fn learnt_by(&mut self, gateway: &str, destination: &str, table: &str) -> Option<&'static str> {
        let inventory = self.inventory;
        let connections: Vec<_> = inventory
            .vpn_connections
            .iter()
            .filter(|vpn| vpn.vpn_gateway_id.as_deref() == Some(gateway) && vpn.is_active())
            .collect();
        let mut static_routes = connections.iter().flat_map(|vpn| &vpn.routes);
        let is_static =
            static_routes.any(|route| route.destination_cidr_block.as_deref() == Some(destination));
        let by_bgp = connections.iter().any(|vpn| !vpn.options.static_routes_only);
        let interfaces = inventory.virtual_interfaces.iter().filter(|one| one.gateway() == Some(gateway));
        for interface in interfaces.clone() {
            self.ledger.mark_converted(VirtualInterface::KIND, &interface.virtual_interface_id);
        }
        let associations = inventory.direct_connect_associations.iter();
        let by_direct_connect = interfaces.count() > 0
            || associations.filter(|one| one.is_associated()).any(|one| one.gateway() == Some(gateway));
        if is_static {
            return Some("vpn-static");
        }
        if by_direct_connect && by_bgp {
            let message = format!(
                "{table}: {gateway} learnt the route to {destination} by BGP, over Direct Connect or a VPN \
                 connection: Direct Connect is assumed, since it takes precedence"
            );
            let location = self.ledger.location(RouteTable::KIND, table);
            self.ledger.note_unsupported(location, message);
        }
        match (by_direct_connect, connections.is_empty(), by_bgp) {
            (true, ..) => Some("direct-connect"),
            (false, false, false) => Some("vpn-static"),
            _ => None,
        }
    }

    /// Reports the target of a route as missing if no document contains it.
    fn check_target(&mut self, vpc: &str, target: &str, route: &Route) {
        if !route.is_active() {
            return;
        }
        let commands = [
            ("nat-", "describe-nat-gateways --nat-gateway-ids"),
            ("vpce-", "describe-vpc-endpoints --vpc-endpoint-ids"),
            ("tgw-", "describe-transit-gateways --transit-gateway-ids"),
            ("pcx-", "describe-vpc-peering-connections --vpc-peering-connection-ids"),
            ("vgw-", "describe-vpn-gateways --vpn-gateway-ids"),
            ("eni-", "describe-network-interfaces --network-interface-ids"),
            ("i-", "describe-instances --instance-ids"),
        ];
        let command = commands.iter().find(|(prefix, _)| target.starts_with(prefix));
        if let Some((_, command)) = command.filter(|_| !self.index.known_targets.contains(target)) {
            let command = self.with_region(vpc, &format!("aws ec2 {command} {target}"));
            self.ledger.note_missing(format!("{target}, target of a route in VPC {vpc}"), command);
        }
    }

    /// Records a reference to a prefix list.
    pub(super) fn reference_prefix_list(&mut self, vpc: &str, id: &str) {
        let region = self.region_of(vpc).unwrap_or_default().to_owned();
        self.referenced_prefix_lists.insert((id.to_owned(), region));
    }

    /// Writes the referenced prefix lists whose entries are known.
    pub(super) fn write_prefix_lists(&mut self) {
        let mut heading = Some("prefix lists");
        for (id, region) in std::mem::take(&mut self.referenced_prefix_lists) {
            let entries = self.prefix_list_entries(&id, &region);
            let known = Region::parse(&region)
                .ok()
                .and_then(|region| Facts::built_in().prefix_lists.by_id(&region, &id));
            let Some(entries) = entries else {
                let command = format!(
                    "aws ec2 get-managed-prefix-list-entries --prefix-list-id {id} --region {region}"
                );
                match known.filter(|list| list.entries.is_some()) {
                    Some(list) => {
                        let what = format!(
                            "entries of prefix list {id} ({}): the built-in ones as of {} are used",
                            list.name, list.as_of
                        );
                        self.ledger.note_missing(what, command);
                    }
                    None => self.ledger.note_missing(format!("entries of prefix list {id}"), command),
                }
                continue;
            };
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            let list = self.find_prefix_list(&id, &region);
            self.toml.table("prefix_list", None);
            self.toml.string("id", &id);
            self.toml.string("region", &region);
            self.toml.optional_string("name", list.and_then(|list| list.prefix_list_name.as_deref()));
            self.toml.strings("entries", entries);
            self.mark_prefix_list_converted(&id, &region);
        }
    }

    /// Returns a prefix list of a region.
    fn find_prefix_list(&self, id: &str, region: &str) -> Option<&'a ReadObject<PrefixList>> {
        let mut lists = self.inventory.prefix_lists.iter();
        lists.find(|list| list.prefix_list_id == id && list.region().is_none_or(|stated| stated == region))
    }

    /// Marks a prefix list as converted.
    pub(super) fn mark_prefix_list_converted(&mut self, id: &str, region: &str) {
        if let Some(list) = self.find_prefix_list(id, region) {
            self.ledger.mark_converted(PrefixList::KIND, &list.id());
        }
    }

    /// Returns the entries of a prefix list. Its id is unique only within its region.
    pub(super) fn prefix_list_entries(&mut self, id: &str, region: &str) -> Option<Vec<String>> {
        let lists = self.inventory.prefix_list_entries.iter().filter(|((list, _), _)| list == id);
        let candidates: Vec<_> = lists.collect();
        let is_in_region = |((_, directory), _): &&(&(String, Option<String>), _)| {
            directory.as_deref().is_none_or(|directory| directory == region)
        };
        // A single candidate is unambiguous, whatever its directory is called.
        let single = candidates.first().filter(|_| candidates.len() == 1);
        if let Some((_, items)) = candidates.iter().find(is_in_region).or(single) {
            let mut entries: Vec<String> = Vec::with_capacity(items.len());
            for item in items.iter() {
                self.ledger.mark_item_converted("Entries", item.location);
                if !entries.contains(&item.cidr) {
                    entries.push(item.cidr.clone());
                }
            }
            return Some(entries);
        }
        self.find_prefix_list(id, region)?.cidrs.clone()
    }

    /// Records the DHCP option sets. They are not converted, but may configure name servers other than the
    /// VPC Resolver.
    pub(super) fn record_dhcp_options(&mut self) {
        let inventory = self.inventory;
        for options in &inventory.dhcp_options {
            let id = options.dhcp_options_id.as_str();
            let servers = options.dhcp_configurations.iter().filter(|one| one.key == "domain-name-servers");
            let servers: Vec<&str> = servers.flat_map(|one| &one.values).map(DhcpValue::as_str).collect();
            let mut users = inventory.vpcs.iter().filter(|vpc| vpc.dhcp_options_id.as_deref() == Some(id));
            let user = users.next().map(|vpc| vpc.vpc_id.as_str());
            match user.filter(|_| servers.iter().any(|server| *server != "AmazonProvidedDNS")) {
                Some(vpc) => {
                    let servers = servers.join(", ");
                    let why = format!(
                        "by default, clients in VPC {vpc} query {servers} instead of the VPC Resolver"
                    );
                    self.ledger.mark_unsupported(DhcpOptions::KIND, id, why);
                }
                None => self.ledger.mark_skipped(DhcpOptions::KIND, id, "no custom name servers in use"),
            }
        }
    }
}
