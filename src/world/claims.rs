//! Claims: who may answer below a name, in which view.

use crate::dns::{Name, SuffixMap};

use super::arena::Index;
use super::{HostedZone, InternalDomain, ManagedZone, Profile, Rule, View};

/// A source's right to answer at and below a name, in one view.
///
/// The order of the variants is the order of precedence among claims on one name: a rule beats a hosted
/// zone of the same name, and that beats what AWS defines by itself (Route 53 Developer Guide,
/// "Considerations when working with a private hosted zone" and "autodefined rules").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A FORWARD rule: other name servers are asked.
    ForwardRule(Index<Rule>),
    /// A SYSTEM rule: no FORWARD rule counts here.
    SystemRule(Index<Rule>),
    /// A private hosted zone.
    HostedZone(Index<HostedZone>),
    /// The zone that AWS manages for a private name of an endpoint.
    Endpoint(Index<ManagedZone>),
    /// Generated host names below a region's internal domain, and the names of loopback.
    GeneratedName(Index<InternalDomain>),
    /// Generated reverse names.
    Reverse(Index<InternalDomain>),
    /// A region's public host names: public DNS, which no wider FORWARD rule takes over.
    PublicHostName(Index<InternalDomain>),
}

impl Claim {
    /// The place of its kind in the order of precedence on one name, the strongest first. Rules are one kind, and
    /// so are zones: among those the origin decides.
    pub fn precedence(self) -> u8 {
        match self {
            Self::ForwardRule(_) | Self::SystemRule(_) => 0,
            Self::HostedZone(_) | Self::Endpoint(_) => 1,
            Self::GeneratedName(_) | Self::Reverse(_) | Self::PublicHostName(_) => 2,
        }
    }
}

/// How a claim came to a VPC. The order is that of precedence among claims of one kind on one name: what the VPC has
/// itself, then the Profiles by their priority (Route 53 Developer Guide, "How Route 53 Profile settings are
/// prioritized").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// It is the VPC's own.
    Local,
    /// It comes through a Profile.
    Profile {
        /// The priority of the Profile's association with this VPC; the lower goes first.
        priority: u16,
        /// The Profile.
        profile: Index<Profile>,
    },
}

/// A claim in one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Whose clients it answers.
    pub view: Index<View>,
    /// How it came there.
    pub origin: Origin,
    /// The claim.
    pub claim: Claim,
}

impl Held {
    /// What claims on one name are sorted by.
    fn rank(&self) -> (Index<View>, u8, Origin, Claim) {
        (self.view, self.claim.precedence(), self.origin, self.claim)
    }
}

/// All claims of a world: one longest-suffix match, a node holding the claims of every view.
#[derive(Debug, Default)]
pub struct Claims {
    suffixes: SuffixMap<Vec<Held>>,
}

impl Claims {
    /// Takes in a claim.
    pub fn add(&mut self, suffix: Name, held: Held) {
        let node = self.suffixes.entry_or_default(suffix);
        if node.is_empty() {
            // Most claims are made in two views of one VPC.
            node.reserve_exact(2);
        }
        let at = node.partition_point(|have| have.rank() < held.rank());
        node.insert(at, held);
    }

    /// The claims of one view that cover a name, in the order of precedence: deepest first, and on one
    /// name by kind and origin. With each goes the number of labels of its suffix.
    pub fn covering<'a>(
        &'a self,
        view: Index<View>,
        name: &'a Name,
    ) -> impl Iterator<Item = (usize, Held)> + 'a {
        self.suffixes
            .covering(name)
            .flat_map(move |(labels, node)| of_view(node, view).map(move |held| (labels, held)))
    }

    /// The claims of every view that cover a name, deepest first.
    pub fn covering_any<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = Held> + 'a {
        self.suffixes.covering(name).flat_map(|(_, node)| node.iter().copied())
    }

    /// The claims of one view on exactly this name.
    pub fn at<'a>(&'a self, view: Index<View>, name: &Name) -> impl Iterator<Item = Held> + 'a {
        self.suffixes.get(name).into_iter().flat_map(move |node| of_view(node, view))
    }

    /// All claims, in no order of names.
    pub fn iter(&self) -> impl Iterator<Item = Held> {
        self.suffixes.iter().flat_map(|(_, node)| node).copied()
    }

    /// On how many names there are claims.
    pub fn name_count(&self) -> usize {
        self.suffixes.len()
    }
}

/// The claims of one view among those on a name, which are in the order of views.
fn of_view(node: &[Held], view: Index<View>) -> impl Iterator<Item = Held> {
    let first = node.partition_point(|held| held.view < view);
    node[first..].iter().take_while(move |held| held.view == view).copied()
}
