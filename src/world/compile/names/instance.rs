//! The names of instances in public DNS, and the labels of their resource names.

use super::*;
use crate::aws::hostname;

impl NamesCompiler<'_, '_> {
    /// The public names and resource names of all instances.
    pub(super) fn instance_names(&mut self) {
        for (index, instance) in self.network.instances.indexed() {
            self.names.public.resource_name(&instance.id, index);
            self.public_names(index);
        }
    }

    /// The public names of an instance ("EC2 instance hostnames and domains", EC2 User Guide).
    fn public_names(&mut self, index: Index<Instance>) {
        let instance = &self.network.instances[index];
        let region = &self.network.vpcs[self.network.subnets[instance.subnet].vpc].region;
        let (hosts, addresses) = (region.public_ec2_domain(), region.public_address_domain());
        let v6 = instance.ipv6_address.filter(|address| crate::net::is_globally_routed((*address).into()));
        let v4 = instance.public_address;
        let mut names = Vec::new();
        if let Some(v4) = v4 {
            names.push((format!("{}.{hosts}", hostname::public_ec2_label(v4)), true, false));
        }
        if let Some(v6) = v6 {
            names.push((format!("{}.{addresses}", hostname::public_ipv6_label(v6)), false, true));
        }
        if let (Some(v4), Some(v6)) = (v4, v6) {
            names.push((format!("{}.{addresses}", hostname::public_dual_stack_label(v6, v4)), true, true));
        }
        for (name, v4, v6) in names {
            self.names.public.instance(fact_name(&name), PublicHost { instance: index, v4, v6 });
        }
    }
}
