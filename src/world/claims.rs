//! Claims: who may answer below a name, in which view.

use crate::dns::{Name, SuffixMap};

use super::arena::Index;
use super::{HostedZone, InternalDomain, ManagedZone, Rule, View};

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
    /// The zone that AWS manages for a private name of an interface endpoint.
    Endpoint(Index<ManagedZone>),
    /// Generated host names below a region's internal domain.
    GeneratedName(Index<InternalDomain>),
    /// Generated reverse names.
    Reverse(Index<InternalDomain>),
}

/// All claims of a world: one longest-suffix match, a node holding the claims of every view.
#[derive(Debug, Default)]
pub struct Claims {
    suffixes: SuffixMap<Vec<(Index<View>, Claim)>>,
}

impl Claims {
    /// Takes in a claim.
    pub fn add(&mut self, view: Index<View>, suffix: Name, claim: Claim) {
        let node = self.suffixes.entry_or_default(suffix);
        if node.is_empty() {
            // Most claims are made in two views of one VPC.
            node.reserve_exact(2);
        }
        let at = node.partition_point(|have| *have < (view, claim));
        node.insert(at, (view, claim));
    }

    /// The claims of one view that cover a name, in the order of precedence: deepest first, and on one
    /// name by the order of [`Claim`]. With each goes the number of labels of its suffix.
    pub fn covering<'a>(
        &'a self,
        view: Index<View>,
        name: &'a Name,
    ) -> impl Iterator<Item = (usize, Claim)> + 'a {
        self.suffixes
            .covering(name)
            .flat_map(move |(labels, node)| of_view(node, view).map(move |claim| (labels, claim)))
    }

    /// The claims of every view that cover a name, deepest first.
    pub fn covering_any<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = (Index<View>, Claim)> + 'a {
        self.suffixes.covering(name).flat_map(|(_, node)| node.iter().copied())
    }

    /// The claims of one view on exactly this name.
    pub fn at<'a>(&'a self, view: Index<View>, name: &Name) -> impl Iterator<Item = Claim> + 'a {
        self.suffixes.get(name).into_iter().flat_map(move |node| of_view(node, view))
    }

    /// All claims, in no order of names.
    pub fn iter(&self) -> impl Iterator<Item = (Index<View>, Claim)> {
        self.suffixes.iter().flat_map(|(_, node)| node).copied()
    }

    /// On how many names there are claims.
    pub fn name_count(&self) -> usize {
        self.suffixes.len()
    }
}

/// The claims of one view among those on a name, which are in the order of views.
fn of_view(node: &[(Index<View>, Claim)], view: Index<View>) -> impl Iterator<Item = Claim> {
    let first = node.partition_point(|(v, _)| *v < view);
    node[first..].iter().take_while(move |(v, _)| *v == view).map(|(_, claim)| *claim)
}
