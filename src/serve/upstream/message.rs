//! A question as it goes out, and whether a response is to it.

use std::io;
use std::net::IpAddr;

use crate::dns::{Ede, Question, Rcode, Response, ResponseError};

/// The UDP payload size that our OPT record announces: what passes through nearly every network in one
/// piece.
const PAYLOAD: u16 = 1232;

/// The length of a header, after which the question stands (RFC 1035 4.1.1).
const HEADER: usize = 12;

/// Octets of a question after its name: the type and the class.
const AFTER_NAME: usize = 4;

/// A question in the form it is sent in, but for its ID, which is the socket's to choose.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The message with ID 0; the name in mixed case perhaps.
    wire: Vec<u8>,
    /// Where the question ends in it.
    end: usize,
    /// Whether the response must bear the name in the very same case.
    exact_case: bool,
}

/// Whether a response fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is to this question.
    Yes,
    /// It would be, but for the case of the name.
    WrongCase,
    /// It is to another.
    No,
}

impl Outgoing {
    /// A question in lower case: RD, no CD, and EDNS without DO if any.
    pub fn plain(question: &Question, edns: bool) -> Self {
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
            // The root, type OPT, the payload, no extended rcode, version 0, no flags, no options.
            wire.extend_from_slice(&[0, 0, 41]);
            wire.extend_from_slice(&PAYLOAD.to_be_bytes());
            wire.extend_from_slice(&[0; 6]);
        }
        Self { wire, end, exact_case: false }
    }

    /// A question whose letters are upper or lower case by chance: each is a bit that a forger must guess
    /// (draft-vixie-dnsext-dns0x20).
    pub fn mixed_case(question: &Question, edns: bool) -> Self {
        let mut outgoing = Self { exact_case: true, ..Self::plain(question, edns) };
        let name_end = outgoing.end - AFTER_NAME;
        for chunk in outgoing.wire[HEADER..name_end].chunks_mut(64) {
            let bits: u64 = rand::random();
            for (index, octet) in chunk.iter_mut().enumerate() {
                // Length octets are at most 63 and so no letters.
                if bits >> index & 1 == 1 {
                    octet.make_ascii_uppercase();
                }
            }
        }
        outgoing
    }

    /// Appends the message under an ID.
    pub fn append(&self, id: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&self.wire[2..]);
    }

    /// The message under an ID.
    pub fn wire(&self, id: u16) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.wire.len());
        self.append(id, &mut wire);
        wire
    }

    /// Reads a message with the right ID: whether it is to this question, and what it says.
    pub fn read(&self, message: &[u8]) -> (Fit, Result<Response, ResponseError>) {
        // The octets that were sent, one question and no more: nothing needs to be read to know that.
        let echoed = message.get(4..6) == Some(&[0, 1])
            && message.get(HEADER..self.end) == Some(&self.wire[HEADER..self.end]);
        let response = Response::parse(message);
        let fit = match &response {
            _ if echoed => Fit::Yes,
            Ok(response) => self.judge(response),
            // Whoever guessed the ID could have sent that.
            Err(_) => Fit::No,
        };
        (fit, response)
    }

    /// Whether a response with the right ID is to this question.
    pub fn judge(&self, response: &Response) -> Fit {
        let Some((qname, qtype, qclass)) = &response.question else {
            // Servers that cannot read a query, or will not, may echo no question. Such a response carries no data.
            let is_error = !matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
            return if is_error { Fit::Yes } else { Fit::No };
        };
        let (sent_name, sent_end) = self.wire[HEADER..self.end].split_at(self.end - HEADER - AFTER_NAME);
        let same = [qtype.0.to_be_bytes(), qclass.0.to_be_bytes()].concat() == sent_end
            && qname.eq_ignore_ascii_case(sent_name);
        match same {
            true if self.exact_case && *qname != sent_name => Fit::WrongCase,
            true => Fit::Yes,
            false => Fit::No,
        }
    }
}

/// Why a server gave no answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// Nothing came in time.
    #[error("timed out")]
    Timeout,
    /// The host does not have the source address.
    #[error("was not queried: this host does not have the source address {0}")]
    NoSource(IpAddr),
    /// The network, or TLS or HTTP over it, says no.
    #[error("{0}")]
    Network(String),
    /// The connection ended before the response.
    #[error("the connection was closed")]
    Closed,
    /// A response came that is to no question.
    #[error("sent a reply that fits no question")]
    Mismatch,
    /// The response has the name in another case.
    #[error("sent the name back in another case")]
    WrongCase,
    /// The response cannot be read.
    #[error("{0}")]
    Malformed(#[from] ResponseError),
    /// The response is a refusal or an error, with the extended errors that the server sent along.
    #[error("answered {0}")]
    Rcode(Rcode, Vec<Ede>),
}

impl Failure {
    /// Why a socket could not be bound to a source address.
    pub fn of_bind(error: io::Error, source: Option<IpAddr>) -> Self {
        match source {
            Some(source) if error.kind() == io::ErrorKind::AddrNotAvailable => Self::NoSource(source),
            _ => error.into(),
        }
    }

    /// The word for it in metrics; `None` for what is counted where it is seen.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Timeout => Some("timeout"),
            Self::NoSource(_) => Some("source"),
            Self::Network(_) | Self::Closed => Some("refused"),
            Self::Mismatch | Self::WrongCase => None,
            Self::Malformed(_) => Some("malformed"),
            Self::Rcode(..) => Some("rcode"),
        }
    }

    /// Whether it is this host that failed, before anything was sent.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::NoSource(_))
    }

    /// Whether another try of the same server may succeed.
    pub fn is_worth_a_retry(&self) -> bool {
        matches!(self, Self::Timeout | Self::Mismatch)
    }

    /// Whether the server could not be reached, rather than said something useless.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Timeout | Self::Network(_) | Self::Closed | Self::Rcode(Rcode::REFUSED, _))
    }
}

/// The system's words for an error, without its number: they end in an extended error.
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
            _ => Self::Network(error.to_string()),
        }
    }
}
