//! Instances and their addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::*;
use crate::config;
use crate::config::{HostnameType, PrivateDnsNameOptions};

impl NetworkCompiler<'_, '_> {
    /// Instances, with their addresses in their subnets.
    pub(super) fn instances(&mut self) {
        for vpc in &self.cx.config.vpc {
            let Some(index) = self.declarations.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            let on_launch: HashMap<String, &PrivateDnsNameOptions> = (vpc.subnet.iter())
                .filter_map(|subnet| {
                    Some((subnet.id.to_string(), subnet.private_dns_name_options_on_launch.as_ref()?))
                })
                .collect();
            for subnet in vpc.subnet.iter().filter(|subnet| subnet.cidr.is_none()) {
                self.check_hostname_type(subnet.private_dns_name_options_on_launch.as_ref());
            }
            for instance in &vpc.instance {
                if self.cx.declare(&instance.id) {
                    self.instance(index, instance, &on_launch);
                }
            }
        }
    }

    fn instance(
        &mut self,
        vpc: Index<Vpc>,
        written: &MarkedTable<config::Instance>,
        on_launch: &HashMap<String, &PrivateDnsNameOptions>,
    ) {
        let Some(subnet) = self.subnet_named(&written.subnet, vpc) else { return };
        let is_bare = written.address.is_none() && written.ipv6_address.is_none();
        let is_pruned = ["address", "ipv6_address"].iter().any(|key| self.cx.was_pruned(written, key));
        if is_bare && !is_pruned {
            let message = format!("instance `{}` has no address", written.id);
            let error = self.cx.report.error(Code::MissingKey, written.id.mark(), message);
            error.help("write `address = \"10.0.1.10\"`, or `ipv6_address` in an IPv6-only subnet");
        }
        for address in written.address.iter().chain(&written.ipv6_address) {
            self.check_inside(address, subnet);
        }
        let v4 = self.v4("address", written.address.as_ref());
        let public = self.v4("public_address", written.public_address.as_ref());
        let v6 = self.v6(written.ipv6_address.as_ref());
        let options = written.private_dns_name_options.as_ref();
        if self.network.subnets[subnet].cidrs.iter().all(|cidr| cidr.addr().is_ipv6()) {
            self.check_hostname_type(options);
        }
        let options = options.or_else(|| on_launch.get(&written.subnet.to_string()).copied());
        let resource_name = options.map_or_else(ResourceName::default, |options| ResourceName {
            a: options.enable_resource_name_dns_a_record,
            aaaa: options.enable_resource_name_dns_aaaa_record,
        });
        let security_groups = self.groups_named(&written.security_groups);
        let made = self.network.instances.add(Instance {
            id: written.id.value().to_shared(),
            subnet,
            address: v4,
            ipv6_address: v6,
            public_address: public,
            resource_name,
            security_groups,
        });
        for address in written.address.iter().chain(&written.ipv6_address) {
            self.claim_address(vpc, address, Interface::Instance(made));
        }
        let appliance = Appliance {
            id: written.id.value().to_shared(),
            subnet,
            is_public: public.is_some(),
            forwards: !written.source_dest_check,
        };
        self.ids.appliances.insert(written.id.to_string(), (vpc, Arc::new(appliance)));
    }

    /// In an IPv6-only subnet, a name cannot be derived from an IPv4 address.
    fn check_hostname_type(&mut self, options: Option<&PrivateDnsNameOptions>) {
        let written = options.and_then(|options| options.hostname_type.as_ref());
        if let Some(written) = written.filter(|written| *written.value() == HostnameType::IpName) {
            let message = "the hostname type in an IPv6-only subnet must be `resource-name`";
            self.cx.report.error(Code::InvalidValue, written.mark(), message);
        }
    }

    fn v4(&mut self, key: &str, written: Option<&Marked<IpAddr>>) -> Option<Ipv4Addr> {
        match written?.value() {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => {
                self.wrong_family(key, "IPv4", written?.mark());
                None
            }
        }
    }

    fn v6(&mut self, written: Option<&Marked<IpAddr>>) -> Option<Ipv6Addr> {
        match written?.value() {
            IpAddr::V6(address) => Some(*address),
            IpAddr::V4(_) => {
                self.wrong_family("ipv6_address", "IPv6", written?.mark());
                None
            }
        }
    }

    fn wrong_family(&mut self, key: &str, family: &str, mark: Mark) {
        self.cx.report.error(
            Code::InvalidValue,
            mark,
            format!("`{key}` of an instance must be an {family} address"),
        );
    }
}
