//! Public DNS as known to the world.

use super::records::RecordEntry;
use super::*;
use crate::aws::zones::SEALED_SOA;
use crate::dns::special_use::{self, IPV4ONLY_TTL_S, SpecialUse};
use crate::dns::{Rdata, RecordType, RrSet, SuffixMap};

/// Collects public names while the rest is compiled.
pub(super) struct Builder {
    overlay: Zone,
    api_aliases: Zone,
    records: Zone,
    instances: HashMap<Name, PublicHost>,
    resource_names: HashMap<Box<[u8]>, Index<Instance>>,
    s3_families: HashMap<Index<Vpc>, AddressFamilies>,
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

    /// Adds a record of an endpoint-specific name.
    pub(super) fn overlay(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) {
        self.overlay.add(owner, rtype, ttl, rdata).expect("any name below the root can have addresses");
    }

    /// Adds a record for aliases of APIs at an execute-api endpoint. `owner` is such a name without the API
    /// ID.
    pub(super) fn api_alias(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) {
        let added = self.api_aliases.add(owner, rtype, ttl, rdata);
        added.expect("any name below the root can have addresses");
    }

    /// Adds an instance's public name.
    pub(super) fn instance(&mut self, name: Name, host: PublicHost) {
        self.instances.insert(name, host);
    }

    /// Adds the label of an instance's resource name: its ID.
    pub(super) fn resource_name(&mut self, id: &str, instance: Index<Instance>) {
        self.resource_names.insert(id.to_ascii_lowercase().into_bytes().into(), instance);
    }

    /// Sets the record types of S3's regional names in a VPC with such a gateway endpoint.
    pub(super) fn s3_families(&mut self, vpc: Index<Vpc>, families: AddressFamilies) {
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
            special_use: special_use_zones(),
            designated: Vec::new(),
            facts,
            soa,
        }
    }
}

/// The encrypted listeners that are advertised to clients of plain DNS listeners: those with a name. Clients
/// must get the same answers there, so a listener without a view is omitted if a plain DNS listener has one.
pub(in crate::world::compile) fn designated(listeners: &[Listener]) -> Vec<DesignatedListener> {
    let binds_plain = listeners.iter().any(|listener| listener.view.is_some() && listener.tls().is_none());
    let named = listeners.iter().filter(|listener| listener.view.is_some() || !binds_plain);
    let parts = named.filter_map(|listener| {
        let protocol = match &listener.transport {
            ListenerTransport::Plain { .. } => return None,
            ListenerTransport::Dot(_) => "alpn=dot".to_owned(),
            // HTTP/2 is the supported version; the template is that of RFC 9461 section 5.
            ListenerTransport::Doh { path, .. } => format!("alpn=h2 dohpath={path}{{?dns}}"),
        };
        // The port of a listener on port 0 is known only after it has been opened.
        let name = listener.server_name.as_ref().filter(|_| listener.address.port() != 0)?;
        let (ip, port) = (listener.address.ip(), listener.address.port());
        let hint = match ip {
            _ if ip.is_unspecified() => String::new(),
            IpAddr::V4(ip) => format!(" ipv4hint={ip}"),
            IpAddr::V6(ip) => format!(" ipv6hint={ip}"),
        };
        Some((listener.view, format!("{name} {protocol} port={port}{hint}")))
    });
    let of = |(number, (view, text)): (usize, (Option<ViewId>, String))| {
        let svcb = Rdata::parse(RecordType::SVCB, &format!("{} {text}", number + 1)).ok()?;
        Some(DesignatedListener { view, svcb })
    };
    parts.enumerate().filter_map(of).collect()
}

/// The zones of special-use names.
fn special_use_zones() -> SuffixMap<SpecialUseZone> {
    let by_octet = special_use::PER_OCTET_ZONES.into_iter().flat_map(|(first, seconds, rfc)| {
        seconds.map(move |second| (format!("{second}.{first}.in-addr.arpa"), rfc))
    });
    let mut zones = SuffixMap::new();
    for (apex, rfc) in by_octet {
        let apex = fact_name(&apex);
        let zone = special_use_zone(&apex, special_use::NEGATIVE_TTL_S);
        zones.insert(apex, SpecialUseZone { zone, rfc, is_about_resolver: false });
    }
    for SpecialUse { apex, rfc, is_about_resolver, records } in special_use::SPECIAL_USE_ZONES {
        let apex = fact_name(apex);
        let mut zone = special_use_zone(&apex, special_use::NEGATIVE_TTL_S);
        let ttl = if *is_about_resolver { IPV4ONLY_TTL_S } else { special_use::TTL_S };
        for (labels, rtype, data) in *records {
            let owner = match *labels {
                "" => apex.clone(),
                labels => {
                    Name::parse_with_origin(labels, Some(&apex)).expect("a short name before a short name")
                }
            };
            let Some(rtype) = *rtype else {
                zone.add_name(owner);
                continue;
            };
            let rdata = Rdata::parse(rtype, data).expect("the built-in table is valid");
            zone.add(owner, rtype, ttl, rdata).expect("the owner is in the zone");
        }
        zones.insert(apex, SpecialUseZone { zone, rfc, is_about_resolver: *is_about_resolver });
    }
    zones
}

/// A zone with the SOA record of locally served zones (RFC 6303 section 3), except for its negative TTL.
fn special_use_zone(apex: &Name, negative_ttl: u32) -> Zone {
    let rname = fact_name("nobody.invalid");
    let rdata = Rdata::soa(apex, &rname, 1, 3600, 1200, 604_800, negative_ttl);
    Zone::new(apex.clone(), RrSet::new(apex.clone(), RecordType::SOA, negative_ttl, [rdata]))
}

impl NamesCompiler<'_, '_> {
    /// Configured records of the sealed internet.
    pub(super) fn public_records(&mut self) {
        let mut zone = std::mem::replace(
            &mut self.names.public.records,
            records::zone_with_soa(Name::root(), &SEALED_SOA),
        );
        // IPv6-only clients query it to detect DNS64 and its prefix (RFC 7050 section 2.2).
        let ipv4only = fact_name("ipv4only.arpa");
        for last in [170, 171] {
            let address = IpAddr::from([192, 0, 0, last]);
            let (rtype, rdata) = Rdata::for_address(address);
            zone.add(ipv4only.clone(), rtype, IPV4ONLY_TTL_S, rdata).expect("any name can have addresses");
        }
        for record in &self.cx.config.public {
            let rtype = *record.record_type.value();
            let owner = record.name.value();
            self.values(&mut zone, owner, rtype, record.ttl, &record.values, RecordEntry::Master);
        }
        self.names.public.records = zone;
    }
}
