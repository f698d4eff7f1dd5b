//! The sender of a packet as the next hop sees it: its kind, its addresses, and where replies have to arrive.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::net::host_prefix;
use crate::world::{Index, Site, Vpc};

/// The sender as the next hop sees it.
#[derive(Clone, Debug)]
pub(super) struct Sender<'w> {
    pub kind: SenderKind,
    pub source: SourceAddresses<'w>,
    pub return_to: ReturnDestination,
}

/// The possible source addresses, of both families.
#[derive(Clone, Debug)]
pub(super) struct SourceAddresses<'w> {
    pub prefixes: Cow<'w, [IpNet]>,
    /// One address for each prefix.
    pub samples: Cow<'w, [IpAddr]>,
    /// Whether more specific prefixes that occur in rules are known not to contain the source.
    pub is_remainder: bool,
}

impl SourceAddresses<'_> {
    /// A sender with this address.
    pub(super) fn at(address: IpAddr) -> Self {
        Self {
            prefixes: Cow::Owned(vec![host_prefix(address)]),
            samples: Cow::Owned(vec![address]),
            is_remainder: true,
        }
    }

    /// A sender with any address of these prefixes.
    pub(super) fn within(prefixes: &[IpNet]) -> SourceAddresses<'_> {
        let samples = prefixes.iter().map(IpNet::network).collect();
        SourceAddresses {
            prefixes: Cow::Borrowed(prefixes),
            samples: Cow::Owned(samples),
            is_remainder: false,
        }
    }

    /// The prefixes of one family.
    pub(super) fn of_family(&self, is_v4: bool) -> Vec<IpNet> {
        self.prefixes.iter().filter(|prefix| prefix.addr().is_ipv4() == is_v4).copied().collect()
    }
}

/// The kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SenderKind {
    /// The client, with its own address.
    Client,
    /// A NAT gateway, with its own address, which may be public.
    Nat { is_public: bool },
    /// An appliance with a public address, which may replace the source address with its own.
    Appliance,
}

/// Where replies to a sender have to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReturnDestination {
    Vpc(Index<Vpc>),
    Site(Index<Site>),
}
