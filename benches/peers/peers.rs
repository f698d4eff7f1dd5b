//! The servers: what each is called, how it is configured, how it is started and told of new data.
//!
//! All get the same zones, the same name server to forward to, and the same number of threads. None checks
//! DNSSEC, limits rates or lacks room in its cache; what a server cannot be told is said where it stands.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::data::{REGION, SERVICES, Zone, address_lines, pairs};
use crate::machine::program;
use crate::workload::Workload;

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "lower")]
pub enum Kind {
    /// This project.
    Plustwo,
    /// Unbound.
    Unbound,
    /// NSD, which has local names only.
    Nsd,
    /// dnsmasq, which has one thread always.
    Dnsmasq,
    /// BIND 9.
    Named,
    /// Knot Resolver.
    Kresd,
    /// PowerDNS Recursor.
    #[value(name = "pdns_recursor")]
    PdnsRecursor,
    /// The least that a server can do. It is part of this program.
    #[value(skip)]
    Ceiling,
}

impl Kind {
    /// The program's name, which tables show.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plustwo => "plustwo",
            Self::Unbound => "unbound",
            Self::Nsd => "nsd",
            Self::Dnsmasq => "dnsmasq",
            Self::Named => "named",
            Self::Kresd => "kresd",
            Self::PdnsRecursor => "pdns_recursor",
            Self::Ceiling => "ceiling",
        }
    }

    /// Debian's package with it.
    pub fn package(self) -> &'static str {
        match self {
            Self::Unbound => "unbound",
            Self::Nsd => "nsd",
            Self::Dnsmasq => "dnsmasq-base",
            Self::Named => "bind9",
            Self::Kresd => "knot-resolver",
            Self::PdnsRecursor => "pdns-recursor",
            Self::Plustwo | Self::Ceiling => "plustwo",
        }
    }

    /// Where the program is; cargo built our own.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Plustwo => Some(env!("CARGO_BIN_EXE_plustwo").into()),
            Self::Ceiling => std::env::current_exe().ok(),
            _ => program(self.name()),
        }
    }

    /// Whether it can be measured at this.
    pub fn takes_part(self, workload: Workload) -> bool {
        match self {
            Self::Plustwo => true,
            Self::Ceiling => workload == Workload::Ceiling,
            Self::Nsd => !workload.forwards() && !workload.is_for_plustwo_alone(),
            // The others are not configured for it.
            _ if workload == Workload::Outage => self == Self::Unbound,
            // Its hosts can be read again only over a control socket, by a program that Debian does not have.
            Self::Kresd => workload != Workload::Reload && !workload.is_for_plustwo_alone(),
            _ => !workload.is_for_plustwo_alone(),
        }
    }
}

impl Workload {
    /// Whether there is nothing in it that others could be asked to do.
    pub fn is_for_plustwo_alone(self) -> bool {
        matches!(self, Self::Endpoint | Self::Workers | Self::Log | Self::Growth | Self::Ceiling)
    }
}

/// What a server is to be like.
#[derive(Clone, Debug)]
pub struct Task<'d> {
    /// A folder of its own.
    pub folder: &'d Path,
    /// Where it answers.
    pub port: u16,
    /// A second port, for its administration.
    pub admin: u16,
    /// The port of the name server above.
    pub upstream: u16,
    /// How many threads (or processes) answer.
    pub threads: usize,
    /// What it answers out of.
    pub data: Data<'d>,
    /// Whether it writes a query log (plustwo alone).
    pub query_log: bool,
    /// Whether it keeps replies as octets (plustwo alone).
    pub packet_cache: bool,
    /// What it needs for `outage`.
    pub outage: Option<Outage>,
}

/// What a server's configuration has in addition for `outage`: a forwarded zone for each of two name servers, and stale
/// answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// The port of a name server that never answers.
    pub dead: u16,
    /// After how many milliseconds a client receives a stale answer, where that can be set. `None`: the default.
    pub stale_after_ms: Option<u32>,
}

/// The zone that is forwarded to the name server that never answers.
pub const DEAD_ZONE: &str = "dead.example";

/// The zone that is forwarded to the upstream.
pub const LIVING_ZONE: &str = "alive.example";

/// What a server answers out of.
#[derive(Clone, Copy, Debug)]
pub enum Data<'d> {
    /// Zones, which every server can have.
    Zones(&'d [Zone]),
    /// A world, as the rest of plustwo's configuration.
    World(&'d str),
}

impl<'d> Data<'d> {
    /// Its zones. Those of a world are not told apart from the rest of it.
    fn zones(self) -> &'d [Zone] {
        match self {
            Self::Zones(zones) => zones,
            Self::World(_) => &[],
        }
    }
}

/// How a server is started and told of new data.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Command lines, one for each process.
    pub lines: Vec<Vec<String>>,
    /// How it is told.
    pub reload: Option<Reload>,
}

/// How a server is told that its data changed.
#[derive(Clone, Debug)]
pub enum Reload {
    /// A signal to its first process.
    Signal(Signal),
    /// A program.
    Line(Vec<String>),
}

impl Kind {
    /// Writes configuration and data.
    pub fn prepare(self, task: &Task<'_>) -> io::Result<Launch> {
        self.write_data(task, task.data.zones(), 1)?;
        let program = self.program().ok_or_else(|| io::Error::other(format!("no {}", self.name())))?;
        let program = program.to_string_lossy().into_owned();
        match self {
            Self::Plustwo => plustwo(task, program),
            Self::Unbound => unbound(task, program),
            Self::Nsd => nsd(task, program),
            Self::Dnsmasq => dnsmasq(task, program),
            Self::Named => named(task, program),
            Self::Kresd => kresd(task, program),
            Self::PdnsRecursor => pdns_recursor(task, program),
            Self::Ceiling => Ok(one(vec![program, "--canned".into(), task.port.to_string()], None)),
        }
    }

    /// Writes the data of zones. The serial must grow for it to be read again.
    pub fn write_data(self, task: &Task<'_>, zones: &[Zone], serial: u32) -> io::Result<()> {
        match self {
            Self::Plustwo | Self::Nsd | Self::Named | Self::PdnsRecursor => {
                let has_soa = self != Self::Plustwo;
                zones.iter().try_for_each(|zone| write_zone_file(task, zone, has_soa.then_some(serial)))
            }
            Self::Unbound => write_local_data(task, zones),
            Self::Dnsmasq | Self::Kresd => write_hosts(task, zones),
            Self::Ceiling => Ok(()),
        }
    }
}

impl Task<'_> {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// A file in its folder.
    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> io::Result<String> {
        let file = self.file(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// A text for each zone, one after the other.
    fn each_zone(&self, text: impl Fn(&str, String) -> String) -> String {
        self.data.zones().iter().map(|zone| text(&zone.name, self.file(&zone_file(zone)))).collect()
    }
}

/// A launch of one process.
fn one(line: Vec<String>, reload: Option<Reload>) -> Launch {
    Launch { lines: vec![line], reload }
}

/// The words of a command line.
fn line<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

// ---- data -----------------------------------------------------------------------------------------------

fn zone_file(zone: &Zone) -> String {
    format!("{}.zone", zone.name)
}

/// A zone file (RFC 1035 5). Route 53 has SOA and NS records of its own, so plustwo's has none.
fn write_zone_file(task: &Task<'_>, zone: &Zone, serial: Option<u32>) -> io::Result<()> {
    let name = &zone.name;
    let mut text = String::new();
    if let Some(serial) = serial {
        let _ = writeln!(text, "{name}. 60 IN SOA ns.{name}. root.{name}. {serial} 3600 900 604800 60");
        let _ = writeln!(text, "{name}. 60 IN NS ns.{name}.\nns.{name}. 60 IN A 127.0.0.1");
    }
    text.push_str(&address_lines(zone));
    task.write(&zone_file(zone), text).map(|_| ())
}

/// The part of unbound's configuration that holds local data.
fn write_local_data(task: &Task<'_>, zones: &[Zone]) -> io::Result<()> {
    let mut text = String::from("server:\n");
    for zone in zones {
        let _ = writeln!(text, "local-zone: \"{}.\" static", zone.name);
        for (host, address) in pairs(zone) {
            let _ = writeln!(text, "local-data: \"{}. 60 IN A {address}\"", host.name);
        }
    }
    task.write("local.conf", text).map(|_| ())
}

/// The data as hosts(5) has them.
fn write_hosts(task: &Task<'_>, zones: &[Zone]) -> io::Result<()> {
    let lines = zones.iter().flat_map(pairs).map(|(host, address)| format!("{address} {}\n", host.name));
    task.write("hosts", lines.collect::<String>()).map(|_| ())
}

// ---- servers --------------------------------------------------------------------------------------------

/// Out of a world, or of the one VPC that has the zones.
fn plustwo(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let world = match task.data {
        Data::Zones(_) => vpc_with_zones(task),
        Data::World(world) => world.to_owned(),
    };
    let rules = task.outage.map(|outage| plustwo_outage(task, outage)).unwrap_or_default();
    let config = task.write("plustwo.toml", plustwo_itself(task) + &world + &rules)?;
    let reload = Reload::Signal(Signal::SIGHUP);
    Ok(one(line([&program, "serve", "--config", &config]), Some(reload)))
}

/// The part of plustwo's configuration that is for `outage` alone.
fn plustwo_outage(task: &Task<'_>, outage: Outage) -> String {
    let rule = |id: &str, domain: &str, port: u16| {
        format!(
            "\n[[resolver_rule]]\nid = \"rslvr-rr-{id}\"\ntype = \"FORWARD\"\ndomain = \"{domain}\"\n\
             targets = [\"127.0.0.1:{port}\"]\nvpcs = [\"vpc-1\"]\n"
        )
    };
    rule("dead", DEAD_ZONE, outage.dead) + &rule("alive", LIVING_ZONE, task.upstream)
}

/// What plustwo's configuration says of itself.
fn plustwo_itself(task: &Task<'_>) -> String {
    let Task { port, admin, upstream, threads, .. } = task;
    let log = match task.query_log {
        true => format!("[query_log]\nto = \"file\"\nfile = \"{}\"\n", task.file("queries.log")),
        false => String::new(),
    };
    let cache = if task.packet_cache { "" } else { "[packet_cache]\nmax_bytes = 0\n" };
    format!(
        r#"[server]
admin = "127.0.0.1:{admin}"
workers = {threads}
watch = false

[[listener]]
address = "127.0.0.1:{port}"

[internet]
mode = "forward"
servers = ["127.0.0.1:{upstream}"]

[answers]
max_ttl = 3600
max_negative_ttl = 900

{log}{cache}
"#
    )
}

/// One VPC with a NAT gateway and interface endpoints; whoever asks stands in its private subnet.
fn vpc_with_zones(task: &Task<'_>) -> String {
    let endpoints = SERVICES.iter().enumerate().map(|(number, service)| endpoint(number, service));
    let zones = task.each_zone(|zone, file| {
        format!("[[hosted_zone]]\nname = \"{zone}\"\nvpcs = [\"vpc-1\"]\nfile = \"{file}\"\n\n")
    });
    format!(
        r#"[[vpc]]
id = "vpc-1"
region = "{REGION}"
cidr = ["10.0.0.0/16"]
enable_dns_hostnames = true
internet_gateway = "igw-1"
subnet = [
  {{ id = "subnet-private", cidr = "10.0.0.0/18", availability_zone = "{REGION}a", route_table = "rtb-private" }},
  {{ id = "subnet-public", cidr = "10.0.64.0/18", availability_zone = "{REGION}a", route_table = "rtb-public" }},
]
route_table = [
  {{ id = "rtb-private", routes = [{{ destination = "0.0.0.0/0", target = "nat-1" }}] }},
  {{ id = "rtb-public", routes = [{{ destination = "0.0.0.0/0", target = "igw-1" }}] }},
]
nat_gateway = [{{ id = "nat-1", subnet = "subnet-public" }}]

{}
[[client]]
source = "127.0.0.0/8"
place = "subnet-private"

{zones}"#,
        endpoints.collect::<String>()
    )
}

/// An interface endpoint with one interface, in the private subnet.
fn endpoint(number: usize, service: &str) -> String {
    format!(
        "[[vpc.endpoint]]\nid = \"vpce-{service}\"\ntype = \"Interface\"\n\
         service = \"com.amazonaws.{REGION}.{service}\"\nprivate_dns_enabled = true\n\
         network_interfaces = [{{ subnet = \"subnet-private\", address = \"10.0.63.{}\" }}]\n\n",
        number + 10
    )
}

fn unbound(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, upstream, threads, .. } = task;
    let bounds = "    outgoing-range: 8192\n    num-queries-per-thread: 4096\n";
    let (bounds, outage) = match task.outage {
        // As they are by default.
        Some(outage) => ("", unbound_outage(task, outage)),
        None => (bounds, String::new()),
    };
    let text = format!(
        r#"server:
    interface: 127.0.0.1
    port: {port}
    num-threads: {threads}
    so-reuseport: yes
    do-ip6: no
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    module-config: "iterator"
    minimal-responses: yes
    msg-cache-size: 128m
    rrset-cache-size: 256m
    msg-cache-slabs: {threads}
    rrset-cache-slabs: {threads}
    infra-cache-slabs: {threads}
{bounds}    incoming-num-tcp: 256
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/pid"
    use-syslog: no
    logfile: "{folder}/log"
include: "{folder}/local.conf"
remote-control:
    control-enable: yes
    control-use-cert: no
    control-interface: "{folder}/control"
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
{outage}"#,
        folder = task.folder.display()
    );
    let config = task.write("unbound.conf", text)?;
    let control = line(["unbound-control", "-c", &config, "reload"]);
    Ok(one(line([&program, "-d", "-c", &config]), Some(Reload::Line(control))))
}

/// The part of Unbound's configuration that is for `outage` alone.
fn unbound_outage(task: &Task<'_>, outage: Outage) -> String {
    let zone = |name: &str, port: u16| {
        format!("forward-zone:\n    name: \"{name}\"\n    forward-addr: 127.0.0.1@{port}\n")
    };
    let timeout = outage.stale_after_ms.map(|ms| format!("    serve-expired-client-timeout: {ms}\n"));
    format!(
        "{}{}server:\n    serve-expired: yes\n{}",
        zone(DEAD_ZONE, outage.dead),
        zone(LIVING_ZONE, task.upstream),
        timeout.unwrap_or_default()
    )
}

fn nsd(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, threads, .. } = task;
    let zones =
        task.each_zone(|zone, file| format!("zone:\n    name: \"{zone}\"\n    zonefile: \"{file}\"\n"));
    let text = format!(
        r#"server:
    ip-address: 127.0.0.1@{port}
    server-count: {threads}
    reuseport: yes
    tcp-count: 256
    rrl-ratelimit: 0
    username: ""
    chroot: ""
    database: ""
    zonesdir: "{folder}"
    pidfile: "{folder}/pid"
    logfile: "{folder}/log"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    xfrdir: "{folder}"
remote-control:
    control-enable: no
{zones}"#,
        folder = task.folder.display()
    );
    let config = task.write("nsd.conf", text)?;
    Ok(one(line([&program, "-d", "-c", &config]), Some(Reload::Signal(Signal::SIGHUP))))
}

/// It has one thread always, and a process for each TCP connection.
fn dnsmasq(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, upstream, .. } = task;
    let local: String = task.data.zones().iter().map(|zone| format!("local=/{}/\n", zone.name)).collect();
    // 10,000 names with two types, one or two records each. A larger cache makes it slower to fill.
    let text = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\n\
         server=127.0.0.1#{upstream}\ncache-size=40000\ndns-forward-max=10000\nlocal-ttl=60\nuser=root\n\
         addn-hosts={}\npid-file={}\nlog-facility={}\n{local}",
        task.file("hosts"),
        task.file("pid"),
        task.file("log")
    );
    let config = task.write("dnsmasq.conf", text)?;
    Ok(one(line([&program, "-k", "-C", &config]), Some(Reload::Signal(Signal::SIGHUP))))
}

fn named(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, admin, upstream, threads, .. } = task;
    let key = "key \"bench\" { algorithm hmac-sha256; secret \"b25seSBvbiBsb29wYmFjaw==\"; };\n";
    let zones =
        task.each_zone(|zone, file| format!("zone \"{zone}\" {{ type primary; file \"{file}\"; }};\n"));
    let text = format!(
        r#"{key}controls {{ inet 127.0.0.1 port {admin} allow {{ 127.0.0.1; }} keys {{ "bench"; }}; }};
options {{
    directory "{folder}"; pid-file "{folder}/pid"; session-keyfile "{folder}/session.key";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion yes; allow-recursion {{ 127.0.0.0/8; }}; allow-transfer {{ none; }}; notify no;
    forward only; forwarders {{ 127.0.0.1 port {upstream}; }};
    dnssec-validation no; minimal-responses yes; empty-zones-enable no; querylog no;
    max-cache-size 512m; recursive-clients 10000; tcp-clients 1000;
}};
logging {{ channel file {{ file "{folder}/log"; severity warning; }}; category default {{ file; }}; }};
{zones}"#,
        folder = task.folder.display()
    );
    let config = task.write("named.conf", text)?;
    let control = format!(
        "{key}options {{ default-key \"bench\"; default-server 127.0.0.1; default-port {admin}; }};\n"
    );
    let control = task.write("rndc.conf", control)?;
    let reload = Reload::Line(line(["rndc", "-c", &control, "reload"]));
    Ok(one(line([&program, "-f", "-n", &threads.to_string(), "-c", &config]), Some(reload)))
}

/// One process for each thread; they share the cache in its folder.
fn kresd(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, upstream, .. } = task;
    let text = format!(
        r#"net.ipv6 = false
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
log_target('stdout')
modules = {{ 'policy', 'hints > iterate' }}
for _, module in ipairs({{ 'ta_update', 'ta_signal_query', 'ta_sentinel', 'priming',
                          'detect_time_skew', 'detect_time_jump' }}) do modules.unload(module) end
trust_anchors.remove('.')
cache.open(256 * MB, 'lmdb://{folder}')
hints.ttl(60)
hints.add_hosts('{hosts}')
policy.add(policy.all(policy.FORWARD('127.0.0.1@{upstream}')))
"#,
        folder = task.folder.display(),
        hosts = task.file("hosts")
    );
    let config = task.write("kresd.conf", text)?;
    let folder = task.folder.to_string_lossy();
    let process = line([&program, "-n", "-c", &config, &folder]);
    Ok(Launch { lines: vec![process; task.threads], reload: None })
}

fn pdns_recursor(task: &Task<'_>, program: String) -> io::Result<Launch> {
    let Task { port, upstream, threads, .. } = task;
    let zones: Vec<String> = task
        .data
        .zones()
        .iter()
        .map(|zone| format!("{}={}", zone.name, task.file(&zone_file(zone))))
        .collect();
    let folder = task.folder.display();
    let text = format!(
        "local-address=127.0.0.1\nlocal-port={port}\nthreads={threads}\nreuseport=yes\n\
         pdns-distributes-queries=no\nallow-from=127.0.0.0/8\ndont-query=\ndnssec=off\n\
         max-cache-entries=1000000\nmax-packetcache-entries=500000\nmax-mthreads=4096\n\
         max-tcp-clients=256\nmax-tcp-per-client=0\ndaemon=no\ndisable-syslog=yes\nquiet=yes\nloglevel=3\n\
         security-poll-suffix=\nsocket-dir={folder}\nconfig-dir={folder}\n\
         forward-zones-recurse=.=127.0.0.1:{upstream}\nauth-zones={}\n",
        zones.join(",")
    );
    task.write("recursor.conf", text)?;
    let folder = format!("--config-dir={folder}");
    let reload = Reload::Line(line(["rec_control", &folder, "reload-zones"]));
    Ok(one(line([&program, &folder]), Some(reload)))
}
