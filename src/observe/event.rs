//! What doors tell: a query that was answered, or a message that was dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ipnet::IpNet;

use crate::dns::{Question, SilenceReason};
use crate::resolve::Outcome;
use crate::world::{Vantage, World};

/// One query that was answered, and everything that readers want to know of it.
#[derive(Clone, Copy, Debug)]
pub struct QueryEvent<'a> {
    /// What is this query's alone.
    pub arrival: Arrival<'a>,
    /// The world it was answered from.
    pub world: &'a World,
    /// What was asked.
    pub question: &'a Question,
    /// Where the client stands. `None`: it was refused, or stands nowhere.
    pub vantage: Option<Vantage>,
    /// What the question came to.
    pub outcome: &'a Outcome,
    /// Whether a cached answer of somebody else helped, and nobody had to be asked.
    pub cached: bool,
}

/// What of an event is one query's alone: the next one who asks the same from the same place differs in it.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// The door it came through.
    pub server: &'a ServerLabel,
    /// What carried it.
    pub transport: Transport,
    /// Who sent the message.
    pub peer: SocketAddr,
    /// The message's identifier.
    pub id: u16,
    /// Who asked: the sender, or the EDNS Client Subnet of a sender that is believed.
    pub client: IpNet,
    /// Whether the reply was sent with TC set.
    pub truncated: bool,
    /// The rotation that the records were sent with.
    pub rotation: usize,
    /// The size of the query in octets.
    pub request_octets: usize,
    /// The size of the reply in octets.
    pub response_octets: usize,
    /// The time from reading the query to having its reply. `None`: that of its batch, told by
    /// [`Witness::settle`](super::Witness::settle).
    pub elapsed: Option<Duration>,
    /// When the query came.
    pub at: SystemTime,
}

/// The time that a batch of queries has in common.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When it was read.
    pub started: Instant,
    /// The same on the wall's clock.
    pub at: SystemTime,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self { started: Instant::now(), at: SystemTime::now() }
    }
}

/// A door as metrics know it.
#[derive(Clone, Debug)]
pub struct ServerLabel {
    /// Its number among the doors of this process, for finding its counts without its name.
    pub number: usize,
    /// The listener's address as written, the metric label `server`.
    pub label: Arc<str>,
}

/// What carried a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Dot,
    /// An HTTP exchange inside TLS.
    Doh,
}

impl Transport {
    /// How many there are.
    pub const COUNT: usize = 4;

    /// The word for it, in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
        }
    }
}

/// Why a message got no reply. A closed set, and a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// It is shorter than a header.
    Short,
    /// It is itself a response.
    Response,
    /// The VPC's DNS support is off.
    DnsSupportOff,
    /// Its sender sends more than it may.
    Rate,
}

impl DropReason {
    /// The word for it, in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Response => "response",
            Self::DnsSupportOff => "dns-support-off",
            Self::Rate => "rate",
        }
    }
}

impl From<SilenceReason> for DropReason {
    fn from(reason: SilenceReason) -> Self {
        match reason {
            SilenceReason::TooShort => Self::Short,
            SilenceReason::IsResponse => Self::Response,
        }
    }
}
