//! Datagrams that the system dropped because the receive buffer of a listener was full, read from `/proc`
//! when metrics are collected.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};

/// The files in which Linux lists the UDP sockets of this process's network namespace. They do not exist on
/// other systems, where no drops are exported.
const TABLES: [&str; 2] = ["/proc/self/net/udp", "/proc/self/net/udp6"];

/// A listener: its label, and the address that its sockets are bound to.
type WatchedListener = (Arc<str>, SocketAddr);

/// The metric of dropped datagrams of the watched listeners. Clones share the listeners.
#[derive(Clone, Debug)]
pub(super) struct ReceiveBufferDrops {
    desc: Desc,
    listeners: Arc<RwLock<Vec<WatchedListener>>>,
}

impl ReceiveBufferDrops {
    /// Creates a metric without listeners. Its label is `server`.
    pub(super) fn new(desc: Desc) -> Self {
        Self { desc, listeners: Arc::default() }
    }

    /// Adds the sockets that are bound to an address.
    pub(super) fn watch(&self, server: Arc<str>, bound: SocketAddr) {
        let mut listeners = self.listeners.write().unwrap_or_else(PoisonError::into_inner);
        // Each worker has a socket with this address, but their drops are summed by address.
        if !listeners.iter().any(|(_, address)| *address == bound) {
            listeners.push((server, bound));
        }
    }
}

impl Collector for ReceiveBufferDrops {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let tables = TABLES.map(|path| std::fs::read_to_string(path).unwrap_or_default());
        let mut dropped = HashMap::new();
        for (address, drops) in tables.iter().flat_map(|table| table.lines().skip(1)).filter_map(parse_socket)
        {
            *dropped.entry(address).or_insert(0) += drops;
        }
        let listeners = self.listeners.read().unwrap_or_else(PoisonError::into_inner);
        let metric = |(server, bound): &WatchedListener| {
            let mut label = LabelPair::default();
            label.set_name("server".to_owned());
            label.set_value(server.to_string());
            let mut counter = proto::Counter::default();
            counter.set_value(*dropped.get(bound)? as f64);
            let mut metric = proto::Metric::from_label(vec![label]);
            metric.set_counter(counter);
            Some(metric)
        };
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::COUNTER);
        family.set_metric(listeners.iter().filter_map(metric).collect());
        vec![family]
    }
}

/// Parses the address of a socket and the number of datagrams that it dropped: the second and the last column
/// in proc_pid_net(5).
fn parse_socket(line: &str) -> Option<(SocketAddr, u64)> {
    let mut columns = line.split_ascii_whitespace();
    let (address, port) = columns.nth(1)?.split_once(':')?;
    let drops = columns.last()?.parse().ok()?;
    // Linux prints each 32-bit word of the address as an integer in the byte order of this machine.
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let octets = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
            IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))
        }
        _ => return None,
    };
    Some((SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?), drops))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_are_parsed_into_address_and_drops() {
        let v4 = " 3511: 0100007F:14B4 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 123456 2 0000000000000000 17";
        assert_eq!(parse_socket(v4), Some(("127.0.0.1:5300".parse().unwrap(), 17)));
        let v6 = "  12: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 9 2 0 3";
        assert_eq!(parse_socket(v6), Some(("[::1]:53".parse().unwrap(), 3)));
        assert_eq!(parse_socket("nonsense"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn datagrams_dropped_by_a_full_buffer_are_counted() {
        let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let bound = listener.local_addr().unwrap();
        let desc =
            Desc::new("drops_total".into(), "Drops.".into(), vec!["server".into()], HashMap::new()).unwrap();
        let buffers = ReceiveBufferDrops::new(desc);
        for _ in 0..2 {
            buffers.watch(Arc::from("127.0.0.1:0"), bound);
        }
        let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..200 {
            client.send_to(&[0; 9000], bound).unwrap();
        }
        let metrics = buffers.collect()[0].get_metric().to_vec();
        assert_eq!(metrics.len(), 1);
        assert!(metrics[0].get_counter().get_value() > 0.0, "{metrics:?}");
    }
}
