//! Security groups: whom an interface lets in, and where it may send.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::arena::Index;
use crate::net::{PrefixMap, overlaps};

/// A security group. What no rule admits is refused; replies to what was admitted always pass.
#[derive(Debug)]
pub struct SecurityGroup {
    /// Its id.
    pub id: Arc<str>,
    /// What may come in.
    pub ingress: GroupRules,
    /// What may go out. `None`: everything.
    pub egress: Option<GroupRules>,
}

/// The rules of one direction.
#[derive(Debug, Default)]
pub struct GroupRules {
    rules: Vec<GroupRule>,
    /// Which of them speak of each prefix.
    by_prefix: PrefixMap<Vec<usize>>,
    /// Which of them speak of each group.
    by_group: HashMap<Index<SecurityGroup>, Vec<usize>>,
    /// Which of them speak of any group.
    of_groups: Vec<usize>,
}

/// One rule of a security group, prefix lists taken apart.
#[derive(Debug)]
pub struct GroupRule {
    /// Whether it speaks of TCP.
    pub is_tcp: bool,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// Who is at the other end.
    pub peers: Vec<Peer>,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Addresses of a prefix.
    Prefix(IpNet),
    /// Interfaces that are in a group.
    Group(Index<SecurityGroup>),
}

/// The other end of traffic that a filter judges.
#[derive(Clone, Copy, Debug)]
pub struct OtherEnd<'a> {
    /// The addresses that it may have.
    pub addresses: Addresses<'a>,
    /// The groups that it is in. `None`: nobody said.
    pub groups: Option<&'a [Index<SecurityGroup>]>,
}

/// The addresses that one end of traffic may have, of one family.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    /// The prefixes that hold them.
    pub prefixes: &'a [IpNet],
    /// Whether none of them lies in a smaller prefix that a rule names: those are another place's.
    pub is_rest: bool,
}

/// What a filter says to traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Admission {
    /// Nothing lets it pass.
    Refused,
    /// Something may: nobody said in which groups the other end is, or only part of it fits.
    Unknown,
    /// Something lets it pass.
    Admitted,
}

/// What rules say to traffic, and the number of the rule that said it.
type Said = (Admission, Option<usize>);

impl GroupRules {
    /// Adds a rule after those that are there.
    pub fn push(&mut self, rule: GroupRule) {
        let number = self.rules.len();
        let mut names_groups = false;
        for peer in &rule.peers {
            match peer {
                Peer::Prefix(prefix) => self.by_prefix.get_or_insert_with(*prefix, Vec::new).push(number),
                Peer::Group(group) => {
                    names_groups = true;
                    self.by_group.entry(*group).or_default().push(number);
                }
            }
        }
        self.of_groups.extend(names_groups.then_some(number));
        self.rules.push(rule);
    }

    /// Every rule.
    pub fn iter(&self) -> impl Iterator<Item = &GroupRule> {
        self.rules.iter()
    }

    /// The rule of a number.
    pub fn rule(&self, number: usize) -> &GroupRule {
        &self.rules[number]
    }

    /// What the rules say to TCP to a port, and the number of the rule that said it: of the kindest the first.
    pub fn judge(&self, port: u16, other: OtherEnd<'_>) -> Said {
        let mut said = (Admission::Refused, None);
        let mut say = |admission: Admission, numbers: &[usize]| {
            let first = numbers.iter().copied().find(|number| self.rules[*number].is_for(port));
            let is_sooner = |number| said.0 == admission && said.1.is_none_or(|have| number < have);
            if let Some(number) = first.filter(|number| admission > said.0 || is_sooner(*number)) {
                said = (admission, Some(number));
            }
        };
        for (prefix, numbers) in other.addresses.named_in(&self.by_prefix) {
            let admission = other.addresses.in_prefix(&prefix);
            if admission != Admission::Refused {
                say(admission, numbers);
            }
        }
        match other.groups {
            None => say(Admission::Unknown, &self.of_groups),
            Some(groups) => {
                for numbers in groups.iter().filter_map(|group| self.by_group.get(group)) {
                    say(Admission::Admitted, numbers);
                }
            }
        }
        said
    }
}

impl GroupRule {
    /// Whether it speaks of TCP to a port.
    fn is_for(&self, port: u16) -> bool {
        self.is_tcp && (self.from_port..=self.to_port).contains(&port)
    }
}

impl Addresses<'_> {
    /// The prefixes of a map that may hold any of them, with their values.
    pub fn named_in<'m, T>(&self, map: &'m PrefixMap<T>) -> impl Iterator<Item = (IpNet, &'m T)> {
        self.prefixes.iter().flat_map(|own| {
            let length = own.prefix_len();
            let wider =
                map.covering(own.network()).into_iter().filter(move |(net, _)| net.prefix_len() <= length);
            // Of an address, and of what has no smaller ones inside, there are none.
            let is_cut = !self.is_rest && usize::from(length) < usize::from(own.max_prefix_len());
            let smaller = is_cut.then(|| map.inside(own)).into_iter().flatten();
            wider.chain(smaller.filter(move |(net, _)| net.prefix_len() > length))
        })
    }

    /// How many of them lie in a prefix: all, none, or some.
    pub fn in_prefix(&self, prefix: &IpNet) -> Admission {
        let held = self.prefixes.iter().filter(|own| prefix.contains(*own)).count();
        if held > 0 && held == self.prefixes.len() {
            Admission::Admitted
        } else if held > 0 || (!self.is_rest && self.prefixes.iter().any(|own| overlaps(own, prefix))) {
            Admission::Unknown
        } else {
            Admission::Refused
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Arena;

    /// What a walk through all rules says.
    fn walked(rules: &GroupRules, port: u16, other: OtherEnd<'_>) -> Said {
        let fits = |peer: &Peer| match (peer, other.groups) {
            (Peer::Prefix(prefix), _) => other.addresses.in_prefix(prefix),
            (Peer::Group(_), None) => Admission::Unknown,
            (Peer::Group(group), Some(groups)) if groups.contains(group) => Admission::Admitted,
            (Peer::Group(_), Some(_)) => Admission::Refused,
        };
        let mut said = (Admission::Refused, None);
        for (number, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.is_for(port)) {
            let kindest = rule.peers.iter().map(fits).max().unwrap_or(Admission::Refused);
            if kindest > said.0 {
                said = (kindest, Some(number));
            }
        }
        said
    }

    #[test]
    fn looking_up_rules_says_what_walking_through_them_says() {
        let mut arena = Arena::default();
        let mut declared =
            || arena.add(SecurityGroup { id: "sg-1".into(), ingress: GroupRules::default(), egress: None });
        let own_groups: [Index<SecurityGroup>; 3] = [declared(), declared(), declared()];
        let prefix = |text: &str| Peer::Prefix(text.parse().unwrap());
        let group = |number| Peer::Group(own_groups[number]);
        let peers = [
            vec![prefix("10.0.1.0/25")],
            vec![group(1), prefix("10.9.0.0/16")],
            vec![prefix("10.0.0.0/16"), group(2)],
            vec![prefix("10.0.1.7/32")],
        ];
        let own: Vec<IpNet> = ["10.0.1.7/32", "10.0.1.0/24"].map(|text| text.parse().unwrap()).to_vec();
        let groups = [own_groups[2], own_groups[0]];
        // Every order of some of them, with and without the port.
        for order in 0..4_usize.pow(4) {
            let mut rules = GroupRules::default();
            for at in 0..4 {
                let to_port = if at == order % 3 { 80 } else { 443 };
                let peers = peers[order / 4_usize.pow(at as u32) % 4].clone();
                rules.push(GroupRule { is_tcp: true, from_port: 0, to_port, peers });
            }
            for (prefixes, is_rest) in
                [(&own[..1], true), (&own[1..], true), (&own[1..], false), (&own[..], false)]
            {
                for groups in [None, Some(&groups[..0]), Some(&groups[..])] {
                    let other = OtherEnd { addresses: Addresses { prefixes, is_rest }, groups };
                    assert_eq!(rules.judge(443, other), walked(&rules, 443, other), "{rules:?} {other:?}");
                }
            }
        }
    }
}
