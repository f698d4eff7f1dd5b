//! Places: where a client stands, and so whose routes its traffic takes.
//!
//! Inside, a place is an equivalence class: each subnet is cut at the addresses that are declared in it, and
//! each subnet and each prefix of a site at every security group's source prefix within it, so that all
//! addresses of one place have the same paths and the same reach.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use thiserror::Error;

use super::arena::{Arena, Index};
use super::object::{Interface, Site, Subnet, Vpc};
use crate::net::PrefixMap;

/// Where a client may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// In a subnet.
    Subnet(Index<Subnet>),
    /// On premises.
    Site(Index<Site>),
    /// On some other network on the internet.
    Outside,
}

/// A set of addresses whose traffic takes the same paths.
#[derive(Debug)]
pub struct Place {
    /// Where.
    pub standing: Standing,
    /// The prefixes that hold its addresses; smaller ones may be cut out of them as places of their own.
    pub prefixes: Vec<IpNet>,
    /// What its clients may have beside one of those: the prefixes, or the address, of the other family.
    pub beside: Vec<IpNet>,
    /// For each of both an address of it that lies in none of the smaller ones.
    pub samples: Vec<IpAddr>,
    /// Who has its one address, where that is declared.
    pub interface: Option<Interface>,
}

impl Place {
    /// Whether its clients have an address of another one's family.
    pub fn has_family_of(&self, address: IpAddr) -> bool {
        let mut own = self.prefixes.iter().chain(&self.beside);
        own.any(|prefix| prefix.addr().is_ipv4() == address.is_ipv4())
    }
}

/// Why an address stands nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoPlace {
    /// No place holds it.
    #[error("{0} stands in no declared subnet, site or client prefix")]
    Unknown(IpNet),
    /// Several do.
    #[error("{client} could stand in {first} or in {second}")]
    Ambiguous {
        /// The address or prefix.
        client: IpNet,
        /// One place.
        first: Arc<str>,
        /// Another.
        second: Arc<str>,
    },
}

/// All places, and the ways to find them.
#[derive(Debug, Default)]
pub struct Places {
    places: Arena<Place>,
    /// `[[client]]` entries; they come first.
    clients: PrefixMap<Index<Place>>,
    /// Each VPC's own.
    by_vpc: HashMap<Index<Vpc>, PrefixMap<Index<Place>>>,
    /// All of them. Several at one prefix are VPCs that share addresses.
    everywhere: PrefixMap<Vec<Index<Place>>>,
    by_name: HashMap<Arc<str>, Index<Place>>,
    /// Each place's name, by its number.
    names: Vec<Arc<str>>,
}

impl Places {
    /// Takes in a place under its name. The first place of a name is the one that the name means.
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

    /// Says that clients of a prefix stand in a place.
    pub fn add_client(&mut self, source: IpNet, place: Index<Place>) -> Option<Index<Place>> {
        self.clients.insert(source, place)
    }

    /// The place that a name means.
    pub fn named(&self, name: &str) -> Option<Index<Place>> {
        self.by_name.get(name).copied()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// Every place with its number.
    pub fn indexed(&self) -> impl Iterator<Item = (Index<Place>, &Place)> {
        self.places.indexed()
    }

    /// How many places there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The client entries, in the order of prefixes.
    pub fn clients(&self) -> impl Iterator<Item = (IpNet, Index<Place>)> {
        self.clients.iter().map(|(prefix, place)| (prefix, *place))
    }

    /// Whether a declared place or client entry holds an address.
    pub fn holds(&self, client: IpAddr) -> bool {
        self.clients.longest(client).is_some() || self.everywhere.longest(client).is_some()
    }

    /// The place of a client: the most specific client entry; then the bound VPC's own subnets; then
    /// any subnet or site that holds it. A prefix must lie inside one place.
    pub fn find(&self, client: IpNet, bound: Option<Index<Vpc>>) -> Result<Index<Place>, NoPlace> {
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

    /// The place of an address among one VPC's own subnets.
    pub fn find_in_vpc(&self, address: IpAddr, vpc: Index<Vpc>) -> Option<Index<Place>> {
        self.by_vpc.get(&vpc)?.longest(address).map(|(_, place)| *place)
    }

    /// A prefix that no place holds whole may still touch several.
    fn nowhere(&self, client: IpNet) -> NoPlace {
        let clients = self.clients.inside(&client).into_iter().map(|(_, place)| *place);
        let touched =
            self.everywhere.inside(&client).into_iter().flat_map(|(_, places)| places.iter().copied());
        let mut names: Vec<Index<Place>> = clients.chain(touched).collect();
        names.dedup_by_key(|place| self.name(*place).clone());
        match names.as_slice() {
            [first, second, ..] => self.ambiguous(client, *first, *second),
            _ => NoPlace::Unknown(client),
        }
    }

    /// The name of a place.
    fn name(&self, place: Index<Place>) -> &Arc<str> {
        &self.names[place.number() as usize]
    }

    fn ambiguous(&self, client: IpNet, first: Index<Place>, second: Index<Place>) -> NoPlace {
        NoPlace::Ambiguous { client, first: self.name(first).clone(), second: self.name(second).clone() }
    }
}

impl std::ops::Index<Index<Place>> for Places {
    type Output = Place;

    fn index(&self, index: Index<Place>) -> &Place {
        &self.places[index]
    }
}
