//! Zone data: owner names with their record sets, wildcards and empty non-terminals.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::routed::RoutedSets;
use crate::dns::{MAX_NAME, Name, Rdata, RecordType, RrSet};

/// The data of one zone, whoever serves it.
///
/// A name below the apex that is not here is not looked for anywhere else (Route 53 Developer Guide,
/// "Considerations when working with a private hosted zone").
#[derive(Debug)]
pub struct Zone {
    /// The zone's top.
    apex: Name,
    /// The SOA record, sent with negative answers with its negative TTL (RFC 2308 3).
    soa: RrSet,
    /// What stands at the apex. Zones of generated names have no other node, and there are many of them.
    top: Node,
    /// Whether NS records stand below the apex: parts of it are delegated.
    has_cuts: bool,
    /// What stands below the apex.
    nodes: HashMap<Name, Node, foldhash::fast::RandomState>,
}

/// What stands at one owner name. A node without records is an empty non-terminal.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The record sets, address types first.
    pub rrsets: Box<[RrSet]>,
    /// What Route 53 alone has. Most names have none of it, and there are many names.
    special: Option<Box<Special>>,
}

/// What stands at an owner name in Route 53 alone, address types first.
#[derive(Debug, Default, PartialEq, Eq)]
struct Special {
    /// Alias records: the type, and whose records to answer with.
    aliases: Vec<(RecordType, Name)>,
    /// Record sets that a routing policy chooses among, at most one of a type.
    routed: Vec<RoutedSets>,
}

/// What a zone has at or for a name (RFC 4592 3.3).
#[derive(Debug)]
pub enum Found<'a> {
    /// The name itself.
    Node(&'a Node),
    /// A wildcard that stands for the name.
    Wildcard(&'a Node),
    /// Nothing.
    Nothing,
}

/// Why a record cannot stand in a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRefused {
    /// The owner is no name of this zone.
    #[error("`{0}` does not lie in zone `{1}`")]
    OutsideZone(Name, Name),
    /// A CNAME beside other records (RFC 1034 3.6.2).
    #[error("`{0}` has a CNAME record, and beside it nothing else may stand")]
    BesideCname(Name),
    /// Two CNAME records.
    #[error("`{0}` has more than one CNAME record")]
    SecondCname(Name),
    /// A wildcard that would delegate (Route 53 Developer Guide, "Using an asterisk (*) in the names of hosted zones
    /// and records").
    #[error("`{0}` is a wildcard, which cannot have NS records")]
    WildcardNs(Name),
    /// A CNAME at the zone's top.
    #[error("a CNAME cannot stand at the apex `{0}`: use an alias record")]
    CnameAtApex(Name),
    /// The same type once as an alias and once with values.
    #[error("`{0}` has both an alias and values for {1}")]
    AliasBesideValues(Name, RecordType),
    /// Two alias records of one type.
    #[error("`{0}` has more than one alias of type {1}")]
    SecondAlias(Name, RecordType),
    /// The same type once with a routing policy and once without.
    #[error("`{0}` has {1} record sets with a routing policy and one without")]
    SimpleBesideRouted(Name, RecordType),
    /// A type that holds no data.
    #[error("{0} is no type that a record can have")]
    MetaType(RecordType),
}

impl Zone {
    /// A zone with nothing but its apex. The SOA's TTL is the negative TTL.
    pub fn new(apex: Name, soa: RrSet) -> Self {
        Self { apex, soa, top: Node::default(), has_cuts: false, nodes: HashMap::default() }
    }

    /// The zone's top.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The SOA record for a negative answer.
    pub fn soa(&self) -> &RrSet {
        &self.soa
    }

    /// How many names stand in it, empty non-terminals included.
    pub fn name_count(&self) -> usize {
        1 + self.nodes.len()
    }

    /// What stands at exactly this name.
    pub fn node(&self, owner: &Name) -> Option<&Node> {
        self.node_at(owner.as_wire())
    }

    /// What stands at exactly this name in wire form.
    fn node_at(&self, owner: &[u8]) -> Option<&Node> {
        if owner == self.apex.as_wire() { Some(&self.top) } else { self.nodes.get(owner) }
    }

    /// Every name with what stands at it: the apex, then the others in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (&Name, &Node)> {
        std::iter::once((&self.apex, &self.top)).chain(&self.nodes)
    }

    /// Makes room for so many names more.
    pub fn reserve(&mut self, names: usize) {
        self.nodes.reserve(names);
    }

    /// Takes in one record. Records of one owner and type become one set with the smallest TTL (RFC 2181 5.2).
    pub fn add(
        &mut self,
        owner: Name,
        rtype: RecordType,
        ttl: u32,
        rdata: Rdata,
    ) -> Result<(), RecordRefused> {
        self.add_set(RrSet::new(owner, rtype, ttl, [rdata]))
    }

    /// Takes in the records of a set, all or none: faster than one by one, and the set's data is shared. No two of
    /// them are equal.
    pub fn add_set(&mut self, set: RrSet) -> Result<(), RecordRefused> {
        self.check(&set.owner, set.rtype)?;
        self.has_cuts |= set.rtype == RecordType::NS && set.owner != self.apex;
        let (owner, node) = self.make(set.owner);
        match node.rrsets.iter_mut().find(|have| have.rtype == set.rtype) {
            Some(have) => merge(have, &set.rdatas, set.ttl),
            None => {
                push(&mut node.rrsets, RrSet { owner, ..set });
                // ANY is answered with the first set (RFC 8482 4.1): let that be an address.
                node.rrsets.sort_by_key(|set| !set.rtype.is_address());
                Ok(())
            }
        }
    }

    /// Takes in a name without records, as an empty non-terminal is. It lies below the zone's top.
    pub fn add_name(&mut self, owner: Name) {
        self.make(owner);
    }

    /// Takes in an alias record.
    pub fn add_alias(&mut self, owner: Name, rtype: RecordType, target: Name) -> Result<(), RecordRefused> {
        if self.node(&owner).is_some_and(|node| node.alias(rtype).is_some()) {
            return Err(RecordRefused::SecondAlias(owner, rtype));
        }
        self.check(&owner, rtype)?;
        let (owner, node) = self.make(owner);
        if node.rrset(rtype).is_some() {
            return Err(RecordRefused::AliasBesideValues(owner, rtype));
        }
        let aliases = &mut node.special.get_or_insert_default().aliases;
        aliases.push((rtype, target));
        aliases.sort_by_key(|(rtype, _)| !rtype.is_address());
        Ok(())
    }

    /// Takes in all record sets of one name and type that a routing policy chooses among.
    pub fn add_routed(&mut self, owner: Name, sets: RoutedSets) -> Result<(), RecordRefused> {
        self.check(&owner, sets.rtype)?;
        let (owner, node) = self.make(owner);
        if node.rrset(sets.rtype).is_some() {
            return Err(RecordRefused::SimpleBesideRouted(owner, sets.rtype));
        }
        let routed = &mut node.special.get_or_insert_default().routed;
        routed.push(sets);
        routed.sort_by_key(|sets| !sets.rtype.is_address());
        Ok(())
    }

    /// Whether a record of this type may stand at this name, beside what stands there.
    fn check(&self, owner: &Name, rtype: RecordType) -> Result<(), RecordRefused> {
        if !owner.is_at_or_below(&self.apex) {
            return Err(RecordRefused::OutsideZone(owner.clone(), self.apex.clone()));
        }
        if rtype.is_meta() {
            return Err(RecordRefused::MetaType(rtype));
        }
        if rtype == RecordType::CNAME && *owner == self.apex {
            return Err(RecordRefused::CnameAtApex(owner.clone()));
        }
        if rtype == RecordType::NS && owner.is_wildcard() && *owner != self.apex {
            return Err(RecordRefused::WildcardNs(owner.clone()));
        }
        let Some(node) = self.node(owner) else { return Ok(()) };
        let is_cname = rtype == RecordType::CNAME;
        if node.types().any(|have| (have == RecordType::CNAME) != is_cname) {
            return Err(RecordRefused::BesideCname(owner.clone()));
        }
        if node.alias(rtype).is_some() {
            return Err(RecordRefused::AliasBesideValues(owner.clone(), rtype));
        }
        if node.routed_sets(rtype).is_some() {
            return Err(RecordRefused::SimpleBesideRouted(owner.clone(), rtype));
        }
        Ok(())
    }

    /// The node at a name, made with the empty non-terminals above it, and the name as it is kept there.
    fn make(&mut self, owner: Name) -> (Name, &mut Node) {
        if owner == self.apex {
            return (self.apex.clone(), &mut self.top);
        }
        let apex = self.apex.as_wire().len();
        for (labels, above) in owner.suffixes().enumerate().skip(1) {
            if above.len() <= apex || self.nodes.contains_key(above) {
                break;
            }
            let above = owner.ancestor(labels).expect("the name has so many labels");
            self.nodes.insert(above, Node::default());
        }
        match self.nodes.entry(owner) {
            Entry::Occupied(entry) => (entry.key().clone(), entry.into_mut()),
            Entry::Vacant(entry) => (entry.key().clone(), entry.insert(Node::default())),
        }
    }

    /// Finds what answers for a name: itself, or the wildcard below its closest encloser (RFC 4592 3.3.1).
    pub fn find(&self, qname: &Name) -> Found<'_> {
        let apex = self.apex.as_wire().len();
        let above = qname.suffixes().take_while(|suffix| suffix.len() >= apex);
        let mut standing = above.filter_map(|suffix| Some((suffix, self.node_at(suffix)?)));
        let Some((encloser, node)) = standing.next() else { return Found::Nothing };
        if encloser.len() == qname.as_wire().len() {
            return Found::Node(node);
        }
        self.wildcard_below(encloser).map_or(Found::Nothing, Found::Wildcard)
    }

    /// The NS records of the topmost delegation at or above a name, below the apex (RFC 1034 4.3.2).
    pub fn cut(&self, qname: &Name) -> Option<&RrSet> {
        if !self.has_cuts {
            return None;
        }
        let apex = self.apex.as_wire().len();
        let below = qname.suffixes().take_while(|suffix| suffix.len() > apex);
        let cuts = below.filter_map(|suffix| self.nodes.get(suffix)?.rrset(RecordType::NS));
        cuts.last()
    }

    /// What stands at `*` below a name in wire form.
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

/// Adds data to a set that does not have it yet.
fn merge(set: &mut RrSet, more: &[Rdata], ttl: u32) -> Result<(), RecordRefused> {
    let mut all = Distinct::default();
    for rdata in set.rdatas.iter().chain(more) {
        all.insert(rdata);
    }
    if all.rdatas.len() == set.rdatas.len() {
        return Ok(());
    }
    if set.rtype == RecordType::CNAME {
        return Err(RecordRefused::SecondCname(set.owner.clone()));
    }
    set.rdatas = all.rdatas.into();
    set.ttl = set.ttl.min(ttl);
    Ok(())
}

/// Up to so many are compared one by one, which is faster than hashing.
const FEW: usize = 16;

/// Data of a record set, each datum once, in the order of its first.
#[derive(Default)]
pub(super) struct Distinct {
    /// The data.
    pub rdatas: Vec<Rdata>,
    /// The same data, once they are more than [`FEW`].
    seen: HashSet<Rdata, foldhash::fast::RandomState>,
}

impl Distinct {
    /// Adds a datum. False when it is there already.
    pub fn insert(&mut self, rdata: &Rdata) -> bool {
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

/// Adds to a list that is seldom longer than one, without room to spare.
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

    /// The record sets of a type that a routing policy chooses among.
    pub fn routed_sets(&self, rtype: RecordType) -> Option<&RoutedSets> {
        self.routed().iter().find(|sets| sets.rtype == rtype)
    }

    /// Route 53 alias records without a routing policy, address types first.
    pub fn aliases(&self) -> &[(RecordType, Name)] {
        self.special.as_ref().map_or(&[], |special| &special.aliases)
    }

    /// Record sets that a routing policy chooses among, address types first.
    pub fn routed(&self) -> &[RoutedSets] {
        self.special.as_ref().map_or(&[], |special| &special.routed)
    }

    /// Every type that has something here, those with values first.
    pub fn types(&self) -> impl Iterator<Item = RecordType> {
        let special = self.aliases().iter().map(|(rtype, _)| *rtype);
        let special = special.chain(self.routed().iter().map(|sets| sets.rtype));
        self.rrsets.iter().map(|set| set.rtype).chain(special)
    }

    /// Whether nothing stands here: something stands below.
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

    /// The zone of RFC 4592 2.2.1.
    #[test]
    fn wildcards_stand_for_what_does_not_exist() {
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
                Found::Node(_) => Some(false),
                Found::Wildcard(_) => Some(true),
                Found::Nothing => None,
            };
            assert_eq!(found, wild, "{asked}");
        }
    }

    #[test]
    fn sets_of_one_type_become_one_with_each_datum_once() {
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
    fn the_apex_always_stands_and_other_names_never_do() {
        let zone = zone();
        assert!(matches!(zone.find(&name("example.com")), Found::Node(_)));
        assert!(matches!(zone.find(&name("a.b.example.com")), Found::Nothing));
        assert!(matches!(zone.find(&name("example.org")), Found::Nothing));
        assert!(matches!(zone.find(&name("com")), Found::Nothing));
    }

    #[test]
    fn a_name_costs_little() {
        // A hundred thousand names are nothing unusual.
        assert!(size_of::<Node>() <= 24, "{}", size_of::<Node>());
    }

    #[test]
    fn what_cannot_stand_together_is_refused() {
        let mut zone = zone();
        let www = name("www.example.com");
        zone.add(www.clone(), RecordType::A, 60, a(1)).unwrap();
        let cname = Rdata::name(&name("x.example"));
        assert_eq!(
            zone.add(www.clone(), RecordType::CNAME, 60, cname.clone()),
            Err(RecordRefused::BesideCname(www.clone()))
        );
        assert!(zone.add(name("example.com"), RecordType::CNAME, 60, cname).is_err());
        assert!(zone.add(name("example.org"), RecordType::A, 60, a(1)).is_err());
        assert!(zone.add_alias(www, RecordType::A, name("x.example")).is_err());
    }
}
