//! Endpoint services of AWS and the private DNS names they inject
//! (PrivateLink guide, "AWS services that integrate with AWS PrivateLink";
//! DescribeVpcEndpointServices).
//!
//! The names are data, never made from the service's name: `ecs-agent` injects
//! `ecs-a`, `kinesis-streams` injects `kinesis`.

use std::ops::ControlFlow;

use super::facts::{GLOBAL_SERVICES_REGION, TableError, lines};
use super::region::{Partition, Region};
use super::template::{REGION, TemplateIndex, fill, region_in_label, region_in_name};

/// What sort of endpoint a service is reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Network interfaces with private addresses.
    Interface,
    /// A prefix list in route tables: S3, S3 Express One Zone, DynamoDB.
    Gateway,
    /// A Gateway Load Balancer endpoint. AWS offers no service of this kind itself,
    /// so no row has it.
    GatewayLoadBalancer,
}

/// The private DNS names of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateNames {
    /// AWS's own answer: templates with `{region}`.
    Known(Vec<String>),
    /// AWS offers no private DNS for this service.
    NotOffered,
    /// Nobody has confirmed them; they must not be served.
    Unknown,
}

/// A row of the table.
#[derive(Debug, Clone)]
pub struct ServiceRow {
    /// `com.amazonaws.{region}.sns`. A row of one region has that in place of
    /// `{region}`, a global service has neither.
    pub template: String,
    /// The kind of endpoint; S3 and DynamoDB have a row for each kind.
    pub kind: EndpointKind,
    /// The names injected when private DNS is on.
    pub private_names: PrivateNames,
    /// Template of what the endpoint's own names end with, such as
    /// `dkr.ecr.{region}.vpce.amazonaws.com`.
    pub base_domain: Option<String>,
    /// TCP ports, the default one first; never empty.
    pub ports: Vec<u16>,
    /// Where the row comes from; the header of the table explains it.
    pub source: String,
}

/// A row with its region filled in.
#[derive(Debug, Clone)]
pub struct Service<'a> {
    /// The row.
    pub row: &'a ServiceRow,
    /// The region.
    pub region: Region,
}

impl Service<'_> {
    /// `com.amazonaws.ap-northeast-1.sns`.
    pub fn name(&self) -> String {
        self.row.template.replace(REGION, self.region.as_str())
    }

    /// The private DNS names; `None` unless they are [`PrivateNames::Known`].
    ///
    /// The known answers are of the standard partition and GovCloud; elsewhere (China
    /// and so on) nobody has confirmed them, so there is `None` too.
    pub fn private_names(&self) -> Option<Vec<String>> {
        let confirmed = matches!(self.region.partition(), Partition::Aws | Partition::AwsUsGov);
        match &self.row.private_names {
            PrivateNames::Known(names) if confirmed => {
                Some(names.iter().map(|n| fill(n, &self.region)).collect())
            }
            _ => None,
        }
    }

    /// What the endpoint's own names end with.
    ///
    /// Where the table has none, a rule of this project: the labels of the service's
    /// name after the region (or after `com.amazonaws` of a global one), reversed,
    /// before `<region>.vpce.amazonaws.com`. It holds for most confirmed rows.
    pub fn base_domain(&self) -> String {
        if let Some(base) = &self.row.base_domain {
            return fill(base, &self.region);
        }
        let labels: Vec<&str> = self.row.template.split('.').collect();
        let region_at =
            labels.iter().position(|l| *l == REGION || region_in_label(l).is_some_and(|(at, _)| at == 0));
        let own = &labels[region_at.map_or(2, |i| i + 1).min(labels.len())..];
        let own: Vec<&str> = own.iter().rev().copied().collect();
        fill(&format!("{}.{REGION}.vpce.amazonaws.com", own.join(".")), &self.region)
    }

    /// The default TCP port: 443, SMTP's 587.
    pub fn port(&self) -> u16 {
        self.row.ports.first().copied().unwrap_or(443)
    }
}

/// The table of endpoint services, some four hundred rows.
#[derive(Debug, Default)]
pub struct ServiceTable {
    rows: Vec<ServiceRow>,
    /// Rows by template.
    by_name: foldhash::HashMap<String, Vec<u32>>,
    /// Rows by their known private names.
    by_host: TemplateIndex,
}

impl ServiceTable {
    /// Finds the row for a service name as written in a configuration
    /// (`com.amazonaws.ap-northeast-1.sns`); `default_region` fills rows whose template
    /// has no region. A row of one region comes before the folded one. An unknown but
    /// well-shaped region is accepted.
    pub fn find(
        &self,
        service_name: &str,
        kind: EndpointKind,
        default_region: &Region,
    ) -> Option<Service<'_>> {
        let row = |name: &str| {
            let rows = self.by_name.get(name)?;
            rows.iter().map(|&i| &self.rows[i as usize]).find(|r| r.kind == kind)
        };
        // A template is no service name.
        if service_name.contains(REGION) {
            return None;
        }
        if let Some(row) = row(service_name) {
            let region = region_in_name(service_name).unwrap_or_else(|| default_region.clone());
            return Some(Service { row, region });
        }
        let mut labels: Vec<&str> = service_name.split('.').collect();
        for i in 0..labels.len().min(4) {
            if let Ok(region) = Region::parse(labels[i]) {
                let label = std::mem::replace(&mut labels[i], REGION);
                if let Some(row) = row(&labels.join(".")) {
                    return Some(Service { row, region });
                }
                labels[i] = label;
            }
        }
        None
    }

    /// Services whose private names would cover this host (`*.x` covers every depth
    /// below x, not x), with the region read from the host; that of a host without a
    /// region is us-east-1. The most specific name comes first, a service once.
    /// Names in regions that are not known are not recognised.
    pub fn covering_host(&self, host: &str) -> Vec<Service<'_>> {
        let mut found: Vec<Service<'_>> = Vec::new();
        self.by_host.visit(host, |row, region| {
            let row = &self.rows[row as usize];
            let region = region
                .or_else(|| region_in_name(&row.template))
                .unwrap_or_else(|| GLOBAL_SERVICES_REGION.clone());
            let service = Service { row, region };
            let name = service.name();
            // A row of one region replaces the folded row of its service.
            if !found.iter().any(|f| f.row.kind == row.kind && f.name() == name) {
                found.push(service);
            }
            ControlFlow::<()>::Continue(())
        });
        found
    }

    /// All rows, in order of template.
    pub fn rows(&self) -> &[ServiceRow] {
        &self.rows
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut table = Self::default();
        for line in lines::<6>("services.tsv", text) {
            let line = line?;
            let [template, kind, names, base, ports, source] = line.cells;
            let row = ServiceRow {
                template: template.to_string(),
                kind: match kind {
                    "interface" => EndpointKind::Interface,
                    "gateway" => EndpointKind::Gateway,
                    "gatewayloadbalancer" => EndpointKind::GatewayLoadBalancer,
                    other => return Err(line.error(format!("unknown kind {other}"))),
                },
                private_names: match names {
                    "-" => PrivateNames::NotOffered,
                    "?" => PrivateNames::Unknown,
                    some => PrivateNames::Known(some.split(' ').map(str::to_string).collect()),
                },
                base_domain: (base != "-").then(|| base.to_string()),
                ports: ports
                    .split(',')
                    .map(|p| p.parse().map_err(|e| line.error(format!("port {p}: {e}"))))
                    .collect::<Result<_, _>>()?,
                source: source.to_string(),
            };
            let number = table.rows.len() as u32;
            if let PrivateNames::Known(names) = &row.private_names {
                for name in names {
                    table.by_host.insert(name, number);
                }
            }
            let same = table.by_name.entry(row.template.clone()).or_default();
            same.push(number);
            table.rows.push(row);
        }
        Ok(table)
    }
}

/// What the names of an endpoint for a service outside the table end with: for an endpoint service of a
/// customer's, `vpce-svc-….<region>.vpce.amazonaws.com`.
pub fn vpce_domain(service_name: &str, region: &Region) -> String {
    let last = service_name.rsplit('.').next().unwrap_or_default();
    let suffix = region.partition().dns_suffix();
    format!("{}.{region}.vpce.{suffix}", last.to_ascii_lowercase())
}

/// The region that a service's name carries, known or not. `None` for a global service.
pub fn region_in_service_name(service_name: &str) -> Option<Region> {
    service_name.split('.').take(4).find_map(|label| Region::parse(label).ok())
}

/// Whether an endpoint of another region may lead to a service: those of customers, and the few of AWS's own
/// (PrivateLink guide, "Cross-Region enabled AWS services", as of 2025-12).
pub fn supports_cross_region(service_name: &str) -> bool {
    const OFFERED: [&str; 12] = [
        "s3",
        "iam",
        "ecr.api",
        "ecr.dkr",
        "kms",
        "kms-fips",
        "ecs",
        "lambda",
        "kinesis-firehose",
        "kinesisanalytics",
        "kinesisanalytics-fips",
        "route53",
    ];
    let labels: Vec<&str> = service_name.split('.').collect();
    let own: Vec<&str> = labels.iter().skip(2).filter(|l| Region::parse(l).is_err()).copied().collect();
    is_customer_service(service_name) || OFFERED.contains(&own.join(".").as_str())
}

/// The region that a global service's endpoints are made in, where AWS names one: elsewhere they are endpoints to
/// another region (PrivateLink guide, as of 2025-12, which says it of Route 53 alone; the others are taken alike).
pub fn global_service_region(service_name: &str) -> Option<&'static Region> {
    const AT_HOME: [&str; 3] = ["com.amazonaws.route53", "com.amazonaws.iam", "com.amazonaws.cloudfront"];
    AT_HOME.contains(&service_name).then_some(&GLOBAL_SERVICES_REGION)
}

/// Whether this is an endpoint service of a customer's: `com.amazonaws.vpce.<region>.vpce-svc-…`.
pub fn is_customer_service(service_name: &str) -> bool {
    service_name.contains(".vpce-svc-")
}

/// Whether this is S3's service, the one with both a gateway endpoint and private names.
pub fn is_s3(service_name: &str) -> bool {
    service_name.ends_with(".s3")
}

/// Whether an endpoint's own names are wildcards: S3's want a word in front, `bucket.vpce-…` (S3 User
/// Guide, "AWS PrivateLink for Amazon S3").
pub fn has_wildcard_names(service_name: &str) -> bool {
    service_name.ends_with(".s3") || service_name.ends_with(".s3-fips")
}

/// Whether this is API Gateway's execute-api service, whose endpoint takes the names of public APIs and
/// refuses them with 403 (API Gateway guide, "private REST APIs").
pub fn is_execute_api(service_name: &str) -> bool {
    service_name.ends_with(".execute-api")
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
