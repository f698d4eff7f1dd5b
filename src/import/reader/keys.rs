//! Top-level keys of documents that hold nothing to read, and why.

/// What a top-level key of a document is to plustwo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKey {
    /// What stands there is read.
    Read,
    /// It is known, and changes no answer.
    Ignored,
    /// Nobody knows it.
    Unknown,
}

/// Documents that change no answer, and those that plustwo does not use so far, with the reason.
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
    ("DirectConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("directConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("virtualGateways", "virtual private gateways are known by EC2's documents"),
    ("connections", UNRELATED),
    ("lags", UNRELATED),
    ("interconnects", UNRELATED),
    ("TransitGatewayAttachmentPropagations", "route tables tell what propagates to them"),
    ("TransitGatewayConnects", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayConnectPeers", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayMulticastDomains", "multicast is not modelled, and no answer leads to it"),
    ("CarrierGateways", GATEWAYS),
    ("LocalGateways", GATEWAYS),
    ("VpcEndpointConnections", SERVICE_PROVIDERS),
    ("ServiceConfigurations", SERVICE_PROVIDERS),
    ("AllowedPrincipals", SERVICE_PROVIDERS),
    ("ConnectionNotificationSet", SERVICE_PROVIDERS),
    ("ResourceTagSets", "tags change no answer"),
    ("ResourceTagSet", "tags change no answer"),
    ("ResourceTags", "tags change no answer"),
    ("resourceTags", "tags change no answer"),
    ("QueryLoggingConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigAssociations", "query logs change no answer"),
    ("ServiceNames", "the documents of the services say more"),
    ("Tags", "objects carry their tags"),
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

const FIREWALL: &str = "DNS Firewall is read and not used yet";
const LOAD_BALANCERS: &str = "load balancers are known by their network interfaces";
const GATEWAYS: &str = "routes lead to it, and nothing else is to be said of it";
const SERVICE_PROVIDERS: &str = "it is about who offers a service, and not about who asks";
pub(super) const UNRELATED: &str = "it has no part in names or ways out";

/// What `describe-vpc-attribute` tells goes by this name: its documents have the attribute itself for a key.
pub const VPC_ATTRIBUTES: &str = "VpcAttributes";

/// Keys that stand beside the objects of a document and hold none.
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

/// Whether a key stands beside the objects of a document.
pub(super) fn is_metadata(key: &str) -> bool {
    METADATA_KEYS.contains(&key)
}

/// Why what stands under a key changes no answer; `None` where nobody knows the key.
pub(super) fn ignored_key(key: &str) -> Option<(&'static str, &'static str)> {
    IGNORED_KEYS.iter().find(|(known, _)| *known == key).copied()
}

/// What a key is that nobody reads.
pub(super) fn classify_unread(key: &str) -> DocumentKey {
    if ignored_key(key).is_some() { DocumentKey::Ignored } else { DocumentKey::Unknown }
}
