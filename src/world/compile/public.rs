//! Public DNS as the world knows it.

use super::records::Written;
use super::*;
use crate::aws::zones::SEALED_SOA;
use crate::dns::{Rdata, RecordType};

/// Gathers what is public while the rest is compiled.
pub(super) struct Builder {
    overlay: Zone,
    records: Zone,
    instances: HashMap<Name, Index<Instance>>,
}

impl Builder {
    pub(super) fn new() -> Self {
        let root = || records::zone_with_soa(Name::root(), &SEALED_SOA);
        Self { overlay: root(), records: root(), instances: HashMap::new() }
    }

    /// A record of an endpoint's own name.
    pub(super) fn overlay(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) {
        self.overlay.add(owner, rtype, ttl, rdata).expect("an address may stand at any name below the root");
    }

    /// An instance's public name.
    pub(super) fn instance(&mut self, name: Name, instance: Index<Instance>) {
        self.instances.insert(name, instance);
    }

    pub(super) fn finish(self, facts: &'static Facts) -> PublicDns {
        let soa = self.records.soa().clone();
        PublicDns { overlay: self.overlay, records: self.records, instances: self.instances, facts, soa }
    }
}

impl Compiler<'_> {
    /// The user's records of the sealed internet.
    pub(super) fn public_records(&mut self) {
        let mut zone =
            std::mem::replace(&mut self.public.records, records::zone_with_soa(Name::root(), &SEALED_SOA));
        for record in &self.config.public {
            let rtype = *record.record_type.value();
            let owner = record.name.value();
            self.values(&mut zone, owner, rtype, record.ttl, &record.values, Written::Master);
        }
        self.public.records = zone;
    }
}
