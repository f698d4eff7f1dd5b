//! A walk over every row of the table of endpoint services that an answer of AWS confirms: what its endpoint makes
//! private, and what it leaves public.
//!
//! Each row has a world of its own, in two regions: one VPC with that endpoint, two network interfaces, private DNS
//! on. Other services' endpoints are not in it, so whatever is not a private name of the row must be public.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use plustwo::aws::service::{EndpointKind, PrivateNames, ServiceRow};
use plustwo::aws::template::{REGION, fill, region_in_name};
use plustwo::aws::{Facts, Region};
use plustwo::config::{self, Loaded};
use plustwo::dns::{Class, Name, Question, Rcode, RecordType};
use plustwo::explain::{Explanation, vantage};
use plustwo::resolve::{NoTrace, Outcome, QueryContext, Source, resolve};
use plustwo::world::World;
use plustwo::world::compile::compile;

/// The addresses of the endpoint's interfaces.
const INTERFACES: [&str; 2] = ["10.0.100.17", "10.0.200.23"];
/// A region that no row is tried in.
const ELSEWHERE: &str = "eu-west-1";

#[test]
fn every_confirmed_row_is_private_where_aws_has_it_so_and_nowhere_else() {
    let (rows, mut names, mut siblings, mut known) = (confirmed(), 0, 0, 0);
    assert_eq!(rows.len(), 242, "rows that an answer of AWS confirms");
    let with_names = rows.iter().filter(|row| matches!(row.private_names, PrivateNames::Known(_)));
    for row in with_names {
        for region in regions(row) {
            let case = Case::of(row, &region);
            for name in &case.private {
                case.is_private(name);
                names += 1;
            }
            for sibling in case.siblings() {
                siblings += 1;
                known += usize::from(case.is_public(&sibling));
            }
        }
    }
    assert_eq!(names, 519, "private names in their regions");
    assert!(
        siblings > 3_500 && known > 1_000,
        "{siblings} siblings, {known} of them public names, were walked"
    );
}

#[test]
fn rows_without_private_names_are_refused_private_dns_and_change_nothing() {
    let without: Vec<&ServiceRow> =
        confirmed().into_iter().filter(|row| row.private_names == PrivateNames::NotOffered).collect();
    assert_eq!(without.len(), 4);
    for row in without {
        for region in regions(row) {
            let service = fill_service(row, &region);
            let (loaded, world) = load(row, &service, &region, "private_dns_enabled = true");
            assert!(world.is_none(), "{service}");
            let code = "error[private-dns-refused]";
            assert!(loaded.report.render(&loaded.sources).contains(code), "{service}");
            let (loaded, world) = load(row, &service, &region, "");
            let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
            assert_eq!(world.managed_zones.len(), 0, "{service}");
            for host in hosts_of(&service, &region) {
                let outcome = ask(&world, "subnet-client", &host, RecordType::A);
                assert_eq!(outcome.source, Source::Public, "{host}");
                assert!(!holds_an_interface(&outcome), "{host} leads to {service}");
                assert!(!outcome.answer.answer.is_empty(), "{host}");
            }
        }
    }
}

/// The rows whose source is an answer of DescribeVpcEndpointServices.
fn confirmed() -> Vec<&'static ServiceRow> {
    let rows = Facts::built_in().services.rows();
    rows.iter().filter(|row| row.source.starts_with("vpces-")).collect()
}

/// The regions that a row is tried in: its own, or two where it is for every region.
fn regions(row: &ServiceRow) -> Vec<Region> {
    let both = ["ap-northeast-1", "us-east-1"].map(|code| Region::parse(code).unwrap());
    match region_in_name(&row.template) {
        Some(own) => vec![own],
        None => both.to_vec(),
    }
}

/// A service's name in a region.
fn fill_service(row: &ServiceRow, region: &Region) -> String {
    row.template.replace(REGION, region.as_str())
}

/// The public hosts of a service, without wildcards.
fn hosts_of(service: &str, region: &Region) -> Vec<String> {
    let facts = Facts::built_in();
    let hosts = facts.public_names.templates().filter(|template| template.contains(REGION));
    let hosts = hosts.map(|template| fill(&template.replace('*', "x"), region));
    hosts
        .filter(|host| {
            let found = facts.public_names.find(host);
            found.is_some_and(|found| found.endpoint_services_from(region).iter().any(|own| own == service))
        })
        .collect()
}

/// Compiles a world with one endpoint in a region; `more` are further keys of the endpoint.
fn load(row: &ServiceRow, service: &str, region: &Region, more: &str) -> (Loaded, Option<World>) {
    let (kind, interfaces) = match row.kind {
        EndpointKind::Gateway => ("Gateway", String::new()),
        _ => {
            let interface =
                |subnet: &str, address: &str| format!("{{ subnet = \"{subnet}\", address = \"{address}\" }}");
            let both = [interface("subnet-a", INTERFACES[0]), interface("subnet-c", INTERFACES[1])];
            ("Interface", format!("network_interfaces = [{}]", both.join(", ")))
        }
    };
    let text = format!(
        r#"
[[vpc]]
id = "vpc-walk"
region = "{region}"
cidr = ["10.0.0.0/16"]
enable_dns_support = true
enable_dns_hostnames = true
subnet = [
  {{ id = "subnet-client", cidr = "10.0.1.0/24", availability_zone = "{region}a", route_table = "rtb-walk" }},
  {{ id = "subnet-a", cidr = "10.0.100.0/24", availability_zone = "{region}a", route_table = "rtb-walk" }},
  {{ id = "subnet-c", cidr = "10.0.200.0/24", availability_zone = "{region}c", route_table = "rtb-walk" }},
]
route_table = [{{ id = "rtb-walk" }}]

[[vpc.endpoint]]
id = "vpce-walk"
type = "{kind}"
service = "{service}"
{more}
{interfaces}
"#
    );
    let none = |_: &Path| Err(std::io::Error::other("no other files"));
    let mut loaded = config::load_text(Path::new("walk.toml"), text, &none);
    let world = compile(&mut loaded);
    (loaded, world)
}

fn ask(world: &World, from: &str, host: &str, qtype: RecordType) -> Outcome {
    let from = vantage(world, from, None).unwrap();
    let qname = host.parse().unwrap_or_else(|error| panic!("{host}: {error}"));
    let question = Question { qname, qtype, qclass: Class::IN };
    resolve(world, from, &question, QueryContext::at(0), &mut NoTrace).expect("the resolver answers")
}

fn addresses(outcome: &Outcome) -> Vec<IpAddr> {
    outcome.paths.iter().map(|path| path.address).collect()
}

fn holds_an_interface(outcome: &Outcome) -> bool {
    INTERFACES.iter().any(|own| addresses(outcome).contains(&own.parse().unwrap()))
}

/// A row in a region.
struct Case {
    service: String,
    region: Region,
    world: World,
    /// Its private names, wildcards among them.
    private: Vec<Name>,
}

impl Case {
    fn of(row: &ServiceRow, region: &Region) -> Self {
        let service = fill_service(row, region);
        // S3's private DNS is for inbound endpoints alone unless somebody says otherwise.
        let more = "private_dns_enabled = true\nprivate_dns_only_for_inbound_resolver_endpoint = false";
        let (loaded, world) = load(row, &service, region, more);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        assert_eq!(loaded.report.sorted().len(), 0, "{}", loaded.report.render(&loaded.sources));
        let endpoint = world.endpoints.iter().next().expect("there is one endpoint");
        let private = endpoint.private_names.clone();
        let PrivateNames::Known(templates) = &row.private_names else { panic!("{service} has names") };
        for template in templates {
            let name: Name = fill(template, region).parse().unwrap();
            assert!(private.contains(&name), "{name} is a private name of {service}");
        }
        Self { service, region: region.clone(), world, private }
    }

    /// Checks a private name: what it stands for leads to both interfaces, other types are NODATA, what is no name
    /// of the zone is denied, and public DNS has nothing of it.
    fn is_private(&self, name: &Name) {
        let apex = apex(name);
        if name.is_wildcard() {
            self.leads_to_the_endpoint(&format!("x.{apex}"));
            self.leads_to_the_endpoint(&format!("y.x.{apex}"));
            if !self.private.iter().any(|other| text(other) == apex) {
                let outcome = self.ask(&apex, RecordType::A);
                self.is_denied(&apex, &outcome, Rcode::NOERROR);
            }
        } else {
            self.leads_to_the_endpoint(&apex);
            let below = format!("x.{apex}");
            if !self.private.iter().any(|other| text(other) == format!("*.{apex}")) {
                let outcome = self.ask(&below, RecordType::A);
                self.is_denied(&below, &outcome, Rcode::NXDOMAIN);
            }
        }
    }

    fn leads_to_the_endpoint(&self, host: &str) {
        let service = &self.service;
        let outcome = self.ask(host, RecordType::A);
        assert_eq!(outcome.source, Source::Endpoint, "{host} of {service}");
        let wanted = INTERFACES.map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(addresses(&outcome), wanted, "{host} of {service}");
        for path in &outcome.paths {
            assert_eq!(path.path.class.as_str(), "interface-endpoint", "{host} of {service}");
            assert_eq!(path.path.via.iter().map(|id| &**id).collect::<Vec<_>>(), ["vpce-walk"], "{host}");
        }
        for qtype in [RecordType::AAAA, RecordType::HTTPS, RecordType::SVCB] {
            let outcome = self.ask(host, qtype);
            self.is_denied(host, &outcome, Rcode::NOERROR);
        }
        let outside = ask(&self.world, "outside", host, RecordType::A);
        assert_eq!(outside.source, Source::Public, "{host} of {service} from outside");
        assert!(!outside.answer.answer.is_empty(), "{host} of {service} has a public address");
        assert!(!holds_an_interface(&outside), "{host} of {service} from outside");
        self.is_explained(host);
    }

    fn is_denied(&self, host: &str, outcome: &Outcome, rcode: Rcode) {
        let service = &self.service;
        assert_eq!(outcome.source, Source::Endpoint, "{host} of {service}");
        assert_eq!(outcome.answer.rcode, rcode, "{host} of {service}");
        assert!(outcome.answer.answer.is_empty(), "{host} of {service}");
        assert_eq!(outcome.answer.authority.len(), 1, "{host} of {service} is denied with an SOA");
    }

    fn is_explained(&self, host: &str) {
        let from = vantage(&self.world, "subnet-client", None).unwrap();
        let question = Question { qname: host.parse().unwrap(), qtype: RecordType::A, qclass: Class::IN };
        let told =
            Explanation::of(&self.world, from, &question, QueryContext::at(0)).expect("the resolver answers");
        let won: Vec<_> = told.claims.iter().filter(|claim| claim.is_selected).collect();
        let [won] = won[..] else { panic!("{} claims won {host}", won.len()) };
        assert_eq!((won.kind, &*won.id), ("endpoint", "vpce-walk"), "{host}");
        assert!(won.rule.contains("hidden zone, cut at the private name"), "{host}: {}", won.rule);
    }

    /// Checks that nothing private answers a name. Tells whether public DNS has an address for it.
    fn is_public(&self, host: &str) -> bool {
        let service = &self.service;
        let mut is_known = false;
        for qtype in [RecordType::A, RecordType::AAAA] {
            let outcome = self.ask(host, qtype);
            assert_eq!(outcome.source, Source::Public, "{host} beside {service}");
            assert!(!holds_an_interface(&outcome), "{host} beside {service}");
            is_known |= !outcome.answer.answer.is_empty();
        }
        is_known
    }

    /// Names that AWS does not cover beside those that it does: FIPS, dual-stack, api.aws and dash-region forms,
    /// another region's, the global name, and what stands above.
    fn siblings(&self) -> BTreeSet<String> {
        let region = self.region.as_str();
        let mut all = BTreeSet::new();
        for name in &self.private {
            let (apex, prefix) = (apex(name), if name.is_wildcard() { "x." } else { "" });
            let (first, rest) = apex.split_once('.').expect("a private name has several labels");
            let mut forms = vec![
                format!("{first}-fips.{rest}"),
                apex.replace(&format!(".{region}."), &format!(".dualstack.{region}.")),
                apex.replace(&format!(".{region}."), &format!("-{region}.")),
                apex.replace(&format!(".{region}."), "."),
                apex.replace(region, ELSEWHERE),
            ];
            forms.extend(apex.strip_suffix(".amazonaws.com").map(|head| format!("{head}.api.aws")));
            forms.extend(apex.strip_suffix(".api.aws").map(|head| format!("{head}.amazonaws.com")));
            all.extend(forms.into_iter().map(|form| format!("{prefix}{form}")));
            all.insert(rest.to_owned());
        }
        let apexes: Vec<Name> = self.private.iter().map(|name| apex(name).parse().unwrap()).collect();
        all.retain(|host| {
            let host: Name = host.parse().unwrap();
            !apexes.iter().any(|apex| host.is_at_or_below(apex))
        });
        all
    }

    fn ask(&self, host: &str, qtype: RecordType) -> Outcome {
        ask(&self.world, "subnet-client", host, qtype)
    }
}

/// A name without its final dot.
fn text(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

/// Where the zone of a private name is cut.
fn apex(name: &Name) -> String {
    let whole = text(name);
    whole.strip_prefix("*.").map_or(whole.clone(), str::to_owned)
}
