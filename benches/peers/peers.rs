//! The servers: names, configuration, start and notification of new data.
//!
//! All of them have the same zones, the same upstream and the same number of threads. None validates DNSSEC,
//! limits rates or has a cache that is too small. Exceptions are stated where they occur.

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
pub(crate) enum Kind {
    /// This project
    Plustwo,
    /// Unbound
    Unbound,
    /// NSD, for local names only
    Nsd,
    /// dnsmasq, always with one thread
    Dnsmasq,
    /// BIND 9
    Named,
    /// Knot Resolver
    Kresd,
    /// PowerDNS Recursor
    #[value(name = "pdns_recursor")]
    PdnsRecursor,
    /// The simplest possible server, which is part of this program
    #[value(skip)]
    Ceiling,
}

impl Kind {
    /// The name of the program, which is used in tables.
    pub(crate) fn name(self) -> &'static str {
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

    /// The Debian package that contains it.
    pub(crate) fn package(self) -> &'static str {
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

    /// The path of the program. plustwo is the one that cargo built.
    pub(crate) fn program(self) -> Option<PathBuf> {
        match self {
            Self::Plustwo => Some(env!("CARGO_BIN_EXE_plustwo").into()),
            Self::Ceiling => std::env::current_exe().ok(),
            _ => program(self.name()),
        }
    }

    /// Whether the server can be measured with a workload.
    pub(crate) fn supports(self, workload: Workload) -> bool {
        match self {
            Self::Plustwo => true,
            Self::Ceiling => workload == Workload::Ceiling,
            Self::Nsd => !workload.forwards() && !workload.is_plustwo_only(),
            // `outage` has a configuration only for Unbound among the others.
            _ if workload == Workload::Outage => self == Self::Unbound,
            // It can only reload its hosts over a control socket, with a program that Debian does not
            // package.
            Self::Kresd => workload != Workload::Reload && !workload.is_plustwo_only(),
            _ => !workload.is_plustwo_only(),
        }
    }
}

impl Workload {
    /// Whether only plustwo has what the workload measures.
    pub(crate) fn is_plustwo_only(self) -> bool {
        matches!(self, Self::Endpoint | Self::Workers | Self::Log | Self::Growth | Self::Ceiling)
    }
}

/// The settings of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerSpec<'d> {
    /// A folder for its files.
    pub folder: &'d Path,
    /// The port on which it answers.
    pub port: u16,
    /// A second port, for administration.
    pub admin: u16,
    /// The port of the upstream.
    pub upstream: u16,
    /// Number of threads or processes that answer.
    pub threads: usize,
    /// The data that it serves.
    pub data: Data<'d>,
    /// Whether it writes a query log (plustwo only).
    pub query_log: bool,
    /// Whether its packet cache is enabled (plustwo only).
    pub packet_cache: bool,
    /// Additional settings for `outage`.
    pub outage: Option<Outage>,
}

/// Additional settings for `outage`: a forwarded zone for each of two name servers, and stale answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outage {
    /// The port of a name server that never answers.
    pub dead: u16,
    /// Milliseconds after which a client receives a stale answer, if this can be configured. `None` means the
    /// default.
    pub stale_after_ms: Option<u32>,
}

/// The zone that is forwarded to the name server that never answers.
pub(crate) const DEAD_ZONE: &str = "dead.example";

/// The zone that is forwarded to the upstream.
pub(crate) const LIVING_ZONE: &str = "alive.example";

/// The data of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'d> {
    /// Zones, which every server can serve.
    Zones(&'d [Zone]),
    /// A world: the rest of plustwo's configuration.
    World(&'d str),
}

impl<'d> Data<'d> {
    /// The zones; none for a world, whose zones are part of the configuration.
    fn zones(self) -> &'d [Zone] {
        match self {
            Self::Zones(zones) => zones,
            Self::World(_) => &[],
        }
    }
}

/// How a server is started, and notified of new data.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// Command lines, one per process.
    pub lines: Vec<Vec<String>>,
    /// How it is notified.
    pub reload: Option<Reload>,
}

/// How a server is notified of new data.
#[derive(Clone, Debug)]
pub(crate) enum Reload {
    /// A signal to its first process.
    Signal(Signal),
    /// A command.
    Line(Vec<String>),
}

impl Kind {
    /// Writes configuration and data.
    pub(crate) fn prepare(self, spec: &ServerSpec<'_>) -> io::Result<Launch> {
        self.write_data(spec, spec.data.zones(), 1)?;
        let program = self.program().ok_or_else(|| io::Error::other(format!("no {}", self.name())))?;
        let program = program.to_string_lossy().into_owned();
        match self {
            Self::Plustwo => plustwo(spec, program),
            Self::Unbound => unbound(spec, program),
            Self::Nsd => nsd(spec, program),
            Self::Dnsmasq => dnsmasq(spec, program),
            Self::Named => named(spec, program),
            Self::Kresd => kresd(spec, program),
            Self::PdnsRecursor => pdns_recursor(spec, program),
            Self::Ceiling => Ok(one(vec![program, "--canned".into(), spec.port.to_string()], None)),
        }
    }

    /// Writes the data of zones. Servers only reload a zone if its serial has increased.
    pub(crate) fn write_data(self, spec: &ServerSpec<'_>, zones: &[Zone], serial: u32) -> io::Result<()> {
        match self {
            Self::Plustwo | Self::Nsd | Self::Named | Self::PdnsRecursor => {
                let has_soa = self != Self::Plustwo;
                zones.iter().try_for_each(|zone| write_zone_file(spec, zone, has_soa.then_some(serial)))
            }
            Self::Unbound => write_local_data(spec, zones),
            Self::Dnsmasq | Self::Kresd => write_hosts(spec, zones),
            Self::Ceiling => Ok(()),
        }
    }
}

impl ServerSpec<'_> {
    /// The address on which it answers.
    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The path of a file in its folder.
    fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> io::Result<String> {
        let file = self.file(name);
        fs::write(&file, text)?;
        Ok(file)
    }

    /// The concatenation of a text for each zone.
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

/// Writes a zone file (RFC 1035 section 5). plustwo's has no SOA and NS records, because Route 53 creates
/// them.
fn write_zone_file(spec: &ServerSpec<'_>, zone: &Zone, serial: Option<u32>) -> io::Result<()> {
    let name = &zone.name;
    let mut text = String::new();
    if let Some(serial) = serial {
        let _ = writeln!(text, "{name}. 60 IN SOA ns.{name}. root.{name}. {serial} 3600 900 604800 60");
        let _ = writeln!(text, "{name}. 60 IN NS ns.{name}.\nns.{name}. 60 IN A 127.0.0.1");
    }
    text.push_str(&address_lines(zone));
    spec.write(&zone_file(zone), text).map(|_| ())
}

/// Writes the part of Unbound's configuration that contains local data.
fn write_local_data(spec: &ServerSpec<'_>, zones: &[Zone]) -> io::Result<()> {
    let mut text = String::from("server:\n");
    for zone in zones {
        let _ = writeln!(text, "local-zone: \"{}.\" static", zone.name);
        for (host, address) in pairs(zone) {
            let _ = writeln!(text, "local-data: \"{}. 60 IN A {address}\"", host.name);
        }
    }
    spec.write("local.conf", text).map(|_| ())
}

/// Writes the data in the format of hosts(5).
fn write_hosts(spec: &ServerSpec<'_>, zones: &[Zone]) -> io::Result<()> {
    let lines = zones.iter().flat_map(pairs).map(|(host, address)| format!("{address} {}\n", host.name));
    spec.write("hosts", lines.collect::<String>()).map(|_| ())
}

// ---- servers --------------------------------------------------------------------------------------------

/// plustwo, with a world or with one VPC that has the zones.
fn plustwo(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let world = match spec.data {
        Data::Zones(_) => vpc_with_zones(spec),
        Data::World(world) => world.to_owned(),
    };
    let rules = spec.outage.map(|outage| plustwo_outage(spec, outage)).unwrap_or_default();
    let config = spec.write("plustwo.toml", plustwo_base(spec) + &world + &rules)?;
    let reload = Reload::Signal(Signal::SIGHUP);
    Ok(one(line([&program, "serve", "--config", &config]), Some(reload)))
}

/// The part of plustwo's configuration that is specific to `outage`.
fn plustwo_outage(spec: &ServerSpec<'_>, outage: Outage) -> String {
    let rule = |id: &str, domain: &str, port: u16| {
        format!(
            "\n[[resolver_rule]]\nid = \"rslvr-rr-{id}\"\ntype = \"FORWARD\"\ndomain = \"{domain}\"\n\
             targets = [\"127.0.0.1:{port}\"]\nvpcs = [\"vpc-1\"]\n"
        )
    };
    rule("dead", DEAD_ZONE, outage.dead) + &rule("alive", LIVING_ZONE, spec.upstream)
}

/// The part of plustwo's configuration that does not depend on the data.
fn plustwo_base(spec: &ServerSpec<'_>) -> String {
    let ServerSpec { port, admin, upstream, threads, .. } = spec;
    let log = match spec.query_log {
        true => format!("[query_log]\nto = \"file\"\nfile = \"{}\"\n", spec.file("queries.log")),
        false => String::new(),
    };
    let cache = if spec.packet_cache { "" } else { "[packet_cache]\nmax_bytes = 0\n" };
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

/// One VPC with a NAT gateway and interface endpoints. All clients are in its private subnet.
fn vpc_with_zones(spec: &ServerSpec<'_>) -> String {
    let endpoints = SERVICES.iter().enumerate().map(|(number, service)| endpoint(number, service));
    let zones = spec.each_zone(|zone, file| {
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

fn unbound(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, upstream, threads, .. } = spec;
    let bounds = "    outgoing-range: 8192\n    num-queries-per-thread: 4096\n";
    let (bounds, outage) = match spec.outage {
        // The defaults apply.
        Some(outage) => ("", unbound_outage(spec, outage)),
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
        folder = spec.folder.display()
    );
    let config = spec.write("unbound.conf", text)?;
    let control = line(["unbound-control", "-c", &config, "reload"]);
    Ok(one(line([&program, "-d", "-c", &config]), Some(Reload::Line(control))))
}

/// The part of Unbound's configuration that is specific to `outage`.
fn unbound_outage(spec: &ServerSpec<'_>, outage: Outage) -> String {
    let zone = |name: &str, port: u16| {
        format!("forward-zone:\n    name: \"{name}\"\n    forward-addr: 127.0.0.1@{port}\n")
    };
    let timeout = outage.stale_after_ms.map(|ms| format!("    serve-expired-client-timeout: {ms}\n"));
    format!(
        "{}{}server:\n    serve-expired: yes\n{}",
        zone(DEAD_ZONE, outage.dead),
        zone(LIVING_ZONE, spec.upstream),
        timeout.unwrap_or_default()
    )
}

fn nsd(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, threads, .. } = spec;
    let zones =
        spec.each_zone(|zone, file| format!("zone:\n    name: \"{zone}\"\n    zonefile: \"{file}\"\n"));
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
        folder = spec.folder.display()
    );
    let config = spec.write("nsd.conf", text)?;
    Ok(one(line([&program, "-d", "-c", &config]), Some(Reload::Signal(Signal::SIGHUP))))
}

/// dnsmasq always has one thread, and a process for each TCP connection.
fn dnsmasq(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, upstream, .. } = spec;
    let local: String = spec.data.zones().iter().map(|zone| format!("local=/{}/\n", zone.name)).collect();
    // 10,000 names with two types, one or two records each. A larger cache slows down filling it.
    let text = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\n\
         server=127.0.0.1#{upstream}\ncache-size=40000\ndns-forward-max=10000\nlocal-ttl=60\nuser=root\n\
         addn-hosts={}\npid-file={}\nlog-facility={}\n{local}",
        spec.file("hosts"),
        spec.file("pid"),
        spec.file("log")
    );
    let config = spec.write("dnsmasq.conf", text)?;
    Ok(one(line([&program, "-k", "-C", &config]), Some(Reload::Signal(Signal::SIGHUP))))
}

fn named(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, admin, upstream, threads, .. } = spec;
    let key = "key \"bench\" { algorithm hmac-sha256; secret \"b25seSBvbiBsb29wYmFjaw==\"; };\n";
    let zones =
        spec.each_zone(|zone, file| format!("zone \"{zone}\" {{ type primary; file \"{file}\"; }};\n"));
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
        folder = spec.folder.display()
    );
    let config = spec.write("named.conf", text)?;
    let control = format!(
        "{key}options {{ default-key \"bench\"; default-server 127.0.0.1; default-port {admin}; }};\n"
    );
    let control = spec.write("rndc.conf", control)?;
    let reload = Reload::Line(line(["rndc", "-c", &control, "reload"]));
    Ok(one(line([&program, "-f", "-n", &threads.to_string(), "-c", &config]), Some(reload)))
}

/// One process per thread; they share the cache in the folder.
fn kresd(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, upstream, .. } = spec;
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
        folder = spec.folder.display(),
        hosts = spec.file("hosts")
    );
    let config = spec.write("kresd.conf", text)?;
    let folder = spec.folder.to_string_lossy();
    let process = line([&program, "-n", "-c", &config, &folder]);
    Ok(Launch { lines: vec![process; spec.threads], reload: None })
}

fn pdns_recursor(spec: &ServerSpec<'_>, program: String) -> io::Result<Launch> {
    let ServerSpec { port, upstream, threads, .. } = spec;
    let zones: Vec<String> = spec
        .data
        .zones()
        .iter()
        .map(|zone| format!("{}={}", zone.name, spec.file(&zone_file(zone))))
        .collect();
    let folder = spec.folder.display();
    let text = format!(
        "local-address=127.0.0.1\nlocal-port={port}\nthreads={threads}\nreuseport=yes\n\
         pdns-distributes-queries=no\nallow-from=127.0.0.0/8\ndont-query=\ndnssec=off\n\
         max-cache-entries=1000000\nmax-packetcache-entries=500000\nmax-mthreads=4096\n\
         max-tcp-clients=256\nmax-tcp-per-client=0\ndaemon=no\ndisable-syslog=yes\nquiet=yes\nloglevel=3\n\
         security-poll-suffix=\nsocket-dir={folder}\nconfig-dir={folder}\n\
         forward-zones-recurse=.=127.0.0.1:{upstream}\nauth-zones={}\n",
        zones.join(",")
    );
    spec.write("recursor.conf", text)?;
    let folder = format!("--config-dir={folder}");
    let reload = Reload::Line(line(["rec_control", &folder, "reload-zones"]));
    Ok(one(line([&program, &folder]), Some(reload)))
}
