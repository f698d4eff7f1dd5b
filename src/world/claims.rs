//! Claims: what may answer names at and below a suffix, by view.

use std::collections::HashMap;

use crate::dns::{Name, SuffixMap};

use super::arena::Index;
use super::{HostedZone, InternalDomain, ManagedZone, Profile, Rule, View};

/// A source of answers for names at and below a suffix.
///
/// The order of the variants is the precedence among claims on the same name: a rule takes precedence over a
/// hosted zone of the same name, and that over what AWS defines itself (Route 53 Developer Guide,
/// "Considerations when working with a private hosted zone" and "autodefined rules").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Claim {
    /// A FORWARD rule: other name servers are queried.
    ForwardRule(Index<Rule>),
    /// A SYSTEM rule: FORWARD rules do not apply.
    SystemRule(Index<Rule>),
    /// A private hosted zone.
    HostedZone(Index<HostedZone>),
    /// The zone that AWS manages for a private DNS name of an endpoint.
    Endpoint(Index<ManagedZone>),
    /// Generated host names below a region's internal domain, and names of loopback addresses.
    GeneratedName(Index<InternalDomain>),
    /// Generated reverse names.
    Reverse(Index<InternalDomain>),
    /// Public host names of a region: public DNS, to which less specific FORWARD rules do not apply.
    PublicHostName(Index<InternalDomain>),
}

impl Claim {
    /// The precedence of its kind on the same name, 0 being the highest. Rules are one kind, and so are
    /// zones: among those, the source decides.
    pub fn precedence(self) -> u8 {
        match self {
            Self::ForwardRule(_) | Self::SystemRule(_) => 0,
            Self::HostedZone(_) | Self::Endpoint(_) => 1,
            Self::GeneratedName(_) | Self::Reverse(_) | Self::PublicHostName(_) => 2,
        }
    }
}

/// How a claim applies to a VPC. The order is the precedence among claims of one kind on the same name: the
/// VPC's own, then those of its Profiles by priority (Route 53 Developer Guide, "How Route 53 Profile
/// settings are prioritized").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimSource {
    /// The VPC's own association.
    Local,
    /// A Profile.
    Profile {
        /// The priority of the Profile's association with this VPC; lower values take precedence.
        priority: u16,
        /// The Profile.
        profile: Index<Profile>,
    },
}

/// A claim in one view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopedClaim {
    /// The view.
    pub view: Index<View>,
    /// Its source.
    pub source: ClaimSource,
    /// The claim.
    pub claim: Claim,
}

impl ScopedClaim {
    /// The sort key of claims on the same name.
    fn rank(&self) -> (Index<View>, u8, ClaimSource, Claim) {
        (self.view, self.claim.precedence(), self.source, self.claim)
    }
}

/// A group of views with common claims: those of the VPCs whose private addresses can be resolved through one
/// transit gateway. One claim per pair of VPCs would be a million for a thousand VPCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewGroup(u32);

/// All claims of a world: a longest-suffix match, in which a node holds the claims of every view.
#[derive(Debug, Default)]
pub struct Claims {
    suffixes: SuffixMap<Node>,
    /// The groups of each view. Few views are in any.
    groups: HashMap<Index<View>, Vec<ViewGroup>, foldhash::fast::RandomState>,
    /// Number of groups.
    group_count: u32,
}

/// The claims on one name.
#[derive(Debug, Default)]
struct Node {
    /// Those of single views, by view, kind and source.
    scoped: Vec<ScopedClaim>,
    /// Those of groups.
    group_claims: Vec<(ViewGroup, Claim)>,
}

impl Claims {
    /// Adds a claim.
    pub fn add(&mut self, suffix: Name, scoped: ScopedClaim) {
        let node = &mut self.suffixes.entry_or_default(suffix).scoped;
        if node.is_empty() {
            // Most claims apply to two views of one VPC.
            node.reserve_exact(2);
        }
        let at = node.partition_point(|have| have.rank() < scoped.rank());
        node.insert(at, scoped);
    }

    /// Adds a group without views.
    pub fn add_group(&mut self) -> ViewGroup {
        self.group_count += 1;
        ViewGroup(self.group_count)
    }

    /// Adds a view to a group.
    pub fn join(&mut self, view: Index<View>, group: ViewGroup) {
        self.groups.entry(view).or_default().push(group);
    }

    /// Adds a claim that applies to every view of a group. It has lower precedence than the claims of a view
    /// itself on the name.
    pub fn add_for_group(&mut self, suffix: Name, group: ViewGroup, claim: Claim) {
        self.suffixes.entry_or_default(suffix).group_claims.push((group, claim));
    }

    /// The claims of one view that match a name, by precedence: most specific first, on the same name by kind
    /// and source, then those of its groups. Each with the number of labels of its suffix.
    pub fn covering<'a>(
        &'a self,
        view: Index<View>,
        name: &'a Name,
    ) -> impl Iterator<Item = (usize, ScopedClaim)> + 'a {
        let groups = self.groups.get(&view).map_or(&[][..], Vec::as_slice);
        self.suffixes.covering(name).flat_map(move |(labels, node)| {
            let common = (node.group_claims.iter())
                .filter(|(group, _)| groups.contains(group))
                .filter(move |(_, claim)| !of_view(&node.scoped, view).any(|scoped| scoped.claim == *claim))
                .map(move |(_, claim)| ScopedClaim { view, source: ClaimSource::Local, claim: *claim });
            of_view(&node.scoped, view).chain(common).map(move |scoped| (labels, scoped))
        })
    }

    /// The claims of every view that match a name, most specific first, without those of groups.
    pub fn covering_any<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = ScopedClaim> + 'a {
        self.suffixes.covering(name).flat_map(|(_, node)| node.scoped.iter().copied())
    }

    /// The claims of one view on exactly this name, without those of its groups.
    pub fn at<'a>(&'a self, view: Index<View>, name: &Name) -> impl Iterator<Item = ScopedClaim> + 'a {
        self.suffixes.get(name).into_iter().flat_map(move |node| of_view(&node.scoped, view))
    }

    /// All claims except those of groups, in arbitrary order of names.
    pub fn iter(&self) -> impl Iterator<Item = ScopedClaim> {
        self.suffixes.iter().flat_map(|(_, node)| &node.scoped).copied()
    }

    /// Number of names with claims.
    pub fn name_count(&self) -> usize {
        self.suffixes.len()
    }
}

/// The claims of one view among those on a name, which are ordered by view.
fn of_view(node: &[ScopedClaim], view: Index<View>) -> impl Iterator<Item = ScopedClaim> {
    let first = node.partition_point(|scoped| scoped.view < view);
    node[first..].iter().take_while(move |scoped| scoped.view == view).copied()
}

#[cfg(test)]
mod tests {
    use super::super::{Arena, Generated, ViewKind, Zone};
    use super::*;
    use crate::dns::{Rdata, RecordType, RrSet};

    #[test]
    fn claims_of_a_group_follow_those_of_the_view() {
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
        let (group, other) = (claims.add_group(), claims.add_group());
        claims.join(inside, group);
        for view in [inside, alone] {
            claims.add(name.clone(), ScopedClaim { view, source: ClaimSource::Local, claim: own });
        }
        claims.add_for_group(name.clone(), other, of_others);
        claims.add_for_group(name.clone(), group, common);
        claims.add_for_group(name, group, own);
        claims.add_for_group(deeper.clone(), group, below);
        let seen = |view| -> Vec<(usize, Claim)> {
            claims.covering(view, &deeper).map(|(labels, scoped)| (labels, scoped.claim)).collect()
        };
        assert_eq!(seen(inside), [(4, below), (3, own), (3, common)], "each once");
        assert_eq!(seen(alone), [(3, own)]);
    }
}
