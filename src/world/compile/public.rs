//! Public DNS as the world knows it.

use super::records::Written;
use super::*;
use crate::aws::zones::SEALED_SOA;
use crate::dns::{Rdata, RecordType};

/// TTL of ipv4only.arpa's records, in seconds, as public DNS has them.
const IPV4ONLY_TTL_S: u32 = 86_400;

/// Gathers what is public while the rest is compiled.
pub(super) struct Builder {
    overlay: Zone,
    api_aliases: Zone,
    records: Zone,
    instances: HashMap<Name, PublicHost>,
    resource_names: HashMap<Box<[u8]>, Index<Instance>>,
    s3_families: HashMap<Index<Vpc>, Families>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let root = || records::zone_with_soa(Name::root(), &SEALED_SOA);
        Self {
            overlay: root(),
            api_aliases: root(),
            records: root(),
            instances: HashMap::new(),
            resource_names: HashMap::new(),
            s3_families: HashMap::new(),
        }
    }

    /// A record of an endpoint's own name.
    pub(super) fn overlay(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) {
        self.overlay.add(owner, rtype, ttl, rdata).expect("an address may stand at any name below the root");
    }

    /// A record of what APIs' aliases at an execute-api endpoint lead to. `owner` is such a name without the
    /// API's id.
    pub(super) fn api_alias(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) {
        let added = self.api_aliases.add(owner, rtype, ttl, rdata);
        added.expect("an address may stand at any name below the root");
    }

    /// An instance's public name.
    pub(super) fn instance(&mut self, name: Name, host: PublicHost) {
        self.instances.insert(name, host);
    }

    /// The label of an instance's resource name: its id.
    pub(super) fn resource_name(&mut self, id: &str, instance: Index<Instance>) {
        self.resource_names.insert(id.to_ascii_lowercase().into_bytes().into(), instance);
    }

    /// The record types that S3's regional names have in a VPC with such a gateway endpoint.
    pub(super) fn s3_families(&mut self, vpc: Index<Vpc>, families: Families) {
        self.s3_families.insert(vpc, families);
    }

    pub(super) fn finish(self, facts: &'static Facts) -> PublicDns {
        let soa = self.records.soa().clone();
        PublicDns {
            overlay: self.overlay,
            api_aliases: self.api_aliases,
            s3_families: self.s3_families,
            records: self.records,
            instances: self.instances,
            resource_names: self.resource_names,
            facts,
            soa,
        }
    }
}

impl Compiler<'_> {
    /// The user's records of the sealed internet.
    pub(super) fn public_records(&mut self) {
        let mut zone =
            std::mem::replace(&mut self.public.records, records::zone_with_soa(Name::root(), &SEALED_SOA));
        // Clients with IPv6 alone ask for it to learn whether there is DNS64, and its prefix (RFC 7050 2.2).
        let ipv4only = fact_name("ipv4only.arpa");
        for last in [170, 171] {
            let address = IpAddr::from([192, 0, 0, last]);
            let (rtype, rdata) = Rdata::address_of(address);
            zone.add(ipv4only.clone(), rtype, IPV4ONLY_TTL_S, rdata)
                .expect("an address may stand at any name");
        }
        for record in &self.config.public {
            let rtype = *record.record_type.value();
            let owner = record.name.value();
            self.values(&mut zone, owner, rtype, record.ttl, &record.values, Written::Master);
        }
        self.public.records = zone;
    }
}
