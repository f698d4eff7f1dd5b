//! Claims: who may answer below a name, in which view.

use std::collections::HashMap;

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

/// Views that have claims in common: those of the VPCs whose private addresses one transit gateway tells. A claim for
/// each two of them would be a million for a thousand VPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circle(u32);

/// All claims of a world: one longest-suffix match, a node holding the claims of every view.
#[derive(Debug, Default)]
pub struct Claims {
    suffixes: SuffixMap<Node>,
    /// The circles that each view is in. Few views are in any.
    circles: HashMap<Index<View>, Vec<Circle>, foldhash::fast::RandomState>,
    /// How many circles there are.
    circle_count: u32,
}

/// The claims on one name.
#[derive(Debug, Default)]
struct Node {
    /// Those of one view each, by view, kind and origin.
    held: Vec<Held>,
    /// Those of circles.
    common: Vec<(Circle, Claim)>,
}

impl Claims {
    /// Takes in a claim.
    pub fn add(&mut self, suffix: Name, held: Held) {
        let node = &mut self.suffixes.entry_or_default(suffix).held;
        if node.is_empty() {
            // Most claims are made in two views of one VPC.
            node.reserve_exact(2);
        }
        let at = node.partition_point(|have| have.rank() < held.rank());
        node.insert(at, held);
    }

    /// Makes a circle, without views.
    pub fn add_circle(&mut self) -> Circle {
        self.circle_count += 1;
        Circle(self.circle_count)
    }

    /// Takes a view into a circle.
    pub fn join(&mut self, view: Index<View>, circle: Circle) {
        self.circles.entry(view).or_default().push(circle);
    }

    /// Takes in a claim that is every view's in a circle. It comes after all that a view itself has on the name.
    pub fn add_common(&mut self, suffix: Name, circle: Circle, claim: Claim) {
        self.suffixes.entry_or_default(suffix).common.push((circle, claim));
    }

    /// The claims of one view that cover a name, in the order of precedence: deepest first, and on one
    /// name by kind and origin, then those of its circles. With each goes the number of labels of its suffix.
    pub fn covering<'a>(
        &'a self,
        view: Index<View>,
        name: &'a Name,
    ) -> impl Iterator<Item = (usize, Held)> + 'a {
        let circles = self.circles.get(&view).map_or(&[][..], Vec::as_slice);
        self.suffixes.covering(name).flat_map(move |(labels, node)| {
            let common = (node.common.iter())
                .filter(|(circle, _)| circles.contains(circle))
                .filter(move |(_, claim)| !of_view(&node.held, view).any(|held| held.claim == *claim))
                .map(move |(_, claim)| Held { view, origin: Origin::Local, claim: *claim });
            of_view(&node.held, view).chain(common).map(move |held| (labels, held))
        })
    }

    /// The claims of every view that cover a name, deepest first; not those of circles.
    pub fn covering_any<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = Held> + 'a {
        self.suffixes.covering(name).flat_map(|(_, node)| node.held.iter().copied())
    }

    /// The claims of one view on exactly this name; not those of its circles.
    pub fn at<'a>(&'a self, view: Index<View>, name: &Name) -> impl Iterator<Item = Held> + 'a {
        self.suffixes.get(name).into_iter().flat_map(move |node| of_view(&node.held, view))
    }

    /// All claims but those of circles, in no order of names.
    pub fn iter(&self) -> impl Iterator<Item = Held> {
        self.suffixes.iter().flat_map(|(_, node)| &node.held).copied()
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

#[cfg(test)]
mod tests {
    use super::super::{Arena, Generated, ViewKind, Zone};
    use super::*;
    use crate::dns::{Rdata, RecordType, RrSet};

    #[test]
    fn what_a_circle_has_in_common_comes_after_what_a_view_has_itself() {
        let name: Name = "10.in-addr.arpa".parse().unwrap();
        let deeper: Name = "1.10.in-addr.arpa".parse().unwrap();
        let mut views = Arena::default();
        let [inside, alone] = ["inside", "alone"].map(|text| {
            let claims = views.next_index();
            views.add(View { kind: ViewKind::Public, name: text.into(), claims, dns64: false })
        });
        let mut domains = Arena::default();
        let [own, common, of_others, below] = [(); 4].map(|()| {
            let soa =
                RrSet::new(name.clone(), RecordType::SOA, 60, [Rdata::soa(&name, &name, 1, 2, 3, 4, 5)]);
            let zone = Zone::new(name.clone(), soa);
            Claim::Reverse(domains.add(InternalDomain { zone, names: Generated::Nothing }))
        });
        let mut claims = Claims::default();
        let (circle, other) = (claims.add_circle(), claims.add_circle());
        claims.join(inside, circle);
        for view in [inside, alone] {
            claims.add(name.clone(), Held { view, origin: Origin::Local, claim: own });
        }
        claims.add_common(name.clone(), other, of_others);
        claims.add_common(name.clone(), circle, common);
        claims.add_common(name, circle, own);
        claims.add_common(deeper.clone(), circle, below);
        let seen = |view| -> Vec<(usize, Claim)> {
            claims.covering(view, &deeper).map(|(labels, held)| (labels, held.claim)).collect()
        };
        assert_eq!(seen(inside), [(4, below), (3, own), (3, common)], "each once");
        assert_eq!(seen(alone), [(3, own)]);
    }
}
