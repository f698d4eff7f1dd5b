//! Top-level keys whose values are not converted: ignored objects, each with the reason, and metadata.

/// What a top-level key of a document contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKey {
    /// Objects that are read.
    Read,
    /// Objects that are known to have no effect on answers, or are not used yet.
    Ignored,
    /// An unknown key.
    Unknown,
}

/// The keys of objects that have no effect on answers, or are not used yet, with the reason.
const IGNORED_KEYS: &[(&str, &str)] = &[
    ("FirewallRuleGroups", FIREWALL),
    ("FirewallRuleGroupAssociations", FIREWALL),
    ("FirewallRules", FIREWALL),
    ("FirewallRuleGroup", FIREWALL),
    ("FirewallRuleGroupAssociation", FIREWALL),
    ("FirewallDomainList", FIREWALL),
    ("FirewallDomainLists", FIREWALL),
    ("FirewallConfigs", FIREWALL),
    ("FirewallConfig", FIREWALL),
    ("Domains", FIREWALL),
    ("LoadBalancers", LOAD_BALANCERS),
    ("LoadBalancerAttributes", LOAD_BALANCERS),
    ("LoadBalancerListeners", LOAD_BALANCERS),
    ("LoadBalancerTargetHealth", LOAD_BALANCERS),
    ("TargetHealthDescriptions", LOAD_BALANCERS),
    ("Listeners", LOAD_BALANCERS),
    ("DirectConnectGatewayAttachments", "derived from the associations of the Direct Connect gateway"),
    ("directConnectGatewayAttachments", "derived from the associations of the Direct Connect gateway"),
    ("virtualGateways", "derived from `aws ec2 describe-vpn-gateways`"),
    ("connections", UNRELATED),
    ("lags", UNRELATED),
    ("interconnects", UNRELATED),
    ("TransitGatewayAttachmentPropagations", "derived from the propagations of the route tables"),
    ("TransitGatewayConnects", "derived from the attachments of the transit gateway"),
    ("TransitGatewayConnectPeers", "derived from the attachments of the transit gateway"),
    ("TransitGatewayMulticastDomains", "multicast has no effect on names or egress paths"),
    ("CarrierGateways", GATEWAYS),
    ("LocalGateways", GATEWAYS),
    ("VpcEndpointConnections", SERVICE_PROVIDERS),
    ("ServiceConfigurations", SERVICE_PROVIDERS),
    ("AllowedPrincipals", SERVICE_PROVIDERS),
    ("ConnectionNotificationSet", SERVICE_PROVIDERS),
    ("ResourceTagSets", "tags have no effect on answers"),
    ("ResourceTagSet", "tags have no effect on answers"),
    ("ResourceTags", "tags have no effect on answers"),
    ("resourceTags", "tags have no effect on answers"),
    ("QueryLoggingConfigs", "query logging has no effect on answers"),
    ("ResolverQueryLogConfigs", "query logging has no effect on answers"),
    ("ResolverQueryLogConfigAssociations", "query logging has no effect on answers"),
    ("ServiceNames", "derived from `ServiceDetails`"),
    ("Tags", "included in the tagged objects"),
    ("Regions", UNRELATED),
    ("AvailabilityZones", UNRELATED),
    ("Volumes", UNRELATED),
    ("Images", UNRELATED),
    ("Snapshots", UNRELATED),
    ("KeyPairs", UNRELATED),
    ("AccountAttributes", UNRELATED),
    ("FlowLogs", UNRELATED),
    ("InstanceStatuses", UNRELATED),
    ("InstanceTypes", UNRELATED),
    ("LaunchTemplates", UNRELATED),
    ("PlacementGroups", UNRELATED),
    ("DBInstances", UNRELATED),
    ("TargetGroups", LOAD_BALANCERS),
    ("DomainStatusList", UNRELATED),
    ("DelegationSets", UNRELATED),
];

const FIREWALL: &str = "DNS Firewall is not evaluated yet";
const LOAD_BALANCERS: &str = "represented by the network interfaces of the load balancer";
const GATEWAYS: &str = "used only as a route target";
const SERVICE_PROVIDERS: &str = "concerns only the provider of an endpoint service";
pub(super) const UNRELATED: &str = "no effect on names or egress paths";

/// The kind that the report shows for the output of `describe-vpc-attribute`, whose documents have the
/// attribute name as their key.
pub(crate) const VPC_ATTRIBUTES: &str = "VpcAttributes";

/// Keys of metadata: they accompany the objects of a document and contain none.
const METADATA_KEYS: &[&str] = &[
    "NextToken",
    "nextToken",
    "NextMarker",
    "Marker",
    "IsTruncated",
    "MaxItems",
    "MaxResults",
    "ResponseMetadata",
    "NextRecordName",
    "NextRecordType",
    "NextRecordIdentifier",
    "DelegationSet",
    "UserId",
    "Arn",
    "VpcId",
    "HostedZoneId",
    "DNSName",
    "HealthCheckId",
    "PrefixListId",
    "ResolverEndpointId",
    "TotalCount",
    "FilteredCount",
    "TotalFilteredCount",
    "AdditionalRoutesAvailable",
    "RequestId",
    "TransitGatewayRouteTableId",
    "Version",
];

/// Returns whether a key contains only metadata.
pub(super) fn is_metadata(key: &str) -> bool {
    METADATA_KEYS.contains(&key)
}

/// Returns a key and the reason why its objects are ignored, or `None` if they are not.
pub(super) fn ignored_key(key: &str) -> Option<(&'static str, &'static str)> {
    IGNORED_KEYS.iter().find(|(known, _)| *known == key).copied()
}

/// Classifies a key whose value was not read.
pub(super) fn classify_unread(key: &str) -> DocumentKey {
    if ignored_key(key).is_some() { DocumentKey::Ignored } else { DocumentKey::Unknown }
}
