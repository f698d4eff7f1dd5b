//! Settings of the daemon: listeners, replies, annotations and expectations.

use ipnet::IpNet;

use crate::config::{EdeMode, Expect, Mark, NegativeSoa};

use super::listener::Listener;

/// The settings: they change neither an answer's records nor a path.
#[derive(Debug)]
pub struct Settings {
    /// Rules for replies.
    pub replies: ReplyRules,
    /// Rules for annotations.
    pub annotate: AnnotateRules,
    /// Listeners and their views.
    pub listeners: Vec<Listener>,
    /// Prefixes whose clients may query although they are in no configured location.
    pub allow: Vec<IpNet>,
    /// Prefixes whose EDNS Client Subnet is trusted.
    pub trust_client_subnet: Vec<IpNet>,
    /// Expectations of the configuration.
    pub expectations: Vec<(Expect, Mark)>,
}

/// The keys of `[answers]` that determine how an answer is sent.
#[derive(Clone, Debug)]
pub struct ReplyRules {
    /// Maximum size of a UDP reply, in octets.
    pub max_udp_payload: u16,
    /// Which NXDOMAIN replies include the SOA record.
    pub negative_soa: NegativeSoa,
}

/// Which clients receive annotations, and how.
#[derive(Clone, Debug)]
pub struct AnnotateRules {
    /// Extended DNS Errors.
    pub ede: EdeMode,
    /// Option 65001.
    pub option: bool,
    /// CHAOS TXT.
    pub chaos: bool,
    /// The clients.
    pub to: Vec<IpNet>,
}
