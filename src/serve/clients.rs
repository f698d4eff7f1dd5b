//! Who asks, and from where: worked out once for a client, and remembered for the next time it asks.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::{ListenerIdentity, annotate};
use crate::dns::ClientSubnet;
use crate::net::host;
use crate::world::{NoPlace, Vantage, ViewId, World};

/// Clients that a worker remembers, a power of two. Two that share a place send each other away.
const SLOTS: usize = 1024;

/// Who asked a question.
#[derive(Clone, Debug)]
pub struct ClientContext {
    /// The network that it was asked for: the sender's address, or the subnet that a believed sender names.
    pub client: IpNet,
    /// That subnet, to be echoed.
    pub subnet: Option<ClientSubnet>,
    /// Where that is.
    pub vantage: Result<Vantage, ClientRejection>,
}

/// Why a question is not answered to whom it was asked by.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientRejection {
    /// The sender may not ask at all.
    #[error("client={0} may not ask: it is in no declared place and not in server.allow")]
    NotAllowed(IpAddr),
    /// It may, and stands in no place, or in several.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
}

impl ClientContext {
    /// Finds out. `subnet` is the one that the query names, if it does.
    pub fn of(world: &World, listener: &ListenerIdentity, peer: IpAddr, subnet: Option<ClientSubnet>) -> Self {
        let subnet = subnet.filter(|subnet| is_trusted(world, peer, subnet));
        let client = subnet.map_or_else(|| host(peer), |subnet| subnet.network);
        let vantage = if world.may_ask(peer) {
            world.vantage(client, listener_view(world, listener)).map_err(ClientRejection::from)
        } else {
            Err(ClientRejection::NotAllowed(peer))
        };
        Self { client, subnet, vantage }
    }
}

/// An EDNS Client Subnet is believed from a trusted peer, and unless it is /0, which says nothing.
fn is_trusted(world: &World, peer: IpAddr, subnet: &ClientSubnet) -> bool {
    let trusted = world.trust_client_subnet.iter().any(|prefix| prefix.contains(&peer));
    trusted && subnet.network.prefix_len() > 0
}

/// The view that a door is bound to in this world.
fn listener_view(world: &World, identity: &ListenerIdentity) -> Option<ViewId> {
    world
        .listeners
        .iter()
        .find(|listener| listener.address == identity.address)
        .and_then(|listener| listener.view)
}

/// The clients that asked last, by a hash of their address.
#[derive(Debug)]
pub struct ClientCache {
    slots: Box<[Option<CachedClient>]>,
    hasher: RandomState,
}

/// A client that has a vantage.
#[derive(Clone, Debug)]
pub struct CachedClient {
    key: ClientKey,
    /// The network that it asks for.
    pub client: IpNet,
    /// What is echoed to it.
    pub subnet: Option<ClientSubnet>,
    /// Where it stands.
    pub vantage: Vantage,
    /// Whether it is told paths without asking for them.
    pub is_annotated: bool,
}

impl CachedClient {
    /// The same, for a query that is to be decided.
    pub fn context(&self) -> ClientContext {
        ClientContext { client: self.client, subnet: self.subnet, vantage: Ok(self.vantage) }
    }
}

/// What a standing hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClientKey {
    generation: u64,
    listener: usize,
    peer: IpAddr,
    subnet: Option<ClientSubnet>,
}

impl Default for ClientCache {
    fn default() -> Self {
        Self { slots: vec![None; SLOTS].into(), hasher: RandomState::default() }
    }
}

impl ClientCache {
    /// Who asks, if they have a vantage.
    pub fn find(
        &mut self,
        world: &World,
        listener: &ListenerIdentity,
        peer: IpAddr,
        subnet: Option<ClientSubnet>,
    ) -> Option<&CachedClient> {
        let key = ClientKey { generation: world.generation, listener: listener.server.number, peer, subnet };
        // The remainder is below the number of places, which fits.
        let place = &mut self.slots[(self.hasher.hash_one(key) % SLOTS as u64) as usize];
        if place.as_ref().is_none_or(|cached_client| cached_client.key != key) {
            let ClientContext { client, subnet, vantage } = ClientContext::of(world, listener, peer, subnet);
            let vantage = vantage.ok()?;
            let is_annotated = annotate::annotates_by_default(world, peer);
            *place = Some(CachedClient { key, client, subnet, vantage, is_annotated: is_annotated });
        }
        place.as_ref()
    }
}
