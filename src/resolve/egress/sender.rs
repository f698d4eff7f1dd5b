//! Who sends a packet, as the next hop sees it: what sends, with which addresses, and where replies must come to.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::host;
use crate::world::{Index, Site, Vpc};

/// Who sends, as the next hop sees it.
#[derive(Clone, Debug)]
pub(super) struct Sender<'w> {
    pub by: SentBy,
    pub source: Source<'w>,
    pub home: Home,
}

/// The addresses that a sender may have, of both families.
#[derive(Clone, Debug)]
pub(super) struct Source<'w> {
    pub prefixes: Cow<'w, [IpNet]>,
    /// One address for each prefix.
    pub samples: Cow<'w, [IpAddr]>,
    /// Whether none lies in a smaller prefix that a rule names.
    pub is_rest: bool,
}

impl Source<'_> {
    /// A sender with this address.
    pub fn at(address: IpAddr) -> Self {
        Self { prefixes: Cow::Owned(vec![host(address)]), samples: Cow::Owned(vec![address]), is_rest: true }
    }

    /// A sender with some address of these prefixes.
    pub fn within(prefixes: &[IpNet]) -> Source<'_> {
        let samples = prefixes.iter().map(IpNet::network).collect();
        Source { prefixes: Cow::Borrowed(prefixes), samples: Cow::Owned(samples), is_rest: false }
    }

    /// The prefixes of one family.
    pub fn of_family(&self, is_v4: bool) -> Vec<IpNet> {
        self.prefixes.iter().filter(|prefix| prefix.addr().is_ipv4() == is_v4).copied().collect()
    }
}

/// What sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SentBy {
    /// The client, with its own address.
    Client,
    /// A NAT gateway, with its own address; whether that may be a public one.
    Nat { is_public: bool },
    /// An appliance with a public address, which may put that in the sender's place.
    Appliance,
}

/// Where replies to a sender must come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    Vpc(Index<Vpc>),
    Site(Index<Site>),
}
