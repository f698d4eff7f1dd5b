//! Client identification: the view and location of a source address, cached per worker.

use std::hash::BuildHasher;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use ipnet::IpNet;

use super::{ListenerIdentity, annotate};
use crate::dns::ClientSubnet;
use crate::net::host_prefix;
use crate::world::{NoLocation, Vantage, ViewId, World};

/// Number of cached clients per worker, a power of two. Clients that share a slot evict each other.
const SLOTS: usize = 1024;

/// The client of a query.
#[derive(Clone, Debug)]
pub(super) struct ClientContext {
    /// The network of the client: the source address of the query, or the client subnet that a trusted source
    /// specified.
    pub client: IpNet,
    /// That client subnet, to be echoed.
    pub subnet: Option<ClientSubnet>,
    /// The client's view and location.
    pub vantage: Result<Vantage, ClientRejection>,
}

/// Why a query is refused.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum ClientRejection {
    /// The source address is not allowed to query.
    #[error("client={0} is not allowed to query: it is neither in a declared location nor in server.allow")]
    NotAllowed(IpAddr),
    /// The source has no location, or several possible ones.
    #[error(transparent)]
    NoLocation(#[from] NoLocation),
}

impl ClientContext {
    /// Identifies the client of a query. `subnet` is the client subnet in the query, if any.
    pub(super) fn of(
        world: &World,
        listener: &ListenerIdentity,
        peer: IpAddr,
        subnet: Option<ClientSubnet>,
    ) -> Self {
        let subnet = subnet.filter(|subnet| is_trusted(world, peer, subnet));
        let client = subnet.map_or_else(|| host_prefix(peer), |subnet| subnet.network);
        let vantage = if world.is_allowed(peer) {
            world.vantage(client, listener_view(world, listener)).map_err(ClientRejection::from)
        } else {
            Err(ClientRejection::NotAllowed(peer))
        };
        Self { client, subnet, vantage }
    }
}

/// Whether an EDNS Client Subnet is used: the source must be trusted, and the prefix must not be /0, which
/// carries no information.
fn is_trusted(world: &World, peer: IpAddr, subnet: &ClientSubnet) -> bool {
    let trusted = world.settings.trust_client_subnet.iter().any(|prefix| prefix.contains(&peer));
    trusted && subnet.network.prefix_len() > 0
}

/// The view that is configured for a listener in this world.
fn listener_view(world: &World, identity: &ListenerIdentity) -> Option<ViewId> {
    world
        .settings
        .listeners
        .iter()
        .find(|listener| listener.address == identity.address)
        .and_then(|listener| listener.view)
}

/// Recently seen clients, indexed by a hash of their address.
#[derive(Debug)]
pub(super) struct ClientCache {
    slots: Box<[Option<CachedClient>]>,
    hasher: RandomState,
}

/// A cached client with a vantage.
#[derive(Clone, Debug)]
pub(super) struct CachedClient {
    key: ClientKey,
    /// The network of the client.
    pub client: IpNet,
    /// The client subnet to be echoed.
    pub subnet: Option<ClientSubnet>,
    /// Its view and location.
    pub vantage: Vantage,
    /// Whether its replies are annotated without a request.
    pub is_annotated: bool,
}

impl CachedClient {
    /// The client as the context of a query.
    pub(super) fn context(&self) -> ClientContext {
        ClientContext { client: self.client, subnet: self.subnet, vantage: Ok(self.vantage) }
    }
}

/// Key of a cached client: everything that its context depends on.
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
    /// The client of a query, if it has a vantage. Looked up in the cache, or determined from the world and
    /// cached.
    pub(super) fn identify(
        &mut self,
        world: &World,
        listener: &ListenerIdentity,
        peer: IpAddr,
        subnet: Option<ClientSubnet>,
    ) -> Option<&CachedClient> {
        let key = ClientKey { generation: world.generation, listener: listener.server.number, peer, subnet };
        // The remainder is less than the number of slots, so the cast is lossless.
        let slot = &mut self.slots[(self.hasher.hash_one(key) % SLOTS as u64) as usize];
        if slot.as_ref().is_none_or(|cached_client| cached_client.key != key) {
            let ClientContext { client, subnet, vantage } = ClientContext::of(world, listener, peer, subnet);
            let vantage = vantage.ok()?;
            let is_annotated = annotate::annotates_by_default(world, peer);
            *slot = Some(CachedClient { key, client, subnet, vantage, is_annotated });
        }
        slot.as_ref()
    }
}
