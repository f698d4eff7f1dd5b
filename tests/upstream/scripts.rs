//! Scripts for [`TestServer`](crate::test_server::TestServer).

use std::net::Ipv4Addr;

use plustwo::dns::{Annotations, Answer, Query, Rcode, Rdata, RecordType, RrSet, encode, encode_rejection};

/// Encodes a reply to a query with an answer.
pub(crate) fn reply(message: &[u8], answer: &Answer) -> Vec<u8> {
    let query = Query::parse(message).unwrap();
    assert!(query.recursion_desired && !query.checking_disabled);
    assert!(query.edns.as_ref().is_none_or(|edns| edns.payload == 1232 && !edns.dnssec_ok));
    let mut out = Vec::new();
    encode(&query, answer, &Annotations::default(), 65_535, 0, &mut out);
    out
}

/// An answer with one address for the queried name.
pub(crate) fn address(message: &[u8]) -> Answer {
    let query = Query::parse(message).unwrap();
    let rdata = Rdata::a(Ipv4Addr::new(192, 0, 2, 1));
    Answer::noerror(vec![RrSet::new(query.question.qname, RecordType::A, 60, vec![rdata])])
}

/// Answers every question with one address.
pub(crate) fn good(message: &[u8]) -> Vec<Vec<u8>> {
    vec![reply(message, &address(message))]
}

/// Does not reply.
pub(crate) fn silent(_: &[u8]) -> Vec<Vec<u8>> {
    Vec::new()
}

/// Answers every question with an error.
pub(crate) fn error(rcode: Rcode) -> impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + Sync {
    move |message| vec![reply(message, &Answer::empty(rcode))]
}

/// Answers a query with EDNS with a FORMERR header, as old servers do, and any other with one address.
pub(crate) fn formerr_to_edns(message: &[u8]) -> Vec<Vec<u8>> {
    if Query::parse(message).unwrap().edns.is_none() {
        return good(message);
    }
    let rejection = plustwo::dns::Rejection {
        id: u16::from_be_bytes([message[0], message[1]]),
        opcode: plustwo::dns::Opcode::QUERY,
        checking_disabled: false,
        recursion_desired: true,
        rcode: Rcode::FORMERR,
        question: None,
        edns: false,
        dnssec_ok: false,
    };
    let mut out = Vec::new();
    encode_rejection(&rejection, &mut out);
    vec![out]
}
