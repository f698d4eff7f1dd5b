//! The built-in tables of AWS facts, parsed on first use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

use super::bundles::{self, Bundle};
use super::geography::RegionLocations;
use super::prefix_list::PrefixLists;
use super::prices::Prices;
use super::public_names::{PublicHost, PublicNames, stable_address};
use super::ranges::IpRanges;
use super::region::Region;
use super::service::ServiceTable;

/// All facts about AWS. The header of each table states the sources and the date of its rows.
#[derive(Debug)]
pub struct Facts {
    /// Endpoint services and their private DNS names.
    pub services: ServiceTable,
    /// AWS-managed prefix lists.
    pub prefix_lists: PrefixLists,
    /// Public host names of AWS services.
    pub public_names: PublicNames,
    /// Address ranges from `ip-ranges.json`.
    pub ranges: IpRanges,
    /// The locations of regions.
    pub regions: RegionLocations,
    /// Sets of host names that one operation needs.
    pub bundles: Vec<Bundle>,
    /// AWS prices.
    pub prices: Prices,
}

/// An invalid line of a table.
#[derive(Debug, thiserror::Error)]
#[error("{table} line {line}: {message}")]
pub struct TableError {
    /// File name of the table.
    pub table: &'static str,
    /// Line, counted from 1.
    pub line: usize,
    /// The error message.
    pub message: String,
}

static BUILT_IN: LazyLock<Facts> =
    LazyLock::new(|| Facts::parse().unwrap_or_else(|e| panic!("tests verify the built-in tables: {e}")));

/// The region of global services (PrivateLink guide, "AWS services that integrate").
pub(super) static GLOBAL_SERVICES_REGION: LazyLock<Region> =
    LazyLock::new(|| Region::find_known("us-east-1").expect("us-east-1 is a known region"));

impl Facts {
    /// Returns the built-in tables. The first call parses them.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn parse() -> Result<Self, TableError> {
        Ok(Self {
            services: ServiceTable::parse(include_str!("data/services.tsv"))?,
            prefix_lists: PrefixLists::parse(include_str!("data/prefix_lists.tsv"))?,
            public_names: PublicNames::parse(include_str!("data/public_names.tsv"))?,
            ranges: IpRanges::parse(include_str!("data/ranges.tsv"))?,
            regions: RegionLocations::parse(include_str!("data/regions.tsv"))?,
            bundles: bundles::parse(include_str!("data/bundles.tsv"))?,
            prices: Prices::parse(include_str!("data/prices.tsv")).map_err(|error| TableError {
                table: "prices.tsv",
                line: error.line,
                message: error.message,
            })?,
        })
    }

    /// Returns an IPv4 and an IPv6 address for a public host, selected from the ranges of its service: always
    /// the same for the same host and plausible, but not the real ones.
    ///
    /// For S3 and DynamoDB they are from the region's managed prefix list if its entries are known (a gateway
    /// endpoint's route must match them; `ip-ranges.json` has more prefixes), otherwise from that
    /// service's ranges, otherwise from the region's AMAZON ranges. Those of a global host are from
    /// us-east-1. An IPv6 address is returned only if `found.ipv6` is set.
    pub fn public_addresses(
        &self,
        host: &str,
        found: &PublicHost<'_>,
    ) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let region = found.region.as_ref().unwrap_or(&GLOBAL_SERVICES_REGION);
        let listed = match found.service_range {
            "S3" => self.prefix_lists.for_service(region, "s3"),
            "DYNAMODB" => self.prefix_lists.for_service(region, "dynamodb"),
            _ => None,
        };
        let listed = listed.and_then(|l| l.entries.as_deref()).unwrap_or(&[]);
        let of_service = self.ranges.prefixes(found.service_range, region.as_str());
        let is_current = |net: &&IpNet| of_service.iter().any(|range| range.contains(*net));
        let listed_and_current: Vec<IpNet> = listed.iter().filter(is_current).copied().collect();
        let sources: [&[IpNet]; 5] = [
            listed,
            &listed_and_current,
            of_service,
            // CLOUDFRONT hosts have no region, and those of VPC Lattice have the same range in all regions.
            if matches!(found.service_range, "CLOUDFRONT" | "VPC_LATTICE") {
                self.ranges.prefixes(found.service_range, "GLOBAL")
            } else {
                &[]
            },
            self.ranges.prefixes("AMAZON", region.as_str()),
        ];
        // The prefix lists date from different years: some addresses may now belong to another region.
        let is_in_other_region = |address: &IpAddr| {
            let owner = self.ranges.owner(*address);
            owner.is_some_and(|(_, other)| other != region.as_str() && other != "GLOBAL")
        };
        let pick = |v4: bool| {
            let mut picked = sources.iter().filter_map(|nets| {
                let family: Vec<IpNet> = nets.iter().filter(|n| n.addr().is_ipv4() == v4).copied().collect();
                stable_address(host, &family)
            });
            picked.find(|address| !is_in_other_region(address))
        };
        let v4 = match pick(true) {
            Some(IpAddr::V4(a)) => Some(a),
            _ => None,
        };
        let v6 = match found.ipv6.then(|| pick(false)).flatten() {
            Some(IpAddr::V6(a)) => Some(a),
            _ => None,
        };
        (v4, v6)
    }
}

/// A line of a table, split at tabs.
pub(super) struct TableLine<'a, const N: usize> {
    table: &'static str,
    line: usize,
    /// The columns.
    pub cells: [&'a str; N],
}

impl<const N: usize> TableLine<'_, N> {
    /// Returns an error for this line.
    pub(super) fn error(&self, message: impl ToString) -> TableError {
        TableError { table: self.table, line: self.line, message: message.to_string() }
    }
}

/// Iterates over the lines of a table with exactly N columns; `#` begins a comment line.
pub(super) fn lines<'a, const N: usize>(
    table: &'static str,
    text: &'a str,
) -> impl Iterator<Item = Result<TableLine<'a, N>, TableError>> {
    text.lines().enumerate().filter(|(_, l)| !l.is_empty() && !l.starts_with('#')).map(move |(i, l)| {
        let line = i + 1;
        let cells: Vec<&str> = l.split('\t').collect();
        let count = cells.len();
        let cells = cells.try_into().map_err(|_| TableError {
            table,
            line,
            message: format!("expected {N} columns, found {count}"),
        })?;
        Ok(TableLine { table, line, cells })
    })
}

/// Parses prefixes separated by spaces.
pub(super) fn prefixes(text: &str) -> Result<Vec<IpNet>, String> {
    text.split_whitespace().map(|p| p.parse().map_err(|e| format!("{p}: {e}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::template::fill;

    #[test]
    fn built_in_tables_parse() {
        let facts = Facts::parse().unwrap();
        assert!(facts.services.rows().len() > 300);
        assert!(facts.public_names.templates().count() > 800);
        assert!(facts.prefix_lists.iter().count() > 30);
    }

    #[test]
    fn errors_state_the_line() {
        let error = |text| lines::<3>("t.tsv", text).find_map(Result::err).map(|e| e.to_string());
        assert_eq!(error("# c\na\tb\tc\n"), None);
        assert_eq!(error("# c\na\tb\n").as_deref(), Some("t.tsv line 2: expected 3 columns, found 2"));
        assert!(prefixes("10.0.0.0/8 nonsense").is_err());
    }

    fn addresses(host: &str) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let facts = Facts::built_in();
        facts.public_addresses(host, &facts.public_names.find(host).unwrap())
    }

    #[test]
    fn s3_addresses_are_in_the_prefix_list() {
        let tokyo = Region::parse("ap-northeast-1").unwrap();
        let list = Facts::built_in().prefix_lists.for_service(&tokyo, "s3").unwrap();
        assert_eq!(list.id, "pl-61a54008");
        let entries = list.entries.as_ref().unwrap();
        assert_eq!(entries.len(), 13);
        for host in [
            "s3.ap-northeast-1.amazonaws.com",
            "bucket.s3.ap-northeast-1.amazonaws.com",
            "s3.dualstack.ap-northeast-1.amazonaws.com",
            "bucket.s3-ap-northeast-1.amazonaws.com",
        ] {
            let v4 = addresses(host).0.unwrap();
            assert!(entries.iter().any(|n| n.contains(&IpAddr::V4(v4))), "{host} {v4}");
        }
        assert!(addresses("s3.ap-northeast-1.amazonaws.com").1.is_none());
        let v6 = addresses("s3.dualstack.ap-northeast-1.amazonaws.com").1.unwrap();
        assert_eq!(Facts::built_in().ranges.owner(v6.into()), Some(("S3", "ap-northeast-1")));
    }

    #[test]
    fn vpc_lattice_services_are_link_local() {
        let (v4, v6) = addresses("web-0285b53b2e.7d67968.vpc-lattice-svcs.ap-northeast-1.on.aws");
        assert_eq!(v4.unwrap().octets()[..3], [169, 254, 171]);
        assert_eq!(v6.unwrap().segments()[..4], [0xfd00, 0x0ec2, 0x0080, 0]);
    }

    #[test]
    fn addresses_are_in_the_ranges_of_service_and_region() {
        let ranges = &Facts::built_in().ranges;
        for (host, service, region) in [
            ("ec2.us-west-2.amazonaws.com", "AMAZON", "us-west-2"),
            ("s3.eu-central-2.amazonaws.com", "S3", "eu-central-2"),
            ("s3.us-west-2.amazonaws.com", "S3", "us-west-2"),
            ("dynamodb.ap-northeast-1.amazonaws.com", "DYNAMODB", "ap-northeast-1"),
            ("x.execute-api.eu-west-1.amazonaws.com", "API_GATEWAY", "eu-west-1"),
            ("d111.cloudfront.net", "CLOUDFRONT", "GLOBAL"),
            ("iam.amazonaws.com", "AMAZON", "us-east-1"),
        ] {
            let v4 = addresses(host).0.unwrap();
            assert_eq!(ranges.owner(v4.into()), Some((service, region)), "{host} {v4}");
        }
    }

    #[test]
    fn every_host_has_an_address_in_every_region() {
        let facts = Facts::built_in();
        for template in facts.public_names.templates() {
            let host = template.replace('*', "x");
            for region in crate::aws::region::known_regions() {
                let region = Region::parse(region).unwrap();
                let host = fill(&host, &region);
                let Some(found) = facts.public_names.find(&host) else {
                    continue;
                };
                let (v4, v6) = facts.public_addresses(&host, &found);
                assert!(v4.is_some(), "{host}");
                assert_eq!(v6.is_some(), found.ipv6, "{host}");
            }
        }
    }
}
