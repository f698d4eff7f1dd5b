//! Tests of every row of the table of endpoint services that is confirmed by an AWS response: which names its
//! endpoint makes private, and which remain public.
//!
//! Each row is tested with a separate configuration, in two regions: one VPC with only that endpoint, two
//! network interfaces, and private DNS enabled. Any name that is not a private DNS name of the row must
//! therefore be public.

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

/// The addresses of the endpoint's network interfaces.
const INTERFACES: [&str; 2] = ["10.0.100.17", "10.0.200.23"];
/// A region that no row is tested in.
const OTHER_REGION: &str = "eu-west-1";

#[test]
fn every_confirmed_row_has_exactly_its_private_names() {
    let (rows, mut names, mut siblings, mut public) = (confirmed(), 0, 0, 0);
    assert_eq!(rows.len(), 242, "rows confirmed by an AWS response");
    let with_names = rows.iter().filter(|row| matches!(row.private_names, PrivateNames::Known(_)));
    for row in with_names {
        for region in regions(row) {
            let case = Case::new(row, &region);
            for name in &case.private {
                case.check_private(name);
                names += 1;
            }
            for sibling in case.siblings() {
                siblings += 1;
                public += usize::from(case.check_public(&sibling));
            }
        }
    }
    assert_eq!(names, 519, "private DNS names in their regions");
    assert!(siblings > 3_500 && public > 1_000, "{siblings} siblings, {public} of them public names");
}

#[test]
fn services_without_private_names_reject_private_dns_and_stay_public() {
    let without: Vec<&ServiceRow> =
        confirmed().into_iter().filter(|row| row.private_names == PrivateNames::NotOffered).collect();
    assert_eq!(without.len(), 4);
    for row in without {
        for region in regions(row) {
            let service = service_name(row, &region);
            let (loaded, world) = load(row, &service, &region, "private_dns_enabled = true");
            assert!(world.is_none(), "{service}");
            let code = "error[private-dns-refused]";
            assert!(loaded.report.render(&loaded.sources).contains(code), "{service}");
            let (loaded, world) = load(row, &service, &region, "");
            let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
            assert_eq!(world.names.managed_zones.len(), 0, "{service}");
            for host in hosts_of(&service, &region) {
                let outcome = resolve_name(&world, "subnet-client", &host, RecordType::A);
                assert_eq!(outcome.source, Source::Public, "{host}");
                assert!(!has_endpoint_address(&outcome), "{host} resolves to {service}");
                assert!(!outcome.answer.answer.is_empty(), "{host}");
            }
        }
    }
}

/// Returns the rows whose source is a response to DescribeVpcEndpointServices.
fn confirmed() -> Vec<&'static ServiceRow> {
    let rows = Facts::built_in().services.rows();
    rows.iter().filter(|row| row.source.starts_with("vpces-")).collect()
}

/// Returns the regions in which a row is tested: its own region, or two if it applies to all regions.
fn regions(row: &ServiceRow) -> Vec<Region> {
    let both = ["ap-northeast-1", "us-east-1"].map(|code| Region::parse(code).unwrap());
    match region_in_name(&row.template) {
        Some(region) => vec![region],
        None => both.to_vec(),
    }
}

/// Returns the service name in a region.
fn service_name(row: &ServiceRow, region: &Region) -> String {
    row.template.replace(REGION, region.as_str())
}

/// Returns the public host names of a service, with an example label in place of wildcards.
fn hosts_of(service: &str, region: &Region) -> Vec<String> {
    let facts = Facts::built_in();
    let hosts = facts.public_names.templates().filter(|template| template.contains(REGION));
    let hosts = hosts.map(|template| fill(&template.replace('*', "x"), region));
    hosts
        .filter(|host| {
            let found = facts.public_names.find(host);
            found.is_some_and(|found| {
                found.endpoint_services_from(region).iter().any(|other| other == service)
            })
        })
        .collect()
}

/// Compiles a configuration with one endpoint in a region; `more` has additional keys of the endpoint.
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
id = "vpc-test"
region = "{region}"
cidr = ["10.0.0.0/16"]
enable_dns_support = true
enable_dns_hostnames = true
subnet = [
  {{ id = "subnet-client", cidr = "10.0.1.0/24", availability_zone = "{region}a", route_table = "rtb-test" }},
  {{ id = "subnet-a", cidr = "10.0.100.0/24", availability_zone = "{region}a", route_table = "rtb-test" }},
  {{ id = "subnet-c", cidr = "10.0.200.0/24", availability_zone = "{region}c", route_table = "rtb-test" }},
]
route_table = [{{ id = "rtb-test" }}]

[[vpc.endpoint]]
id = "vpce-test"
type = "{kind}"
service = "{service}"
{more}
{interfaces}
"#
    );
    let none = |_: &Path| Err(std::io::Error::other("no other files"));
    let mut loaded = config::load_text(Path::new("test.toml"), text, &none);
    let world = compile(&mut loaded);
    (loaded, world)
}

fn resolve_name(world: &World, from: &str, host: &str, qtype: RecordType) -> Outcome {
    let from = vantage(world, from, None).unwrap();
    let qname = host.parse().unwrap_or_else(|error| panic!("{host}: {error}"));
    let question = Question { qname, qtype, qclass: Class::IN };
    resolve(world, from, &question, QueryContext::at(0), &mut NoTrace).expect("the resolver answers")
}

fn addresses(outcome: &Outcome) -> Vec<IpAddr> {
    outcome.paths.iter().map(|path| path.address).collect()
}

fn has_endpoint_address(outcome: &Outcome) -> bool {
    INTERFACES.iter().any(|address| addresses(outcome).contains(&address.parse().unwrap()))
}

/// A row of the table, tested in one region.
struct Case {
    service: String,
    region: Region,
    world: World,
    /// The private DNS names, including wildcards.
    private: Vec<Name>,
}

impl Case {
    fn new(row: &ServiceRow, region: &Region) -> Self {
        let service = service_name(row, region);
        // By default, private DNS of S3 applies only to inbound Resolver endpoints.
        let more = "private_dns_enabled = true\nprivate_dns_only_for_inbound_resolver_endpoint = false";
        let (loaded, world) = load(row, &service, region, more);
        let world = world.unwrap_or_else(|| panic!("{}", loaded.report.render(&loaded.sources)));
        assert_eq!(loaded.report.sorted().len(), 0, "{}", loaded.report.render(&loaded.sources));
        let endpoint = world.network.endpoints.iter().next().expect("there is one endpoint");
        let private = endpoint.private_names.clone();
        let PrivateNames::Known(templates) = &row.private_names else { panic!("{service} has names") };
        for template in templates {
            let name: Name = fill(template, region).parse().unwrap();
            assert!(private.contains(&name), "{name} is a private name of {service}");
        }
        Self { service, region: region.clone(), world, private }
    }

    /// Checks a private DNS name: the names it covers resolve to both interfaces, other types are NODATA,
    /// other names in the zone do not exist, and public DNS is not used.
    fn check_private(&self, name: &Name) {
        let apex = apex(name);
        if name.is_wildcard() {
            self.check_endpoint(&format!("x.{apex}"));
            self.check_endpoint(&format!("y.x.{apex}"));
            if !self.private.iter().any(|other| text(other) == apex) {
                let outcome = self.resolve(&apex, RecordType::A);
                self.check_negative(&apex, &outcome, Rcode::NOERROR);
            }
        } else {
            self.check_endpoint(&apex);
            let below = format!("x.{apex}");
            if !self.private.iter().any(|other| text(other) == format!("*.{apex}")) {
                let outcome = self.resolve(&below, RecordType::A);
                self.check_negative(&below, &outcome, Rcode::NXDOMAIN);
            }
        }
    }

    fn check_endpoint(&self, host: &str) {
        let service = &self.service;
        let outcome = self.resolve(host, RecordType::A);
        assert_eq!(outcome.source, Source::Endpoint, "{host} of {service}");
        let expected = INTERFACES.map(|address| address.parse::<IpAddr>().unwrap());
        assert_eq!(addresses(&outcome), expected, "{host} of {service}");
        for path in &outcome.paths {
            assert_eq!(path.path.class.as_str(), "interface-endpoint", "{host} of {service}");
            assert_eq!(path.path.via.iter().map(|id| &**id).collect::<Vec<_>>(), ["vpce-test"], "{host}");
        }
        for qtype in [RecordType::AAAA, RecordType::HTTPS, RecordType::SVCB] {
            let outcome = self.resolve(host, qtype);
            self.check_negative(host, &outcome, Rcode::NOERROR);
        }
        let outside = resolve_name(&self.world, "outside", host, RecordType::A);
        assert_eq!(outside.source, Source::Public, "{host} of {service} from outside");
        assert!(!outside.answer.answer.is_empty(), "{host} of {service} has a public address");
        assert!(!has_endpoint_address(&outside), "{host} of {service} from outside");
        self.check_explanation(host);
    }

    fn check_negative(&self, host: &str, outcome: &Outcome, rcode: Rcode) {
        let service = &self.service;
        assert_eq!(outcome.source, Source::Endpoint, "{host} of {service}");
        assert_eq!(outcome.answer.rcode, rcode, "{host} of {service}");
        assert!(outcome.answer.answer.is_empty(), "{host} of {service}");
        assert_eq!(
            outcome.answer.authority.len(),
            1,
            "{host} of {service} has an SOA record in the negative answer"
        );
    }

    fn check_explanation(&self, host: &str) {
        let from = vantage(&self.world, "subnet-client", None).unwrap();
        let question = Question { qname: host.parse().unwrap(), qtype: RecordType::A, qclass: Class::IN };
        let explanation =
            Explanation::of(&self.world, from, &question, QueryContext::at(0)).expect("the resolver answers");
        let selected: Vec<_> = explanation.claims.iter().filter(|claim| claim.is_selected).collect();
        let [selected] = selected[..] else { panic!("{} claims selected for {host}", selected.len()) };
        assert_eq!((selected.kind, &*selected.id), ("endpoint", "vpce-test"), "{host}");
        assert!(selected.rule.contains("private zone for exactly this name"), "{host}: {}", selected.rule);
    }

    /// Checks that a name is resolved via public DNS. Returns whether it has an address there.
    fn check_public(&self, host: &str) -> bool {
        let service = &self.service;
        let mut has_address = false;
        for qtype in [RecordType::A, RecordType::AAAA] {
            let outcome = self.resolve(host, qtype);
            assert_eq!(outcome.source, Source::Public, "{host}, which is not a name of {service}");
            assert!(!has_endpoint_address(&outcome), "{host}, which is not a name of {service}");
            has_address |= !outcome.answer.answer.is_empty();
        }
        has_address
    }

    /// Returns names that are similar to the private DNS names, but not covered by them: the FIPS,
    /// dual-stack, `api.aws` and hyphenated-region forms, the name in another region, the global name, and
    /// the parent domain.
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
                apex.replace(region, OTHER_REGION),
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

    fn resolve(&self, host: &str, qtype: RecordType) -> Outcome {
        resolve_name(&self.world, "subnet-client", host, qtype)
    }
}

/// Returns a name without the trailing dot.
fn text(name: &Name) -> String {
    name.to_string().trim_end_matches('.').to_owned()
}

/// Returns the apex of the zone of a private DNS name.
fn apex(name: &Name) -> String {
    let text = text(name);
    text.strip_prefix("*.").map_or(text.clone(), str::to_owned)
}
