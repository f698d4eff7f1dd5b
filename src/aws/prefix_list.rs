//! AWS-managed prefix lists (VPC guide, "AWS-managed prefix lists"): the destinations of routes to gateway
//! endpoints.

use ipnet::IpNet;

use super::facts::{TableError, lines, prefixes};
use super::region::Region;

/// One managed prefix list in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedPrefixList {
    /// The ID, such as `pl-61a54008`; unique only within its region.
    pub id: String,
    /// Its region.
    pub region: Region,
    /// The name, such as `com.amazonaws.ap-northeast-1.s3`.
    pub name: String,
    /// The date of the entries, as far as known: `2018`, `about 2024`, `undated`.
    pub as_of: String,
    /// The prefixes. `None` if they are unknown. AWS changes them; an older list contains fewer than the
    /// current one.
    pub entries: Option<Vec<IpNet>>,
}

/// About forty known managed prefix lists.
#[derive(Debug, Default)]
pub struct PrefixLists {
    /// In order of region and ID.
    lists: Vec<ManagedPrefixList>,
}

impl PrefixLists {
    /// Returns the list with this ID in this region.
    pub fn by_id(&self, region: &Region, id: &str) -> Option<&ManagedPrefixList> {
        self.lists
            .binary_search_by(|l| (&l.region, l.id.as_str()).cmp(&(region, id)))
            .ok()
            .map(|i| &self.lists[i])
    }

    /// Returns the list of a gateway service, `s3` or `dynamodb`, in this region.
    pub fn for_service(&self, region: &Region, service: &str) -> Option<&ManagedPrefixList> {
        let from = self.lists.partition_point(|l| &l.region < region);
        self.lists[from..].iter().take_while(|l| &l.region == region).find(|l| {
            l.name
                .strip_prefix("com.amazonaws.")
                .and_then(|n| n.strip_prefix(region.as_str()))
                .and_then(|n| n.strip_prefix('.'))
                == Some(service)
        })
    }

    /// Iterates over all lists, in order of region and ID.
    pub fn iter(&self) -> impl Iterator<Item = &ManagedPrefixList> {
        self.lists.iter()
    }

    pub(super) fn parse(text: &str) -> Result<Self, TableError> {
        let mut lists = Vec::new();
        for line in lines::<5>("prefix_lists.tsv", text) {
            let line = line?;
            let [region, id, name, as_of, entries] = line.cells;
            lists.push(ManagedPrefixList {
                id: id.to_string(),
                region: Region::parse(region).map_err(|e| line.error(e))?,
                name: name.to_string(),
                as_of: as_of.to_string(),
                entries: match entries {
                    "?" => None,
                    some => Some(prefixes(some).map_err(|e| line.error(e))?),
                },
            });
        }
        lists.sort_by(|a, b| (&a.region, &a.id).cmp(&(&b.region, &b.id)));
        Ok(Self { lists })
    }
}

#[cfg(test)]
mod tests {
    use crate::aws::Facts;
    use crate::aws::Region;

    #[test]
    fn an_id_belongs_to_its_region() {
        let lists = &Facts::built_in().prefix_lists;
        let r = |s| Region::parse(s).unwrap();
        // One ID, three lists.
        for (region, name) in [
            ("ap-south-1", "com.amazonaws.ap-south-1.s3"),
            ("ap-northeast-2", "com.amazonaws.ap-northeast-2.s3"),
            ("ap-northeast-1", "com.amazonaws.ap-northeast-1.dynamodb"),
        ] {
            assert_eq!(lists.by_id(&r(region), "pl-78a54011").unwrap().name, name);
        }
        assert!(lists.by_id(&r("eu-west-1"), "pl-78a54011").is_none());
        assert!(lists.by_id(&r("zz-nowhere-1"), "pl-78a54011").is_none());
        assert!(lists.for_service(&r("zz-nowhere-1"), "s3").is_none());
        assert!(lists.for_service(&r("us-east-1"), "s3x").is_none());
    }

    #[test]
    fn entries_are_dated_or_unknown() {
        let lists = &Facts::built_in().prefix_lists;
        let r = |s| Region::parse(s).unwrap();
        let tokyo = lists.by_id(&r("ap-northeast-1"), "pl-61a54008").unwrap();
        assert_eq!(tokyo.as_of, "about 2024");
        // The Tokyo list lacks two S3 prefixes of ip-ranges.json.
        let entries = tokyo.entries.as_ref().unwrap();
        for gap in ["35.72.164.240/28", "35.73.115.0/28"] {
            let gap: ipnet::IpNet = gap.parse().unwrap();
            assert!(!entries.iter().any(|n| n.contains(&gap)));
        }
        let virginia = lists.for_service(&r("us-east-1"), "s3").unwrap();
        assert_eq!(virginia.as_of, "2020");
        let jakarta = lists.for_service(&r("ap-southeast-3"), "s3").unwrap();
        assert_eq!(jakarta.entries, None);
    }
}
