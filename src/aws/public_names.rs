//! Public host names of AWS services, and addresses for them.
//!
//! Follows botocore's endpoint rule sets and the guides listed in `data/public_names.tsv`. The daemon
//! resolves these names when it has no internet access, so that the egress path of each answer is known.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use ipnet::IpNet;

use super::facts::{GLOBAL_SERVICES_REGION, TableError, lines};
use super::region::Region;
use super::template::{REGION, TemplateIndex, fill, region_in_name};

pub use super::ranges::IpRanges;

/// Whether the service of a public host name can be reached through an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointSupport {
    /// Through an endpoint for this service (`com.amazonaws.ap-northeast-1.sqs`); its private DNS names do
    /// not necessarily include this name.
    Service(String),
    /// There is no endpoint service.
    None,
    /// Unknown.
    Unknown,
}

/// A public host name in the table.
#[derive(Debug, Clone)]
pub struct PublicHost<'a> {
    /// The row's template, such as `*.s3.{region}.amazonaws.com`.
    pub template: &'a str,
    /// The region from the host name, or fixed by the row. `None` for a global host.
    pub region: Option<Region>,
    /// The service in `ip-ranges.json` to which its addresses belong, such as `S3` or `AMAZON`.
    pub service_range: &'a str,
    /// Whether the host has IPv6 addresses.
    pub ipv6: bool,
    /// The TTL of its records, in seconds.
    pub ttl: u32,
    /// Its endpoint service. For a global host, `{region}` is us-east-1.
    pub endpoint_support: EndpointSupport,
    /// The template of its endpoint service, if it has one.
    endpoint_template: &'a str,
}

impl PublicHost<'_> {
    /// Returns the endpoint services through which a VPC in a region could reach this host: its own; for a
    /// global host, also the one in the VPC's region; and for a FIPS service, also the non-FIPS one.
    pub fn endpoint_services_from(&self, region: &Region) -> Vec<String> {
        let EndpointSupport::Service(service) = &self.endpoint_support else { return Vec::new() };
        let mut services = vec![service.clone()];
        if self.region.is_none() {
            services.push(fill(self.endpoint_template, region));
        }
        let plain: Vec<String> =
            services.iter().filter_map(|s| Some(s.strip_suffix("-fips")?.into())).collect();
        services.extend(plain);
        services
    }
}

#[derive(Debug)]
struct PublicNameRow {
    template: String,
    /// The region, if the row applies to only one.
    region: Option<Region>,
    range: String,
    ipv6: bool,
    ttl: u32,
    /// `none`, `?` or a service template.
    endpoint_service: String,
}

/// The table of about a thousand templates of public host names.
#[derive(Debug, Default)]
pub struct PublicNames {
    rows: Vec<PublicNameRow>,
    index: TemplateIndex,
}

impl PublicNames {
    /// Finds the row for a host (lower case, no trailing dot): first an exact template, then the closest
    /// enclosing wildcard. Uses only hash lookups. Hosts in unknown regions, or outside the standard
    /// partition and GovCloud, are not found.
    pub fn find(&self, host: &str) -> Option<PublicHost<'_>> {
        let (row, region) = self.index.visit(host, |row, region| ControlFlow::Break((row, region)))?;
        let row = &self.rows[row as usize];
        let region = region.or_else(|| row.region.clone());
        Some(PublicHost {
            template: &row.template,
            service_range: &row.range,
            ipv6: row.ipv6,
            ttl: row.ttl,
            endpoint_template: &row.endpoint_service,
            endpoint_support: match row.endpoint_service.as_str() {
                "none" => EndpointSupport::None,
                "?" => EndpointSupport::Unknown,
                service => EndpointSupport::Service(fill(
                    service,
                    region.as_ref().unwrap_or(&GLOBAL_SERVICES_REGION),
                )),
            },
            region,
        })
    }

    /// Iterates over the templates, in ascending order.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|r| r.template.as_str())
    }

    /// Iterates over the domains that together contain all templates, without duplicates: for each template,
    /// the part after its last variable label, or all of it if no label is variable.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        let domain_length = |row: &PublicNameRow| {
            let template = row.template.strip_prefix("*.").unwrap_or(&row.template);
            let variable = template.rfind(REGION).map(|at| &template[at..]);
            (variable.map_or(template, |rest| rest.split_once('.').map_or("", |(_, domain)| domain))).len()
        };
        let mut domains: Vec<&str> =
            self.rows.iter().map(|row| &row.template[row.template.len() - domain_length(row)..]).collect();
        domains.sort_unstable();
        domains.dedup();
        domains.into_iter()
    }

    /// Iterates over the hosts of a region and the global ones, including wildcards, in ascending order of
    /// their templates.
    pub fn hosts<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = String> + 'a {
        let of_region = move |row: &&PublicNameRow| row.region.as_ref().is_none_or(|other| other == region);
        self.rows.iter().filter(of_region).map(|row| fill(&row.template, region))
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut names = Self::default();
        for line in lines::<6>("public_names.tsv", text) {
            let line = line?;
            let [template, range, ipv6, ttl, endpoint_service, _source] = line.cells;
            names.index.insert(template, names.rows.len() as u32);
            names.rows.push(PublicNameRow {
                template: template.to_string(),
                region: region_in_name(template),
                range: range.to_string(),
                ipv6: match ipv6 {
                    "yes" => true,
                    "no" => false,
                    other => return Err(line.error(format!("invalid value `{other}`: expected yes or no"))),
                },
                ttl: ttl.parse().map_err(|e| line.error(format!("TTL: {e}")))?,
                endpoint_service: endpoint_service.to_string(),
            });
        }
        Ok(names)
    }
}

/// Returns a public address for a host from the given prefixes, always the same for the same host. Network
/// and broadcast addresses are avoided if the prefix has others. `None` if there is no prefix.
pub fn stable_address(host: &str, prefixes: &[IpNet]) -> Option<IpAddr> {
    if prefixes.is_empty() {
        return None;
    }
    let hash = stable_hash(host.bytes());
    // The upper half of the hash selects the prefix, and a further mixing step the address within it, so that
    // the two are independent.
    let net = prefixes[((hash >> 32) % prefixes.len() as u64) as usize];
    let (high, low) = (mix(hash), mix(hash ^ 0x9e37_79b9_7f4a_7c15));
    let random = (u128::from(high) << 64) | u128::from(low);
    Some(match net {
        IpNet::V4(n) => {
            let offset = host_bits(random, 32 - n.prefix_len());
            Ipv4Addr::from(u32::from(n.network()) | offset as u32).into()
        }
        IpNet::V6(n) => {
            let offset = host_bits(random, 128 - n.prefix_len());
            Ipv6Addr::from(u128::from(n.network()) | offset).into()
        }
    })
}

/// Returns a number of `bits` bits that is neither all zeros nor all ones, if possible.
fn host_bits(random: u128, bits: u8) -> u128 {
    match bits {
        0 => 0,
        1 => random & 1,
        // The largest value, all ones, is excluded.
        _ => 1 + random % ((u128::MAX >> (128 - u32::from(bits))) - 1),
    }
}

/// Computes a 64-bit FNV-1a hash. Implemented here because the hashers of the standard library change between
/// versions and runs, but these addresses must not.
pub fn stable_hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let first = 0xcbf2_9ce4_8422_2325;
    bytes.into_iter().fold(first, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Applies the finalisation step of SplitMix64: each input bit affects all output bits.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
#[path = "public_names_tests.rs"]
mod tests;
