//! Config → World: resolves references, works out what follows from them, and tells every mistake.
//!
//! The rooms, in the order they run: `vpc` (VPCs, subnets, gateways, groups), `endpoint` (VPC endpoints
//! and their names), `instance`, `network` (what joins VPCs), `routes`, `names` (zones and rules), `profile`
//! (Route 53 Profiles), `generated` (names that AWS makes), `place` (sites, who stands where, doors), `listener` (what
//! carries a door's messages), `public` (public DNS).

mod place_splits;
mod endpoint;
mod exposure;
mod filters;
mod generated;
mod instance;
mod listener;
mod names;
mod network;
mod place;
mod profile;
mod public;
mod records;
mod routes;
mod routing;
mod hidden_names;
mod site;
mod upstream;
mod vpc;
mod zone_files;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::{Arena, Index};
use super::*;
use crate::aws::public::stable_hash;
use crate::aws::ranges::{self, Ranges};
use crate::aws::{Facts, Region};
use crate::config::{
    self, Code, Config, Loaded, Mark, Marked, Placed, Report, SourceMap, nearest, shortened,
};
use crate::dns::Name;
use crate::net::PrefixMap;

/// How zone files and certificates are read, by several threads: the file system, unless a test plays it.
pub type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + Sync + 'a;

/// Compiles what was read. Mistakes go into the report of `loaded`; with an error in it there is no world.
pub fn compile(loaded: &mut Loaded) -> Option<World> {
    compile_with(loaded, &|path| std::fs::read_to_string(path))
}

/// The same, reading zone files and certificates through `read_file`.
pub fn compile_with(loaded: &mut Loaded, read_file: &ReadFile<'_>) -> Option<World> {
    let mut compiler = Compiler::new(loaded, read_file);
    compiler.vpcs();
    compiler.prefix_lists();
    compiler.endpoints();
    compiler.instances();
    compiler.network_interfaces();
    compiler.network();
    compiler.routes();
    compiler.ranges();
    compiler.health_checks();
    compiler.hosted_zones();
    compiler.resolver_endpoints();
    compiler.sites();
    compiler.transit_gateway_routes();
    compiler.resolver_rules();
    compiler.profiles();
    compiler.internet();
    compiler.generated_names();
    compiler.public_records();
    compiler.hidden_names();
    compiler.places();
    compiler.clients();
    compiler.listeners();
    compiler.check_exposure();
    compiler.expectations();
    compiler.settings();
    let world = compiler.finish();
    (!loaded.report.has_errors()).then_some(world)
}

/// A world on the way, and what is needed to make it.
struct Compiler<'a> {
    config: &'a Config,
    sources: &'a SourceMap,
    lost_ids: &'a BTreeSet<String>,
    cut_keys: &'a BTreeSet<(usize, String)>,
    report: &'a mut Report,
    named_files: &'a mut BTreeMap<OsString, Option<u64>>,
    read_file: &'a ReadFile<'a>,
    facts: &'static Facts,
    made_by_aws: records::ReservedApexRecords,

    vpcs: Arena<Vpc>,
    subnets: Arena<Subnet>,
    route_tables: Arena<RouteTable>,
    nat_gateways: Arena<NatGateway>,
    endpoints: Arena<Endpoint>,
    security_groups: Arena<SecurityGroup>,
    network_acls: Arena<NetworkAcl>,
    network_interfaces: Arena<NetworkInterface>,
    peering_connections: Arena<VpcPeeringConnection>,
    transit_gateways: Arena<TransitGateway>,
    instances: Arena<Instance>,
    inbound_endpoints: Arena<InboundEndpoint>,
    sites: Arena<Site>,
    hosted_zones: Arena<HostedZone>,
    managed_zones: Arena<ManagedZone>,
    rules: Arena<Rule>,
    profiles: Arena<Profile>,
    /// Whether each VPC has autodefined reverse zones, where a Profile says so.
    reverse_by_profile: HashMap<Index<Vpc>, bool>,
    /// The VPCs whose private addresses each VPC is told across peering connections.
    peered: HashMap<Index<Vpc>, BTreeSet<Index<Vpc>>>,
    upstreams: Arena<Upstream>,
    internet: Option<Index<Upstream>>,
    internal_domains: Arena<InternalDomain>,
    views: Arena<View>,
    public_view: ViewId,
    places: Places,
    claims: Claims,
    public: public::Builder,
    played: HashMap<IpAddr, Index<Site>>,
    listeners: Vec<Listener>,
    expectations: Vec<(Expect, Mark)>,

    given_ranges: Option<Box<Ranges>>,
    /// The indices of the interfaces that link-local servers are on: they may change while the texts do not.
    interfaces: Vec<u32>,
    ids: Ids,
    /// Whether it was said that groups are named and none is declared.
    told_no_groups: bool,
    /// Entries of the user's prefix lists by region and id.
    prefix_lists: HashMap<(Region, String), Vec<IpNet>>,
    /// The user's prefix lists that have a name, by region and name.
    named_prefix_lists: HashMap<(Region, String), &'a config::PrefixList>,
    /// Where each hosted zone says its name.
    zone_marks: HashMap<Index<HostedZone>, Mark>,
    /// The own names of endpoints that do not work.
    gone_names: HashSet<Name>,
    /// Whether a part of the configuration was too broken to read: what refers to it is no mistake of its own.
    was_cut: bool,
    /// The health checks that say that something is unhealthy.
    unhealthy: HashSet<&'a str>,
    /// How many references were told that name nothing.
    told_unknown: usize,
}

/// What each written id names, with the place of its declaration.
#[derive(Default)]
struct Ids {
    vpcs: HashMap<String, Index<Vpc>>,
    subnets: HashMap<String, Index<Subnet>>,
    /// Each VPC's subnets by their prefixes.
    subnets_by_prefix: HashMap<Index<Vpc>, PrefixMap<Index<Subnet>>>,
    route_tables: HashMap<String, (Index<Vpc>, Index<RouteTable>)>,
    nat_gateways: HashMap<String, (Index<Vpc>, Index<NatGateway>)>,
    endpoints: HashMap<String, (Index<Vpc>, Index<Endpoint>)>,
    security_groups: HashMap<String, Index<SecurityGroup>>,
    network_acls: HashMap<String, (Index<Vpc>, Index<NetworkAcl>)>,
    /// The default network ACL of each VPC.
    default_acls: HashMap<Index<Vpc>, Index<NetworkAcl>>,
    peering_connections: HashMap<String, Index<VpcPeeringConnection>>,
    transit_gateways: HashMap<String, Index<TransitGateway>>,
    /// Instances and network interfaces, as routes lead to them.
    appliances: HashMap<String, (Index<Vpc>, Arc<Appliance>)>,
    resolver_endpoints: HashMap<String, Resolver>,
    sites: HashMap<String, Index<Site>>,
    hosted_zones: HashMap<String, Index<HostedZone>>,
    rules: HashMap<String, Index<Rule>>,
    /// Every id of every kind, to find the same one twice.
    declared: HashMap<String, Mark>,
    /// VPCs whose declaration could be read only in part.
    main_tables: HashMap<Index<Vpc>, Index<RouteTable>>,
}

/// A resolver endpoint, as references to it need it.
#[derive(Clone, Copy)]
enum Resolver {
    Inbound(Index<InboundEndpoint>),
    /// Its number among the configuration's resolver endpoints.
    Outbound(usize),
}

impl<'a> Compiler<'a> {
    fn new(loaded: &'a mut Loaded, read_file: &'a ReadFile<'a>) -> Self {
        let Loaded { config, sources, report, lost_ids, cut_keys, named_files, read_too: _ } = loaded;
        let was_cut = report.has_errors();
        let mut views = Arena::default();
        let (kind, claims) = (ViewKind::Public, views.next_index());
        let public_view = views.add(View { kind, name: Arc::from("public"), claims, dns64: false });
        Self {
            config,
            sources,
            lost_ids,
            cut_keys,
            report,
            named_files,
            read_file,
            facts: Facts::built_in(),
            made_by_aws: records::ReservedApexRecords::new(),
            vpcs: Arena::default(),
            subnets: Arena::default(),
            route_tables: Arena::default(),
            nat_gateways: Arena::default(),
            endpoints: Arena::default(),
            security_groups: Arena::default(),
            network_acls: Arena::default(),
            network_interfaces: Arena::default(),
            peering_connections: Arena::default(),
            transit_gateways: Arena::default(),
            instances: Arena::default(),
            inbound_endpoints: Arena::default(),
            sites: Arena::default(),
            hosted_zones: Arena::default(),
            managed_zones: Arena::default(),
            rules: Arena::default(),
            profiles: Arena::default(),
            reverse_by_profile: HashMap::new(),
            peered: HashMap::new(),
            upstreams: Arena::default(),
            internet: None,
            internal_domains: Arena::default(),
            views,
            public_view,
            places: Places::default(),
            claims: Claims::default(),
            public: public::Builder::new(),
            played: HashMap::new(),
            listeners: Vec::new(),
            expectations: Vec::new(),
            given_ranges: None,
            interfaces: Vec::new(),
            ids: Ids::default(),
            told_no_groups: false,
            prefix_lists: HashMap::new(),
            named_prefix_lists: HashMap::new(),
            zone_marks: HashMap::new(),
            gone_names: HashSet::new(),
            was_cut,
            unhealthy: HashSet::new(),
            told_unknown: 0,
        }
    }

    /// Notes that an id is declared here. False, and an error, when it was before.
    fn declare<T: Display>(&mut self, id: &Marked<T>) -> bool {
        let text = id.to_string();
        match self.ids.declared.get(&text) {
            None => {
                self.ids.declared.insert(text, id.mark());
                true
            }
            Some(first) => {
                let told = self.sources.place(*first).map(|p| format!("{}:{}", p.path.display(), p.line));
                let error =
                    self.report.error(Code::DuplicateId, id.mark(), format!("`{id}` is declared twice"));
                error.help(format!("the first one stands at {}", told.unwrap_or_default()));
                false
            }
        }
    }

    /// Tells that a reference names nothing, unless what it names was declared and could not be made: then
    /// its own mistake is told already. `known` gives the ids that it could name.
    fn unknown(&mut self, what: &str, id: &str, mark: Mark, known: impl Fn(&Self) -> Vec<&str>) {
        let broken = self.ids.declared.contains_key(id) && !known(self).contains(&id);
        if broken || self.lost_ids.contains(id) {
            return;
        }
        self.told_unknown += 1;
        let help = (self.told_unknown <= MOST_HELPED).then(|| help_with_unknown(what, id, known(self)));
        let error = self.report.error(Code::UnknownReference, mark, format!("no {what} `{id}` is declared"));
        if let Some(help) = help {
            error.help(help);
        }
    }

    /// Whether a table lacks a key because it could not be read, which is told already.
    fn was_cut<T>(&self, table: &Placed<T>, key: &str) -> bool {
        self.cut_keys.contains(&(table.mark().range().start, key.to_owned()))
    }

    /// Adds a view. One that differs from another in DNS64 alone shares the other's claims.
    fn add_view(&mut self, kind: ViewKind, name: Arc<str>, dns64_of: Option<ViewId>) -> ViewId {
        let claims = dns64_of.unwrap_or_else(|| self.views.next_index());
        self.views.add(View { kind, name, claims, dns64: dns64_of.is_some() })
    }

    /// The VPC with this id; an error when there is none.
    fn vpc_named<T: Display>(&mut self, id: &Marked<T>) -> Option<Index<Vpc>> {
        let found = self.ids.vpcs.get(&id.to_string()).copied();
        if found.is_none() {
            self.unknown("VPC", &id.to_string(), id.mark(), |this| keys(&this.ids.vpcs));
        }
        found
    }

    fn subnet_named<T: Display>(&mut self, id: &Marked<T>, vpc: Index<Vpc>) -> Option<Index<Subnet>> {
        let found = self.ids.subnets.get(&id.to_string()).copied();
        match found {
            None => {
                self.unknown("subnet", &id.to_string(), id.mark(), |this| keys(&this.ids.subnets));
            }
            Some(index) if self.subnets[index].vpc != vpc => {
                let message = format!("subnet `{id}` is not one of VPC `{}`", self.vpcs[vpc].id);
                self.report.error(Code::UnknownReference, id.mark(), message);
                return None;
            }
            Some(_) => {}
        }
        found
    }

    fn groups_named<T: Display>(&mut self, ids: &[Marked<T>]) -> Vec<Index<SecurityGroup>> {
        ids.iter().filter_map(|id| self.group_named(&id.to_string(), id.mark())).collect()
    }

    /// A group by its id. Where no group is declared at all, groups are not modelled: one warning says so, and
    /// everything is taken as admitted.
    fn group_named(&mut self, id: &str, mark: Mark) -> Option<Index<SecurityGroup>> {
        let found = self.ids.security_groups.get(id).copied();
        if self.ids.security_groups.is_empty() {
            if !std::mem::replace(&mut self.told_no_groups, true) {
                let message = "no security group is declared, so everything is taken as admitted";
                let warning = self.report.warning(Code::Surprising, mark, message);
                warning.help("declare them to have `reach` checked: [[vpc.security_group]]");
            }
        } else if found.is_none() {
            self.unknown("security group", id, mark, |this| keys(&this.ids.security_groups));
        }
        found
    }

    /// Reads a file that the configuration names, and notes it: a change to it is one to the configuration.
    fn named_file(&mut self, written: &Marked<String>) -> Option<(PathBuf, String)> {
        let path = self.resolve_path(written);
        let read = (self.read_file)(&path);
        self.named_files
            .insert(path.clone().into_os_string(), read.as_ref().ok().map(|text| stable_hash(text.bytes())));
        match read {
            Ok(text) => Some((path, text)),
            Err(error) => {
                self.unreadable(written, &path, &error);
                None
            }
        }
    }

    /// AWS's published ranges in the place of the built-in ones.
    fn ranges(&mut self) {
        let Some(written) = &self.config.ip_ranges else { return };
        let Some((path, text)) = self.named_file(written) else { return };
        match config::ip_ranges::read(&text) {
            Ok(entries) => self.given_ranges = Some(Box::new(Ranges::from_entries(entries.into_iter()))),
            Err(mistake) => {
                let place = format!("{}:{}:{}", path.display(), mistake.line, mistake.column);
                let message = format!("{place}: no ranges as AWS publishes them: {}", mistake.message);
                let error = self.report.error(Code::InvalidValue, written.mark(), message);
                error.help(format!("name a copy of {}", ranges::PUBLISHED_AT));
            }
        }
    }

    /// Tells that a file named here cannot be read.
    fn unreadable(&mut self, written: &Marked<String>, path: &Path, error: &std::io::Error) {
        let message = format!("cannot read `{}`: {error}", path.display());
        self.report.error(Code::UnreadableFile, written.mark(), message);
    }

    /// A file named in the configuration stands relative to the file that names it.
    fn resolve_path(&self, written: &Marked<String>) -> PathBuf {
        let from = self.sources.path(written.mark()).unwrap_or(Path::new(""));
        from.parent().unwrap_or(Path::new("")).join(written.value())
    }

    fn finish(self) -> World {
        let (config, public) = (self.config, self.public);
        let designated = public::designated(&self.listeners);
        let nets = |list: &[Marked<config::Cidr>]| list.iter().map(|cidr| cidr.value().0).collect();
        World {
            generation: 0,
            hash: fingerprint(self.sources, self.named_files, &self.interfaces),
            source_modified_s: self
                .sources
                .modified
                .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
                .map(|since| since.as_secs()),
            answers: AnswerBounds {
                max_ttl: config.answers.max_ttl,
                max_negative_ttl: config.answers.max_negative_ttl,
                max_udp_payload: config.answers.max_udp_payload,
                generated_name_ttl: config.answers.generated_name_ttl,
                unused_ip_names: config.answers.unused_ip_names,
                dns_support_off: config.answers.dns_support_off,
                negative_soa: config.answers.negative_soa,
                special_use_names: config.answers.special_use_names,
            },
            annotate: AnnotateRules {
                ede: config.annotate.ede,
                option: config.annotate.option,
                chaos: config.annotate.chaos,
                to: nets(&config.annotate.to),
            },
            listeners: self.listeners,
            allow: nets(&config.server.allow),
            trust_client_subnet: nets(&config.server.trust_client_subnet),
            vpcs: self.vpcs,
            subnets: self.subnets,
            route_tables: self.route_tables,
            nat_gateways: self.nat_gateways,
            endpoints: self.endpoints,
            security_groups: self.security_groups,
            network_acls: self.network_acls,
            network_interfaces: self.network_interfaces,
            peering_connections: self.peering_connections,
            transit_gateways: self.transit_gateways,
            given_ranges: self.given_ranges,
            instances: self.instances,
            inbound_endpoints: self.inbound_endpoints,
            sites: self.sites,
            hosted_zones: self.hosted_zones,
            managed_zones: self.managed_zones,
            rules: self.rules,
            profiles: self.profiles,
            upstreams: self.upstreams,
            internet: self.internet,
            internal_domains: self.internal_domains,
            views: self.views,
            public_view: self.public_view,
            places: self.places,
            claims: self.claims,
            public: public.finish(self.facts, designated),
            played: self.played,
            expectations: self.expectations,
        }
    }
}

/// For so many references that name nothing, what is declared is looked through for what was meant.
const MOST_HELPED: usize = 256;

/// What may have been meant by an id that names nothing.
fn help_with_unknown(what: &str, id: &str, mut known: Vec<&str>) -> String {
    known.sort_unstable();
    match nearest(id, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => format!("no {what} is declared at all"),
        None => format!("declared are: {}", shortened(&known)),
    }
}

/// The ids in a map.
fn keys<T>(map: &HashMap<String, T>) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

/// A hash of the configuration's texts, of the files that it names and of the interfaces that it was compiled with.
fn fingerprint(
    sources: &SourceMap,
    named_files: &BTreeMap<OsString, Option<u64>>,
    interfaces: &[u32],
) -> String {
    let texts = sources.fingerprint();
    if named_files.is_empty() && interfaces.is_empty() {
        return texts;
    }
    let files = named_files.values().flat_map(|hash| hash.unwrap_or_default().to_be_bytes());
    let interfaces = interfaces.iter().flat_map(|index| index.to_be_bytes());
    format!("{:016x}", stable_hash(texts.bytes().chain(files).chain(interfaces)))
}

/// A host name out of a table of facts.
fn fact_name(host: &str) -> Name {
    host.parse().expect("tables of facts hold domain names; a test reads all of them")
}
