//! Route tables and prefix lists.

use super::ConfigWriter;
use super::toml::InlineTable;
use crate::aws::{Facts, Region};
use crate::import::inventory::ReadObject;
use crate::import::objects::gateway::VirtualInterface;
use crate::import::objects::network::{DhcpOptions, DhcpValue, PrefixList, Route, RouteTable};
use crate::import::objects::{Object, name_tag};

impl Route {
    /// Whether it forwards.
    pub(super) fn is_active(&self) -> bool {
        self.state.as_deref().is_none_or(|state| !matches!(state, "blackhole" | "filtered"))
    }

    /// What it matches.
    fn destination(&self) -> Option<&str> {
        let families = self.destination_cidr_block.as_deref().or(self.destination_ipv6_cidr_block.as_deref());
        self.destination_prefix_list_id.as_deref().or(families)
    }

    /// Where it leads. Of an instance's route AWS tells the instance and its interface.
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
    /// The route tables of a VPC.
    pub(super) fn route_tables(&mut self, vpc: &str) {
        let index = self.index;
        for table in index.route_tables.get(vpc) {
            let id = table.route_table_id.as_str();
            self.toml.table("vpc.route_table", name_tag(&table.tags));
            self.toml.string("id", id);
            if table.associations.iter().any(|association| association.main) {
                self.toml.value("main", true);
            }
            let routes: Vec<InlineTable> =
                table.routes.iter().filter_map(|route| self.route(vpc, table, route)).collect();
            self.toml.inline_tables("routes", &routes);
            for association in table.associations.iter().filter_map(|one| one.gateway_id.as_deref()) {
                let spot = self.ledger.location(RouteTable::KIND, id);
                let message =
                    format!("{id} routes what comes in by gateway {association}, which is not modelled");
                self.ledger.note_unsupported(spot, message);
            }
            self.ledger.mark_converted(RouteTable::KIND, id);
        }
        let mut own = index.route_tables.get(vpc).iter();
        if !self.has_document(RouteTable::KIND) {
            let call = self.with_region(vpc, "aws ec2 describe-route-tables");
            self.ledger.note_missing(format!("the route tables of VPC {vpc}"), call);
        } else if !own.any(|table| table.associations.iter().any(|one| one.main)) {
            let call = self
                .with_region(vpc, &format!("aws ec2 describe-route-tables --filters Name=vpc-id,Values={vpc}"));
            self.ledger.note_missing(format!("the main route table of VPC {vpc}"), call);
        }
    }

    /// A route; none for `local` ones, which are implied, and for what cannot be written.
    fn route(&mut self, vpc: &str, table: &RouteTable, route: &Route) -> Option<InlineTable> {
        let spot = self.ledger.location(RouteTable::KIND, &table.route_table_id);
        let id = &table.route_table_id;
        if route.gateway_id.as_deref() == Some("local") {
            return None;
        }
        let Some(destination) = route.destination() else {
            self.ledger.note_unsupported(spot, format!("{id} has a route without a destination"));
            return None;
        };
        let target = match (route.target(), &route.odb_network_arn) {
            (Some(target), _) => target,
            (None, Some(arn)) => {
                self.ledger.note_unsupported(
                    spot,
                    format!("{id} has a route to {destination} by ODB network {arn}, which is left out"),
                );
                return None;
            }
            // What it led to is gone, and the table does not say any more what that was.
            (None, None) if !route.is_active() => {
                let inline = InlineTable::default().string("destination", destination);
                return Some(inline.string("state", self.state(table, route).unwrap_or("blackhole")));
            }
            (None, None) => {
                self.ledger.note_unsupported(
                    spot,
                    format!("{id} has a route to {destination} without a target, which is left out"),
                );
                return None;
            }
        };
        self.route_targets.insert(target.to_owned());
        self.check_target(vpc, target, route);
        if destination.starts_with("pl-") {
            self.name_prefix_list(vpc, destination);
        }
        let mut inline = InlineTable::default().string("destination", destination).string("target", target);
        let state = self.state(table, route);
        // The call that tells of the gateway may have come after the one that tells of the route.
        let is_gone = self.index.deleted_nat_gateways.contains(target);
        inline = inline.optional_string("state", state.or(is_gone.then_some("blackhole")));
        if let Some(origin) = self.origin(table, route) {
            inline = inline.string("origin", origin);
            if let Some(learnt_by) = self.learnt_by(target, destination, id) {
                inline = inline.string("learnt_by", learnt_by);
            }
        }
        Some(inline)
    }

    /// Why a route does not forward. A word that AWS did not have yet is told of.
    fn state<'r>(&mut self, table: &RouteTable, route: &'r Route) -> Option<&'r str> {
        match route.state.as_deref()? {
            "active" => None,
            known @ ("blackhole" | "filtered") => Some(known),
            other => {
                self.unknown_word(table, route, "state", other, "left away");
                None
            }
        }
    }

    /// How a route came into its table, where nobody wrote it there.
    fn origin<'r>(&mut self, table: &RouteTable, route: &'r Route) -> Option<&'r str> {
        match route.origin.as_deref()? {
            "CreateRoute" | "CreateRouteTable" => None,
            known @ ("EnableVgwRoutePropagation" | "Advertisement") => Some(known),
            other => {
                self.unknown_word(table, route, "origin", other, "taken as written by somebody");
                None
            }
        }
    }

    fn unknown_word(&mut self, table: &RouteTable, route: &Route, what: &str, word: &str, taken: &str) {
        let id = &table.route_table_id;
        let spot = self.ledger.location(RouteTable::KIND, id);
        let destination = route.destination().unwrap_or_default();
        let message = format!("{id} has a route to {destination} whose {what} is {word}, which is {taken}");
        self.ledger.note_unsupported(spot, message);
    }

    /// What a virtual private gateway learnt a route by, where that is not BGP over a VPN connection.
    fn learnt_by(&mut self, gateway: &str, destination: &str, table: &str) -> Option<&'static str> {
        let inventory = self.inventory;
        let connections: Vec<_> = inventory
            .vpn_connections
            .iter()
            .filter(|vpn| vpn.vpn_gateway_id.as_deref() == Some(gateway) && vpn.is_active())
            .collect();
        let named = connections.iter().flat_map(|vpn| &vpn.routes);
        let is_static =
            named.into_iter().any(|route| route.destination_cidr_block.as_deref() == Some(destination));
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
                "{table} has a route to {destination} that {gateway} learnt by BGP, over Direct Connect or a VPN \
                 connection: taken as Direct Connect's, which goes first"
            );
            let spot = self.ledger.location(RouteTable::KIND, table);
            self.ledger.note_unsupported(spot, message);
        }
        match (by_direct_connect, connections.is_empty(), by_bgp) {
            (true, ..) => Some("direct-connect"),
            (false, false, false) => Some("vpn-static"),
            _ => None,
        }
    }

    /// Tells when what a route leads to stands in no document.
    fn check_target(&mut self, vpc: &str, target: &str, route: &Route) {
        if !route.is_active() {
            return;
        }
        let calls = [
            ("nat-", "describe-nat-gateways --nat-gateway-ids"),
            ("vpce-", "describe-vpc-endpoints --vpc-endpoint-ids"),
            ("tgw-", "describe-transit-gateways --transit-gateway-ids"),
            ("pcx-", "describe-vpc-peering-connections --vpc-peering-connection-ids"),
            ("vgw-", "describe-vpn-gateways --vpn-gateway-ids"),
            ("eni-", "describe-network-interfaces --network-interface-ids"),
            ("i-", "describe-instances --instance-ids"),
        ];
        let call = calls.iter().find(|(prefix, _)| target.starts_with(prefix));
        if let Some((_, call)) = call.filter(|_| !self.index.route_targets.contains(target)) {
            let call = self.with_region(vpc, &format!("aws ec2 {call} {target}"));
            self.ledger.note_missing(format!("{target}, which a route of VPC {vpc} leads to"), call);
        }
    }

    /// Notes that a prefix list is named.
    pub(super) fn name_prefix_list(&mut self, vpc: &str, id: &str) {
        let region = self.region_of(vpc).unwrap_or_default().to_owned();
        self.referenced_prefix_lists.insert((id.to_owned(), region));
    }

    /// The prefix lists whose entries some document holds.
    pub(super) fn all_prefix_lists(&mut self) {
        let mut heading = Some("prefix lists");
        for (id, region) in std::mem::take(&mut self.referenced_prefix_lists) {
            let entries = self.entries(&id, &region);
            let known = Region::parse(&region)
                .ok()
                .and_then(|region| Facts::built_in().prefix_lists.by_id(&region, &id));
            let Some(entries) = entries else {
                let call = format!(
                    "aws ec2 get-managed-prefix-list-entries --prefix-list-id {id} --region {region}"
                );
                match known.filter(|list| list.entries.is_some()) {
                    Some(list) => {
                        let what = format!(
                            "the entries of prefix list {id} ({}): taken as they were {}",
                            list.name, list.as_of
                        );
                        self.ledger.note_missing(what, call);
                    }
                    None => self.ledger.note_missing(format!("the entries of prefix list {id}"), call),
                }
                continue;
            };
            if let Some(heading) = heading.take() {
                self.toml.heading(heading);
            }
            let list = self.prefix_list(&id, &region);
            self.toml.table("prefix_list", None);
            self.toml.string("id", &id);
            self.toml.string("region", &region);
            self.toml.optional_string("name", list.and_then(|list| list.prefix_list_name.as_deref()));
            self.toml.strings("entries", entries);
            self.prefix_list_written(&id, &region);
        }
    }

    /// A prefix list of a region, as far as a document tells it.
    fn prefix_list(&self, id: &str, region: &str) -> Option<&'a ReadObject<PrefixList>> {
        let mut lists = self.inventory.prefix_lists.iter();
        lists.find(|list| list.prefix_list_id == id && list.region().is_none_or(|said| said == region))
    }

    /// Notes that the entries of a prefix list stand in the text.
    pub(super) fn prefix_list_written(&mut self, id: &str, region: &str) {
        if let Some(list) = self.prefix_list(id, region) {
            self.ledger.mark_converted(PrefixList::KIND, &list.id());
        }
    }

    /// The entries of a prefix list. An id is unique within its region only.
    pub(super) fn entries(&mut self, id: &str, region: &str) -> Option<Vec<String>> {
        let of_id = self.inventory.prefix_list_entries.iter().filter(|((list, _), _)| list == id);
        let of_id: Vec<_> = of_id.collect();
        let is_here = |((_, folder), _): &&(&(String, Option<String>), _)| {
            folder.as_deref().is_none_or(|folder| folder == region)
        };
        // With one alone there is no doubt which it is, whatever its folder is called.
        let own = of_id.iter().find(is_here).or(of_id.first().filter(|_| of_id.len() == 1));
        if let Some((_, items)) = own {
            let mut entries: Vec<String> = Vec::with_capacity(items.len());
            for item in items.iter() {
                self.ledger.mark_item_converted("Entries", item.spot);
                if !entries.contains(&item.cidr) {
                    entries.push(item.cidr.clone());
                }
            }
            return Some(entries);
        }
        self.prefix_list(id, region)?.cidrs.clone()
    }

    /// Sets of DHCP options, which say whom clients ask.
    pub(super) fn dhcp_options(&mut self) {
        let inventory = self.inventory;
        for options in &inventory.dhcp_options {
            let id = options.dhcp_options_id.as_str();
            let servers = options.dhcp_configurations.iter().filter(|one| one.key == "domain-name-servers");
            let servers: Vec<&str> = servers.flat_map(|one| &one.values).map(DhcpValue::as_str).collect();
            let mut users = inventory.vpcs.iter().filter(|vpc| vpc.dhcp_options_id.as_deref() == Some(id));
            let used = users.next().map(|vpc| vpc.vpc_id.as_str());
            match used.filter(|_| servers.iter().any(|server| *server != "AmazonProvidedDNS")) {
                Some(vpc) => {
                    let servers = servers.join(", ");
                    let why = format!(
                        "clients of VPC {vpc} ask {servers} and not its resolver, unless told otherwise"
                    );
                    self.ledger.mark_unsupported(DhcpOptions::KIND, id, why);
                }
                None => self.ledger.mark_skipped(DhcpOptions::KIND, id, "clients ask the VPC's resolver"),
            }
        }
    }
}
