use std::error::Error;

use plustwo::serve::bind::{Protocol, bind_both, bind_tcp, bind_udp};

use crate::port_zero;

#[test]
fn a_port_in_use_is_reported_with_help() {
    let (udp, _tcp) = bind_both(port_zero("127.0.0.1")).expect("a free port");
    let address = udp.local_addr().expect("an address");
    let port = address.port();

    let error = bind_udp(address).expect_err("the port is in use");
    assert_eq!(error.protocol, Protocol::Udp);
    assert_eq!(error.to_string(), format!("cannot listen on 127.0.0.1:{port} (UDP): the address is in use"));
    let command = format!("`ss -lunp 'sport = :{port}'`");
    assert!(error.help("[[listener]] address").contains(&command), "{}", error.help("[[listener]] address"));
    assert!(error.source().is_some());

    let error = bind_tcp(address).expect_err("the port is in use");
    assert!(error.to_string().contains("(TCP)"));
    assert!(error.help("[[listener]] address").contains("ss -ltnp"));

    let error = bind_both(address).expect_err("the port is in use");
    assert_eq!(error.protocol, Protocol::Udp);
}

#[test]
fn a_wildcard_conflicts_with_a_specific_address() {
    let (udp, _tcp) = bind_both(port_zero("127.0.0.1")).expect("a free port");
    let port = udp.local_addr().expect("an address").port();
    let wildcard = format!("0.0.0.0:{port}").parse().expect("an address");
    assert!(bind_udp(wildcard).is_err());
    assert!(bind_tcp(wildcard).is_err());
}

#[test]
fn udp_and_tcp_get_the_same_port_if_the_system_assigns_it() {
    let (udp, tcp) = bind_both(port_zero("127.0.0.1")).expect("a free port");
    let udp = udp.local_addr().expect("an address");
    assert_ne!(udp.port(), 0);
    assert_eq!(udp, tcp.local_addr().expect("an address"));
}

#[test]
fn an_address_of_another_host_is_reported_with_help() {
    // A documentation address (RFC 5737), which no interface should have.
    let error = bind_udp(port_zero("203.0.113.253")).expect_err("not an address of this host");
    assert!(error.to_string().ends_with("(UDP): this host has no such address"));
    assert!(error.help("[[listener]] address").contains("ip addr add 203.0.113.253/32 dev lo"));
}

#[test]
fn ipv4_and_ipv6_wildcards_do_not_conflict() {
    let Ok((udp6, _tcp6)) = bind_both(port_zero("::")) else {
        return; // A host without IPv6.
    };
    let port = udp6.local_addr().expect("an address").port();
    let v4 = format!("0.0.0.0:{port}").parse().expect("an address");
    // The port is free for IPv4 unless another process uses it.
    if let Err(error) = bind_udp(v4) {
        let any_port = port_zero("0.0.0.0");
        bind_udp(any_port).expect("IPv4 is available");
        panic!("the IPv6 socket occupies the IPv4 port: {error}");
    }
}
