//! Who asks, and from where: worked out once for a client, and remembered for the next time it asks.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::{Door, annotate};
use crate::dns::ClientSubnet;
use crate::net::host;
use crate::world::{NoPlace, Vantage, ViewId, World};

/// Clients that a worker remembers, a power of two. Two that share a place send each other away.
const PLACES: usize = 1024;

/// Who asked a question.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The network that it was asked for: the sender's address, or the subnet that a believed sender names.
    pub client: IpNet,
    /// That subnet, to be echoed.
    pub subnet: Option<ClientSubnet>,
    /// Where that is.
    pub vantage: Result<Vantage, NoVantage>,
}

/// Why a question is not answered to whom it was asked by.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NoVantage {
    /// The sender may not ask at all.
    #[error("client={0} may not ask: it is in no declared place and not in server.allow")]
    MayNotAsk(IpAddr),
    /// It may, and stands in no place, or in several.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

impl Standing {
    /// Finds out. `subnet` is the one that the query names, if it does.
    pub fn of(world: &World, door: &Door, peer: IpAddr, subnet: Option<ClientSubnet>) -> Self {
        let subnet = subnet.filter(|subnet| is_believed(world, peer, subnet));
        let client = subnet.map_or_else(|| host(peer), |subnet| subnet.network);
        let vantage = if world.may_ask(peer) {
            world.vantage(client, bound_view(world, door)).map_err(NoVantage::from)
        } else {
            Err(NoVantage::MayNotAsk(peer))
        };
        Self { client, subnet, vantage }
    }
}

/// An EDNS Client Subnet is believed from a trusted peer, and unless it is /0, which says nothing.
fn is_believed(world: &World, peer: IpAddr, subnet: &ClientSubnet) -> bool {
    let trusted = world.trust_client_subnet.iter().any(|prefix| prefix.contains(&peer));
    trusted && subnet.network.prefix_len() > 0
}

/// The view that a door is bound to in this world.
fn bound_view(world: &World, door: &Door) -> Option<ViewId> {
    world
        .listeners
        .iter()
        .find(|listener| listener.address == door.address)
        .and_then(|listener| listener.view)
}

/// The clients that asked last, by a hash of their address.
#[derive(Debug)]
pub struct Clients {
    places: Box<[Option<Known>]>,
    hasher: RandomState,
}

/// A client that has a vantage.
#[derive(Clone, Debug)]
pub struct Known {
    key: Key,
    /// The network that it asks for.
    pub client: IpNet,
    /// What is echoed to it.
    pub subnet: Option<ClientSubnet>,
    /// Where it stands.
    pub vantage: Vantage,
    /// Whether it is told paths without asking for them.
    pub is_told: bool,
}

impl Known {
    /// The same, for a query that is to be decided.
    pub fn standing(&self) -> Standing {
        Standing { client: self.client, subnet: self.subnet, vantage: Ok(self.vantage) }
    }
}

/// What a standing hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    generation: u64,
    door: usize,
    peer: IpAddr,
    subnet: Option<ClientSubnet>,
}

impl Default for Clients {
    fn default() -> Self {
        Self { places: vec![None; PLACES].into(), hasher: RandomState::default() }
    }
}

impl Clients {
    /// Who asks, if they have a vantage.
    pub fn find(
        &mut self,
        world: &World,
        door: &Door,
        peer: IpAddr,
        subnet: Option<ClientSubnet>,
    ) -> Option<&Known> {
        let key = Key { generation: world.generation, door: door.server.number, peer, subnet };
        // The remainder is below the number of places, which fits.
        let place = &mut self.places[(self.hasher.hash_one(key) % PLACES as u64) as usize];
        if place.as_ref().is_none_or(|known| known.key != key) {
            let Standing { client, subnet, vantage } = Standing::of(world, door, peer, subnet);
            let vantage = vantage.ok()?;
            let is_told = annotate::is_told_unasked(world, peer);
            *place = Some(Known { key, client, subnet, vantage, is_told });
        }
        place.as_ref()
    }
}
