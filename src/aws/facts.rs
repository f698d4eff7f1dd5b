//! The built-in tables, parsed once.

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

/// Everything this floor knows about AWS. Each table says in its header where its
/// rows come from and of what date they are.
#[derive(Debug)]
pub struct Facts {
    /// Endpoint services and the private names they inject.
    pub services: ServiceTable,
    /// Prefix lists that AWS manages.
    pub prefix_lists: PrefixLists,
    /// Public host names of AWS services.
    pub public_names: PublicNames,
    /// Address ranges out of `ip-ranges.json`.
    pub ranges: IpRanges,
    /// Where regions lie.
    pub regions: RegionLocations,
    /// What needs several names at once.
    pub bundles: Vec<Bundle>,
    /// What AWS charges.
    pub prices: Prices,
}

/// A line of a table that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{table} line {line}: {message}")]
pub struct TableError {
    /// File name of the table.
    pub table: &'static str,
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

static BUILT_IN: LazyLock<Facts> = LazyLock::new(|| {
    Facts::parse()
        .unwrap_or_else(|e| panic!("the tables compiled into this program are checked by its tests: {e}"))
});

/// Global services live in us-east-1 (PrivateLink guide, AWS services that integrate).
pub(super) static GLOBAL_SERVICES_REGION: LazyLock<Region> =
    LazyLock::new(|| Region::known("us-east-1").expect("us-east-1 is a known region"));

impl Facts {
    /// The tables compiled into the program; the first call parses them.
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

    /// The public addresses of a host: always the same for the same host, out of the
    /// addresses AWS uses for it. They are plausible, not the real ones.
    ///
    /// Of S3 and DynamoDB, out of the region's managed prefix list where its entries
    /// are known (a gateway endpoint's route must catch them; `ip-ranges.json` has
    /// more than the list), else out of that service's ranges, else out of AMAZON's of
    /// the region. A global host's come from us-east-1. IPv6 only for hosts that have
    /// it.
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
        let is_here = |net: &&IpNet| of_service.iter().any(|own| own.contains(*net));
        let still_here: Vec<IpNet> = listed.iter().filter(is_here).copied().collect();
        let sources: [&[IpNet]; 5] = [
            listed,
            &still_here,
            of_service,
            // CLOUDFRONT's hosts have no region at all, VPC Lattice's lie in one range everywhere.
            if matches!(found.service_range, "CLOUDFRONT" | "VPC_LATTICE") {
                self.ranges.prefixes(found.service_range, "GLOBAL")
            } else {
                &[]
            },
            self.ranges.prefixes("AMAZON", region.as_str()),
        ];
        // Lists are of several years: what they hold may have become another region's.
        let is_elsewhere = |address: &IpAddr| {
            let owner = self.ranges.owner(*address);
            owner.is_some_and(|(_, other)| other != region.as_str() && other != "GLOBAL")
        };
        let pick = |v4: bool| {
            let mut picked = sources.iter().filter_map(|nets| {
                let family: Vec<IpNet> = nets.iter().filter(|n| n.addr().is_ipv4() == v4).copied().collect();
                stable_address(host, &family)
            });
            picked.find(|address| !is_elsewhere(address))
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

/// A line of a table, split at its tabs.
pub(super) struct TableLine<'a, const N: usize> {
    table: &'static str,
    line: usize,
    /// The columns.
    pub cells: [&'a str; N],
}

impl<const N: usize> TableLine<'_, N> {
    /// An error that names this line.
    pub fn error(&self, message: impl ToString) -> TableError {
        TableError { table: self.table, line: self.line, message: message.to_string() }
    }
}

/// The lines of a table of exactly N columns; `#` starts a comment line.
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
            message: format!("{count} columns where {N} are due"),
        })?;
        Ok(TableLine { table, line, cells })
    })
}

/// Prefixes apart by blanks.
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
    fn a_bad_line_is_named() {
        let bad = |text| lines::<3>("t.tsv", text).find_map(Result::err).map(|e| e.to_string());
        assert_eq!(bad("# c\na\tb\tc\n"), None);
        assert_eq!(bad("# c\na\tb\n").as_deref(), Some("t.tsv line 2: 2 columns where 3 are due"));
        assert!(prefixes("10.0.0.0/8 nonsense").is_err());
    }

    fn addresses(host: &str) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        let facts = Facts::built_in();
        facts.public_addresses(host, &facts.public_names.find(host).unwrap())
    }

    #[test]
    fn s3_lies_in_the_prefix_list() {
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
    fn services_of_lattice_are_link_local() {
        let (v4, v6) = addresses("web-0285b53b2e.7d67968.vpc-lattice-svcs.ap-northeast-1.on.aws");
        assert_eq!(v4.unwrap().octets()[..3], [169, 254, 171]);
        assert_eq!(v6.unwrap().segments()[..4], [0xfd00, 0x0ec2, 0x0080, 0]);
    }

    #[test]
    fn other_regions_get_their_own_range() {
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
