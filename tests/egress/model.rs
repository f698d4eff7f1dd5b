//! Random networks: what is in them, and how a configuration says it.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnet::IpNet;

/// Random numbers, given out one after the other; then zeros. So a failing network shrinks to a plain one.
pub struct Dice {
    numbers: Vec<u32>,
    next: usize,
}

impl Dice {
    pub fn new(numbers: Vec<u32>) -> Self {
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

/// A whole network. VPC 1 has 10.1.0.0/16, and so on.
#[derive(Debug)]
pub struct Net {
    pub vpcs: Vec<Vpc>,
    pub peerings: Vec<[usize; 2]>,
    pub gateways: Vec<TransitGateway>,
    pub site: Site,
}

#[derive(Debug)]
pub struct Vpc {
    pub subnets: Vec<Subnet>,
    pub tables: Vec<Vec<Route>>,
    pub acls: Vec<Acl>,
    pub groups: Vec<Group>,
    /// What has an address: for each the subnet and the groups.
    pub interfaces: Vec<Interface>,
    pub nats: Vec<Nat>,
}

#[derive(Debug)]
pub struct Subnet {
    pub cidrs: [IpNet; 2],
    pub zone: &'static str,
    pub table: usize,
    pub acl: Option<usize>,
    pub map_public: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum To {
    Cidr(IpNet),
    List(usize),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    InternetGateway,
    EgressOnly,
    Nat(usize),
    Peering(usize),
    Transit(usize),
    Private,
    /// The gateway endpoint.
    Gateway,
    /// The Gateway Load Balancer endpoint, in the third subnet.
    LoadBalancer,
    Appliance,
    Carrier,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    Written,
    Local,
    List(usize),
    DirectConnect,
    VpnStatic,
    VpnBgp,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub to: To,
    pub target: Target,
    pub state: &'static str,
    pub rank: Rank,
}

#[derive(Debug)]
pub struct Acl {
    /// Whether outwards, the number, the protocol, the ports, the prefix, whether it lets pass.
    pub entries: Vec<AclEntry>,
}

#[derive(Debug)]
pub struct AclEntry {
    pub is_egress: bool,
    pub number: u16,
    pub protocol: &'static str,
    pub ports: (u16, u16),
    pub cidr: IpNet,
    pub allows: bool,
}

#[derive(Debug)]
pub struct Group {
    pub ingress: Vec<GroupRule>,
    pub egress: Option<Vec<GroupRule>>,
}

#[derive(Debug)]
pub struct GroupRule {
    pub protocol: &'static str,
    pub ports: (u16, u16),
    pub peer: Peer,
}

#[derive(Clone, Debug)]
pub enum Peer {
    Cidr(IpNet),
    List(usize),
    /// A group of this VPC or of another.
    Group(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Instance { is_public: bool },
    Endpoint,
    Appliance { is_public: bool, passes_on: bool },
}

#[derive(Debug)]
pub struct Interface {
    pub kind: Kind,
    pub subnet: usize,
    pub addresses: Vec<IpAddr>,
    pub groups: Vec<usize>,
}

#[derive(Debug)]
pub struct Nat {
    /// `None`: regional.
    pub subnet: Option<usize>,
    /// The table of a regional one.
    pub table: usize,
    pub address: Option<IpAddr>,
    pub is_public: bool,
}

#[derive(Debug)]
pub struct TransitGateway {
    pub attachments: Vec<Attachment>,
    /// None: the gateway's own.
    pub tables: Vec<TransitTable>,
}

#[derive(Debug)]
pub struct Attachment {
    pub to: Attached,
    pub association: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Attached {
    Vpc(usize, Vec<usize>),
    Site,
    Gateway(usize),
    Nothing,
}

#[derive(Debug)]
pub struct TransitTable {
    pub propagations: Vec<usize>,
    pub routes: Vec<TransitRoute>,
}

#[derive(Debug)]
pub struct TransitRoute {
    pub to: IpNet,
    pub attachment: Option<usize>,
    pub is_propagated: bool,
}

#[derive(Debug)]
pub struct Site {
    pub cidr: IpNet,
    pub has_internet: bool,
    /// The VPC; for a Direct Connect gateway which virtual private gateway it says.
    pub links: Vec<(usize, Option<Option<usize>>)>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Client {
    pub vpc: usize,
    pub subnet: usize,
    pub v4: Option<IpAddr>,
    pub v6: Option<IpAddr>,
    /// The number of the interface, where it is declared.
    pub interface: Option<usize>,
}

impl Client {
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.v4.into_iter().chain(self.v6)
    }

    /// The address that it sends from.
    pub fn address_for(&self, to: IpAddr) -> Option<IpAddr> {
        if to.is_ipv4() { self.v4 } else { self.v6 }
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn cidr(text: &str) -> IpNet {
    text.parse().unwrap()
}

/// The prefix lists, which no VPC has addresses of.
pub const LISTS: [&[&str]; 2] =
    [&["198.51.100.0/24", "192.168.1.0/24"], &["198.51.100.0/24", "198.51.100.64/26", "2001:db8:ffff::/48"]];

/// Prefixes that routes and rules speak of. `{}` is a VPC's number.
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
    pub fn drawn(dice: &mut Dice) -> Self {
        let vpcs = 2 + dice.below(2);
        let peerings: Vec<[usize; 2]> =
            [[0, 1], [1, 2]].into_iter().filter(|pair| pair[1] < vpcs && !dice.one_in(3)).collect();
        let gateways = dice.below(3);
        let gateways =
            (0..gateways).map(|number| TransitGateway::drawn(dice, number, gateways, vpcs)).collect();
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
        let acls: Vec<Acl> = (0..dice.below(3)).map(|_| Acl::drawn(dice, vpcs)).collect();
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
        let groups: Vec<Group> = (0..2).map(|_| Group::drawn(dice, vpcs)).collect();
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
                kind: Kind::Appliance { is_public: dice.one_in(2), passes_on: !dice.one_in(4) },
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

    /// Routes that AWS would let stand.
    fn table(&self, dice: &mut Dice, vpc: usize, vpcs: usize, nats: usize) -> Vec<Route> {
        let mut routes: Vec<Route> = Vec::new();
        for _ in 0..3 + dice.below(7) {
            let to = match dice.below(6) {
                0 => To::List(dice.below(2)),
                1 | 2 => To::Cidr(cidr(dice.pick(&WIDE))),
                // Another VPC, whole.
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
                To::Cidr(_) => Rank::Written,
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

    pub fn vpc_id(&self, vpc: usize) -> String {
        format!("vpc-{}", vpc + 1)
    }

    pub fn vpc_numbered(&self, id: &str) -> usize {
        id.trim_start_matches("vpc-").parse::<usize>().unwrap() - 1
    }

    /// Addresses that are asked for.
    pub fn destinations(&self) -> Vec<IpAddr> {
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

    /// Some clients of every VPC: declared ones and bare addresses.
    pub fn clients(&self) -> Vec<Client> {
        let hosts = |vpc| (0..3).map(move |subnet| (vpc, subnet, 200));
        let mut all: Vec<Client> = (0..self.vpcs.len()).flat_map(hosts).map(|at| self.bare(at)).collect();
        all.extend((0..self.vpcs.len()).flat_map(|vpc| self.declared(vpc)));
        all
    }

    /// Many clients of one VPC, around the borders of everything that rules and routes speak of.
    pub fn many_clients(&self, vpc: usize) -> Vec<Client> {
        let hosts = [4, 9, 11, 31, 32, 45, 63, 64, 127, 128, 200, 254];
        let bare = (0..3).flat_map(|subnet| hosts.map(|host| self.bare((vpc, subnet, host))));
        bare.chain(self.declared(vpc)).collect()
    }

    fn bare(&self, (vpc, subnet, host): (usize, usize, usize)) -> Client {
        let (n, third) = (vpc + 1, subnet + 1);
        // The upper half of the subnet's IPv6 addresses goes with the upper half of IPv4.
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

/// The prefixes that a destination stands for.
pub fn prefixes(to: &To) -> Vec<IpNet> {
    match to {
        To::Cidr(net) => vec![*net],
        To::List(number) => LISTS[*number].iter().map(|text| cidr(text)).collect(),
    }
}

impl Acl {
    fn drawn(dice: &mut Dice, vpcs: usize) -> Self {
        let entries = (0..2 + dice.below(8)).map(|number| AclEntry {
            is_egress: dice.one_in(2),
            // Not in the order that they are written in.
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
    fn drawn(dice: &mut Dice, vpcs: usize) -> Self {
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
    fn drawn(dice: &mut Dice, number: usize, gateways: usize, vpcs: usize) -> Self {
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

impl Net {
    /// The configuration.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        for (number, entries) in LISTS.iter().enumerate() {
            let _ = write!(
                text,
                "[[prefix_list]]\nid = \"pl-{number}\"\nregion = \"ap-northeast-1\"\nentries = {entries:?}\n"
            );
        }
        for (number, vpc) in self.vpcs.iter().enumerate() {
            vpc.write(number + 1, &mut text);
        }
        for (number, [one, other]) in self.peerings.iter().enumerate() {
            let _ = write!(
                text,
                "[[vpc_peering_connection]]\nid = \"pcx-{number}\"\nrequester = {{ vpc = \"vpc-{}\" }}\naccepter = {{ vpc = \"vpc-{}\" }}\n",
                one + 1,
                other + 1
            );
        }
        for (number, gateway) in self.gateways.iter().enumerate() {
            gateway.write(number, &mut text);
        }
        let links: Vec<String> = (self.site.links.iter())
            .map(|(vpc, gateway)| match gateway {
                None => format!("{{ target = \"vgw-{0}\", vpc = \"vpc-{0}\" }}", vpc + 1),
                Some(None) => format!("{{ target = \"dxgw-1\", vpc = \"vpc-{}\" }}", vpc + 1),
                Some(Some(own)) => {
                    format!(
                        "{{ target = \"dxgw-1\", vpc = \"vpc-{}\", gateway = \"vgw-{}\" }}",
                        vpc + 1,
                        own + 1
                    )
                }
            })
            .collect();
        let _ = write!(
            text,
            "[[site]]\nid = \"site-1\"\ncidr = [\"{}\"]\ninternet = {}\nlinks = [{}]\n",
            self.site.cidr,
            self.site.has_internet,
            links.join(", ")
        );
        text
    }
}

impl Interface {
    /// What it has in the configuration of VPC `n`.
    fn keys(&self, n: usize, between: &str) -> String {
        let groups: Vec<String> = self.groups.iter().map(|group| format!("sg-{n}-{group}")).collect();
        let mut keys =
            vec![format!("subnet = \"subnet-{n}-{}\"", self.subnet), format!("security_groups = {groups:?}")];
        keys.extend(self.addresses.iter().map(|address| {
            let key = if address.is_ipv4() { "address" } else { "ipv6_address" };
            format!("{key} = \"{address}\"")
        }));
        keys.join(between)
    }
}

impl Vpc {
    fn write(&self, n: usize, text: &mut String) {
        let _ = write!(
            text,
            "[[vpc]]\nid = \"vpc-{n}\"\nregion = \"ap-northeast-1\"\ncidr = [\"10.{n}.0.0/16\", \"2001:db8:{n}::/56\"]\n\
             internet_gateway = \"igw-{n}\"\n"
        );
        for (number, subnet) in self.subnets.iter().enumerate() {
            let _ = write!(
                text,
                "[[vpc.subnet]]\nid = \"subnet-{n}-{number}\"\ncidr = \"{}\"\nipv6_cidr = \"{}\"\navailability_zone = \"{}\"\nroute_table = \"rtb-{n}-{}\"\n",
                subnet.cidrs[0], subnet.cidrs[1], subnet.zone, subnet.table
            );
            if let Some(acl) = subnet.acl {
                let _ = writeln!(text, "network_acl = \"acl-{n}-{acl}\"");
            }
            if let Some(map_public) = subnet.map_public {
                let _ = writeln!(text, "map_public_ip_on_launch = {map_public}");
            }
        }
        for (number, routes) in self.tables.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.route_table]]\nid = \"rtb-{n}-{number}\"\nroutes = [");
            for route in routes {
                let to = match &route.to {
                    To::Cidr(net) => net.to_string(),
                    To::List(number) => format!("pl-{number}"),
                };
                let target = match route.target {
                    Target::InternetGateway => format!("igw-{n}"),
                    Target::EgressOnly => "eigw-1".to_owned(),
                    Target::Nat(number) => format!("nat-{n}-{number}"),
                    Target::Peering(number) => format!("pcx-{number}"),
                    Target::Transit(number) => format!("tgw-{number}"),
                    Target::Private => format!("vgw-{n}"),
                    Target::Gateway => format!("vpce-{n}-s3"),
                    Target::LoadBalancer => format!("vpce-{n}-gwlb"),
                    Target::Appliance => format!("eni-{n}-3"),
                    Target::Carrier => "cagw-1".to_owned(),
                };
                let origin = match route.rank {
                    Rank::DirectConnect => {
                        ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"direct-connect\""
                    }
                    Rank::VpnStatic => ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"vpn-static\"",
                    Rank::VpnBgp => ", origin = \"EnableVgwRoutePropagation\", learnt_by = \"vpn-bgp\"",
                    Rank::Written | Rank::Local | Rank::List(_) => "",
                };
                let _ = writeln!(
                    text,
                    "  {{ destination = \"{to}\", target = \"{target}\", state = \"{}\"{origin} }},",
                    route.state
                );
            }
            text.push_str("]\n");
        }
        for (number, acl) in self.acls.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.network_acl]]\nid = \"acl-{n}-{number}\"\nentries = [");
            for entry in &acl.entries {
                let _ = writeln!(
                    text,
                    "  {{ rule_number = {}, egress = {}, protocol = \"{}\", from_port = {}, to_port = {}, cidr = \"{}\", rule_action = \"{}\" }},",
                    entry.number,
                    entry.is_egress,
                    entry.protocol,
                    entry.ports.0,
                    entry.ports.1,
                    entry.cidr,
                    if entry.allows { "allow" } else { "deny" }
                );
            }
            text.push_str("]\n");
        }
        let rules = |rules: &[GroupRule], key: &str| {
            let rules = rules.iter().map(|rule| {
                let peer = match &rule.peer {
                    Peer::Cidr(net) => net.to_string(),
                    Peer::List(number) => format!("pl-{number}"),
                    Peer::Group(vpc, number) => format!("sg-{}-{number}", vpc + 1),
                };
                let (from, to) = rule.ports;
                format!(
                    "{{ protocol = \"{}\", from_port = {from}, to_port = {to}, {key} = [\"{peer}\"] }}",
                    rule.protocol
                )
            });
            rules.collect::<Vec<_>>().join(", ")
        };
        for (number, group) in self.groups.iter().enumerate() {
            let _ = writeln!(
                text,
                "[[vpc.security_group]]\nid = \"sg-{n}-{number}\"\ningress = [{}]",
                rules(&group.ingress, "sources")
            );
            if let Some(egress) = &group.egress {
                let _ = writeln!(text, "egress = [{}]", rules(egress, "destinations"));
            }
        }
        for (number, own) in self.interfaces.iter().enumerate() {
            let _ = match own.kind {
                Kind::Endpoint => writeln!(
                    text,
                    "[[vpc.endpoint]]\nid = \"vpce-{n}-{number}\"\ntype = \"Interface\"\nservice = \"com.amazonaws.ap-northeast-1.kms\"\nprivate_dns_enabled = false\nnetwork_interfaces = [{{ {} }}]",
                    own.keys(n, ", ")
                ),
                Kind::Instance { is_public } => writeln!(
                    text,
                    "[[vpc.instance]]\nid = \"i-{n}-{number}\"\n{}{}",
                    own.keys(n, "\n"),
                    if is_public { format!("\npublic_address = \"203.0.113.{n}\"") } else { String::new() }
                ),
                Kind::Appliance { is_public, passes_on } => writeln!(
                    text,
                    "[[vpc.network_interface]]\nid = \"eni-{n}-{number}\"\n{}\nsource_dest_check = {}{}",
                    own.keys(n, "\n"),
                    !passes_on,
                    if is_public { format!("\npublic_address = \"203.0.113.1{n}\"") } else { String::new() }
                ),
            };
        }
        let _ = writeln!(
            text,
            "[[vpc.endpoint]]\nid = \"vpce-{n}-gwlb\"\ntype = \"GatewayLoadBalancer\"\nservice = \"com.amazonaws.vpce.ap-northeast-1.vpce-svc-1\"\nnetwork_interfaces = [{{ subnet = \"subnet-{n}-2\", address = \"10.{n}.3.50\" }}]\n\
             [[vpc.endpoint]]\nid = \"vpce-{n}-s3\"\ntype = \"Gateway\"\nservice = \"com.amazonaws.ap-northeast-1.s3\""
        );
        for (number, nat) in self.nats.iter().enumerate() {
            let _ = writeln!(text, "[[vpc.nat_gateway]]\nid = \"nat-{n}-{number}\"");
            let _ = match nat.subnet {
                Some(subnet) => writeln!(text, "subnet = \"subnet-{n}-{subnet}\""),
                None => writeln!(
                    text,
                    "availability_mode = \"regional\"\nroute_table = \"rtb-{n}-{}\"",
                    nat.table
                ),
            };
            if let Some(address) = nat.address {
                let _ = writeln!(text, "address = \"{address}\"");
            }
            if !nat.is_public {
                text.push_str("connectivity_type = \"private\"\n");
            }
        }
    }
}

impl TransitGateway {
    fn write(&self, number: usize, text: &mut String) {
        let id = |attachment: usize| format!("tgw-attach-{number}-{attachment}");
        let _ = writeln!(text, "[[transit_gateway]]\nid = \"tgw-{number}\"");
        for (n, attachment) in self.attachments.iter().enumerate() {
            let _ = match &attachment.to {
                Attached::Vpc(vpc, subnets) => {
                    let subnets: Vec<String> =
                        subnets.iter().map(|subnet| format!("subnet-{}-{subnet}", vpc + 1)).collect();
                    writeln!(
                        text,
                        "[[transit_gateway.vpc_attachment]]\nid = \"{}\"\nvpc = \"vpc-{}\"\nsubnets = {subnets:?}",
                        id(n),
                        vpc + 1
                    )
                }
                Attached::Site => {
                    writeln!(text, "[[transit_gateway.attachment]]\nid = \"{}\"\nsite = \"site-1\"", id(n))
                }
                Attached::Gateway(other) => writeln!(
                    text,
                    "[[transit_gateway.attachment]]\nid = \"{}\"\ntransit_gateway = \"tgw-{other}\"",
                    id(n)
                ),
                Attached::Nothing => writeln!(text, "[[transit_gateway.attachment]]\nid = \"{}\"", id(n)),
            };
        }
        for (n, table) in self.tables.iter().enumerate() {
            let own = self.attachments.iter().enumerate().filter(|(_, own)| own.association == Some(n));
            let associations: Vec<String> = own.map(|(own, _)| id(own)).collect();
            let propagations: Vec<String> = table.propagations.iter().map(|own| id(*own)).collect();
            let _ = writeln!(
                text,
                "[[transit_gateway.route_table]]\nid = \"tgw-rtb-{number}-{n}\"\nassociations = {associations:?}\npropagations = {propagations:?}\nroutes = ["
            );
            for route in &table.routes {
                let way = match route.attachment {
                    Some(own) => format!("attachment = \"{}\"", id(own)),
                    None => "state = \"blackhole\"".to_owned(),
                };
                let _ = writeln!(
                    text,
                    "  {{ destination = \"{}\", {way}, propagated = {} }},",
                    route.to, route.is_propagated
                );
            }
            text.push_str("]\n");
        }
    }
}
