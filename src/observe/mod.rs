//! STUB
use crate::dns::*;
use crate::resolve::Outcome;
use crate::world::{Vantage, World};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    Udp,
    Tcp,
}
#[derive(Debug, Default)]
pub struct Lookups {}
#[derive(Debug)]
pub enum DropReason {
    Short,
    Response,
    DnsSupportOff,
}
impl From<SilenceReason> for DropReason {
    fn from(r: SilenceReason) -> Self {
        match r {
            SilenceReason::TooShort => Self::Short,
            SilenceReason::IsResponse => Self::Response,
        }
    }
}
pub struct QueryEvent<'a> {
    pub world: &'a World,
    pub server: &'a Arc<str>,
    pub transport: Transport,
    pub peer: SocketAddr,
    pub id: u16,
    pub question: &'a Question,
    pub client: IpNet,
    pub vantage: Option<Vantage>,
    pub outcome: &'a Outcome,
    pub truncated: bool,
    pub rotation: usize,
    pub request_octets: usize,
    pub response_octets: usize,
    pub elapsed: Duration,
    pub at: SystemTime,
}
#[derive(Debug)]
pub struct Observer {
    d: DoorMetrics,
}
#[derive(Debug)]
pub struct C;
impl C {
    pub fn inc(&self) {}
    pub fn dec(&self) {}
    pub fn get(&self) -> u64 {
        0
    }
}
#[derive(Debug)]
pub struct DoorMetrics {
    pub tcp_connections: C,
    pub tcp_refused: C,
    pub tcp_timeouts: C,
    pub tcp_accept_errors: C,
    pub tcp_send_errors: C,
    pub udp_receive_errors: C,
    pub udp_send_errors: C,
}
pub struct ObserverOptions {
    pub query_log: crate::config::QueryLog,
    pub remembered_lookups: usize,
}
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct QueryLogError;
impl Observer {
    pub fn new(_: ObserverOptions) -> Result<Self, QueryLogError> {
        Ok(Self {
            d: DoorMetrics {
                tcp_connections: C,
                tcp_refused: C,
                tcp_timeouts: C,
                tcp_accept_errors: C,
                tcp_send_errors: C,
                udp_receive_errors: C,
                udp_send_errors: C,
            },
        })
    }
    pub fn observe(&self, _: &QueryEvent<'_>, _: Option<&mut Lookups>) {}
    pub fn turned_away(&self, _: &Arc<str>, _: Transport, _: SocketAddr, _: Rcode) {}
    pub fn dropped(&self, _: &Arc<str>, _: Transport, _: DropReason) {}
    pub fn chaos(&self, _: &Arc<str>, _: Transport) {}
    pub fn world_loaded(&self, _: &World) {}
    pub fn reloaded(&self, _: bool) {}
    pub fn lookups(&self) -> Lookups {
        Lookups {}
    }
    pub fn doors(&self) -> &DoorMetrics {
        &self.d
    }
    pub fn render(&self) -> String {
        String::new()
    }
    pub fn reopen_query_log(&self) {}
}
