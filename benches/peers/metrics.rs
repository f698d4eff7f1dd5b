//! plustwo's own counters, held against what the generator received.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::flight::Tally;

/// The page of metrics at one time.
#[derive(Clone, Debug)]
pub struct Page(String);

impl Page {
    /// Asks for it.
    pub fn read(port: u16) -> io::Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(Self(text))
    }

    /// The sum of a metric's series whose labels contain a text.
    fn sum(&self, metric: &str, label: &str) -> u64 {
        let series = self.0.lines().filter_map(|line| line.strip_prefix(metric)?.rsplit_once(' '));
        let fitting = series
            .filter(|(labels, _)| (labels.is_empty() || labels.starts_with('{')) && labels.contains(label));
        fitting.filter_map(|(_, value)| value.parse::<f64>().ok()).sum::<f64>() as u64
    }
}

/// What does not fit between two pages and what was received between them; empty when all is well.
///
/// A query that counts as lost may have been answered too late: then a counter may have grown by more than
/// what was received, but not by more than what was sent.
pub fn differences(before: &Page, after: &Page, shard: &Tally) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |metric: &str, label: &str, received: u64| {
        let grown = after.sum(metric, label).saturating_sub(before.sum(metric, label));
        if grown < received || grown > received + shard.dropped_at {
            found.push(format!(
                "{metric}{{{label}}} grew by {grown}; {received} replies were received and {} lost",
                shard.dropped_at
            ));
        }
    };
    hold("plustwo_dns_responses_total", "", shard.answered);
    hold("plustwo_privatelink_implied_new_connections_total", "", shard.connections);
    hold("plustwo_egress_answers_total", "", shard.ways.iter().map(|(_, count)| count).sum());
    for (class, count) in &shard.ways {
        let class = String::from_utf8_lossy(class);
        hold("plustwo_egress_answers_total", &format!("path=\"{class}\""), *count);
    }
    if shard.untold > 0 {
        found.push(format!("{} replies hold an address and no EDE that begins `egress=`", shard.untold));
    }
    found
}
