//! Outgoing queries, and matching of responses to them.

use std::io;
use std::net::IpAddr;

use crate::dns::{Ede, Question, Rcode, Response, ResponseError};

/// The UDP payload size announced in the OPT record. Nearly every network transports it unfragmented.
const PAYLOAD: u16 = 1232;

/// The length of a header, which precedes the question (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// Octets of a question after its name: type and class.
const AFTER_NAME: usize = 4;

/// A query in wire form, except for its ID, which the socket assigns.
#[derive(Debug)]
pub(super) struct OutgoingQuery {
    /// The message with ID 0; the name may be in mixed case.
    wire: Vec<u8>,
    /// Offset of the end of the question.
    end: usize,
    /// Whether the response must contain the name in exactly the same case.
    exact_case: bool,
}

/// Whether a response matches a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryMatch {
    /// The response matches.
    Yes,
    /// The response matches except for the case of the name.
    WrongCase,
    /// The response does not match.
    No,
}

impl OutgoingQuery {
    /// Creates a query in lower case: RD set, CD clear and, if `edns`, an OPT record without DO.
    pub(super) fn plain(question: &Question, edns: bool) -> Self {
        let qname = question.qname.as_wire();
        let mut wire = Vec::with_capacity(HEADER + qname.len() + AFTER_NAME + 11);
        for word in [0, 0x0100, 1, 0, 0, u16::from(edns)] {
            wire.extend_from_slice(&word.to_be_bytes());
        }
        wire.extend_from_slice(qname);
        wire.extend_from_slice(&question.qtype.0.to_be_bytes());
        wire.extend_from_slice(&question.qclass.0.to_be_bytes());
        let end = wire.len();
        if edns {
            // Root name, type OPT, payload size, no extended rcode, version 0, no flags, no options.
            wire.extend_from_slice(&[0, 0, 41]);
            wire.extend_from_slice(&PAYLOAD.to_be_bytes());
            wire.extend_from_slice(&[0; 6]);
        }
        Self { wire, end, exact_case: false }
    }

    /// Creates a query with letters in random case: each is a bit that an attacker must guess
    /// (draft-vixie-dnsext-dns0x20).
    pub(super) fn mixed_case(question: &Question, edns: bool) -> Self {
        let mut outgoing = Self { exact_case: true, ..Self::plain(question, edns) };
        let name_end = outgoing.end - AFTER_NAME;
        for chunk in outgoing.wire[HEADER..name_end].chunks_mut(64) {
            let bits: u64 = rand::random();
            for (index, octet) in chunk.iter_mut().enumerate() {
                // Length octets are at most 63, so they are not letters.
                if bits >> index & 1 == 1 {
                    octet.make_ascii_uppercase();
                }
            }
        }
        outgoing
    }

    /// Appends the message with an ID.
    pub(super) fn append(&self, id: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&self.wire[2..]);
    }

    /// The message with an ID.
    pub(super) fn wire(&self, id: u16) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.wire.len());
        self.append(id, &mut wire);
        wire
    }

    /// Parses a message with the ID of this query. Returns whether it matches the query, and its content.
    pub(super) fn parse_response(&self, message: &[u8]) -> (QueryMatch, Result<Response, ResponseError>) {
        // A response that repeats the octets of the one question that was sent matches; no parsed name is
        // needed.
        let echoed = message.get(4..6) == Some(&[0, 1])
            && message.get(HEADER..self.end) == Some(&self.wire[HEADER..self.end]);
        let response = Response::parse(message);
        let matched = match &response {
            _ if echoed => QueryMatch::Yes,
            Ok(response) => self.match_response(response),
            // An attacker who guessed the ID could have sent this.
            Err(_) => QueryMatch::No,
        };
        (matched, response)
    }

    /// Whether a response with the ID of this query matches it.
    pub(super) fn match_response(&self, response: &Response) -> QueryMatch {
        let Some((qname, qtype, qclass)) = &response.question else {
            // Servers that cannot or will not parse a query may omit the question. Such a response contains
            // no data.
            let is_error = !matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
            return if is_error { QueryMatch::Yes } else { QueryMatch::No };
        };
        let (sent_name, sent_end) = self.wire[HEADER..self.end].split_at(self.end - HEADER - AFTER_NAME);
        let same = [qtype.0.to_be_bytes(), qclass.0.to_be_bytes()].concat() == sent_end
            && qname.eq_ignore_ascii_case(sent_name);
        match same {
            true if self.exact_case && *qname != sent_name => QueryMatch::WrongCase,
            true => QueryMatch::Yes,
            false => QueryMatch::No,
        }
    }
}

/// Why a server did not answer a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No response arrived in time.
    #[error("timed out")]
    Timeout,
    /// The host does not have the source address.
    #[error("was not queried: this host does not have the source address {0}")]
    NoSource(IpAddr),
    /// An error of the network, of TLS or of HTTP.
    #[error("{0}")]
    Network(String),
    /// The connection was closed before the response.
    #[error("closed the connection")]
    Closed,
    /// A response does not match its query.
    #[error("sent a reply that matches no query")]
    Mismatch,
    /// The response has the name in another case.
    #[error("returned the name in another case")]
    WrongCase,
    /// The response cannot be parsed.
    #[error("sent an unusable response: {0}")]
    Malformed(#[from] ResponseError),
    /// The response is an error, with the extended errors that the server included.
    #[error("answered {0}")]
    Rcode(Rcode, Vec<Ede>),
}

impl Failure {
    /// Converts an error of binding a socket to a source address.
    pub(super) fn from_bind_error(error: io::Error, source: Option<IpAddr>) -> Self {
        match source {
            Some(source) if error.kind() == io::ErrorKind::AddrNotAvailable => Self::NoSource(source),
            _ => error.into(),
        }
    }

    /// The label value in metrics; `None` for failures that are counted where they are detected.
    pub(super) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Timeout => Some("timeout"),
            Self::NoSource(_) => Some("source"),
            Self::Network(_) | Self::Closed => Some("refused"),
            Self::Mismatch | Self::WrongCase => None,
            Self::Malformed(_) => Some("malformed"),
            Self::Rcode(..) => Some("rcode"),
        }
    }

    /// Whether this host failed before anything was sent.
    pub(super) fn is_local(&self) -> bool {
        matches!(self, Self::NoSource(_))
    }

    /// Whether another attempt at the same server may succeed.
    pub(super) fn is_retryable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Mismatch)
    }

    /// Whether the server could not be reached or refused the query, as opposed to sending an unusable reply.
    pub(super) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Network(_) | Self::Closed | Self::Rcode(Rcode::REFUSED, _))
    }
}

/// Describes an I/O error as a predicate that follows the server's label in an extended error.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Network("refused the connection".into()),
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted => Self::Closed,
            io::ErrorKind::NetworkUnreachable => Self::Network("is in an unreachable network".into()),
            io::ErrorKind::HostUnreachable => Self::Network("is unreachable".into()),
            _ if error.raw_os_error().is_some() => {
                let text = error.to_string();
                // The OS error number is of no use in an extended error.
                let text = text.split(" (os error").next().unwrap_or_default();
                Self::Network(format!("could not be reached: {text}"))
            }
            // An error of TLS, which `tls_errors` has described.
            _ => Self::Network(error.to_string()),
        }
    }
}
