//! AWS endpoint services and their private DNS names (PrivateLink guide, "AWS services that integrate with
//! AWS PrivateLink"; DescribeVpcEndpointServices).
//!
//! The names are data and are never derived from the name of the service: the private DNS name of `ecs-agent`
//! starts with `ecs-a`, that of `kinesis-streams` with `kinesis`.

use std::ops::ControlFlow;

use super::facts::{GLOBAL_SERVICES_REGION, TableError, lines};
use super::region::{Partition, Region};
use super::template::{REGION, TemplateIndex, fill, region_in_label, region_in_name};

/// The type of endpoint of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndpointKind {
    /// Network interfaces with private addresses.
    Interface,
    /// A route whose destination is a prefix list: S3, S3 Express One Zone, DynamoDB.
    Gateway,
    /// A Gateway Load Balancer endpoint. AWS itself offers no service of this type, so no row has it.
    GatewayLoadBalancer,
}

/// The private DNS names of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrivateNames {
    /// The names that AWS returns: templates with `{region}`.
    Known(Vec<String>),
    /// AWS offers no private DNS for this service.
    NotOffered,
    /// Not confirmed. They must not be served.
    Unknown,
}

/// A row of the table of endpoint services.
#[derive(Debug, Clone)]
pub struct ServiceRow {
    /// The template of the service name, such as `com.amazonaws.{region}.sns`. A row for a single region has
    /// that region in place of `{region}`; a global service has neither.
    pub template: String,
    /// The type of endpoint. S3 and DynamoDB have one row per type.
    pub kind: EndpointKind,
    /// The names that resolve to the endpoint if private DNS is enabled.
    pub private_names: PrivateNames,
    /// Template of the suffix of endpoint-specific names, such as `dkr.ecr.{region}.vpce.amazonaws.com`.
    pub base_domain: Option<String>,
    /// TCP ports, starting with the default port; never empty.
    pub ports: Vec<u16>,
    /// The source of the row. The header of the table explains the abbreviations.
    pub source: String,
}

/// An endpoint service in a region.
#[derive(Debug, Clone)]
pub struct Service<'a> {
    /// The row of the table.
    pub row: &'a ServiceRow,
    /// The region.
    pub region: Region,
}

impl Service<'_> {
    /// Returns the service name, such as `com.amazonaws.ap-northeast-1.sns`.
    pub fn name(&self) -> String {
        self.row.template.replace(REGION, self.region.as_str())
    }

    /// Returns the private DNS names, or `None` unless they are [`PrivateNames::Known`].
    ///
    /// The names are confirmed for the standard partition and GovCloud. For other partitions, such as China,
    /// this returns `None` too.
    pub fn private_names(&self) -> Option<Vec<String>> {
        let confirmed = matches!(self.region.partition(), Partition::Aws | Partition::AwsUsGov);
        match &self.row.private_names {
            PrivateNames::Known(names) if confirmed => {
                Some(names.iter().map(|n| fill(n, &self.region)).collect())
            }
            _ => None,
        }
    }

    /// Returns the suffix of endpoint-specific names.
    ///
    /// If the table has none, it is derived by a rule of this project: the labels of the service name after
    /// the region (for a global service, after `com.amazonaws`), in reverse order, followed by
    /// `<region>.vpce.amazonaws.com`. The rule is correct for most confirmed rows.
    pub fn base_domain(&self) -> String {
        if let Some(base) = &self.row.base_domain {
            return fill(base, &self.region);
        }
        let labels: Vec<&str> = self.row.template.split('.').collect();
        let region_at =
            labels.iter().position(|l| *l == REGION || region_in_label(l).is_some_and(|(at, _)| at == 0));
        let suffix_labels = &labels[region_at.map_or(2, |i| i + 1).min(labels.len())..];
        let suffix_labels: Vec<&str> = suffix_labels.iter().rev().copied().collect();
        fill(&format!("{}.{REGION}.vpce.amazonaws.com", suffix_labels.join(".")), &self.region)
    }

    /// Returns the default TCP port: 443, or 587 for SMTP.
    pub fn port(&self) -> u16 {
        self.row.ports.first().copied().unwrap_or(443)
    }
}

/// The table of endpoint services, about 400 rows.
#[derive(Debug, Default)]
pub struct ServiceTable {
    rows: Vec<ServiceRow>,
    /// Indices of rows by template.
    by_name: foldhash::HashMap<String, Vec<u32>>,
    /// Indices of rows by their known private DNS names.
    by_host: TemplateIndex,
}

impl ServiceTable {
    /// Finds the row for a service name as in a configuration (`com.amazonaws.ap-northeast-1.sns`).
    /// `default_region` is used if the service name has no region. A row for a single region takes precedence
    /// over one with `{region}`. An unknown region is accepted if its format is valid.
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
        // A template is not a service name.
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

    /// Returns the services whose private DNS names cover this host (`*.x` covers every name below `x`, but
    /// not `x`), each with the region in the host name, or us-east-1 if it has none. The service with the
    /// most specific name is first, and each service is returned once. Names in unknown regions are not
    /// recognised.
    pub fn covering_host(&self, host: &str) -> Vec<Service<'_>> {
        let mut found: Vec<Service<'_>> = Vec::new();
        self.by_host.visit(host, |row, region| {
            let row = &self.rows[row as usize];
            let region = region
                .or_else(|| region_in_name(&row.template))
                .unwrap_or_else(|| GLOBAL_SERVICES_REGION.clone());
            let service = Service { row, region };
            let name = service.name();
            // A row for a single region replaces the row with `{region}` of the same service.
            if !found.iter().any(|f| f.row.kind == row.kind && f.name() == name) {
                found.push(service);
            }
            ControlFlow::<()>::Continue(())
        });
        found
    }

    /// Returns all rows, in order of template.
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
                    other => return Err(line.error(format!("unknown kind `{other}`"))),
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

/// Returns the suffix of endpoint-specific names for a service that is not in the table, such as
/// `vpce-svc-….<region>.vpce.amazonaws.com` for a customer's endpoint service.
pub fn vpce_domain(service_name: &str, region: &Region) -> String {
    let last = service_name.rsplit('.').next().unwrap_or_default();
    let suffix = region.partition().dns_suffix();
    format!("{}.{region}.vpce.{suffix}", last.to_ascii_lowercase())
}

/// Returns the region in a service name, even if it is not a known one. `None` for a global service.
pub fn region_in_service_name(service_name: &str) -> Option<Region> {
    service_name.split('.').take(4).find_map(|label| Region::parse(label).ok())
}

/// Returns whether a service can be accessed through an endpoint in another region: customers' services, and
/// some of AWS's (PrivateLink guide, "Cross-Region enabled AWS services", as of 2025-12).
pub fn supports_cross_region(service_name: &str) -> bool {
    const CROSS_REGION_ENABLED: [&str; 12] = [
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
    let suffix_labels: Vec<&str> =
        labels.iter().skip(2).filter(|l| Region::parse(l).is_err()).copied().collect();
    is_customer_service(service_name) || CROSS_REGION_ENABLED.contains(&suffix_labels.join(".").as_str())
}

/// Returns the region in which a global service is hosted, if it has one. Endpoints in other regions
/// are cross-region endpoints (PrivateLink guide, as of 2025-12, which states this only for Route 53; the
/// others are assumed to be the same).
pub fn global_service_region(service_name: &str) -> Option<&'static Region> {
    const WITH_HOME_REGION: [&str; 3] =
        ["com.amazonaws.route53", "com.amazonaws.iam", "com.amazonaws.cloudfront"];
    WITH_HOME_REGION.contains(&service_name).then_some(&GLOBAL_SERVICES_REGION)
}

/// Returns whether this is a customer's endpoint service: `com.amazonaws.vpce.<region>.vpce-svc-…`.
pub fn is_customer_service(service_name: &str) -> bool {
    service_name.contains(".vpce-svc-")
}

/// Returns whether this is S3, the only service with both a gateway endpoint and private DNS names.
pub fn is_s3(service_name: &str) -> bool {
    service_name.ends_with(".s3")
}

/// Returns whether the endpoint-specific names are wildcards: those of S3 require a label in front, as in
/// `bucket.vpce-…` (S3 User Guide, "AWS PrivateLink for Amazon S3").
pub fn has_wildcard_names(service_name: &str) -> bool {
    service_name.ends_with(".s3") || service_name.ends_with(".s3-fips")
}

/// Returns whether this is API Gateway's `execute-api`. Its endpoint also receives requests for public APIs,
/// and rejects them with 403 (API Gateway guide, "private REST APIs").
pub fn is_execute_api(service_name: &str) -> bool {
    service_name.ends_with(".execute-api")
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
