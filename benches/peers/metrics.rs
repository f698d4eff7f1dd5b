//! Comparison of plustwo's own counters with the received replies.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::in_flight::LoadResult;

/// The response of `/metrics` at one time.
#[derive(Clone, Debug)]
pub(crate) struct MetricsPage(String);

impl MetricsPage {
    /// Requests the metrics.
    pub(crate) fn read(port: u16) -> io::Result<Self> {
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
        let matching = series
            .filter(|(labels, _)| (labels.is_empty() || labels.starts_with('{')) && labels.contains(label));
        matching.filter_map(|(_, value)| value.parse::<f64>().ok()).sum::<f64>() as u64
    }
}

/// The differences between two responses and the replies received in between; empty if there are none.
///
/// A query that counts as lost may have been answered too late. Therefore, a counter may grow by more than
/// the number of replies received, but not by more than the number of queries sent.
pub(crate) fn differences(before: &MetricsPage, after: &MetricsPage, result: &LoadResult) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |metric: &str, label: &str, received: u64| {
        let increase = after.sum(metric, label).saturating_sub(before.sum(metric, label));
        if increase < received || increase > received + result.lost {
            found.push(format!(
                "{metric}{{{label}}} grew by {increase}; {received} replies were received and {} lost",
                result.lost
            ));
        }
    };
    check("plustwo_dns_responses_total", "", result.answered);
    check("plustwo_privatelink_implied_new_connections_total", "", result.connections);
    check("plustwo_egress_answers_total", "", result.paths.iter().map(|(_, count)| count).sum());
    for (class, count) in &result.paths {
        let class = String::from_utf8_lossy(class);
        check("plustwo_egress_answers_total", &format!("path=\"{class}\""), *count);
    }
    if result.unannotated > 0 {
        found.push(format!(
            "{} replies have an address but no EDE that begins with `egress=`",
            result.unannotated
        ));
    }
    found
}
