//! IDs of AWS objects. Each kind is a separate type, so that the ID of a subnet cannot be used as that of a
//! VPC.
//!
//! Only the prefix is checked: IDs may be those that AWS assigns, `vpc-0a1b2c3d4e5f60718`, or readable ones,
//! `vpc-lab`. AWS lists the prefixes under "Resource IDs" in the EC2 User Guide.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// Maximum length of an ID, in octets. IDs that AWS assigns have about 30.
const MAX_LEN: usize = 128;

/// The kind of object that an ID identifies.
pub trait IdKind: Clone + PartialEq + Eq + Hash + PartialOrd + Ord {
    /// The prefixes of IDs of this kind.
    const PREFIXES: &'static [&'static str];
    /// A description of a valid ID, with an article, for messages.
    const EXPECTED: &'static str;
}

/// An ID of the kind `K`, as configured.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id<K: IdKind> {
    text: Arc<str>,
    kind: PhantomData<fn() -> K>,
}

impl<K: IdKind> Id<K> {
    /// Returns the ID as configured.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the ID as a shared string.
    pub fn to_shared(&self) -> Arc<str> {
        self.text.clone()
    }
}

/// Why a string is not a valid ID of the expected kind.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum IdError {
    /// The prefix is missing or that of another kind, or nothing follows it.
    #[error("invalid ID `{text}`: {expected} begins with `{}`", prefixes.join("` or `"))]
    WrongPrefix {
        /// The string.
        text: String,
        /// The expected kind of ID.
        expected: &'static str,
        /// The prefixes of that kind.
        prefixes: &'static [&'static str],
    },
    /// It is too long or contains invalid characters.
    #[error("invalid ID `{0}`: expected at most 128 letters, digits, `-` and `_`")]
    InvalidCharacters(String),
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = |prefix: &&str| text.len() > prefix.len() && text.starts_with(*prefix);
        if !K::PREFIXES.iter().any(fits) {
            let text = text.to_owned();
            return Err(IdError::WrongPrefix { text, expected: K::EXPECTED, prefixes: K::PREFIXES });
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.len() > MAX_LEN || !text.bytes().all(plain) {
            return Err(IdError::InvalidCharacters(text.to_owned()));
        }
        Ok(Self { text: text.into(), kind: PhantomData })
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An ID, or an ARN that ends with it: `rcfg-1` or
/// `arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/rcfg-1`. Only the ID is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdOrArn<K: IdKind>(Id<K>);

impl<K: IdKind> IdOrArn<K> {
    /// Returns the ID.
    pub fn id(&self) -> &Id<K> {
        &self.0
    }
}

impl<K: IdKind> FromStr for IdOrArn<K> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let id = text.strip_prefix("arn:").and_then(|rest| rest.rsplit('/').next()).unwrap_or(text);
        id.parse().map(Self)
    }
}

impl<K: IdKind> fmt::Display for IdOrArn<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! id_kinds {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident: $what:literal, $($prefix:literal)|+;)+) => {
        /// The kinds of IDs. These types have no values.
        pub mod kind {
            $(
                #[doc = concat!("The kind of the ID of ", $what, ".")]
                #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
                pub enum $kind {}
                impl super::IdKind for $kind {
                    const PREFIXES: &'static [&'static str] = &[$($prefix),+];
                    const EXPECTED: &'static str = concat!("the ID of ", $what);
                }
            )+
        }
        $($(#[$doc])* pub type $alias = Id<kind::$kind>;)+

        /// Returns the kind of object that an ID identifies according to its prefix, with an article. `None`
        /// for other prefixes.
        pub fn kind_by_prefix(id: &str) -> Option<&'static str> {
            let kinds = [$($(($prefix, $what)),+),+];
            let matching = kinds.into_iter().filter(|(prefix, _)| id.starts_with(prefix));
            // Among equal prefixes, the kind declared first: the later ones are unions of kinds.
            matching.rev().max_by_key(|(prefix, _)| prefix.len()).map(|(_, kind)| kind)
        }
    };
}

id_kinds! {
    /// `vpc-…`
    VpcId = Vpc: "a VPC", "vpc-";
    /// `subnet-…`
    SubnetId = Subnet: "a subnet", "subnet-";
    /// `rtb-…`
    RouteTableId = RouteTable: "a route table", "rtb-";
    /// `igw-…`
    InternetGatewayId = InternetGateway: "an internet gateway", "igw-";
    /// `nat-…`
    NatGatewayId = NatGateway: "a NAT gateway", "nat-";
    /// `vpce-…`
    VpcEndpointId = VpcEndpoint: "a VPC endpoint", "vpce-";
    /// `vpce-rsc-asc-…`
    VpcEndpointAssociationId = VpcEndpointAssociation: "a VPC endpoint association", "vpce-rsc-asc-";
    /// `rcfg-…`, of VPC Lattice.
    ResourceConfigurationId = ResourceConfiguration: "a resource configuration", "rcfg-";
    /// `sn-…`, of VPC Lattice.
    ServiceNetworkId = ServiceNetwork: "a service network", "sn-";
    /// `rcfg-…` or `svc-…`: a resource of a service network.
    LatticeResourceId = LatticeResource: "a resource configuration or a service", "rcfg-" | "svc-";
    /// `eni-…`
    NetworkInterfaceId = NetworkInterface: "a network interface", "eni-";
    /// `i-…`
    InstanceId = Instance: "an instance", "i-";
    /// `sg-…`
    SecurityGroupId = SecurityGroup: "a security group", "sg-";
    /// `pl-…`
    PrefixListId = PrefixList: "a prefix list", "pl-";
    /// `rslvr-in-…` or `rslvr-out-…`
    ResolverEndpointId = ResolverEndpoint: "a resolver endpoint", "rslvr-in-" | "rslvr-out-";
    /// `rslvr-rr-…`
    ResolverRuleId = ResolverRule: "a resolver rule", "rslvr-rr-";
    /// `acl-…`
    NetworkAclId = NetworkAcl: "a network ACL", "acl-";
    /// `vgw-…`
    VirtualPrivateGatewayId = VirtualPrivateGateway: "a virtual private gateway", "vgw-";
    /// `tgw-rtb-…`
    TransitGatewayRouteTableId = TransitGatewayRouteTable: "a transit gateway route table", "tgw-rtb-";
    /// `rp-…`
    ProfileId = Profile: "a Route 53 Profile", "rp-";
    /// `pcx-…`
    VpcPeeringConnectionId = VpcPeeringConnection: "a peering connection", "pcx-";
    /// `tgw-…`
    TransitGatewayId = TransitGateway: "a transit gateway", "tgw-";
    /// `tgw-attach-…`
    TransitGatewayAttachmentId = TransitGatewayAttachment: "a transit gateway attachment", "tgw-attach-";
    /// `Z…`, as in Route 53.
    HostedZoneId = HostedZone: "a hosted zone", "Z";
    /// `site-…`: an on-premises network. AWS has no such object.
    SiteId = Site: "a site", "site-";
    /// `vgw-…`, `dxgw-…` or `tgw-…`: the gateway at the AWS end of a site's link.
    LinkTargetId = LinkTarget: "the gateway of a link", "vgw-" | "dxgw-" | "tgw-";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_determines_the_kind_of_an_id() {
        assert_eq!("vpc-lab".parse::<VpcId>().unwrap().as_str(), "vpc-lab");
        let wrong = "subnet-a".parse::<VpcId>().unwrap_err();
        assert_eq!(wrong.to_string(), "invalid ID `subnet-a`: the ID of a VPC begins with `vpc-`");
        assert!("vpc-".parse::<VpcId>().is_err());
        assert!("vpc-a b".parse::<VpcId>().is_err());
        assert!("rslvr-in-1".parse::<ResolverEndpointId>().is_ok());
    }

    #[test]
    fn an_arn_is_reduced_to_the_id_at_its_end() {
        let arn = "arn:aws:vpc-lattice:us-east-1:111122223333:resourceconfiguration/rcfg-07129f3a";
        for text in [arn, "rcfg-07129f3a"] {
            assert_eq!(text.parse::<IdOrArn<kind::LatticeResource>>().unwrap().to_string(), "rcfg-07129f3a");
        }
        assert!(arn.parse::<IdOrArn<kind::ServiceNetwork>>().is_err());
        assert!("arn:rcfg".parse::<IdOrArn<kind::ResourceConfiguration>>().is_err());
    }
}
