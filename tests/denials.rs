//! `answers.negative_soa`: on which replies that deny a name the SOA record stands.

mod common;

use common::{Client, Lab};
use hickory_proto::op::ResponseCode;
use plustwo::config::BUILT_IN_LAB;

const HOME: [u8; 4] = [127, 0, 1, 1];
const ELSEWHERE: [u8; 4] = [127, 0, 99, 1];

/// How many records stand in the authority sections of replies to one question, asked again and again.
fn authorities(lab: &Lab, from: [u8; 4], name: &str, rtype: &str, rcode: ResponseCode) -> Vec<usize> {
    let ask = |_| {
        let reply = Client::new(lab.dns, from.into()).query(name, rtype);
        assert_eq!(reply.message.metadata.response_code, rcode, "{name}");
        reply.message.authorities.len()
    };
    (0..4).map(ask).collect()
}

#[test]
fn every_denial_has_its_soa_record() {
    let lab = Lab::start();
    let name = "nope.ap-northeast-1.compute.internal";
    assert_eq!(authorities(&lab, HOME, name, "A", ResponseCode::NXDomain), [1, 1, 1, 1]);
}

#[test]
fn the_first_alone_has_it_where_that_is_wanted() {
    let lab = Lab::start_with(&format!("{BUILT_IN_LAB}\n[answers]\nnegative_soa = \"first-only\"\n"));
    let name = "nope.ap-northeast-1.compute.internal";
    assert_eq!(authorities(&lab, HOME, name, "A", ResponseCode::NXDomain), [1, 0, 0, 0]);
    // The name is denied, whatever is asked of it.
    assert_eq!(authorities(&lab, HOME, name, "TXT", ResponseCode::NXDomain), [0, 0, 0, 0]);
    // Others have caches of their own.
    assert_eq!(authorities(&lab, ELSEWHERE, name, "A", ResponseCode::NXDomain), [1, 0, 0, 0]);
    // A name that exists keeps it.
    assert_eq!(authorities(&lab, HOME, "db.corp.internal", "MX", ResponseCode::NoError), [1, 1, 1, 1]);
}
