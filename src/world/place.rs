//! Locations of clients, which determine the routes of their traffic.
//!
//! Internally, a place is an equivalence class: each subnet is split at the addresses configured in it, and
//! each subnet and each prefix of a site at every source prefix of security groups within it, so that all
//! addresses of one place have the same paths and the same reach.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use super::arena::{Arena, Index};
use super::network::{Interface, Site, Subnet, Vpc};
use crate::net::PrefixMap;

/// The kind of a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceKind {
    /// A subnet.
    Subnet(Index<Subnet>),
    /// An on-premises network.
    Site(Index<Site>),
    /// Another network on the internet.
    Outside,
}

/// The index of a place.
pub type PlaceId = Index<Place>;

/// A set of addresses whose traffic takes the same paths.
#[derive(Debug)]
pub struct Place {
    /// Its kind.
    pub kind: PlaceKind,
    /// The prefixes that contain its addresses; smaller prefixes may be places of their own.
    pub prefixes: Vec<IpNet>,
    /// Additional addresses of its clients: the prefixes, or the address, of the other family.
    pub other_family: Vec<IpNet>,
    /// For each of these prefixes, an address that is in none of the smaller ones.
    pub samples: Vec<IpAddr>,
    /// The network interface that has its single address, if it is configured.
    pub interface: Option<Interface>,
}

impl Place {
    /// Whether its clients have an address of the same family as another one.
    pub fn has_address_of_family(&self, address: IpAddr) -> bool {
        let mut own = self.prefixes.iter().chain(&self.other_family);
        own.any(|prefix| prefix.addr().is_ipv4() == address.is_ipv4())
    }
}

/// Why an address has no location.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoLocation {
    /// No place contains it.
    #[error("{0} is not in any declared subnet, site or client prefix")]
    Unknown(IpNet),
    /// Several places contain it.
    #[error("{client} is ambiguous: it is in both {first} and {second}")]
    Ambiguous {
        /// The address or prefix.
        client: IpNet,
        /// One of the places.
        first: Arc<str>,
        /// Another one.
        second: Arc<str>,
    },
}

/// All places, with their indexes.
#[derive(Debug, Default)]
pub struct Places {
    places: Arena<Place>,
    /// `[[client]]` entries, which take precedence.
    clients: PrefixMap<Index<Place>>,
    /// The places of each VPC.
    by_vpc: HashMap<Index<Vpc>, PrefixMap<Index<Place>>>,
    /// All places. Several at the same prefix are those of VPCs with overlapping addresses.
    everywhere: PrefixMap<Vec<Index<Place>>>,
    by_name: HashMap<Arc<str>, Index<Place>>,
    /// The name of each place, by index.
    names: Vec<Arc<str>>,
}

impl Places {
    /// Adds a place under its name. The first place of a name is the one that the name refers to.
    pub fn add(&mut self, name: &Arc<str>, vpc: Option<Index<Vpc>>, place: Place) -> Index<Place> {
        let prefixes = place.prefixes.clone();
        let index = self.places.add(place);
        for prefix in prefixes {
            if let Some(vpc) = vpc {
                self.by_vpc.entry(vpc).or_default().insert(prefix, index);
            }
            self.everywhere.get_or_insert_with(prefix, || Vec::with_capacity(1)).push(index);
        }
        self.by_name.entry(name.clone()).or_insert(index);
        self.names.push(name.clone());
        index
    }

    /// Assigns the clients of a prefix to a place.
    pub fn add_client(&mut self, source: IpNet, place: Index<Place>) -> Option<Index<Place>> {
        self.clients.insert(source, place)
    }

    /// The place that a name refers to.
    pub fn named(&self, name: &str) -> Option<Index<Place>> {
        self.by_name.get(name).copied()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Every place with its index.
    pub fn indexed(&self) -> impl Iterator<Item = (Index<Place>, &Place)> {
        self.places.indexed()
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The client entries, in the order of prefixes.
    pub fn clients(&self) -> impl Iterator<Item = (IpNet, Index<Place>)> {
        self.clients.iter().map(|(prefix, place)| (prefix, *place))
    }

    /// Whether a configured place or client entry contains an address.
    pub fn contains(&self, client: IpAddr) -> bool {
        self.clients.longest_match(client).is_some() || self.everywhere.longest_match(client).is_some()
    }

    /// The place of a client: the most specific client entry; otherwise a subnet of the given VPC; otherwise
    /// any subnet or site that contains it. A prefix must be within a single place.
    pub fn find(&self, client: IpNet, bound: Option<Index<Vpc>>) -> Result<Index<Place>, NoLocation> {
        if let Some((_, place)) = self.clients.longest_covering(&client) {
            return Ok(*place);
        }
        if let Some((_, place)) =
            bound.and_then(|vpc| self.by_vpc.get(&vpc)).and_then(|own| own.longest_covering(&client))
        {
            return Ok(*place);
        }
        match self.everywhere.longest_covering(&client).map(|(_, places)| places.as_slice()) {
            Some([place]) => Ok(*place),
            Some([first, second, ..]) => Err(self.ambiguous(client, *first, *second)),
            Some([]) | None => Err(self.nowhere(client)),
        }
    }

    /// The place of an address among the subnets of one VPC.
    pub fn find_in_vpc(&self, address: IpAddr, vpc: Index<Vpc>) -> Option<Index<Place>> {
        self.by_vpc.get(&vpc)?.longest_match(address).map(|(_, place)| *place)
    }

    /// A prefix that no place contains completely may overlap several.
    fn nowhere(&self, client: IpNet) -> NoLocation {
        let clients = self.clients.covered_by(&client).into_iter().map(|(_, place)| *place);
        let touched =
            self.everywhere.covered_by(&client).into_iter().flat_map(|(_, places)| places.iter().copied());
        let mut names: Vec<Index<Place>> = clients.chain(touched).collect();
        names.dedup_by_key(|place| self.name(*place).clone());
        match names.as_slice() {
            [first, second, ..] => self.ambiguous(client, *first, *second),
            _ => NoLocation::Unknown(client),
        }
    }

    /// The name of a place.
    fn name(&self, place: Index<Place>) -> &Arc<str> {
        &self.names[place.number() as usize]
    }

    fn ambiguous(&self, client: IpNet, first: Index<Place>, second: Index<Place>) -> NoLocation {
        NoLocation::Ambiguous { client, first: self.name(first).clone(), second: self.name(second).clone() }
    }
}

impl std::ops::Index<Index<Place>> for Places {
    type Output = Place;

    fn index(&self, index: Index<Place>) -> &Place {
        &self.places[index]
    }
}
