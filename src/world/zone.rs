//! Zone data: owner names with record sets, wildcards and empty non-terminals.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::routed::RoutedSets;
use crate::dns::{MAX_NAME, Name, Rdata, RecordType, RrSet};

/// The data of a zone.
///
/// A name below the apex that the zone does not contain is not looked up elsewhere (Route 53 Developer Guide,
/// "Considerations when working with a private hosted zone").
#[derive(Debug)]
pub struct Zone {
    /// The apex.
    apex: Name,
    /// The SOA record, included in negative answers with the negative TTL (RFC 2308 section 3).
    soa: RrSet,
    /// The node at the apex. Zones of generated names have no other node, and there are many of them.
    apex_node: Node,
    /// Whether there are NS records below the apex.
    has_delegations: bool,
    /// The nodes below the apex.
    nodes: HashMap<Name, Node, foldhash::fast::RandomState>,
}

/// The records of one owner name. A node without records is an empty non-terminal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The record sets, address types first.
    pub rrsets: Box<[RrSet]>,
    /// Features of Route 53. Few of the many names have any.
    route53: Option<Box<Route53Records>>,
}

/// Route 53 features of an owner name, address types first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Route53Records {
    /// Alias records: the type, and the name whose records are returned.
    aliases: Vec<(RecordType, Name)>,
    /// Record sets with a routing policy, at most one of each type.
    routed: Vec<RoutedSets>,
}

/// The result of looking up a name in a zone (RFC 4592 section 3.3).
#[derive(Debug)]
pub enum ZoneLookup<'a> {
    /// The name itself.
    Node(&'a Node),
    /// A wildcard that matches the name.
    Wildcard(&'a Node),
    /// None.
    Nothing,
}

/// Why a record cannot be added to a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The owner name is not in this zone.
    #[error("`{0}` is not within zone `{1}`")]
    OutsideZone(Name, Name),
    /// A CNAME with other records of the same name (RFC 1034 section 3.6.2).
    #[error("`{0}` has a CNAME record, so it cannot have other records")]
    OtherRecordsWithCname(Name),
    /// Two CNAME records.
    #[error("`{0}` has more than one CNAME record")]
    SecondCname(Name),
    /// A delegation at a wildcard (Route 53 Developer Guide, "Using an asterisk (*) in the names of hosted
    /// zones and records").
    #[error("`{0}` is a wildcard, which cannot have NS records")]
    WildcardNs(Name),
    /// A CNAME at the zone apex.
    #[error("the apex `{0}` cannot have a CNAME record: use an alias record")]
    CnameAtApex(Name),
    /// The same type both as an alias and with values.
    #[error("`{0}` has both an alias and values for {1}")]
    AliasAndValues(Name, RecordType),
    /// Two alias records of the same type.
    #[error("`{0}` has more than one alias of type {1}")]
    SecondAlias(Name, RecordType),
    /// The same type both with and without a routing policy.
    #[error("`{0}` has {1} record sets with a routing policy and one without")]
    SimpleAndRouted(Name, RecordType),
    /// A type that cannot have data.
    #[error("records cannot have type {0}")]
    MetaType(RecordType),
}

impl Zone {
    /// Creates a zone without names below the apex. The TTL of the SOA record is the negative TTL.
    pub fn new(apex: Name, soa: RrSet) -> Self {
        Self { apex, soa, apex_node: Node::default(), has_delegations: false, nodes: HashMap::default() }
    }

    /// The apex.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA record for a negative answer.
    pub fn soa(&self) -> &RrSet {
        &self.soa
    }

    /// Number of names, including empty non-terminals.
    pub fn name_count(&self) -> usize {
        1 + self.nodes.len()
    }

    /// The node of exactly this name.
    pub fn node(&self, owner: &Name) -> Option<&Node> {
        self.node_at(owner.as_wire())
    }

    /// The node of exactly this name in wire form.
    fn node_at(&self, owner: &[u8]) -> Option<&Node> {
        if owner == self.apex.as_wire() { Some(&self.apex_node) } else { self.nodes.get(owner) }
    }

    /// Every name with its node: the apex, then the others in arbitrary order.
    pub fn nodes(&self) -> impl Iterator<Item = (&Name, &Node)> {
        std::iter::once((&self.apex, &self.apex_node)).chain(&self.nodes)
    }

    /// Reserves capacity for more names.
    pub fn reserve(&mut self, names: usize) {
        self.nodes.reserve(names);
    }

    /// Adds a record. Records of one owner and type form one set with the lowest TTL (RFC 2181 section 5.2).
    pub fn add(&mut self, owner: Name, rtype: RecordType, ttl: u32, rdata: Rdata) -> Result<(), RecordError> {
        self.add_set(RrSet::new(owner, rtype, ttl, [rdata]))
    }

    /// Adds the records of a set, all or none: faster than one by one, and the set's data is shared. All of
    /// them must be distinct.
    pub fn add_set(&mut self, set: RrSet) -> Result<(), RecordError> {
        self.check(&set.owner, set.rtype)?;
        self.has_delegations |= set.rtype == RecordType::NS && set.owner != self.apex;
        let (owner, node) = self.make(set.owner);
        match node.rrsets.iter_mut().find(|have| have.rtype == set.rtype) {
            Some(have) => merge(have, &set.rdatas, set.ttl),
            None => {
                push(&mut node.rrsets, RrSet { owner, ..set });
                // ANY is answered with the first set (RFC 8482 section 4.1), preferably addresses.
                node.rrsets.sort_by_key(|set| !set.rtype.is_address());
                Ok(())
            }
        }
    }

    /// Adds a name without records, such as an empty non-terminal. It must be below the apex.
    pub fn add_name(&mut self, owner: Name) {
        self.make(owner);
    }

    /// Adds an alias record.
    pub fn add_alias(&mut self, owner: Name, rtype: RecordType, target: Name) -> Result<(), RecordError> {
        if self.node(&owner).is_some_and(|node| node.alias(rtype).is_some()) {
            return Err(RecordError::SecondAlias(owner, rtype));
        }
        self.check(&owner, rtype)?;
        let (owner, node) = self.make(owner);
        if node.rrset(rtype).is_some() {
            return Err(RecordError::AliasAndValues(owner, rtype));
        }
        let aliases = &mut node.route53.get_or_insert_default().aliases;
        aliases.push((rtype, target));
        aliases.sort_by_key(|(rtype, _)| !rtype.is_address());
        Ok(())
    }

    /// Adds all record sets of one name and type with a routing policy.
    pub fn add_routed(&mut self, owner: Name, sets: RoutedSets) -> Result<(), RecordError> {
        self.check(&owner, sets.rtype)?;
        let (owner, node) = self.make(owner);
        if node.rrset(sets.rtype).is_some() {
            return Err(RecordError::SimpleAndRouted(owner, sets.rtype));
        }
        let routed = &mut node.route53.get_or_insert_default().routed;
        routed.push(sets);
        routed.sort_by_key(|sets| !sets.rtype.is_address());
        Ok(())
    }

    /// Whether a record of this type may be added to this name.
    fn check(&self, owner: &Name, rtype: RecordType) -> Result<(), RecordError> {
        if !owner.is_at_or_below(&self.apex) {
            return Err(RecordError::OutsideZone(owner.clone(), self.apex.clone()));
        }
        if rtype.is_meta() {
            return Err(RecordError::MetaType(rtype));
        }
        if rtype == RecordType::CNAME && *owner == self.apex {
            return Err(RecordError::CnameAtApex(owner.clone()));
        }
        if rtype == RecordType::NS && owner.is_wildcard() && *owner != self.apex {
            return Err(RecordError::WildcardNs(owner.clone()));
        }
        let Some(node) = self.node(owner) else { return Ok(()) };
        let is_cname = rtype == RecordType::CNAME;
        if node.types().any(|have| (have == RecordType::CNAME) != is_cname) {
            return Err(RecordError::OtherRecordsWithCname(owner.clone()));
        }
        if node.alias(rtype).is_some() {
            return Err(RecordError::AliasAndValues(owner.clone(), rtype));
        }
        if node.routed_sets(rtype).is_some() {
            return Err(RecordError::SimpleAndRouted(owner.clone(), rtype));
        }
        Ok(())
    }

    /// The node of a name, created with the empty non-terminals above it, and the name as stored.
    fn make(&mut self, owner: Name) -> (Name, &mut Node) {
        if owner == self.apex {
            return (self.apex.clone(), &mut self.apex_node);
        }
        let apex = self.apex.as_wire().len();
        for (labels, above) in owner.suffixes().enumerate().skip(1) {
            if above.len() <= apex || self.nodes.contains_key(above) {
                break;
            }
            let above = owner.ancestor(labels).expect("the name has at least these labels");
            self.nodes.insert(above, Node::default());
        }
        match self.nodes.entry(owner) {
            Entry::Occupied(entry) => (entry.key().clone(), entry.into_mut()),
            Entry::Vacant(entry) => (entry.key().clone(), entry.insert(Node::default())),
        }
    }

    /// Looks up a name: itself, or the wildcard at its closest encloser (RFC 4592 section 3.3.1).
    pub fn find(&self, qname: &Name) -> ZoneLookup<'_> {
        let apex = self.apex.as_wire().len();
        let above = qname.suffixes().take_while(|suffix| suffix.len() >= apex);
        let mut existing = above.filter_map(|suffix| Some((suffix, self.node_at(suffix)?)));
        let Some((encloser, node)) = existing.next() else { return ZoneLookup::Nothing };
        if encloser.len() == qname.as_wire().len() {
            return ZoneLookup::Node(node);
        }
        self.wildcard_below(encloser).map_or(ZoneLookup::Nothing, ZoneLookup::Wildcard)
    }

    /// The NS records of the topmost delegation at or above a name, below the apex (RFC 1034 section 4.3.2).
    pub fn delegation(&self, qname: &Name) -> Option<&RrSet> {
        if !self.has_delegations {
            return None;
        }
        let apex = self.apex.as_wire().len();
        let below = qname.suffixes().take_while(|suffix| suffix.len() > apex);
        let cuts = below.filter_map(|suffix| self.nodes.get(suffix)?.rrset(RecordType::NS));
        cuts.last()
    }

    /// The node of `*` below a name in wire form.
    fn wildcard_below(&self, encloser: &[u8]) -> Option<&Node> {
        let mut wire = [0; MAX_NAME];
        let wildcard = wire.get_mut(..WILDCARD.len() + encloser.len())?;
        let (label, below) = wildcard.split_at_mut(WILDCARD.len());
        label.copy_from_slice(WILDCARD);
        below.copy_from_slice(encloser);
        self.nodes.get(&*wildcard)
    }
}

/// The label `*` in wire form.
const WILDCARD: &[u8] = b"\x01*";

/// Adds data to a set that does not contain it.
fn merge(set: &mut RrSet, more: &[Rdata], ttl: u32) -> Result<(), RecordError> {
    let mut all = DistinctRecords::default();
    for rdata in set.rdatas.iter().chain(more) {
        all.insert(rdata);
    }
    if all.rdatas.len() == set.rdatas.len() {
        return Ok(());
    }
    if set.rtype == RecordType::CNAME {
        return Err(RecordError::SecondCname(set.owner.clone()));
    }
    set.rdatas = all.rdatas.into();
    set.ttl = set.ttl.min(ttl);
    Ok(())
}

/// Up to this many are compared one by one, which is faster than hashing.
const FEW: usize = 16;

/// Distinct data of a record set, in order of first occurrence.
#[derive(Default)]
pub(super) struct DistinctRecords {
    /// The data.
    pub rdatas: Vec<Rdata>,
    /// The same data, if there are more than [`FEW`].
    seen: HashSet<Rdata, foldhash::fast::RandomState>,
}

impl DistinctRecords {
    /// Adds data. Returns false if it is present.
    pub(super) fn insert(&mut self, rdata: &Rdata) -> bool {
        let is_new = match self.rdatas.len() {
            ..FEW => !self.rdatas.contains(rdata),
            FEW => {
                self.seen.extend(self.rdatas.iter().cloned());
                self.seen.insert(rdata.clone())
            }
            _ => self.seen.insert(rdata.clone()),
        };
        if is_new {
            self.rdatas.push(rdata.clone());
        }
        is_new
    }
}

/// Appends to a list that rarely has more than one element, without spare capacity.
fn push<T>(list: &mut Box<[T]>, item: T) {
    let mut longer = std::mem::take(list).into_vec();
    longer.reserve_exact(1);
    longer.push(item);
    *list = longer.into_boxed_slice();
}

impl Node {
    /// The record set of a type.
    pub fn rrset(&self, rtype: RecordType) -> Option<&RrSet> {
        self.rrsets.iter().find(|set| set.rtype == rtype)
    }

    /// The target of an alias of a type.
    pub fn alias(&self, rtype: RecordType) -> Option<&Name> {
        self.aliases().iter().find(|(t, _)| *t == rtype).map(|(_, target)| target)
    }

    /// The record sets of a type with a routing policy.
    pub fn routed_sets(&self, rtype: RecordType) -> Option<&RoutedSets> {
        self.routed().iter().find(|sets| sets.rtype == rtype)
    }

    /// Alias records without a routing policy, address types first.
    pub fn aliases(&self) -> &[(RecordType, Name)] {
        self.route53.as_ref().map_or(&[], |special| &special.aliases)
    }

    /// Record sets with a routing policy, address types first.
    pub fn routed(&self) -> &[RoutedSets] {
        self.route53.as_ref().map_or(&[], |special| &special.routed)
    }

    /// Every type at this name, those with values first.
    pub fn types(&self) -> impl Iterator<Item = RecordType> {
        let special = self.aliases().iter().map(|(rtype, _)| *rtype);
        let special = special.chain(self.routed().iter().map(|sets| sets.rtype));
        self.rrsets.iter().map(|set| set.rtype).chain(special)
    }

    /// Whether the node has no records and exists only because of names below it.
    pub fn is_empty_non_terminal(&self) -> bool {
        self.types().next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn zone() -> Zone {
        let apex = name("example.com");
        let soa = Rdata::soa(&apex, &apex, 1, 2, 3, 4, 5);
        Zone::new(apex.clone(), RrSet::new(apex, RecordType::SOA, 300, vec![soa]))
    }

    fn a(n: u8) -> Rdata {
        Rdata::a(Ipv4Addr::new(10, 0, 0, n))
    }

    /// The zone of RFC 4592 section 2.2.1.
    #[test]
    fn wildcards_match_only_names_that_do_not_exist() {
        let mut zone = zone();
        zone.add(name("*.example.com"), RecordType::TXT, 60, Rdata::txt(&["wild"])).unwrap();
        zone.add(name("host1.example.com"), RecordType::A, 60, a(1)).unwrap();
        zone.add(name("_ssh._tcp.host1.example.com"), RecordType::A, 60, a(2)).unwrap();
        zone.add(name("sub.*.example.com"), RecordType::A, 60, a(3)).unwrap();
        for (asked, wild) in [
            ("host3.example.com", Some(true)),
            ("foo.bar.example.com", Some(true)),
            ("host1.example.com", Some(false)),
            ("_tcp.host1.example.com", Some(false)), // an empty non-terminal
            ("sub.*.example.com", Some(false)),
            ("_telnet._tcp.host1.example.com", None), // host1's existence stops the wildcard
            ("ghost.*.example.com", None),
        ] {
            let found = match zone.find(&name(asked)) {
                ZoneLookup::Node(_) => Some(false),
                ZoneLookup::Wildcard(_) => Some(true),
                ZoneLookup::Nothing => None,
            };
            assert_eq!(found, wild, "{asked}");
        }
    }

    #[test]
    fn equal_types_are_merged_without_duplicate_data() {
        let mut zone = zone();
        let www = name("www.example.com");
        let set = |range: std::ops::Range<u8>, ttl| {
            RrSet::new(www.clone(), RecordType::A, ttl, range.map(a).collect::<Vec<_>>())
        };
        zone.add_set(set(0..30, 60)).unwrap();
        zone.add_set(set(20..50, 30)).unwrap();
        zone.add(www.clone(), RecordType::TXT, 60, Rdata::txt(&["x"])).unwrap();
        zone.add(www.clone(), RecordType::A, 9, a(7)).unwrap();
        assert_eq!(zone.node(&www).unwrap().rrset(RecordType::A), Some(&set(0..50, 30)));
        assert_eq!(zone.name_count(), 2);
    }

    #[test]
    fn the_apex_always_exists_and_other_names_only_with_data() {
        let zone = zone();
        assert!(matches!(zone.find(&name("example.com")), ZoneLookup::Node(_)));
        assert!(matches!(zone.find(&name("a.b.example.com")), ZoneLookup::Nothing));
        assert!(matches!(zone.find(&name("example.org")), ZoneLookup::Nothing));
        assert!(matches!(zone.find(&name("com")), ZoneLookup::Nothing));
    }

    #[test]
    fn memory_per_name_is_small() {
        // A hundred thousand names are not unusual.
        assert!(size_of::<Node>() <= 24, "{}", size_of::<Node>());
    }

    #[test]
    fn incompatible_records_are_rejected() {
        let mut zone = zone();
        let www = name("www.example.com");
        zone.add(www.clone(), RecordType::A, 60, a(1)).unwrap();
        let cname = Rdata::from_name(&name("x.example"));
        assert_eq!(
            zone.add(www.clone(), RecordType::CNAME, 60, cname.clone()),
            Err(RecordError::OtherRecordsWithCname(www.clone()))
        );
        assert!(zone.add(name("example.com"), RecordType::CNAME, 60, cname).is_err());
        assert!(zone.add(name("example.org"), RecordType::A, 60, a(1)).is_err());
        assert!(zone.add_alias(www, RecordType::A, name("x.example")).is_err());
    }
}
