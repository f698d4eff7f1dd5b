//! Events reported by listeners: an answered query or a dropped message.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;

use crate::dns::{DiscardReason, Question};
use crate::resolve::Outcome;
use crate::world::{Vantage, World};

/// An answered query, with everything that metrics and the query log need.
#[derive(Clone, Copy, Debug)]
pub struct QueryEvent<'a> {
    /// The part that is specific to this query.
    pub arrival: Arrival<'a>,
    /// The world in which it was answered.
    pub world: &'a World,
    /// The question.
    pub question: &'a Question,
    /// The client's view and location. `None` if the query was refused or the client has no location.
    pub vantage: Option<Vantage>,
    /// The outcome of resolving the question.
    pub outcome: &'a Outcome,
    /// Whether a cached answer was used and no upstream was queried.
    pub cached: bool,
}

/// The part of an event that is specific to one query. It differs between queries for the same question from
/// the same location.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The listener.
    pub server: &'a ServerLabel,
    /// The transport.
    pub transport: Transport,
    /// The source address and port.
    pub peer: SocketAddr,
    /// The message ID.
    pub id: u16,
    /// The client: the source address, or the EDNS Client Subnet of a trusted source.
    pub client: IpNet,
    /// Whether the reply has TC set.
    pub truncated: bool,
    /// The rotation of the records.
    pub rotation: usize,
    /// The size of the query in octets.
    pub request_octets: usize,
    /// The size of the reply in octets.
    pub response_octets: usize,
    /// The time from receiving the query to completing its reply. `None` if it is measured for the whole
    /// batch and recorded by [`WorkerRecorder::finish_batch`](super::WorkerRecorder::finish_batch).
    pub elapsed: Option<Duration>,
    /// When the query was received.
    pub at: SystemTime,
}

/// The time at which a batch of queries was received.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the monotonic clock.
    pub started: Instant,
    /// By the wall clock.
    pub at: SystemTime,
}

impl Moment {
    /// The current time.
    pub fn now() -> Self {
        Self { started: Instant::now(), at: SystemTime::now() }
    }
}

/// A listener as identified in metrics.
#[derive(Clone, Debug)]
pub struct ServerLabel {
    /// Its number among the listeners of this process, an index for its counters.
    pub number: usize,
    /// The listener's address as configured, the value of the metric label `server`.
    pub label: Arc<str>,
}

/// The transport of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// DNS over TLS.
    Dot,
    /// DNS over HTTPS.
    Doh,
}

impl Transport {
    /// Number of transports.
    pub const COUNT: usize = 4;

    /// Its label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
        }
    }
}

/// Why a message received no reply. A closed set, used as a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It is shorter than a header.
    Short,
    /// It is a response.
    Response,
    /// DNS support of the VPC is disabled.
    DnsSupportOff,
    /// Its source exceeds a rate limit.
    Rate,
}

impl DropReason {
    /// Its label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::DnsSupportOff => "dns-support-off",
            Self::Rate => "rate",
        }
    }
}

impl From<DiscardReason> for DropReason {
    fn from(reason: DiscardReason) -> Self {
        match reason {
            DiscardReason::TooShort => Self::Short,
            DiscardReason::IsResponse => Self::Response,
        }
    }
}
