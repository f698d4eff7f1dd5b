//! Parsing of simple queries without allocation: enough to look up a cached reply.
//!
//! Anything else is left to [`Query::parse`](super::Query::parse), which handles every case. For the messages
//! that [`Peek::parse`] accepts, the two agree on every field.

use super::code::{Class, RecordType};
use super::edns::{ClientSubnet, OptionCode};
use super::name::wire_length;
use super::query::{CD, DO, HEADER_LEN, RD};

/// Flags (without [`ALLOWED_FLAGS`]), QDCOUNT, ANCOUNT and NSCOUNT of a simple query: no flags, one question.
const SIMPLE_HEADER: [u16; 4] = [0, 1, 0, 0];

/// Flag bits that a simple query may set: RD, AD and CD.
const ALLOWED_FLAGS: u16 = 0x0130;

/// A simple query, borrowed from the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// The message ID.
    pub id: u16,
    /// The RD bit.
    pub recursion_desired: bool,
    /// The CD bit.
    pub checking_disabled: bool,
    /// The name in wire form, including the root label, in the case sent by the client.
    pub qname_as_sent: &'a [u8],
    /// The query type. The class is always IN.
    pub qtype: RecordType,
    /// The OPT record, if there is one.
    pub edns: Option<PeekedEdns>,
}

/// The OPT record of a simple query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeekedEdns {
    /// The requestor's UDP payload size, as sent.
    pub payload: u16,
    /// The DO bit.
    pub dnssec_ok: bool,
    /// The client subnet option.
    pub client_subnet: Option<ClientSubnet>,
}

impl<'a> Peek<'a> {
    /// Parses a query with one question of class IN, followed by at most one OPT record of version 0.
    ///
    /// Returns `None` for any other message, and for one that has an option with the code `excluded_option`
    /// or more than one client subnet.
    pub fn parse(message: &'a [u8], excluded_option: u16) -> Option<Self> {
        let (header, rest) = message.split_first_chunk::<HEADER_LEN>()?;
        let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let additional = u16_at(10);
        if [u16_at(2) & !ALLOWED_FLAGS, u16_at(4), u16_at(6), u16_at(8)] != SIMPLE_HEADER || additional > 1 {
            return None;
        }
        let length = wire_length(rest).ok()?;
        let (qname_as_sent, rest) = rest.split_at(length);
        let (&[type_high, type_low, class_high, class_low], rest) = rest.split_first_chunk()?;
        if Class(u16::from_be_bytes([class_high, class_low])) != Class::IN {
            return None;
        }
        let qtype = RecordType(u16::from_be_bytes([type_high, type_low]));
        if qtype == RecordType::OPT {
            return None;
        }
        let edns = match additional {
            0 if rest.is_empty() => None,
            1 => Some(PeekedEdns::parse(rest, excluded_option)?),
            _ => return None,
        };
        Some(Self {
            id: u16_at(0),
            recursion_desired: u16_at(2) & RD != 0,
            checking_disabled: u16_at(2) & CD != 0,
            qname_as_sent,
            qtype,
            edns,
        })
    }
}

impl PeekedEdns {
    /// Parses an OPT record that extends to the end of the message.
    fn parse(record: &[u8], excluded_option: u16) -> Option<Self> {
        let (fixed, mut options) = record.split_first_chunk::<11>()?;
        let u16_at = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let ttl = u32::from(u16_at(5)) << 16 | u32::from(u16_at(7));
        let is_version_0 = ttl >> 16 & 0xff == 0;
        let is_opt = fixed[0] == 0 && RecordType(u16_at(1)) == RecordType::OPT;
        if !is_opt || !is_version_0 || usize::from(u16_at(9)) != options.len() {
            return None;
        }
        let mut edns = Self { payload: u16_at(3), dnssec_ok: ttl & DO != 0, client_subnet: None };
        while !options.is_empty() {
            let (&[code_high, code_low, high, low], rest) = options.split_first_chunk()?;
            let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
            options = rest;
            match u16::from_be_bytes([code_high, code_low]) {
                code if code == excluded_option => return None,
                OptionCode::CLIENT_SUBNET if edns.client_subnet.is_some() => return None,
                OptionCode::CLIENT_SUBNET => edns.client_subnet = Some(ClientSubnet::parse(data)?),
                _ => {}
            }
        }
        Some(edns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::query::Query;
    use super::*;

    const EXCLUDED_OPTION: u16 = 65_001;

    /// Queries assembled from parts, some of which make the query not simple.
    fn query() -> impl Strategy<Value = Vec<u8>> {
        let name = prop::sample::select(vec![
            &b"\0"[..],
            b"\x01a\0",
            b"\x03wWw\x07Example\x03com\0",
            b"\xc0\x0c",
            b"\x40a\0",
        ]);
        let option = (
            prop::sample::select(vec![3u16, 8, 10, 12, EXCLUDED_OPTION]),
            prop::collection::vec(0u8..40, 0..9),
        );
        let opt = (
            any::<u16>(),
            prop::sample::select(vec![0u32, 0x8000, 0x1_0000]),
            prop::collection::vec(option, 0..4),
        );
        let flags = prop::sample::select(vec![0u16, 0x100, 0x130, 0x110, 0x8100, 0x0900, 0x0200, 0x0140]);
        let types = prop::sample::select(vec![1u16, 28, 41, 252, 255, 65]);
        let class = prop::sample::select(vec![1u16, 1, 1, 3]);
        (
            any::<u16>(),
            flags,
            name,
            types,
            class,
            prop::option::of(opt),
            prop::collection::vec(any::<u8>(), 0..2),
        )
            .prop_map(|(id, flags, name, qtype, class, opt, tail)| {
                let mut message = Vec::new();
                for word in [id, flags, 1, 0, 0, u16::from(opt.is_some())] {
                    message.extend(word.to_be_bytes());
                }
                message.extend_from_slice(name);
                message.extend(qtype.to_be_bytes());
                message.extend(class.to_be_bytes());
                if let Some((payload, ttl, options)) = opt {
                    let data: Vec<u8> = options
                        .iter()
                        .flat_map(|(code, data)| {
                            let length = data.len() as u16;
                            [&code.to_be_bytes()[..], &length.to_be_bytes(), data].concat()
                        })
                        .collect();
                    message.extend([0, 0, 41]);
                    message.extend(payload.to_be_bytes());
                    message.extend(ttl.to_be_bytes());
                    message.extend((data.len() as u16).to_be_bytes());
                    message.extend(data);
                }
                message.extend(tail);
                message
            })
    }

    /// Checks that a peek agrees with the full parser.
    fn check_agreement(message: &[u8]) -> Result<(), TestCaseError> {
        let Some(peek) = Peek::parse(message, EXCLUDED_OPTION) else { return Ok(()) };
        let query = Query::parse(message);
        let Ok(query) = query else { return Err(TestCaseError::fail(format!("{peek:?} but {query:?}"))) };
        prop_assert_eq!(peek.id, query.id);
        prop_assert_eq!(peek.recursion_desired, query.recursion_desired);
        prop_assert_eq!(peek.checking_disabled, query.checking_disabled);
        prop_assert_eq!(peek.qname_as_sent, &query.qname_as_sent[..]);
        prop_assert_eq!((peek.qtype, Class::IN), (query.question.qtype, query.question.qclass));
        prop_assert_eq!(peek.edns.is_some(), query.edns.is_some());
        if let (Some(peeked), Some(edns)) = (peek.edns, query.edns) {
            prop_assert_eq!(peeked.payload, edns.payload);
            prop_assert_eq!(peeked.dnssec_ok, edns.dnssec_ok);
            prop_assert_eq!(peeked.client_subnet, edns.client_subnet);
            prop_assert_eq!(edns.option(EXCLUDED_OPTION), None);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_peek_agrees_with_the_full_parser(message in query()) {
            check_agreement(&message)?;
        }

        #[test]
        fn a_peek_never_panics(message in prop::collection::vec(any::<u8>(), 0..80)) {
            check_agreement(&message)?;
        }
    }

    #[test]
    fn queries_of_stub_resolvers_are_simple() {
        let bare = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        assert!(Peek::parse(bare, EXCLUDED_OPTION).is_some_and(|peek| peek.edns.is_none()));
        let dig = b"\x12\x34\x01\x20\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\
            \0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08abcdefgh";
        assert!(
            Peek::parse(dig, EXCLUDED_OPTION)
                .is_some_and(|peek| peek.edns.is_some_and(|edns| edns.payload == 1232))
        );
    }
}
