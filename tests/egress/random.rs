//! Random networks: generation of their parts.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::*;

/// A sequence of random numbers, followed by zeros, so that a failing network shrinks to a simple one.
pub(crate) struct Dice {
    numbers: Vec<u32>,
    next: usize,
}

impl Dice {
    pub(crate) fn new(numbers: Vec<u32>) -> Self {
        Self { numbers, next: 0 }
    }

    /// A number below `n`.
    fn below(&mut self, n: usize) -> usize {
        let number = self.numbers.get(self.next).copied().unwrap_or_default();
        self.next += 1;
        number as usize % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// Prefixes in routes and rules. `{}` is the number of a VPC.
const OUTSIDE: [&str; 10] = [
    "0.0.0.0/0",
    "::/0",
    "10.0.0.0/8",
    "198.51.100.0/24",
    "198.51.100.80/32",
    "198.51.0.0/16",
    "192.168.0.0/16",
    "192.168.1.0/25",
    "2001:db8:ffff::/48",
    "64:ff9b::/96",
];
const OF_A_VPC: [&str; 8] = [
    "10.{}.0.0/16",
    "10.{}.1.0/24",
    "10.{}.1.0/25",
    "10.{}.2.0/24",
    "10.{}.2.32/27",
    "10.{}.1.10/32",
    "2001:db8:{}::/56",
    "2001:db8:{}:1::/65",
];
const PORTS: [(u16, u16); 9] = [
    (0, 65535),
    (0, 65535),
    (443, 443),
    (443, 65535),
    (400, 500),
    (80, 80),
    (1024, 65535),
    (32768, 60999),
    (444, 2000),
];
const PROTOCOLS: [&str; 7] = ["-1", "-1", "tcp", "tcp", "6", "udp", "icmp"];
const WIDE: [&str; 4] = ["0.0.0.0/0", "::/0", "10.0.0.0/8", "64:ff9b::/96"];

fn any_prefix(dice: &mut Dice, vpcs: usize) -> IpNet {
    match dice.below(3) {
        0 => cidr(dice.pick(&OUTSIDE)),
        _ => {
            let vpc = 1 + dice.below(vpcs);
            cidr(&dice.pick(&OF_A_VPC).replace("{}", &vpc.to_string()))
        }
    }
}

impl Net {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let vpcs = 2 + dice.below(2);
        let peerings: Vec<[usize; 2]> =
            [[0, 1], [1, 2]].into_iter().filter(|pair| pair[1] < vpcs && !dice.one_in(3)).collect();
        let gateways = dice.below(3);
        let gateways =
            (0..gateways).map(|number| TransitGateway::random(dice, number, gateways, vpcs)).collect();
        let links = (0..dice.below(3))
            .map(|_| {
                let vpc = dice.below(vpcs);
                let gateway = match dice.below(4) {
                    0 => Some(None),
                    1 => Some(Some(dice.below(vpcs))),
                    _ => None,
                };
                (vpc, gateway)
            })
            .collect();
        let site = Site { cidr: cidr("192.168.1.0/24"), has_internet: dice.one_in(2), links };
        let mut net = Self { vpcs: Vec::new(), peerings, gateways, site };
        for number in 0..vpcs {
            let vpc = net.vpc(dice, number, vpcs);
            net.vpcs.push(vpc);
        }
        net
    }

    fn vpc(&self, dice: &mut Dice, number: usize, vpcs: usize) -> Vpc {
        let n = number + 1;
        let at = |subnet: usize, host: usize| {
            let (v4, v6) =
                (format!("10.{n}.{}.{host}", subnet + 1), format!("2001:db8:{n}:{}::{host}", subnet + 1));
            [ip(&v4), ip(&v6)]
        };
        let acls: Vec<Acl> = (0..dice.below(3)).map(|_| Acl::random(dice, vpcs)).collect();
        let subnets = (0..3).map(|subnet| Subnet {
            cidrs: [
                cidr(&format!("10.{n}.{}.0/24", subnet + 1)),
                cidr(&format!("2001:db8:{n}:{}::/64", subnet + 1)),
            ],
            zone: dice.pick(&["ap-northeast-1a", "ap-northeast-1c"]),
            table: dice.below(3),
            acl: (!acls.is_empty() && dice.one_in(2)).then(|| dice.below(acls.len().max(1))),
            map_public: dice.pick(&[None, Some(true), Some(false)]),
        });
        let subnets = subnets.collect();
        let groups: Vec<Group> = (0..2).map(|_| Group::random(dice, vpcs)).collect();
        let some_groups = |dice: &mut Dice| dice.pick(&[vec![], vec![0], vec![1], vec![0, 1]]);
        let families =
            |dice: &mut Dice, both: [IpAddr; 2]| if dice.one_in(3) { vec![both[0]] } else { both.to_vec() };
        let interfaces = vec![
            Interface {
                kind: Kind::Instance { is_public: dice.one_in(2) },
                subnet: 0,
                addresses: families(dice, at(0, 10)),
                groups: some_groups(dice),
            },
            Interface {
                kind: Kind::Endpoint,
                subnet: 0,
                addresses: at(0, 20).to_vec(),
                groups: some_groups(dice),
            },
            Interface {
                kind: Kind::Instance { is_public: false },
                subnet: 1,
                addresses: at(1, 30).to_vec(),
                groups: some_groups(dice),
            },
            Interface {
                kind: Kind::Appliance { is_public: dice.one_in(2), forwards: !dice.one_in(4) },
                subnet: 2,
                addresses: at(2, 40).to_vec(),
                groups: vec![],
            },
        ];
        let mut nats = vec![
            Nat { subnet: Some(2), table: 0, address: Some(at(2, 60)[0]), is_public: true },
            Nat { subnet: Some(1), table: 0, address: Some(at(1, 61)[0]), is_public: false },
        ];
        if dice.one_in(3) {
            let address = (!dice.one_in(3)).then_some(at(0, 70)[0]);
            nats.push(Nat { subnet: None, table: dice.below(3), address, is_public: true });
        }
        let tables = (0..3).map(|_| self.table(dice, number, vpcs, nats.len())).collect();
        Vpc { subnets, tables, acls, groups, interfaces, nats }
    }

    /// Routes that AWS accepts.
    fn table(&self, dice: &mut Dice, vpc: usize, vpcs: usize, nats: usize) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for _ in 0..3 + dice.below(7) {
            let to = match dice.below(6) {
                0 => To::List(dice.below(2)),
                1 | 2 => To::Cidr(cidr(dice.pick(&WIDE))),
                // Another VPC.
                3 | 4 => {
                    let far = (vpc + 1 + dice.below(vpcs - 1)) % vpcs + 1;
                    To::Cidr(cidr(
                        &dice.pick(&["10.{}.0.0/16", "2001:db8:{}::/56"]).replace("{}", &far.to_string()),
                    ))
                }
                _ => To::Cidr(any_prefix(dice, vpcs)),
            };
            let mut targets = vec![
                Target::Carrier,
                Target::InternetGateway,
                Target::Private,
                Target::LoadBalancer,
                Target::Appliance,
                Target::EgressOnly,
            ];
            targets.extend((0..nats).map(Target::Nat));
            let joined = self.peerings.iter().enumerate().filter(|(_, pair)| pair.contains(&vpc));
            targets.extend(joined.map(|(number, _)| Target::Peering(number)));
            for number in 0..self.gateways.len() {
                targets.extend([Target::Transit(number), Target::Transit(number)]);
            }
            if matches!(to, To::List(_)) {
                targets.extend([Target::Gateway, Target::Gateway]);
            }
            let is_translated = |to: &To| *to == To::Cidr(cidr("64:ff9b::/96"));
            targets.retain(|target| {
                let prefixes = prefixes(&to);
                match target {
                    Target::Nat(_) => prefixes.iter().all(|to| to.addr().is_ipv4()) || is_translated(&to),
                    Target::EgressOnly => prefixes.iter().all(|to| to.addr().is_ipv6()),
                    _ => true,
                }
            });
            if let To::Cidr(to) = &to {
                let own =
                    [cidr(&format!("10.{}.0.0/16", vpc + 1)), cidr(&format!("2001:db8:{}::/56", vpc + 1))];
                if own.contains(to) {
                    continue;
                }
                if own.iter().any(|own| own.contains(to)) {
                    let is_subnet = matches!(to, IpNet::V4(net) if net.prefix_len() == 24);
                    targets.retain(|target| {
                        is_subnet
                            && matches!(target, Target::Nat(_) | Target::Appliance | Target::LoadBalancer)
                    });
                }
            }
            let Some(_) = targets.first() else { continue };
            let mut target = dice.pick(&targets);
            let rank = match &to {
                To::List(number) => Rank::List(*number),
                To::Cidr(_) if dice.one_in(4) => {
                    target = Target::Private;
                    dice.pick(&[Rank::DirectConnect, Rank::VpnStatic, Rank::VpnBgp])
                }
                To::Cidr(_) => Rank::Static,
            };
            let state = match dice.below(16) {
                14 => "blackhole",
                15 => "filtered",
                _ => "active",
            };
            if !routes.iter().any(|have| have.to == to && have.rank == rank) {
                routes.push(Route { to, target, state, rank });
            }
        }
        routes
    }

    pub(crate) fn vpc_id(&self, vpc: usize) -> String {
        format!("vpc-{}", vpc + 1)
    }

    pub(crate) fn vpc_index(&self, id: &str) -> usize {
        id.trim_start_matches("vpc-").parse::<usize>().unwrap() - 1
    }

    /// Addresses to be evaluated.
    pub(crate) fn destinations(&self) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = [
            "198.51.100.80",
            "198.51.100.9",
            "203.0.113.80",
            "192.168.1.9",
            "192.168.1.200",
            "172.16.0.9",
            "2001:db8:ffff::80",
            "64:ff9b::c633:6450",
            "64:ff9b::a01:214",
        ]
        .map(ip)
        .to_vec();
        for n in 1..=self.vpcs.len() {
            for text in [
                "10.{}.1.20",
                "10.{}.2.30",
                "10.{}.1.99",
                "2001:db8:{}:1::20",
                "2001:db8:{}:2::30",
                "10.{}.200.1",
            ] {
                all.push(ip(&text.replace("{}", &n.to_string())));
            }
        }
        all
    }

    /// Some clients of every VPC: declared ones and other addresses.
    pub(crate) fn clients(&self) -> Vec<Client> {
        let hosts = |vpc| (0..3).map(move |subnet| (vpc, subnet, 200));
        let mut all: Vec<Client> = (0..self.vpcs.len()).flat_map(hosts).map(|at| self.bare(at)).collect();
        all.extend((0..self.vpcs.len()).flat_map(|vpc| self.declared(vpc)));
        all
    }

    /// Many clients of one VPC, around the boundaries of all prefixes in rules and routes.
    pub(crate) fn many_clients(&self, vpc: usize) -> Vec<Client> {
        let hosts = [4, 9, 11, 31, 32, 45, 63, 64, 127, 128, 200, 254];
        let bare = (0..3).flat_map(|subnet| hosts.map(|host| self.bare((vpc, subnet, host))));
        bare.chain(self.declared(vpc)).collect()
    }

    fn bare(&self, (vpc, subnet, host): (usize, usize, usize)) -> Client {
        let (n, third) = (vpc + 1, subnet + 1);
        // The upper half of the subnet's IPv6 addresses corresponds to the upper half of IPv4.
        let half = if host < 128 { "" } else { "8000::" };
        let v6 = if half.is_empty() {
            format!("2001:db8:{n}:{third}::{host}")
        } else {
            format!("2001:db8:{n}:{third}:{half}{host}")
        };
        let v4 = Some(ip(&format!("10.{n}.{third}.{host}")));
        Client { vpc, subnet, v4, v6: Some(ip(&v6)), interface: None }
    }

    fn declared(&self, vpc: usize) -> impl Iterator<Item = Client> + '_ {
        let interfaces = self.vpcs[vpc].interfaces.iter().enumerate();
        let instances = interfaces.filter(|(_, own)| matches!(own.kind, Kind::Instance { .. }));
        instances.map(move |(number, own)| Client {
            vpc,
            subnet: own.subnet,
            v4: own.addresses.iter().copied().find(IpAddr::is_ipv4),
            v6: own.addresses.iter().copied().find(IpAddr::is_ipv6),
            interface: Some(number),
        })
    }
}

impl Acl {
    fn random(dice: &mut Dice, vpcs: usize) -> Self {
        let entries = (0..2 + dice.below(8)).map(|number| AclEntry {
            is_egress: dice.one_in(2),
            // Not in the order of declaration.
            number: (number as u16 * 7) % 23 + 1,
            protocol: dice.pick(&PROTOCOLS),
            ports: dice.pick(&PORTS),
            cidr: if dice.one_in(2) { cidr(dice.pick(&WIDE)) } else { any_prefix(dice, vpcs) },
            allows: !dice.one_in(4),
        });
        Self { entries: entries.collect() }
    }
}

impl Group {
    fn random(dice: &mut Dice, vpcs: usize) -> Self {
        let rules = |dice: &mut Dice| -> Vec<GroupRule> {
            let rules = (0..dice.below(4)).map(|_| GroupRule {
                protocol: dice.pick(&PROTOCOLS),
                ports: dice.pick(&PORTS),
                peer: match dice.below(5) {
                    0 => Peer::Group(dice.below(vpcs), dice.below(2)),
                    1 => Peer::List(dice.below(2)),
                    2 => Peer::Cidr(cidr(dice.pick(&WIDE))),
                    _ => Peer::Cidr(any_prefix(dice, vpcs)),
                },
            });
            rules.collect()
        };
        Self { ingress: rules(dice), egress: dice.one_in(2).then(|| rules(dice)) }
    }
}

impl TransitGateway {
    fn random(dice: &mut Dice, number: usize, gateways: usize, vpcs: usize) -> Self {
        let mut attached: Vec<Attached> = Vec::new();
        for vpc in 0..vpcs {
            if !dice.one_in(4) {
                attached
                    .push(Attached::Vpc(vpc, dice.pick(&[vec![], vec![0], vec![2], vec![1, 2], vec![0, 1]])));
            }
        }
        if dice.one_in(2) {
            attached.push(Attached::Site);
        }
        if gateways > 1 && !dice.one_in(4) {
            attached.push(Attached::Gateway(1 - number));
        }
        if dice.one_in(4) {
            attached.push(Attached::Nothing);
        }
        let tables = dice.below(3);
        let associate = |dice: &mut Dice| match tables {
            0 => Some(0),
            _ if dice.one_in(8) => None,
            _ => Some(dice.below(tables)),
        };
        let attachments: Vec<Attachment> =
            attached.into_iter().map(|to| Attachment { to, association: associate(dice) }).collect();
        let count = attachments.len();
        let tables = (0..tables).map(|_| {
            let propagations = (0..count).filter(|_| !dice.one_in(4)).collect();
            let routes = (0..dice.below(4)).map(|_| TransitRoute {
                to: any_prefix(dice, vpcs),
                attachment: (count > 0 && !dice.one_in(5)).then(|| dice.below(count.max(1))),
                is_propagated: dice.one_in(4),
            });
            TransitTable { propagations, routes: routes.collect() }
        });
        let tables = tables.collect();
        Self { attachments, tables }
    }
}
