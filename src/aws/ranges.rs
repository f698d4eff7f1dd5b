//! Address ranges of AWS services (`ip-ranges.json`; VPC guide, "AWS IP address ranges").

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;

use super::facts::{TableError, lines, prefixes};

/// Prefixes by service and region, and the service and region of an address by longest match.
///
/// The built-in table is a subset of the file: complete for CLOUDFRONT and for the IPv4 prefixes of S3,
/// DYNAMODB and API_GATEWAY, with only a few prefixes per region for EC2 and AMAZON. An address that is not
/// in the table may still belong to AWS.
#[derive(Debug, Default)]
pub struct IpRanges {
    by_service: BTreeMap<String, BTreeMap<String, Vec<IpNet>>>,
    /// Pairs of service and region.
    owners: Vec<(String, String)>,
    /// Indices into `owners`: several services may have the same prefix.
    v4: PrefixMap<Ipv4Net, Vec<u32>>,
    v6: PrefixMap<Ipv6Net, Vec<u32>>,
}

/// The URL at which AWS publishes its ranges.
pub const IP_RANGES_URL: &str = "https://ip-ranges.amazonaws.com/ip-ranges.json";

impl IpRanges {
    /// Creates a table from entries of prefix, service and region, as in a complete `ip-ranges.json`. The
    /// order of prefixes is preserved.
    pub fn from_entries(entries: impl Iterator<Item = (IpNet, String, String)>) -> Self {
        let mut ranges = Self::default();
        let mut numbers: BTreeMap<(String, String), u32> = BTreeMap::new();
        for (net, service, region) in entries {
            let net = net.trunc();
            let of_service = ranges.by_service.entry(service.clone()).or_default();
            of_service.entry(region.clone()).or_default().push(net);
            let number = *numbers.entry((service.clone(), region.clone())).or_insert_with(|| {
                ranges.owners.push((service, region));
                (ranges.owners.len() - 1) as u32
            });
            match net {
                IpNet::V4(n) => ranges.v4.entry(n).or_default().push(number),
                IpNet::V6(n) => ranges.v6.entry(n).or_default().push(number),
            }
        }
        ranges
    }

    /// Returns the service and region that an address belongs to. AMAZON, which includes all other services,
    /// is returned only if nothing else matches. Otherwise the longest prefix wins, and among equal prefixes
    /// any service other than EC2, because other services use ranges of EC2.
    pub fn owner(&self, address: IpAddr) -> Option<(&str, &str)> {
        let best = match address {
            IpAddr::V4(a) => {
                self.most_specific(self.v4.cover(&Ipv4Net::from(a)).map(|(n, o)| (n.prefix_len(), o)))
            }
            IpAddr::V6(a) => {
                self.most_specific(self.v6.cover(&Ipv6Net::from(a)).map(|(n, o)| (n.prefix_len(), o)))
            }
        }?;
        let (service, region) = &self.owners[best as usize];
        Some((service, region))
    }

    /// Returns the prefixes of a service in a region (which may be `GLOBAL`), empty if there are none.
    pub fn prefixes(&self, service: &str, region: &str) -> &[IpNet] {
        self.by_service.get(service).and_then(|r| r.get(region)).map_or(&[], Vec::as_slice)
    }

    fn most_specific<'a>(&self, covering: impl Iterator<Item = (u8, &'a Vec<u32>)>) -> Option<u32> {
        covering
            .flat_map(|(length, owners)| owners.iter().map(move |&o| (length, o)))
            .max_by_key(|&(length, o)| {
                let service = self.owners[o as usize].0.as_str();
                (service != "AMAZON", length, service != "EC2")
            })
            .map(|(_, o)| o)
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut entries = Vec::new();
        for line in lines::<3>("ranges.tsv", text) {
            let line = line?;
            let [service, region, nets] = line.cells;
            for net in prefixes(nets).map_err(|e| line.error(e))? {
                entries.push((net, service.to_string(), region.to_string()));
            }
        }
        Ok(Self::from_entries(entries.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Facts;
    use crate::aws::region::Region;

    fn net(s: &str) -> IpNet {
        s.parse().unwrap()
    }

    #[test]
    fn the_owner_is_the_most_specific_service() {
        let entry = |n: &str, s: &str| (net(n), s.to_string(), "us-east-1".to_string());
        let ranges = IpRanges::from_entries(
            [
                entry("10.0.0.0/8", "EC2"),
                entry("10.0.0.0/8", "AMAZON"),
                entry("10.1.0.0/16", "AMAZON"),
                entry("10.2.0.0/16", "API_GATEWAY"),
                entry("10.2.0.0/16", "EC2"),
                entry("11.0.0.0/8", "AMAZON"),
                entry("2001:db8::/32", "S3"),
            ]
            .into_iter(),
        );
        let owner = |a: &str| ranges.owner(a.parse().unwrap()).map(|o| o.0);
        assert_eq!(owner("10.1.2.3"), Some("EC2"));
        assert_eq!(owner("10.2.2.3"), Some("API_GATEWAY"));
        assert_eq!(owner("11.0.0.1"), Some("AMAZON"));
        assert_eq!(owner("2001:db8::1"), Some("S3"));
        assert_eq!(owner("12.0.0.1"), None);
        assert_eq!(owner("2001:db9::1"), None);
    }

    #[test]
    fn s3_in_tokyo_is_complete() {
        let ranges = &Facts::built_in().ranges;
        let s3 = ranges.prefixes("S3", "ap-northeast-1");
        assert!(s3.contains(&net("35.72.164.240/28")));
        assert!(s3.contains(&net("35.73.115.0/28")));
        assert_eq!(ranges.owner("35.73.115.3".parse().unwrap()), Some(("S3", "ap-northeast-1")));
        assert!(ranges.prefixes("S3", "zz-nowhere-1").is_empty());
        assert!(ranges.prefixes("NOTHING", "us-east-1").is_empty());
    }

    #[test]
    fn regions_are_known() {
        for regions in Facts::built_in().ranges.by_service.values() {
            for r in regions.keys().filter(|r| *r != "GLOBAL") {
                assert!(Region::find_known(r).is_some(), "{r}");
            }
        }
    }
}
