//! The region and account of each VPC. In order of precedence: from the VPC's objects, from a directory name,
//! from the caller identity (account only), from the options.

use std::collections::{BTreeMap, HashMap};

use super::ImportOptions;
use super::directory::File;
use super::inventory::{Inventory, ReadObject};
use super::objects::endpoint::VpcEndpoint;
use super::objects::network::{Subnet, Vpc};
use crate::aws::region;

/// The region and account of a VPC.
#[derive(Clone, Debug, Default)]
pub(super) struct RegionAndAccount {
    /// The region.
    pub region: Option<String>,
    /// The account that owns the VPC.
    pub account: Option<String>,
}

/// Returns the region of an ARN.
pub(super) fn region_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| region::is_region_shaped(region))
}

/// Returns the region of an Availability Zone, such as `ap-northeast-1a`, or Local Zone, such as
/// `us-west-2-lax-1a`.
fn region_of_zone(zone: &str) -> Option<&str> {
    let ends = zone.char_indices().map(|(at, _)| at).chain([zone.len()]);
    let mut region_prefixes =
        ends.filter_map(|end| Some(&zone[..end]).filter(|head| region::is_region_shaped(head)));
    let first = region_prefixes.next()?;
    // All region numbers have one digit today, but longer ones are accepted as well.
    Some(region_prefixes.take_while(|longer| longer.starts_with(first)).last().unwrap_or(first))
}

/// Returns the region in the name of a service or prefix list, such as `com.amazonaws.ap-northeast-1.s3`.
pub(super) fn region_of_name(name: &str) -> Option<&str> {
    name.split('.').find(|part| region::is_region_shaped(part))
}

/// Returns the region and account of each VPC, by VPC id.
pub(super) fn vpc_regions(
    inventory: &Inventory,
    files: &[File],
    options: &ImportOptions,
) -> BTreeMap<String, RegionAndAccount> {
    let (stated, owners) = (object_regions(inventory), subnet_owners(inventory));
    let resolve = |vpc: &ReadObject<Vpc>| {
        let (id, file) = (vpc.vpc_id.as_str(), &files[vpc.file]);
        let region = stated.get(id).map(|region| (*region).to_owned());
        let account = vpc.owner_id.clone().or_else(|| owners.get(id).map(|owner| (*owner).to_owned()));
        let account = account.or_else(|| file.account.clone()).or_else(|| inventory.caller_account.clone());
        RegionAndAccount {
            region: region.or_else(|| file.region.clone()).or_else(|| options.region.clone()),
            account: account.or_else(|| options.account.clone()),
        }
    };
    inventory.vpcs.iter().map(|vpc| (vpc.vpc_id.clone(), resolve(vpc))).collect()
}

/// Returns the regions of VPCs, as stated by their subnets, endpoints and peering connections, in this order
/// of precedence.
fn object_regions(inventory: &Inventory) -> HashMap<&str, &str> {
    let peerings = inventory.peerings.iter().map(|peering| &peering.object);
    let sides = peerings.flat_map(|peering| [&peering.requester_vpc_info, &peering.accepter_vpc_info]);
    let peering_sides = sides.filter_map(|side| Some((side.vpc_id.as_str(), side.region.as_deref()?)));
    let subnets = inventory.subnets.iter().filter_map(|one| region_of_subnet(&one.object));
    let endpoints = inventory.endpoints.iter().filter_map(|one| region_of_endpoint(&one.object));
    let all = subnets.chain(endpoints).chain(peering_sides);
    let mut regions = HashMap::new();
    for (vpc, region) in all {
        regions.entry(vpc).or_insert(region);
    }
    regions
}

/// Returns the VPC and region of a subnet.
fn region_of_subnet(subnet: &Subnet) -> Option<(&str, &str)> {
    let zone = || subnet.availability_zone.as_deref().and_then(region_of_zone);
    let region = subnet.subnet_arn.as_deref().and_then(region_of_arn).or_else(zone)?;
    Some((&subnet.vpc_id, region))
}

/// Returns the VPC and region of an endpoint. An endpoint for a service in another region does not reveal its
/// own region.
fn region_of_endpoint(endpoint: &VpcEndpoint) -> Option<(&str, &str)> {
    let name = endpoint.service_name.as_deref().filter(|_| endpoint.service_region.is_none())?;
    Some((&endpoint.vpc_id, region_of_name(name)?))
}

/// Returns the owners of VPCs, as stated by their subnets.
fn subnet_owners(inventory: &Inventory) -> HashMap<&str, &str> {
    let mut owners = HashMap::new();
    for subnet in &inventory.subnets {
        if let Some(owner) = subnet.object.owner_id.as_deref() {
            owners.entry(subnet.object.vpc_id.as_str()).or_insert(owner);
        }
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_parsed_from_zones_arns_and_service_names() {
        assert_eq!(region_of_zone("ap-northeast-1a"), Some("ap-northeast-1"));
        assert_eq!(region_of_zone("us-west-2-lax-1a"), Some("us-west-2"));
        assert_eq!(region_of_zone("us-gov-west-1b"), Some("us-gov-west-1"));
        assert_eq!(region_of_zone("nowhere"), None);
        assert_eq!(region_of_arn("arn:aws:ec2:eu-west-1:111122223333:subnet/subnet-1"), Some("eu-west-1"));
        assert_eq!(region_of_name("com.amazonaws.eu-west-1.s3"), Some("eu-west-1"));
        assert_eq!(region_of_name("com.amazonaws.vpce.eu-west-1.vpce-svc-1"), Some("eu-west-1"));
    }
}
