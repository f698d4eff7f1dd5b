//! The formats of endpoint-specific names, and the families of S3 names.
//!
//! Interface endpoints: PrivateLink guide, "DNS hostnames". Resource and service-network endpoints:
//! PrivateLink guide, "Access VPC resources" and "Access service networks", and EC2's
//! `VpcEndpointAssociation`. S3: S3 User Guide, "AWS PrivateLink for Amazon S3".

use super::region::Region;

/// The label before the domain of VPC Lattice in all observed names of resource configurations; for names of
/// services, the guide calls the corresponding label the partition ID.
const RESOURCE_LABEL: &str = "4232ccc";
/// The label before the domain of VPC Lattice in all observed names of services: the partition ID (VPC
/// Lattice User Guide, "Configure a custom domain name").
const SERVICE_LABEL: &str = "7d67968";
/// The first labels of regional S3 names. Each has subdomains and a dual-stack counterpart.
const S3_FAMILIES: [&str; 3] = ["s3", "s3-control", "s3-accesspoint"];

/// Returns the public name for the resource of a resource endpoint.
pub fn resource_endpoint_name(endpoint: &str, configuration: &str, region: &Region) -> String {
    format!("{endpoint}.{configuration}.{RESOURCE_LABEL}.vpc-lattice-rsc.{region}.on.aws")
}

/// Returns the public name for a resource of a service-network endpoint: a resource configuration `rcfg-…` or
/// a service. `token` represents the ID of its association with the service network, which EC2 does not
/// return.
pub fn service_network_endpoint_name(endpoint: &str, token: &str, resource: &str, region: &Region) -> String {
    if resource.starts_with("rcfg-") {
        return resource_endpoint_name(&format!("{endpoint}-snra-{token}"), resource, region);
    }
    format!("{endpoint}-snsa-{token}.{SERVICE_LABEL}.vpc-lattice-svcs.{region}.on.aws")
}

/// Returns the endpoint ID in `<api-id>-vpce-…`, the first label of an API's alias for an endpoint (API
/// Gateway guide, "Invoke a private API").
pub fn endpoint_id_in_api_alias(label: &[u8]) -> Option<&[u8]> {
    const SEPARATOR: &[u8] = b"-vpce-";
    let at = label.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).filter(|at| *at > 0)?;
    Some(&label[at + 1..])
}

/// Returns the domain of the API Gateway APIs (`execute-api`) of a region.
pub fn api_domain(region: &Region) -> String {
    format!("execute-api.{region}.{}", region.partition().dns_suffix())
}

/// Returns the dual-stack names that a dual-stack endpoint for S3 covers in addition to the private DNS names
/// of the service.
pub fn s3_dualstack_names(region: &Region) -> Vec<String> {
    let suffix = region.partition().dns_suffix();
    let apex = |family: &str| format!("{family}.dualstack.{region}.{suffix}");
    S3_FAMILIES.iter().flat_map(|family| [apex(family), format!("*.{}", apex(family))]).collect()
}

/// Returns the dual-stack counterpart of a regional S3 name: `b.s3.dualstack.R…` for `b.s3.R…`. `None` for
/// all other hosts, including dual-stack ones.
pub fn s3_dualstack_counterpart(host: &str, region: &Region) -> Option<String> {
    let suffix = region.partition().dns_suffix();
    S3_FAMILIES.iter().find_map(|family| {
        let below = host.strip_suffix(&format!("{family}.{region}.{suffix}"))?;
        let at_label_boundary = below.is_empty() || below.ends_with('.');
        at_label_boundary.then(|| format!("{below}{family}.dualstack.{region}.{suffix}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokyo() -> Region {
        Region::parse("ap-northeast-1").unwrap()
    }

    #[test]
    fn an_api_alias_ends_with_an_endpoint_id() {
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
    fn vpc_lattice_names_match_observed_names() {
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
    fn regional_s3_names_have_a_dualstack_counterpart() {
        let counterpart = |host: &str| s3_dualstack_counterpart(host, &tokyo());
        let of = |host: &str| counterpart(host).unwrap_or_else(|| panic!("{host}"));
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
            assert_eq!(counterpart(other), None, "{other}");
        }
        assert_eq!(s3_dualstack_names(&tokyo()).len(), 6);
    }
}
