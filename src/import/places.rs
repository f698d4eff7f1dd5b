//! Which region and account a VPC is of: what its objects say, else the folder's name, else what was said.

use std::collections::BTreeMap;

use super::Options;
use super::folder::File;
use super::inventory::Inventory;
use crate::aws::region;

/// Where a VPC is.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// Its region.
    pub region: Option<String>,
    /// The account that owns it.
    pub account: Option<String>,
}

/// The region in an ARN.
pub fn region_of_arn(arn: &str) -> Option<&str> {
    arn.split(':').nth(3).filter(|region| region::is_region_shaped(region))
}

/// The region of an availability zone: `ap-northeast-1a`, and `us-west-2-lax-1a` of a local zone.
pub fn region_of_zone(zone: &str) -> Option<&str> {
    let ends = zone.char_indices().map(|(at, _)| at).chain([zone.len()]);
    let mut shaped = ends.filter_map(|end| Some(&zone[..end]).filter(|head| region::is_region_shaped(head)));
    let first = shaped.next()?;
    // A region's number has one digit so far, and may have two.
    Some(shaped.take_while(|longer| longer.starts_with(first)).last().unwrap_or(first))
}

/// The region in a service's or prefix list's name, `com.amazonaws.ap-northeast-1.s3`.
pub fn region_of_name(name: &str) -> Option<&str> {
    name.split('.').find(|part| region::is_region_shaped(part))
}

/// The home of each VPC.
pub fn homes(inventory: &Inventory, files: &[File], options: &Options) -> BTreeMap<String, Home> {
    let mut homes = BTreeMap::new();
    for vpc in &inventory.vpcs {
        let subnets = || inventory.subnets.iter().filter(|subnet| subnet.vpc_id == vpc.vpc_id);
        let mut said: Vec<&str> = subnets()
            .filter_map(|subnet| {
                let zone = subnet.availability_zone.as_deref().and_then(region_of_zone);
                subnet.subnet_arn.as_deref().and_then(region_of_arn).or(zone)
            })
            .collect();
        let endpoints = inventory.endpoints.iter().filter(|endpoint| endpoint.vpc_id == vpc.vpc_id);
        said.extend(
            endpoints
                .filter(|endpoint| endpoint.service_region.is_none())
                .filter_map(|endpoint| region_of_name(endpoint.service_name.as_deref()?)),
        );
        let peerings = inventory
            .peerings
            .iter()
            .flat_map(|peering| [&peering.object.requester_vpc_info, &peering.object.accepter_vpc_info]);
        said.extend(
            peerings.filter(|side| side.vpc_id == vpc.vpc_id).filter_map(|side| side.region.as_deref()),
        );
        let file = &files[vpc.file];
        let region = said.first().map(|region| (*region).to_owned());
        let region = region.or_else(|| file.region.clone()).or_else(|| options.region.clone());
        let account = vpc.owner_id.clone().or_else(|| subnets().find_map(|subnet| subnet.owner_id.clone()));
        let account = account
            .or_else(|| file.account.clone())
            .or_else(|| inventory.caller.clone())
            .or_else(|| options.account.clone());
        homes.insert(vpc.vpc_id.clone(), Home { region, account });
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_off_what_names_it() {
        assert_eq!(region_of_zone("ap-northeast-1a"), Some("ap-northeast-1"));
        assert_eq!(region_of_zone("us-west-2-lax-1a"), Some("us-west-2"));
        assert_eq!(region_of_zone("us-gov-west-1b"), Some("us-gov-west-1"));
        assert_eq!(region_of_zone("nowhere"), None);
        assert_eq!(region_of_arn("arn:aws:ec2:eu-west-1:111122223333:subnet/subnet-1"), Some("eu-west-1"));
        assert_eq!(region_of_name("com.amazonaws.eu-west-1.s3"), Some("eu-west-1"));
        assert_eq!(region_of_name("com.amazonaws.vpce.eu-west-1.vpce-svc-1"), Some("eu-west-1"));
    }
}
