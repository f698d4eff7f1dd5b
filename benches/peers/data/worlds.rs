//! Worlds that grow in one thing alone, as configurations, and what is asked of them.
//!
//! ```text
//!  Thing, size ──► Shape: how many of everything ──► World: a configuration ──► questions
//! ```
//!
//! However large a world is, as many different questions are asked of it as of the smallest of its kind, spread over
//! all of it: what grows is the world and not what is asked of it. Only of [`Thing::Askers`] it is the other way round.
//! Sizes go beyond AWS's quotas, since they are to show what grows. `tools/big_world.py` writes worlds like these.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::REGION;

/// The sizes of most things.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// Where the addresses of VPCs begin: 10.0.0.0/8.
const VPCS: u32 = 0x0a00_0000;

/// Where the destinations of routes begin: 100.64.0.0/10, a /28 each.
const DESTINATIONS: u32 = 0x6440_0000;

/// Where declared clients begin: 198.18.0.0/15.
const CLIENTS: u32 = 0xc612_0000;

/// Where sources that security groups admit, and nobody asks from, begin: 172.16.0.0/12, a /28 each.
const STRANGERS: u32 = 0xac10_0000;

/// How many names of endpoints are asked for. Odd, and asked for in turns: a look-up that comes again from the same port
/// with the same ID and name counts as a retransmission, whoever it is for. IDs go up by one, so the same pair comes
/// after 590,000 queries of one socket.
const SERVICES_ASKED: usize = 9;

/// The offset in a subnet of whoever asks: beyond the interfaces of ten endpoints.
const ASKERS: usize = 100;

/// What a world grows in, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Thing {
    /// Private hosted zones.
    Zones,
    /// Names in one zone.
    Names,
    /// Interface endpoints, ten in each VPC.
    Endpoints,
    /// Interface endpoints in the same VPC.
    EndpointsOfOne,
    /// Subnets, ten in each VPC.
    Subnets,
    /// Routes in the same table.
    Routes,
    /// Rules in the same security group.
    Rules,
    /// Entries of the same network ACL.
    Entries,
    /// `[[client]]` entries.
    Clients,
    /// Addresses that ask, for one name of an endpoint each; the world stays the same.
    Askers,
    /// VPCs with everything in them.
    Whole,
}

impl Thing {
    /// As tables show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zones => "zones",
            Self::Names => "names in one zone",
            Self::Endpoints => "endpoints",
            Self::EndpointsOfOne => "endpoints in one VPC",
            Self::Subnets => "subnets",
            Self::Routes => "routes in one table",
            Self::Rules => "rules in one group",
            Self::Entries => "entries of one network ACL",
            Self::Clients => "declared clients",
            Self::Askers => "clients that ask",
            Self::Whole => "whole VPCs",
        }
    }

    /// The sizes that are measured, the smallest first.
    pub fn sizes(self) -> &'static [usize] {
        match self {
            // Each has two interfaces, and ten subnets hold so many.
            Self::EndpointsOfOne => &SIZES[..3],
            Self::Whole => &[1, 1_000],
            _ => &SIZES,
        }
    }

    /// The world of a size.
    pub fn world(self, size: usize) -> World {
        let shape = self.shape(size);
        World { text: shape.text(), questions: shape.questions() }
    }

    /// How many of everything a world of a size has: one of each that must be there, but for what grows.
    fn shape(self, size: usize) -> Shape {
        let one = Shape { vpcs: 1, subnets: 10, routes: 1, askers: Askers::Loopback, ..Shape::default() };
        let zone = Shape { zones: 1, hosts: 100, names: 100, ..one };
        let endpoints = Shape { endpoints: 10, names: SERVICES_ASKED, ..one };
        match self {
            Self::Zones => Shape { zones: size, hosts: 10, ..zone },
            Self::Names => Shape { hosts: size, names: 10, ..zone },
            Self::Endpoints => Shape { vpcs: size / 10, askers: Askers::InSubnets(10), ..endpoints },
            Self::EndpointsOfOne => Shape { endpoints: size, ..endpoints },
            Self::Subnets => Shape { vpcs: size / 10, names: 10, askers: Askers::InSubnets(100), ..zone },
            Self::Routes => Shape { routes: size, ..zone },
            Self::Rules => Shape { rules: size, ..endpoints },
            Self::Entries => Shape { entries: size, ..endpoints },
            Self::Clients => Shape { clients: size, askers: Askers::Declared(10), ..zone },
            Self::Askers => Shape { askers: Askers::InTurns(size), ..endpoints },
            Self::Whole => Shape { vpcs: size, routes: 100, askers: Askers::InSubnets(10), ..endpoints },
        }
    }
}

/// A world as a configuration, without what every configuration of the benchmark has.
#[derive(Clone, Debug)]
pub struct World {
    /// The configuration.
    pub text: String,
    /// What is asked of it, each once. Every answer holds an address.
    pub questions: Vec<Question>,
}

/// A name, and who asks for it.
#[derive(Clone, Debug)]
pub struct Question {
    /// The name, without the final dot.
    pub name: String,
    /// Whom the EDNS Client Subnet names. `None`: the query has none.
    pub asker: Option<Ipv4Addr>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default)]
enum Askers {
    /// 127.0.0.1, which stands in the first subnet.
    #[default]
    Loopback,
    /// So many addresses, spread over all subnets.
    InSubnets(usize),
    /// So many addresses, spread over all subnets. Each asks for one name only, and names take turns; what does not
    /// make a whole turn is left out.
    InTurns(usize),
    /// So many of the declared clients, spread over all.
    Declared(usize),
}

/// How many of everything there are.
#[derive(Clone, Copy, Debug, Default)]
struct Shape {
    /// Zones, of all VPCs.
    zones: usize,
    /// Names in each zone.
    hosts: usize,
    /// VPCs.
    vpcs: usize,
    /// Subnets in each VPC, an even number.
    subnets: usize,
    /// Endpoints in each VPC; each has the same names in every VPC.
    endpoints: usize,
    /// Routes in each VPC's table, beside the default route.
    routes: usize,
    /// Rules in each VPC's security group. 0: there is none.
    rules: usize,
    /// Entries for what comes into each VPC's subnets, in its default network ACL. 0: there is none.
    entries: usize,
    /// `[[client]]` entries, beside that of loopback.
    clients: usize,
    /// Names that are asked for: of endpoints where there are any, else of zones.
    names: usize,
    /// Who asks for them.
    askers: Askers,
}

// ---- questions ------------------------------------------------------------------------------------------

impl Shape {
    /// What each asker asks: for one name after the other, or for the one whose turn it is.
    fn questions(&self) -> Vec<Question> {
        let names = self.asked_names();
        let all = |asker| names.iter().map(move |name| Question { name: name.clone(), asker });
        let askers = self.askers().into_iter();
        match self.askers {
            Askers::InTurns(count) => {
                let turns = names.iter().cycle().take(count - count % names.len());
                turns.zip(askers).map(|(name, asker)| Question { name: name.clone(), asker }).collect()
            }
            _ => askers.flat_map(all).collect(),
        }
    }

    /// The names that are asked for.
    fn asked_names(&self) -> Vec<String> {
        let all = if self.endpoints > 0 { self.endpoints } else { self.zones * self.hosts };
        let name = |number| match self.endpoints {
            0 => format!("h{}.{}", number % self.hosts, zone_name(number / self.hosts)),
            _ => service_name(number),
        };
        spread(self.names, all).map(name).collect()
    }

    /// Who asks for them.
    fn askers(&self) -> Vec<Option<Ipv4Addr>> {
        match self.askers {
            Askers::Loopback => vec![None],
            Askers::Declared(count) => {
                spread(count, self.clients).map(|number| Some(client(number))).collect()
            }
            Askers::InSubnets(count) | Askers::InTurns(count) => {
                let subnets = self.vpcs * self.subnets;
                let asker = |(number, subnet)| {
                    // Not always the first subnet of a VPC.
                    let (vpc, subnet) = (subnet / self.subnets, (subnet + number) % self.subnets);
                    Some(self.address(vpc, subnet, ASKERS + number / self.subnets))
                };
                spread(count, subnets).enumerate().map(asker).collect()
            }
        }
    }
}

/// So many numbers below a bound, far from each other. Some come twice where there are too few.
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

/// The address of a declared client.
fn client(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(CLIENTS + number as u32)
}

/// The destination of a route, a /28.
fn destination(route: usize) -> u32 {
    DESTINATIONS + 16 * route as u32
}

/// How many bits tell so many things apart.
fn bits(count: usize) -> u32 {
    count.next_power_of_two().ilog2()
}

impl Shape {
    /// How many bits of an address tell the hosts of a subnet apart. A VPC is a /16 at most (VPC User Guide, "VPC
    /// CIDR blocks").
    fn host_bits(&self) -> u32 {
        (24 - bits(self.vpcs)).min(16) - bits(self.subnets)
    }

    /// An address of a subnet.
    fn address(&self, vpc: usize, subnet: usize, offset: usize) -> Ipv4Addr {
        let subnet = vpc << bits(self.subnets) | subnet;
        Ipv4Addr::from(VPCS + (subnet << self.host_bits() | offset) as u32)
    }

    /// The two addresses of a host: behind a route, and hosts are spread over all routes.
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

    /// A VPC with all that stands in it.
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

    /// The table of all of a VPC's subnets.
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

    /// A subnet; every second one is in the other availability zone.
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

    /// The group of all of a VPC's interfaces. Only the last rule admits anybody who asks.
    fn write_group(&self, text: &mut String, vpc: usize) {
        let _ = write!(text, "\n[[vpc.security_group]]\nid = \"sg-{vpc}\"\ningress = [\n");
        let strangers = (1..self.rules as u32).map(|rule| (Ipv4Addr::from(STRANGERS + 16 * rule), 28));
        for (source, length) in strangers.chain([(Ipv4Addr::from(VPCS), 8)]) {
            let _ = writeln!(
                text,
                "{{ protocol = \"tcp\", from_port = 443, to_port = 443, sources = [\"{source}/{length}\"] }},"
            );
        }
        text.push_str("]\n");
    }

    /// The network ACL of all of a VPC's subnets. Of what comes in only the last entry speaks of anybody who asks.
    fn write_acl(&self, text: &mut String, vpc: usize) {
        let _ = write!(text, "\n[[vpc.network_acl]]\nid = \"acl-{vpc}\"\nis_default = true\nentries = [\n");
        let rest = "protocol = \"-1\"";
        for number in 1..self.entries as u32 {
            let source = Ipv4Addr::from(STRANGERS + 16 * number);
            let _ = writeln!(
                text,
                "{{ rule_number = {number}, {rest}, rule_action = \"deny\", cidr = \"{source}/28\" }},"
            );
        }
        let allows = format!("{rest}, rule_action = \"allow\", cidr = \"0.0.0.0/0\"");
        let _ = writeln!(text, "{{ rule_number = {}, {allows} }},", self.entries);
        let _ = writeln!(text, "{{ rule_number = 100, egress = true, {allows} }},\n]");
    }

    /// An endpoint with interfaces in two subnets that stand in different availability zones.
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
            // The first four addresses of a subnet are AWS's own.
            let address = self.address(vpc, subnet, 4 + endpoint);
            let _ =
                writeln!(text, "{{ subnet = \"subnet-{vpc}-{subnet}\", address = \"{address}\"{group} }},");
        }
        text.push_str("]\n");
    }

    /// A zone of all VPCs, with its records.
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

/// An entry of a client that stands in a subnet of the first VPC.
fn write_client(text: &mut String, source: &str, subnet: usize) {
    let _ = write!(text, "\n[[client]]\nsource = \"{source}\"\nplace = \"subnet-0-{subnet}\"\n");
}
