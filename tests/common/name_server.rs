//! A name server with scripted responses: any records for any question, as written by the test.

#![allow(dead_code, reason = "each test binary uses a part")]

#[path = "test_server.rs"]
mod test_server;

use std::collections::HashMap;
use std::net::SocketAddr;

use test_server::TestServer;

use crate::lab::{self, wire};

/// The type of an SOA record.
const SOA: u16 = 6;

/// A record: owner, type, data.
pub(crate) type Record = (&'static str, u16, Vec<u8>);

/// The response to a question.
#[derive(Clone, Default)]
pub(crate) struct Response {
    pub rcode: u8,
    pub answers: Vec<Record>,
    pub authority: Vec<Record>,
    /// EDNS options as code and data. The response has an OPT record if there are any.
    pub options: Vec<(u16, Vec<u8>)>,
}

impl Response {
    pub(crate) fn records(answers: Vec<Record>) -> Self {
        Self { answers, ..Self::default() }
    }

    /// The response to a query in wire form, without name compression except in the given record data.
    fn message(&self, query: &[u8]) -> Vec<u8> {
        let end = 12 + query[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
        let counts = [1, self.answers.len(), self.authority.len(), usize::from(!self.options.is_empty())];
        let mut out = [&query[..2], &[0x81, 0x80 | self.rcode]].concat();
        out.extend(counts.into_iter().flat_map(|count| (count as u16).to_be_bytes()));
        out.extend_from_slice(&query[12..end]);
        for (owner, rtype, data) in self.answers.iter().chain(&self.authority) {
            out.extend(wire(owner));
            out.extend(rtype.to_be_bytes());
            out.extend([0, 1, 0, 0, 0, 60]);
            out.extend((data.len() as u16).to_be_bytes());
            out.extend(data);
        }
        if !self.options.is_empty() {
            let options: Vec<(u16, &[u8])> =
                self.options.iter().map(|(code, data)| (*code, data.as_slice())).collect();
            out.extend(lab::opt(1232, 0, &lab::options(&options)));
        }
        out
    }
}

/// A name server with scripted responses; questions without one get NXDOMAIN. Dropping it stops the
/// server.
pub(crate) struct Server {
    pub address: SocketAddr,
    server: TestServer,
}

impl Server {
    pub(crate) fn start(replies: Vec<(&'static str, u16, Response)>) -> Self {
        let replies: HashMap<_, _> =
            replies.into_iter().map(|(name, qtype, sent)| ((name, qtype), sent)).collect();
        let server = TestServer::udp(move |query| {
            let (name, qtype) = question(query);
            let soa = [vec![0, 0], vec![0; 16], vec![0, 0, 0, 60]].concat();
            let denial = Response { rcode: 3, authority: vec![("", SOA, soa)], ..Response::default() };
            vec![replies.get(&(name.as_str(), qtype)).unwrap_or(&denial).message(query)]
        });
        Self { address: server.address, server }
    }

    /// The questions that were received, sorted and without duplicates.
    pub(crate) fn seen(&self) -> Vec<(String, u16)> {
        let seen = self.server.received.lock().unwrap();
        let mut seen: Vec<_> = seen.iter().map(|(_, query)| question(query)).collect();
        seen.sort();
        seen.dedup();
        seen
    }
}

/// The query name, in lower case and without the final dot, and the query type.
fn question(query: &[u8]) -> (String, u16) {
    let (mut labels, mut at) = (Vec::new(), 12);
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]))
}
