//! AWS Regions and partitions.

use std::fmt;
use std::sync::{Arc, LazyLock};

/// A region code such as `ap-northeast-1`.
///
/// Only the format is guaranteed: two to four lower-case letters, one or two words, and a number of one or
/// two digits, joined by hyphens. Use [`Region::find_known`] to check that AWS has such a region. Cloning
/// increments a reference count.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(Arc<str>);

/// Error returned when text is not a region code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid AWS region `{0}`: expected a name such as ap-northeast-1 or us-gov-west-1")]
pub struct RegionError(pub String);

/// A partition: a group of regions with separate accounts and, except for GovCloud, its own DNS suffix.
///
/// Follows the partition list of the AWS SDKs (botocore 1.43.11, partitions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// The standard partition.
    Aws,
    /// China, `cn-*`.
    AwsCn,
    /// GovCloud, `us-gov-*`.
    AwsUsGov,
    /// European Sovereign Cloud, `eusc-*`.
    AwsEusc,
    /// `us-iso-*`.
    AwsIso,
    /// `us-isob-*`.
    AwsIsoB,
    /// `eu-isoe-*`.
    AwsIsoE,
    /// `us-isof-*`.
    AwsIsoF,
}

impl std::str::FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        Self::parse(text)
    }
}

impl Region {
    /// Parses a region code. An unknown region is accepted if its format is valid, since AWS may open regions
    /// before [`known_regions`] is updated.
    pub fn parse(text: &str) -> Result<Self, RegionError> {
        if is_region_shaped(text) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(RegionError(text.chars().take(64).collect()))
        }
    }

    /// Returns the region with this code if it is one of [`known_regions`]. Does not allocate.
    pub fn find_known(text: &str) -> Option<Self> {
        let i = KNOWN.binary_search(&text).ok()?;
        Some(KNOWN_REGIONS[i].clone())
    }

    /// Returns the region code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the partition, which the first words of the code determine.
    pub fn partition(&self) -> Partition {
        let mut parts = self.0.split('-');
        match (parts.next(), parts.next()) {
            (Some("cn"), _) => Partition::AwsCn,
            (Some("eusc"), _) => Partition::AwsEusc,
            (_, Some("gov")) => Partition::AwsUsGov,
            (_, Some("iso")) => Partition::AwsIso,
            (_, Some("isob")) => Partition::AwsIsoB,
            (_, Some("isoe")) => Partition::AwsIsoE,
            (_, Some("isof")) => Partition::AwsIsoF,
            _ => Partition::Aws,
        }
    }

    /// Returns the domain of the private DNS names of instances: `ec2.internal` in us-east-1, else
    /// `<region>.compute.internal`, including in China (EC2 guide, "EC2 instance hostnames"; Route 53 guide,
    /// autodefined rules).
    pub fn internal_domain(&self) -> String {
        match self.as_str() {
            "us-east-1" => "ec2.internal".into(),
            r => format!("{r}.compute.internal"),
        }
    }

    /// Returns the domain of the public DNS names of IPv6 and dual-stack interfaces (EC2 guide, "Hostname
    /// types").
    pub fn public_address_domain(&self) -> String {
        format!("{self}.ip.aws")
    }

    /// Returns the domain of private DNS names in EC2-Classic, if the region still has an autodefined rule
    /// for it (Route 53 guide, autodefined rules).
    pub fn legacy_internal_domain(&self) -> Option<&'static str> {
        (self.as_str() == "us-east-1").then_some("compute-1.internal")
    }

    /// Returns the domain of the public DNS names of instances: `compute-1.amazonaws.com` in us-east-1, else
    /// `<region>.compute.` followed by the suffix of the partition (same pages).
    pub fn public_ec2_domain(&self) -> String {
        match self.as_str() {
            "us-east-1" => "compute-1.amazonaws.com".into(),
            r => format!("{r}.compute.{}", self.partition().dns_suffix()),
        }
    }
}

impl Partition {
    /// Returns the DNS suffix of the partition's service names.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::AwsUsGov => "amazonaws.com",
            Self::AwsCn => "amazonaws.com.cn",
            Self::AwsEusc => "amazonaws.eu",
            Self::AwsIso => "c2s.ic.gov",
            Self::AwsIsoB => "sc2s.sgov.gov",
            Self::AwsIsoE => "cloud.adc-e.uk",
            Self::AwsIsoF => "csp.hci.ic.gov",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({})", self.0)
    }
}

/// Returns whether text has the format of a region code. Text longer than 32 octets is rejected.
pub fn is_region_shaped(text: &str) -> bool {
    let letters = |p: &str, min: usize, max: usize| {
        (min..=max).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_lowercase())
    };
    if text.len() > 32 {
        return false;
    }
    let mut parts = text.split('-');
    let (Some(area), Some(number)) = (parts.next(), parts.next_back()) else {
        return false;
    };
    let mut words = 0;
    for word in parts {
        words += 1;
        if !letters(word, 2, 12) {
            return false;
        }
    }
    letters(area, 2, 4)
        && (1..=2).contains(&words)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
        && !number.starts_with('0')
}

/// Returns the regions in `ip-ranges.json` of 2026-08-22, in ascending order. The file does not include the
/// isolated partitions.
pub fn known_regions() -> &'static [&'static str] {
    KNOWN
}

const KNOWN: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eusc-de-east-1",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "me-west-1",
    "mx-central-1",
    "sa-east-1",
    "sa-west-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-south-1",
    "us-west-1",
    "us-west-2",
];

static KNOWN_REGIONS: LazyLock<Vec<Region>> =
    LazyLock::new(|| KNOWN.iter().map(|r| Region(Arc::from(*r))).collect());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_of_region_codes_is_checked() {
        for good in [
            "ap-northeast-1",
            "us-gov-east-1",
            "eusc-de-east-1",
            "mx-central-1",
            "us-isob-east-1",
            "zz-nowhere-12",
        ] {
            assert_eq!(Region::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "-",
            "tokyo",
            "ap-1",
            "ap-northeast-",
            "ap-northeast-0",
            "ap-northeast-01",
            "AP-northeast-1",
            "ap-northeast-1a",
            "ap-northeast-1-",
            "ap--northeast-1",
            "a-b-c-d-e-1",
            "ap-northeast-1.",
            "bucket-2024",
            "ap-northeast-123",
        ] {
            assert!(Region::parse(bad).is_err(), "{bad}");
        }
        assert!(Region::find_known("zz-nowhere-12").is_none());
        assert!(Region::find_known("ap-northeast-1").is_some());
    }

    #[test]
    fn known_regions_are_sorted_and_valid() {
        assert!(KNOWN.is_sorted());
        for r in known_regions() {
            assert!(Region::find_known(r).is_some_and(|known| known == Region::parse(r).unwrap()));
            assert_eq!(Region::find_known(r).unwrap().as_str(), *r);
        }
    }

    #[test]
    fn domains_of_instance_names() {
        let r = |s| Region::parse(s).unwrap();
        assert_eq!(r("us-east-1").internal_domain(), "ec2.internal");
        assert_eq!(r("us-east-1").public_ec2_domain(), "compute-1.amazonaws.com");
        assert_eq!(r("us-west-2").internal_domain(), "us-west-2.compute.internal");
        assert_eq!(r("us-west-2").public_ec2_domain(), "us-west-2.compute.amazonaws.com");
        assert_eq!(r("cn-north-1").internal_domain(), "cn-north-1.compute.internal");
        assert_eq!(r("cn-north-1").public_ec2_domain(), "cn-north-1.compute.amazonaws.com.cn");
        assert_eq!(r("us-gov-west-1").partition(), Partition::AwsUsGov);
        assert_eq!(r("eusc-de-east-1").partition().dns_suffix(), "amazonaws.eu");
    }
}
