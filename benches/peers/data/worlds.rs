//! Worlds that grow in one dimension, as configurations, and their queries.
//!
//! ```text
//!  Dimension, size ──► Shape: the number of each kind of object ──► World: configuration and questions
//! ```
//!
//! A large world gets as many different queries as a small one, spread over all of it: only the world grows.
//! The exception is [`Dimension::QueryClients`], where only the queries grow. Sizes exceed AWS's quotas,
//! because the purpose is to show how cost grows. `tools/big_world.py` writes similar worlds.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::REGION;

/// The sizes of most dimensions.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// The first address of VPCs: 10.0.0.0/8.
const VPCS: u32 = 0x0a00_0000;

/// The first destination of routes: 100.64.0.0/10, a /28 each.
const DESTINATIONS: u32 = 0x6440_0000;

/// The first address of configured clients: 198.18.0.0/15.
const CLIENTS: u32 = 0xc612_0000;

/// The first source in rules that match no client: 172.16.0.0/12, a /28 each.
const UNUSED_SOURCES: u32 = 0xac10_0000;

/// Number of endpoint names that are queried, in turn. It is odd, because a repeated lookup from the same
/// port with the same ID and name counts as a retransmission, whichever client it is for. IDs increase by
/// one, so the same pair repeats after 590,000 queries of one socket.
const QUERIED_SERVICES: usize = 9;

/// The offset of clients in a subnet, after the interfaces of ten endpoints.
const CLIENT_OFFSET: usize = 100;

/// The dimension in which a world grows, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dimension {
    /// Private hosted zones
    Zones,
    /// Names in one zone
    Names,
    /// Interface endpoints, ten per VPC
    Endpoints,
    /// Interface endpoints in one VPC
    EndpointsOfOne,
    /// Subnets, ten per VPC
    Subnets,
    /// Routes in one route table
    Routes,
    /// Rules of one security group
    Rules,
    /// Entries of one network ACL
    Entries,
    /// `[[client]]` entries
    Clients,
    /// Clients that send queries, for one endpoint name each; the world does not grow
    QueryClients,
    /// VPCs with objects of every kind
    Whole,
}

impl Dimension {
    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zones => "zones",
            Self::Names => "names in one zone",
            Self::Endpoints => "endpoints",
            Self::EndpointsOfOne => "endpoints in one VPC",
            Self::Subnets => "subnets",
            Self::Routes => "routes in one table",
            Self::Rules => "rules in one group",
            Self::Entries => "entries of one network ACL",
            Self::Clients => "configured clients",
            Self::QueryClients => "querying clients",
            Self::Whole => "whole VPCs",
        }
    }

    /// The sizes that are measured, in ascending order.
    pub(crate) fn sizes(self) -> &'static [usize] {
        match self {
            // Each has two interfaces, and ten subnets have space for this many.
            Self::EndpointsOfOne => &SIZES[..3],
            Self::Whole => &[1, 1_000],
            _ => &SIZES,
        }
    }

    /// The world of a size.
    pub(crate) fn world(self, size: usize) -> World {
        let shape = self.shape(size);
        World { text: shape.text(), questions: shape.questions() }
    }

    /// The number of each kind of object in a world of a size: the minimum, except for the dimension that
    /// grows.
    fn shape(self, size: usize) -> Shape {
        let one = Shape {
            vpcs: 1,
            subnets: 10,
            routes: 1,
            querying_clients: QueryClients::Loopback,
            ..Shape::default()
        };
        let zone = Shape { zones: 1, hosts: 100, names: 100, ..one };
        let endpoints = Shape { endpoints: 10, names: QUERIED_SERVICES, ..one };
        match self {
            Self::Zones => Shape { zones: size, hosts: 10, ..zone },
            Self::Names => Shape { hosts: size, names: 10, ..zone },
            Self::Endpoints => {
                Shape { vpcs: size / 10, querying_clients: QueryClients::InSubnets(10), ..endpoints }
            }
            Self::EndpointsOfOne => Shape { endpoints: size, ..endpoints },
            Self::Subnets => {
                Shape { vpcs: size / 10, names: 10, querying_clients: QueryClients::InSubnets(100), ..zone }
            }
            Self::Routes => Shape { routes: size, ..zone },
            Self::Rules => Shape { rules: size, ..endpoints },
            Self::Entries => Shape { entries: size, ..endpoints },
            Self::Clients => Shape { clients: size, querying_clients: QueryClients::Configured(10), ..zone },
            Self::QueryClients => Shape { querying_clients: QueryClients::OneNameEach(size), ..endpoints },
            Self::Whole => {
                Shape { vpcs: size, routes: 100, querying_clients: QueryClients::InSubnets(10), ..endpoints }
            }
        }
    }
}

/// A world as a configuration, without the part that all configurations of the benchmark share.
#[derive(Clone, Debug)]
pub(crate) struct World {
    /// The configuration.
    pub text: String,
    /// Its questions, each once. Every answer has an address.
    pub questions: Vec<Question>,
}

/// A name, and the client that queries it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The name, without the final dot.
    pub name: String,
    /// The address in the EDNS Client Subnet option. `None` if the query has none.
    pub client_subnet: Option<Ipv4Addr>,
}

/// The clients that send queries.
#[derive(Clone, Copy, Debug, Default)]
enum QueryClients {
    /// 127.0.0.1, which is in the first subnet.
    #[default]
    Loopback,
    /// This many addresses, spread over all subnets.
    InSubnets(usize),
    /// This many addresses, spread over all subnets. Each queries one name, and each name is queried equally
    /// often: the remainder is omitted.
    OneNameEach(usize),
    /// This many of the configured clients, spread over all of them.
    Configured(usize),
}

/// The number of each kind of object.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    /// Zones, associated with all VPCs.
    zones: usize,
    /// Names per zone.
    hosts: usize,
    /// VPCs.
    vpcs: usize,
    /// Subnets per VPC, an even number.
    subnets: usize,
    /// Endpoints per VPC; their names are the same in every VPC.
    endpoints: usize,
    /// Routes in each VPC's route table, in addition to the default route.
    routes: usize,
    /// Rules in each VPC's security group. 0: no security group.
    rules: usize,
    /// Inbound entries of the default network ACL of each VPC. 0: no network ACL.
    entries: usize,
    /// `[[client]]` entries, in addition to that of loopback.
    clients: usize,
    /// Names that are queried: of endpoints if there are any, otherwise of zones.
    names: usize,
    /// The clients that query them.
    querying_clients: QueryClients,
}

// ---- questions ------------------------------------------------------------------------------------------

impl Shape {
    /// The questions of the clients: each queries all names, or one of them in turn.
    fn questions(&self) -> Vec<Question> {
        let names = self.queried_names();
        let all =
            |client_subnet| names.iter().map(move |name| Question { name: name.clone(), client_subnet });
        let querying_clients = self.querying_clients().into_iter();
        match self.querying_clients {
            QueryClients::OneNameEach(count) => {
                let repeated = names.iter().cycle().take(count - count % names.len());
                repeated
                    .zip(querying_clients)
                    .map(|(name, client_subnet)| Question { name: name.clone(), client_subnet })
                    .collect()
            }
            _ => querying_clients.flat_map(all).collect(),
        }
    }

    /// The names that are queried.
    fn queried_names(&self) -> Vec<String> {
        let all = if self.endpoints > 0 { self.endpoints } else { self.zones * self.hosts };
        let name = |number| match self.endpoints {
            0 => format!("h{}.{}", number % self.hosts, zone_name(number / self.hosts)),
            _ => service_name(number),
        };
        spread(self.names, all).map(name).collect()
    }

    /// The clients that query them.
    fn querying_clients(&self) -> Vec<Option<Ipv4Addr>> {
        match self.querying_clients {
            QueryClients::Loopback => vec![None],
            QueryClients::Configured(count) => {
                spread(count, self.clients).map(|number| Some(client(number))).collect()
            }
            QueryClients::InSubnets(count) | QueryClients::OneNameEach(count) => {
                let subnets = self.vpcs * self.subnets;
                let address = |(number, subnet)| {
                    // Not always the first subnet of a VPC.
                    let (vpc, subnet) = (subnet / self.subnets, (subnet + number) % self.subnets);
                    Some(self.address(vpc, subnet, CLIENT_OFFSET + number / self.subnets))
                };
                spread(count, subnets).enumerate().map(address).collect()
            }
        }
    }
}

/// `count` numbers less than `bound`, evenly spread. Some repeat if `count` is greater.
fn spread(count: usize, bound: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |number| number * bound / count)
}

// ---- names and addresses --------------------------------------------------------------------------------

/// The name of a zone.
fn zone_name(zone: usize) -> String {
    format!("z{zone}.corp.internal")
}

/// The private name of an endpoint, the same in every VPC.
fn service_name(endpoint: usize) -> String {
    format!("svc{endpoint}.example.internal")
}

/// The address of a configured client.
fn client(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(CLIENTS + number as u32)
}

/// The destination of a route, a /28.
fn destination(route: usize) -> u32 {
    DESTINATIONS + 16 * route as u32
}

/// Number of bits needed to number this many objects.
fn bits(count: usize) -> u32 {
    count.next_power_of_two().ilog2()
}

impl Shape {
    /// Number of bits of the host part of a subnet's addresses. A VPC is a /16 at most (VPC User Guide, "VPC
    /// CIDR blocks").
    fn host_bits(&self) -> u32 {
        (24 - bits(self.vpcs)).min(16) - bits(self.subnets)
    }

    /// An address of a subnet.
    fn address(&self, vpc: usize, subnet: usize, offset: usize) -> Ipv4Addr {
        let subnet = vpc << bits(self.subnets) | subnet;
        Ipv4Addr::from(VPCS + (subnet << self.host_bits() | offset) as u32)
    }

    /// The two addresses of a host, which match one of the routes. Hosts are spread over all routes.
    fn host_addresses(&self, number: usize) -> [Ipv4Addr; 2] {
        let hosts = self.zones * self.hosts;
        let network = destination(number * self.routes / hosts);
        [Ipv4Addr::from(network + 1), Ipv4Addr::from(network + 2)]
    }
}

// ---- text -----------------------------------------------------------------------------------------------

impl Shape {
    /// The configuration.
    fn text(&self) -> String {
        let mut text = String::new();
        (0..self.vpcs).for_each(|vpc| self.write_vpc(&mut text, vpc));
        (0..self.zones).for_each(|zone| self.write_zone(&mut text, zone));
        write_client(&mut text, "127.0.0.0/8", 0);
        for number in 0..self.clients {
            write_client(&mut text, &client(number).to_string(), number % self.subnets);
        }
        text
    }

    /// Writes a VPC with all its objects.
    fn write_vpc(&self, text: &mut String, vpc: usize) {
        let (cidr, length) = (self.address(vpc, 0, 0), 32 - self.host_bits() - bits(self.subnets));
        let _ = write!(
            text,
            r#"
[[vpc]]
id = "vpc-{vpc}"
region = "{REGION}"
account = "111122223333"
cidr = ["{cidr}/{length}"]
enable_dns_hostnames = true
internet_gateway = "igw-{vpc}"
"#
        );
        self.write_table(text, vpc);
        (0..self.subnets).for_each(|subnet| self.write_subnet(text, vpc, subnet));
        if self.rules > 0 {
            self.write_group(text, vpc);
        }
        if self.entries > 0 {
            self.write_acl(text, vpc);
        }
        (0..self.endpoints).for_each(|endpoint| self.write_endpoint(text, vpc, endpoint));
    }

    /// Writes the route table of all subnets of a VPC.
    fn write_table(&self, text: &mut String, vpc: usize) {
        let _ = write!(
            text,
            "\n[[vpc.route_table]]\nid = \"rtb-{vpc}\"\nmain = true\nroutes = [\n\
             {{ destination = \"0.0.0.0/0\", target = \"igw-{vpc}\" }},\n"
        );
        for route in 0..self.routes {
            let prefix = Ipv4Addr::from(destination(route));
            let _ = writeln!(text, "{{ destination = \"{prefix}/28\", target = \"tgw-hub\" }},");
        }
        text.push_str("]\n");
    }

    /// Writes a subnet. Subnets alternate between two availability zones.
    fn write_subnet(&self, text: &mut String, vpc: usize, subnet: usize) {
        let (cidr, length) = (self.address(vpc, subnet, 0), 32 - self.host_bits());
        let zone = if subnet.is_multiple_of(2) { 'a' } else { 'c' };
        let _ = write!(
            text,
            r#"
[[vpc.subnet]]
id = "subnet-{vpc}-{subnet}"
cidr = "{cidr}/{length}"
availability_zone = "{REGION}{zone}"
route_table = "rtb-{vpc}"
"#
        );
    }

    /// Writes the security group of all interfaces of a VPC. Only the last rule matches clients.
    fn write_group(&self, text: &mut String, vpc: usize) {
        let _ = write!(text, "\n[[vpc.security_group]]\nid = \"sg-{vpc}\"\ningress = [\n");
        let unused_sources =
            (1..self.rules as u32).map(|rule| (Ipv4Addr::from(UNUSED_SOURCES + 16 * rule), 28));
        for (source, length) in unused_sources.chain([(Ipv4Addr::from(VPCS), 8)]) {
            let _ = writeln!(
                text,
                "{{ protocol = \"tcp\", from_port = 443, to_port = 443, sources = [\"{source}/{length}\"] }},"
            );
        }
        text.push_str("]\n");
    }

    /// Writes the network ACL of all subnets of a VPC. Only the last inbound entry matches clients.
    fn write_acl(&self, text: &mut String, vpc: usize) {
        let _ = write!(text, "\n[[vpc.network_acl]]\nid = \"acl-{vpc}\"\nis_default = true\nentries = [\n");
        let rest = "protocol = \"-1\"";
        for number in 1..self.entries as u32 {
            let source = Ipv4Addr::from(UNUSED_SOURCES + 16 * number);
            let _ = writeln!(
                text,
                "{{ rule_number = {number}, {rest}, rule_action = \"deny\", cidr = \"{source}/28\" }},"
            );
        }
        let allows = format!("{rest}, rule_action = \"allow\", cidr = \"0.0.0.0/0\"");
        let _ = writeln!(text, "{{ rule_number = {}, {allows} }},", self.entries);
        let _ = writeln!(text, "{{ rule_number = 100, egress = true, {allows} }},\n]");
    }

    /// Writes an endpoint with interfaces in two subnets of different availability zones.
    fn write_endpoint(&self, text: &mut String, vpc: usize, endpoint: usize) {
        let name = service_name(endpoint);
        let _ = write!(
            text,
            r#"
[[vpc.endpoint]]
id = "vpce-{vpc}-{endpoint}"
type = "Interface"
service = "com.amazonaws.vpce.{REGION}.vpce-svc-{endpoint}"
private_dns_enabled = true
private_dns_names = ["{name}"]
network_interfaces = [
"#
        );
        let pair = endpoint % (self.subnets / 2);
        let group =
            if self.rules > 0 { format!(", security_groups = [\"sg-{vpc}\"]") } else { String::new() };
        for subnet in [2 * pair, 2 * pair + 1] {
            // The first four addresses of a subnet are reserved by AWS.
            let address = self.address(vpc, subnet, 4 + endpoint);
            let _ =
                writeln!(text, "{{ subnet = \"subnet-{vpc}-{subnet}\", address = \"{address}\"{group} }},");
        }
        text.push_str("]\n");
    }

    /// Writes a zone of all VPCs, with its records.
    fn write_zone(&self, text: &mut String, zone: usize) {
        let vpcs: Vec<String> = (0..self.vpcs).map(|vpc| format!("\"vpc-{vpc}\"")).collect();
        let (name, vpcs) = (zone_name(zone), vpcs.join(", "));
        let _ = write!(text, "\n[[hosted_zone]]\nname = \"{name}\"\nvpcs = [{vpcs}]\nrecords = [\n");
        for host in 0..self.hosts {
            let [first, second] = self.host_addresses(zone * self.hosts + host);
            let _ = writeln!(
                text,
                "{{ name = \"h{host}\", type = \"A\", ttl = 60, values = [\"{first}\", \"{second}\"] }},"
            );
        }
        text.push_str("]\n");
    }
}

/// Writes the entry of a client in a subnet of the first VPC.
fn write_client(text: &mut String, source: &str, subnet: usize) {
    let _ = write!(text, "\n[[client]]\nsource = \"{source}\"\nplace = \"subnet-0-{subnet}\"\n");
}
