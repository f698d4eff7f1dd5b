//! Tests of `answers.negative_soa`: which negative answers have an SOA record.

mod common;

use common::{Client, Lab};
use hickory_proto::op::ResponseCode;
use plustwo::config::BUILT_IN_LAB;

const HOME: [u8; 4] = [127, 0, 1, 1];
const OUTSIDE: [u8; 4] = [127, 0, 99, 1];

/// Sends a query four times and returns the number of records in the authority section of each reply.
fn authorities(lab: &Lab, from: [u8; 4], name: &str, rtype: &str, rcode: ResponseCode) -> Vec<usize> {
    let query = |_| {
        let reply = Client::new(lab.dns, from.into()).query(name, rtype);
        assert_eq!(reply.message.metadata.response_code, rcode, "{name}");
        reply.message.authorities.len()
    };
    (0..4).map(query).collect()
}

#[test]
fn every_negative_answer_has_an_soa_record() {
    let lab = Lab::start();
    let name = "nope.ap-northeast-1.compute.internal";
    assert_eq!(authorities(&lab, HOME, name, "A", ResponseCode::NXDomain), [1, 1, 1, 1]);
}

#[test]
fn with_first_only_the_first_negative_answer_has_an_soa_record() {
    let lab = Lab::start_with(&format!("{BUILT_IN_LAB}\n[answers]\nnegative_soa = \"first-only\"\n"));
    let name = "nope.ap-northeast-1.compute.internal";
    assert_eq!(authorities(&lab, HOME, name, "A", ResponseCode::NXDomain), [1, 0, 0, 0]);
    // NXDOMAIN applies to all types of the name.
    assert_eq!(authorities(&lab, HOME, name, "TXT", ResponseCode::NXDomain), [0, 0, 0, 0]);
    // Other clients have separate caches.
    assert_eq!(authorities(&lab, OUTSIDE, name, "A", ResponseCode::NXDomain), [1, 0, 0, 0]);
    // NODATA answers always have it.
    assert_eq!(authorities(&lab, HOME, "db.corp.internal", "MX", ResponseCode::NoError), [1, 1, 1, 1]);
}
