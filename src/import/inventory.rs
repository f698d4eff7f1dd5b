//! The objects of all documents, as typed values.

use std::collections::{BTreeMap, HashSet};

use super::ledger::{LocatedItem, SourceLocation};
use super::objects::endpoint::{ServiceDetail, VpcEndpoint, VpcEndpointAssociation};
use super::objects::gateway::{
    CustomerGateway, DirectConnectGateway, DirectConnectGatewayAssociation, EgressOnlyInternetGateway,
    InternetGateway, NatGateway, VirtualInterface, VpnConnection, VpnGateway,
};
use super::objects::instance::{Address, Instance, NetworkInterface};
use super::objects::network::{
    DhcpOptions, PrefixList, PrefixListEntry, RouteTable, Subnet, Vpc, VpcAttribute, VpcPeeringConnection,
};
use super::objects::resolver::{
    ResolverAddress, ResolverConfig, ResolverEndpoint, ResolverRule, ResolverRuleAssociation,
    ServiceNetworkVpcAssociation,
};
use super::objects::route53::{
    HealthCheck, HealthCheckObservation, HostedZone, Profile, ProfileAssociation, ProfileResourceAssociation,
    ResourceRecordSet, ZoneVpc,
};
use super::objects::security::{NetworkAcl, SecurityGroup, SecurityGroupRule};
use super::objects::transit::{
    AttachmentReference, PrefixListReference, TransitGateway, TransitGatewayAttachment,
    TransitGatewayPeeringAttachment, TransitGatewayRoute, TransitGatewayRouteTable,
    TransitGatewayVpcAttachment,
};

/// The objects of all documents.
#[derive(Default)]
pub(super) struct Inventory {
    pub vpcs: Vec<ReadObject<Vpc>>,
    /// The DNS attributes of VPCs, by VPC id.
    pub attributes: BTreeMap<String, VpcAttribute>,
    /// The locations of these attributes, by VPC id.
    pub attribute_locations: BTreeMap<String, Vec<SourceLocation>>,
    pub subnets: Vec<ReadObject<Subnet>>,
    pub route_tables: Vec<ReadObject<RouteTable>>,
    pub internet_gateways: Vec<ReadObject<InternetGateway>>,
    pub egress_only_internet_gateways: Vec<ReadObject<EgressOnlyInternetGateway>>,
    pub nat_gateways: Vec<ReadObject<NatGateway>>,
    pub endpoints: Vec<ReadObject<VpcEndpoint>>,
    pub endpoint_associations: Vec<ReadObject<VpcEndpointAssociation>>,
    pub services: Vec<ReadObject<ServiceDetail>>,
    pub interfaces: Vec<ReadObject<NetworkInterface>>,
    pub instances: Vec<ReadObject<Instance>>,
    pub addresses: Vec<ReadObject<Address>>,
    pub security_groups: Vec<ReadObject<SecurityGroup>>,
    pub security_group_rules: Vec<ReadObject<SecurityGroupRule>>,
    pub network_acls: Vec<ReadObject<NetworkAcl>>,
    pub prefix_lists: Vec<ReadObject<PrefixList>>,
    /// The entries of prefix lists, by the id of the list and the region that a parent directory is named
    /// after. The ids of AWS-managed prefix lists are unique only within a region.
    pub prefix_list_entries: BTreeMap<(String, Option<String>), Vec<LocatedItem<PrefixListEntry>>>,
    pub peerings: Vec<ReadObject<VpcPeeringConnection>>,
    pub dhcp_options: Vec<ReadObject<DhcpOptions>>,
    pub transit_gateways: Vec<ReadObject<TransitGateway>>,
    pub attachments: Vec<ReadObject<TransitGatewayAttachment>>,
    pub vpc_attachments: Vec<ReadObject<TransitGatewayVpcAttachment>>,
    pub peering_attachments: Vec<ReadObject<TransitGatewayPeeringAttachment>>,
    pub transit_route_tables: Vec<ReadObject<TransitGatewayRouteTable>>,
    /// The routes, associations and propagations of transit gateway route tables, by the id of the table.
    pub transit_routes: BTreeMap<String, Vec<LocatedItem<TransitGatewayRoute>>>,
    pub transit_associations: BTreeMap<String, Vec<LocatedItem<AttachmentReference>>>,
    pub transit_propagations: BTreeMap<String, Vec<LocatedItem<AttachmentReference>>>,
    pub prefix_list_references: Vec<LocatedItem<PrefixListReference>>,
    pub vpn_gateways: Vec<ReadObject<VpnGateway>>,
    pub vpn_connections: Vec<ReadObject<VpnConnection>>,
    pub customer_gateways: Vec<ReadObject<CustomerGateway>>,
    pub direct_connect_gateways: Vec<ReadObject<DirectConnectGateway>>,
    pub direct_connect_associations: Vec<ReadObject<DirectConnectGatewayAssociation>>,
    pub virtual_interfaces: Vec<ReadObject<VirtualInterface>>,
    pub hosted_zones: Vec<ReadObject<HostedZone>>,
    /// The VPCs of hosted zones, by the id of the zone.
    pub zone_vpcs: BTreeMap<String, Vec<LocatedItem<ZoneVpc>>>,
    /// The record sets, grouped by document.
    pub record_sets: Vec<RecordSets>,
    pub health_checks: Vec<ReadObject<HealthCheck>>,
    /// The observations of health checkers, by the id of the health check.
    pub health_observations: BTreeMap<String, Vec<LocatedItem<HealthCheckObservation>>>,
    pub resolver_rules: Vec<ReadObject<ResolverRule>>,
    pub rule_associations: Vec<ReadObject<ResolverRuleAssociation>>,
    pub resolver_endpoints: Vec<ReadObject<ResolverEndpoint>>,
    /// The addresses of resolver endpoints, by the id of the endpoint.
    pub resolver_addresses: BTreeMap<String, Vec<LocatedItem<ResolverAddress>>>,
    pub resolver_configs: Vec<ReadObject<ResolverConfig>>,
    pub profiles: Vec<ReadObject<Profile>>,
    pub profile_associations: Vec<ReadObject<ProfileAssociation>>,
    pub profile_resources: Vec<ReadObject<ProfileResourceAssociation>>,
    pub service_networks: Vec<ReadObject<ServiceNetworkVpcAssociation>>,
    /// The top-level keys of all documents, including those of empty lists.
    pub document_keys: HashSet<String>,
    /// The account of the caller, from `aws sts get-caller-identity`.
    pub caller_account: Option<String>,
}

/// An object and the file it was read from.
pub(super) struct ReadObject<T> {
    /// The object.
    pub object: T,
    /// The index of the file.
    pub file: usize,
}

impl<T> std::ops::Deref for ReadObject<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

/// The record sets of one document. The document does not state the zone.
pub(super) struct RecordSets {
    /// The index of the file.
    pub file: usize,
    /// The byte range of the document.
    pub at: std::ops::Range<usize>,
    /// The record sets.
    pub sets: Vec<LocatedItem<ResourceRecordSet>>,
    /// The id of the zone, once determined.
    pub zone: Option<String>,
}
