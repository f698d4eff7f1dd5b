//! Top-level keys of documents that hold nothing to read, and why.

/// What a top-level key of a document is to plustwo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKey {
    /// What stands there is read.
    Read,
    /// It is known, and changes no answer.
    WithoutEffect,
    /// Nobody knows it.
    Unknown,
}

/// Documents that change no answer, and those that plustwo does not use so far, with the reason.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
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
    ("LoadBalancers", BALANCERS),
    ("LoadBalancerAttributes", BALANCERS),
    ("LoadBalancerListeners", BALANCERS),
    ("LoadBalancerTargetHealth", BALANCERS),
    ("TargetHealthDescriptions", BALANCERS),
    ("Listeners", BALANCERS),
    ("DirectConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("directConnectGatewayAttachments", "where a Direct Connect gateway leads is told by its associations"),
    ("virtualGateways", "virtual private gateways are known by EC2's documents"),
    ("connections", OTHERS),
    ("lags", OTHERS),
    ("interconnects", OTHERS),
    ("TransitGatewayAttachmentPropagations", "route tables tell what propagates to them"),
    ("TransitGatewayConnects", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayConnectPeers", "what is attached to transit gateways is told by their attachments"),
    ("TransitGatewayMulticastDomains", "multicast is not modelled, and no answer leads to it"),
    ("CarrierGateways", GATEWAYS),
    ("LocalGateways", GATEWAYS),
    ("VpcEndpointConnections", PROVIDERS),
    ("ServiceConfigurations", PROVIDERS),
    ("AllowedPrincipals", PROVIDERS),
    ("ConnectionNotificationSet", PROVIDERS),
    ("ResourceTagSets", "tags change no answer"),
    ("ResourceTagSet", "tags change no answer"),
    ("ResourceTags", "tags change no answer"),
    ("resourceTags", "tags change no answer"),
    ("QueryLoggingConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigs", "query logs change no answer"),
    ("ResolverQueryLogConfigAssociations", "query logs change no answer"),
    ("ServiceNames", "the documents of the services say more"),
    ("Tags", "objects carry their tags"),
    ("Regions", OTHERS),
    ("AvailabilityZones", OTHERS),
    ("Volumes", OTHERS),
    ("Images", OTHERS),
    ("Snapshots", OTHERS),
    ("KeyPairs", OTHERS),
    ("AccountAttributes", OTHERS),
    ("FlowLogs", OTHERS),
    ("InstanceStatuses", OTHERS),
    ("InstanceTypes", OTHERS),
    ("LaunchTemplates", OTHERS),
    ("PlacementGroups", OTHERS),
    ("DBInstances", OTHERS),
    ("TargetGroups", BALANCERS),
    ("DomainStatusList", OTHERS),
    ("DelegationSets", OTHERS),
];

const FIREWALL: &str = "DNS Firewall is read and not used yet";
const BALANCERS: &str = "load balancers are known by their network interfaces";
const GATEWAYS: &str = "routes lead to it, and nothing else is to be said of it";
const PROVIDERS: &str = "it is about who offers a service, and not about who asks";
pub(super) const OTHERS: &str = "it has no part in names or ways out";

/// What `describe-vpc-attribute` tells goes by this name: its documents have the attribute itself for a key.
pub const VPC_ATTRIBUTES: &str = "VpcAttributes";

/// Keys that stand beside the objects of a document and hold none.
const BESIDE: &[&str] = &[
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
pub(super) fn is_beside(key: &str) -> bool {
    BESIDE.contains(&key)
}

/// Why what stands under a key changes no answer; `None` where nobody knows the key.
pub(super) fn why_without_effect(key: &str) -> Option<(&'static str, &'static str)> {
    WITHOUT_EFFECT.iter().find(|(known, _)| *known == key).copied()
}

/// What a key is that nobody reads.
pub(super) fn of_unread(key: &str) -> DocumentKey {
    if why_without_effect(key).is_some() { DocumentKey::WithoutEffect } else { DocumentKey::Unknown }
}
