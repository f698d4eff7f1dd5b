//! The forms of names that VPC endpoints have of their own, and the families of S3's names.
//!
//! Interface endpoints: PrivateLink guide, "DNS hostnames". Resource and service-network endpoints: PrivateLink
//! guide, "Access VPC resources" and "Access service networks", and EC2's `VpcEndpointAssociation`. S3: S3 User
//! Guide, "AWS PrivateLink for Amazon S3".

use super::region::Region;

/// What stands before VPC Lattice's domain of resource configurations in every name that was seen; of services' names
/// the guide calls it the partition's id.
const RESOURCE_LABEL: &str = "4232ccc";
/// What stands before VPC Lattice's domain of services in every name that was seen: the partition's id (VPC Lattice
/// User Guide, "Configure a custom domain name").
const SERVICE_LABEL: &str = "7d67968";
/// What S3's regional names begin with. Each has names below it, and a dual-stack sibling.
const S3_FAMILIES: [&str; 3] = ["s3", "s3-control", "s3-accesspoint"];

/// The public name of what a resource endpoint leads to.
pub fn resource_endpoint_name(endpoint: &str, configuration: &str, region: &Region) -> String {
    format!("{endpoint}.{configuration}.{RESOURCE_LABEL}.vpc-lattice-rsc.{region}.on.aws")
}

/// The public name of what a service-network endpoint leads to: a resource configuration `rcfg-…` or a service.
/// `token` stands for the id of its association with the service network, which EC2 does not tell.
pub fn service_network_endpoint_name(endpoint: &str, token: &str, resource: &str, region: &Region) -> String {
    if resource.starts_with("rcfg-") {
        return resource_endpoint_name(&format!("{endpoint}-snra-{token}"), resource, region);
    }
    format!("{endpoint}-snsa-{token}.{SERVICE_LABEL}.vpc-lattice-svcs.{region}.on.aws")
}

/// Where the labels part in `<api-id>-vpce-…`, the first label of an API's alias at an endpoint (API Gateway
/// guide, "Invoke a private API"): what comes after is the endpoint's id.
pub fn endpoint_id_in_api_alias(label: &[u8]) -> Option<&[u8]> {
    const SEPARATOR: &[u8] = b"-vpce-";
    let at = label.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).filter(|at| *at > 0)?;
    Some(&label[at + 1..])
}

/// The domain of a region's APIs.
pub fn api_domain(region: &Region) -> String {
    format!("execute-api.{region}.{}", region.partition().dns_suffix())
}

/// The names that a dual-stack endpoint of S3 covers beside the service's private names.
pub fn s3_dualstack_names(region: &Region) -> Vec<String> {
    let suffix = region.partition().dns_suffix();
    let apex = |family: &str| format!("{family}.dualstack.{region}.{suffix}");
    S3_FAMILIES.iter().flat_map(|family| [apex(family), format!("*.{}", apex(family))]).collect()
}

/// The dual-stack name of one of S3's regional names of a region: `b.s3.dualstack.R…` of `b.s3.R…`. `None` for
/// every other host, dual-stack ones included.
pub fn s3_dualstack_sibling(host: &str, region: &Region) -> Option<String> {
    let suffix = region.partition().dns_suffix();
    S3_FAMILIES.iter().find_map(|family| {
        let below = host.strip_suffix(&format!("{family}.{region}.{suffix}"))?;
        let is_whole = below.is_empty() || below.ends_with('.');
        is_whole.then(|| format!("{below}{family}.dualstack.{region}.{suffix}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokyo() -> Region {
        Region::parse("ap-northeast-1").unwrap()
    }

    #[test]
    fn an_alias_of_an_api_ends_in_an_endpoint() {
        for (label, endpoint) in [
            ("01234567ab-vpce-01234567abcdef012", Some("vpce-01234567abcdef012")),
            ("abc-vpce-api", Some("vpce-api")),
            ("-vpce-api", None),
            ("vpce-api", None),
            ("abc", None),
        ] {
            assert_eq!(endpoint_id_in_api_alias(label.as_bytes()), endpoint.map(str::as_bytes), "{label}");
        }
        assert_eq!(api_domain(&tokyo()), "execute-api.ap-northeast-1.amazonaws.com");
    }

    #[test]
    fn names_of_lattice_are_as_seen() {
        let ohio = Region::parse("us-east-2").unwrap();
        assert_eq!(
            resource_endpoint_name("vpce-019b90d6f16d4f958", "rcfg-07129f3acded87625", &ohio),
            "vpce-019b90d6f16d4f958.rcfg-07129f3acded87625.4232ccc.vpc-lattice-rsc.us-east-2.on.aws"
        );
        assert_eq!(
            service_network_endpoint_name("vpce-1", "08ab", "rcfg-2", &ohio),
            "vpce-1-snra-08ab.rcfg-2.4232ccc.vpc-lattice-rsc.us-east-2.on.aws"
        );
        assert_eq!(
            service_network_endpoint_name("vpce-1", "08ab", "svc-2", &ohio),
            "vpce-1-snsa-08ab.7d67968.vpc-lattice-svcs.us-east-2.on.aws"
        );
    }

    #[test]
    fn regional_names_of_s3_have_a_dualstack_sibling() {
        let sibling = |host: &str| s3_dualstack_sibling(host, &tokyo());
        let of = |host: &str| sibling(host).unwrap_or_else(|| panic!("{host}"));
        assert_eq!(of("s3.ap-northeast-1.amazonaws.com"), "s3.dualstack.ap-northeast-1.amazonaws.com");
        assert_eq!(
            of("a.b.s3.ap-northeast-1.amazonaws.com"),
            "a.b.s3.dualstack.ap-northeast-1.amazonaws.com"
        );
        for other in [
            "s3.us-west-2.amazonaws.com",
            "s3.dualstack.ap-northeast-1.amazonaws.com",
            "b.s3-ap-northeast-1.amazonaws.com",
            "xs3.ap-northeast-1.amazonaws.com",
            "s3.amazonaws.com",
        ] {
            assert_eq!(sibling(other), None, "{other}");
        }
        assert_eq!(s3_dualstack_names(&tokyo()).len(), 6);
    }
}
