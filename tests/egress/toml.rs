//! Random networks as configurations.

use std::fmt::Write as _;

use crate::model::*;

impl Net {
    /// The configuration.
    pub(crate) fn toml(&self) -> String {
        let mut text = String::new();
        for (number, entries) in LISTS.iter().enumerate() {
            let _ = write!(
                text,
                "[[prefix_list]]\nid = \"pl-{number}\"\nregion = \"ap-northeast-1\"\nentries = {entries:?}\n"
            );
        }
        for (number, vpc) in self.vpcs.iter().enumerate() {
            vpc.write(number + 1, &mut text);
        }
        for (number, [one, other]) in self.peerings.iter().enumerate() {
            let _ = write!(
                text,
                "[[vpc_peering_connection]]\nid = \"pcx-{number}\"\nrequester = {{ vpc = \"vpc-{}\" }}\naccepter = {{ vpc = \"vpc-{}\" }}\n",
                one + 1,
                other + 1
            );
        }
        for (number, gateway) in self.gateways.iter().enumerate() {
            gateway.write(number, &mut text);
        }
        let links: Vec<String> = (self.site.links.iter())
            .map(|(vpc, gateway)| match gateway {
                None => format!("{{ target = \"vgw-{0}\", vpc = \"vpc-{0}\" }}", vpc + 1),
                Some(None) => format!("{{ target = \"dxgw-1\", vpc = \"vpc-{}\" }}", vpc + 1),
                Some(Some(own)) => {
                    format!(
                        "{{ target = \"dxgw-1\", vpc = \"vpc-{}\", gateway = \"vgw-{}\" }}",
                        vpc + 1,
                        own + 1
                    )
                }
            })
            .collect();
        let _ = write!(
            text,
            "[[site]]\nid = \"site-1\"\ncidr = [\"{}\"]\ninternet = {}\nlinks = [{}]\n",
            self.site.cidr,
            self.site.has_internet,
            links.join(", ")
        );
        text
    }
}

impl Interface {
    /// Its keys in the configuration of VPC `n`.
    fn keys(&self, n: usize, between: &str) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| format!("sg-{n}-{group}")).collect();
        let mut keys =
            vec![format!("subnet = \"subnet-{n}-{}\"", self.subnet), format!("security_groups = {groups:?}")];
        keys.extend(self.addresses.iter().map(|address| {
            let key = if address.is_ipv4() { "address" } else { "ipv6_address" };
            format!("{key} = \"{address}\"")
        }));
        keys.join(between)
    }
}

impl Vpc {
    fn write(&self, n: usize, text: &mut String) {
        let _ = write!(
            text,
            "[[vpc]]\nid = \"vpc-{n}\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.{n}.0.0/16\", \"2001:db8:{n}::/56\"]\n\
             internet_gateway = \"igw-{n}\"\n"
        );
        self.write_subnets(n, text);
        self.write_tables(n, text);
        self.write_acls(n, text);
        self.write_groups(n, text);
        self.write_interfaces(n, text);
        self.write_gateways(n, text);
    }

    fn write_subnets(&self, n: usize, text: &mut String) {
        for (number, subnet) in self.subnets.iter().enumerate() {
            let _ = write!(
                text,
                "[[vpc.subnet]]\nid = \"subnet-{n}-{number}\"\ncidr = \"{}\"\nipv6_cidr = \"{}\"\navailability_zone = \"{}\"\nroute_table = \"rtb-{n}-{}\"\n",
                subnet.cidrs[0], subnet.cidrs[1], subnet.zone, subnet.table
            );
            if let Some(acl) = subnet.acl {
                let _ = writeln!(text, "network_acl = \"acl-{n}-{acl}\"");
            }
            if let Some(map_public) = subnet.map_public {
                let _ = writeln!(text, "map_public_ip_on_launch = {map_public}");
            }
        }
    }

    fn write_tables(&self, n: usize, text: &mut String) {
        for (number, routes) in self.tables.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.route_table]]\nid = \"rtb-{n}-{number}\"\nroutes = [");
            for route in routes {
                let to = match &route.to {
                    To::Cidr(net) => net.to_string(),
                    To::List(number) => format!("pl-{number}"),
                };
                let target = match route.target {
                    Target::InternetGateway => format!("igw-{n}"),
                    Target::EgressOnly => "eigw-1".to_owned(),
                    Target::Nat(number) => format!("nat-{n}-{number}"),
                    Target::Peering(number) => format!("pcx-{number}"),
                    Target::Transit(number) => format!("tgw-{number}"),
                    Target::Private => format!("vgw-{n}"),
                    Target::Gateway => format!("vpce-{n}-s3"),
                    Target::LoadBalancer => format!("vpce-{n}-gwlb"),
                    Target::Appliance => format!("eni-{n}-3"),
                    Target::Carrier => "cagw-1".to_owned(),
                };
                let origin = match route.rank {
                    Rank::DirectConnect => {
                        ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"direct-connect\""
                    }
                    Rank::VpnStatic => ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"vpn-static\"",
                    Rank::VpnBgp => ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"vpn-bgp\"",
                    Rank::Static | Rank::Local | Rank::List(_) => "",
                };
                let _ = writeln!(
                    text,
                    "  {{ destination = \"{to}\", target = \"{target}\", state = \"{}\"{origin} }},",
                    route.state
                );
            }
            text.push_str("]\n");
        }
    }

    fn write_acls(&self, n: usize, text: &mut String) {
        for (number, acl) in self.acls.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.network_acl]]\nid = \"acl-{n}-{number}\"\nentries = [");
            for entry in &acl.entries {
                let _ = writeln!(
                    text,
                    "  {{ rule_number = {}, egress = {}, protocol = \"{}\", from_port = {}, to_port = {}, cidr = \"{}\", rule_action = \"{}\" }},",
                    entry.number,
                    entry.is_egress,
                    entry.protocol,
                    entry.ports.0,
                    entry.ports.1,
                    entry.cidr,
                    if entry.allows { "allow" } else { "deny" }
                );
            }
            text.push_str("]\n");
        }
    }

    fn write_groups(&self, n: usize, text: &mut String) {
        let rules = |rules: &[GroupRule], key: &str| {
            let rules = rules.iter().map(|rule| {
                let peer = match &rule.peer {
                    Peer::Cidr(net) => net.to_string(),
                    Peer::List(number) => format!("pl-{number}"),
                    Peer::Group(vpc, number) => format!("sg-{}-{number}", vpc + 1),
                };
                let (from, to) = rule.ports;
                format!(
                    "{{ protocol = \"{}\", from_port = {from}, to_port = {to}, {key} = [\"{peer}\"] }}",
                    rule.protocol
                )
            });
            rules.collect::<Vec<_>>().join(", ")
        };
        for (number, group) in self.groups.iter().enumerate() {
            let _ = writeln!(
                text,
                "[[vpc.security_group]]\nid = \"sg-{n}-{number}\"\ningress = [{}]",
                rules(&group.ingress, "sources")
            );
            if let Some(egress) = &group.egress {
                let _ = writeln!(text, "egress = [{}]", rules(egress, "destinations"));
            }
        }
    }

    fn write_interfaces(&self, n: usize, text: &mut String) {
        for (number, own) in self.interfaces.iter().enumerate() {
            let _ = match own.kind {
                Kind::Endpoint => writeln!(
                    text,
                    "[[vpc.endpoint]]\nid = \"vpce-{n}-{number}\"\ntype = \"Interface\"\nservice = \"com.amazonaws.ap-northeast-1.kms\"\nprivate_dns_enabled = false\nnetwork_interfaces = [{{ {} }}]",
                    own.keys(n, ", ")
                ),
                Kind::Instance { is_public } => writeln!(
                    text,
                    "[[vpc.instance]]\nid = \"i-{n}-{number}\"\n{}{}",
                    own.keys(n, "\n"),
                    if is_public { format!("\npublic_address = \"203.0.113.{n}\"") } else { String::new() }
                ),
                Kind::Appliance { is_public, forwards: passes_on } => writeln!(
                    text,
                    "[[vpc.network_interface]]\nid = \"eni-{n}-{number}\"\n{}\nsource_dest_check = {}{}",
                    own.keys(n, "\n"),
                    !passes_on,
                    if is_public { format!("\npublic_address = \"203.0.113.1{n}\"") } else { String::new() }
                ),
            };
        }
        let _ = writeln!(
            text,
            "[[vpc.endpoint]]\nid = \"vpce-{n}-gwlb\"\ntype = \"GatewayLoadBalancer\"\nservice = \"com.amazonaws.vpce.ap-northeast-1.vpce-svc-1\"\nnetwork_interfaces = [{{ subnet = \"subnet-{n}-2\", address = \"10.{n}.3.50\" }}]\n\
             [[vpc.endpoint]]\nid = \"vpce-{n}-s3\"\ntype = \"Gateway\"\nservice = \"com.amazonaws.ap-northeast-1.s3\""
        );
    }

    fn write_gateways(&self, n: usize, text: &mut String) {
        for (number, nat) in self.nats.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.nat_gateway]]\nid = \"nat-{n}-{number}\"");
            let _ = match nat.subnet {
                Some(subnet) => writeln!(text, "subnet = \"subnet-{n}-{subnet}\""),
                None => writeln!(
                    text,
                    "availability_mode = \"regional\"\nroute_table = \"rtb-{n}-{}\"",
                    nat.table
                ),
            };
            if let Some(address) = nat.address {
                let _ = writeln!(text, "address = \"{address}\"");
            }
            if !nat.is_public {
                text.push_str("connectivity_type = \"private\"\n");
            }
        }
    }
}

impl TransitGateway {
    fn write(&self, number: usize, text: &mut String) {
        let id = |attachment: usize| format!("tgw-attach-{number}-{attachment}");
        let _ = writeln!(text, "[[transit_gateway]]\nid = \"tgw-{number}\"");
        for (n, attachment) in self.attachments.iter().enumerate() {
            let _ = match &attachment.to {
                Attached::Vpc(vpc, subnets) => {
                    let subnets: Vec<String> =
                        subnets.iter().map(|subnet| format!("subnet-{}-{subnet}", vpc + 1)).collect();
                    writeln!(
                        text,
                        "[[transit_gateway.vpc_attachment]]\nid = \"{}\"\nvpc = \"vpc-{}\"\nsubnets = {subnets:?}",
                        id(n),
                        vpc + 1
                    )
                }
                Attached::Site => {
                    writeln!(text, "[[transit_gateway.attachment]]\nid = \"{}\"\nsite = \"site-1\"", id(n))
                }
                Attached::Gateway(other) => writeln!(
                    text,
                    "[[transit_gateway.attachment]]\nid = \"{}\"\ntransit_gateway = \"tgw-{other}\"",
                    id(n)
                ),
                Attached::Nothing => writeln!(text, "[[transit_gateway.attachment]]\nid = \"{}\"", id(n)),
            };
        }
        for (n, table) in self.tables.iter().enumerate() {
            let own = self.attachments.iter().enumerate().filter(|(_, own)| own.association == Some(n));
            let associations: Vec<String> = own.map(|(own, _)| id(own)).collect();
            let propagations: Vec<String> = table.propagations.iter().map(|own| id(*own)).collect();
            let _ = writeln!(
                text,
                "[[transit_gateway.route_table]]\nid = \"tgw-rtb-{number}-{n}\"\nassociations = {associations:?}\npropagations = {propagations:?}\nroutes = ["
            );
            for route in &table.routes {
                let route_target = match route.attachment {
                    Some(own) => format!("attachment = \"{}\"", id(own)),
                    None => "state = \"blackhole\"".to_owned(),
                };
                let _ = writeln!(
                    text,
                    "  {{ destination = \"{}\", {route_target}, propagated = {} }},",
                    route.to, route.is_propagated
                );
            }
            text.push_str("]\n");
        }
    }
}
