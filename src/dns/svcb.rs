//! Service parameters of SVCB and HTTPS records (RFC 9460).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::rdata::svcb::{EchConfigList, SvcParamValue};
use hickory_proto::rr::{RData, RecordType as HickoryType};

use super::name::wire_length;
use super::presentation::{Token, quote, unescape};
use super::rdata::RdataError;
use super::rdata_format::FieldError;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

/// Names of the registered keys (RFC 9460 14.3.2, RFC 9461 5), indexed by number.
const KEYS: [&str; 8] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath"];

/// Returns the addresses in `ipv4hint` and `ipv6hint` of complete SVCB or HTTPS RDATA (RFC 9460 7.3).
/// Malformed data yields none.
pub(crate) fn hints(rdata: &[u8]) -> Vec<IpAddr> {
    let params = rdata
        .get(2..)
        .and_then(|rest| Some(&rest[wire_length(rest).ok()?..]))
        .and_then(split_params)
        .unwrap_or_default();
    let mut addresses = Vec::new();
    for (key, value) in params {
        match key {
            IPV4HINT => {
                let (hints, _) = value.as_chunks::<4>();
                addresses.extend(hints.iter().map(|hint| IpAddr::from(*hint)));
            }
            IPV6HINT => {
                let (hints, _) = value.as_chunks::<16>();
                addresses.extend(hints.iter().map(|hint| IpAddr::from(*hint)));
            }
            _ => {}
        }
    }
    addresses
}

/// Appends the wire form of parameters written as `key`, `key=value` or `key="value"`, in any order (RFC 9460
/// 2.1). Repeated keys and parameters that are not self-consistent (2.4.3) are errors.
pub(crate) fn parse_params(tokens: &[Token<'_>], wire: &mut Vec<u8>) -> Result<(), FieldError> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let (key, value) =
            parse_param(token.text).map_err(|expected| (index, invalid_param(token.text, expected)))?;
        if params.iter().any(|(other, _)| *other == key) {
            return Err((index, invalid_param(token.text, "each key at most once")));
        }
        params.push((key, value));
    }
    params.sort_unstable_by_key(|(key, _)| *key);
    let has = |key: u16| params.iter().any(|(other, _)| *other == key);
    if has(NO_DEFAULT_ALPN) && !has(ALPN) {
        return Err((0, invalid_param("no-default-alpn", "alpn to be present as well")));
    }
    if let Some((MANDATORY, listed)) = params.first() {
        let (listed, _) = listed.as_chunks::<2>();
        if !listed.iter().all(|key| has(u16::from_be_bytes(*key))) {
            return Err((0, invalid_param("mandatory", "all the keys that it lists to be present")));
        }
    }
    for (key, value) in params {
        let length = u16::try_from(value.len()).map_err(|_| (0, RdataError::TooLong))?;
        wire.extend(key.to_be_bytes());
        wire.extend(length.to_be_bytes());
        wire.extend(value);
    }
    Ok(())
}

/// Returns the parameters in presentation form, or `None` if they are malformed.
pub(crate) fn print_params(wire: &[u8]) -> Option<Vec<String>> {
    split_params(wire)?.into_iter().map(|(key, value)| print_param(key, value)).collect()
}

fn invalid_param(text: &str, expected: &'static str) -> RdataError {
    RdataError::Field { field: "service parameter", text: text.to_owned(), expected }
}

/// Splits parameters into keys and values. Returns `None` if a length is wrong or the keys are not in
/// ascending order.
fn split_params(mut wire: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut params: Vec<(u16, &[u8])> = Vec::new();
    while let Some((head, rest)) = wire.split_first_chunk::<4>() {
        let key = u16::from_be_bytes([head[0], head[1]]);
        let length = u16::from_be_bytes([head[2], head[3]]);
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        if params.last().is_some_and(|(before, _)| *before >= key) {
            return None;
        }
        params.push((key, value));
        wire = rest;
    }
    wire.is_empty().then_some(params)
}

/// Parses one parameter. The error describes what was expected.
fn parse_param(text: &str) -> Result<(u16, Vec<u8>), &'static str> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let number = parse_key(key).ok_or("a registered key, or `key` followed by a number")?;
    // The lexer accepts an opening quote only together with its closing quote.
    let value =
        value.map(|value| value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value));
    if number == NO_DEFAULT_ALPN {
        return match value {
            None | Some("") => Ok((number, Vec::new())),
            Some(_) => Err("no value"),
        };
    }
    let value = value.unwrap_or("");
    if value.is_empty() && number <= IPV6HINT {
        return Err("a value");
    }
    let wire = match number {
        MANDATORY => parse_mandatory(value)?,
        ALPN => parse_alpn(value)?,
        PORT => {
            let port: u16 = value.parse().map_err(|_| "a port from 0 to 65535")?;
            port.to_be_bytes().to_vec()
        }
        IPV4HINT => parse_list(value, |item| Some(item.parse::<Ipv4Addr>().ok()?.octets()))
            .ok_or("IPv4 addresses separated by commas")?,
        IPV6HINT => parse_list(value, |item| Some(item.parse::<Ipv6Addr>().ok()?.octets()))
            .ok_or("IPv6 addresses separated by commas")?,
        ECH => parse_ech(value).ok_or("an ECHConfigList in Base64")?,
        _ => unescape(value).ok_or("escapes of the form \\DDD or \\X")?,
    };
    Ok((number, wire))
}

fn parse_key(key: &str) -> Option<u16> {
    if let Some(number) = KEYS.iter().position(|name| *name == key) {
        return u16::try_from(number).ok();
    }
    let digits = key.strip_prefix("key")?;
    let number: u16 = digits.parse().ok()?;
    // RFC 9460 2.1 forbids leading zeros; 65535 is the reserved "Invalid key" (14.3.2).
    (number.to_string() == digits && number != u16::MAX).then_some(number)
}

fn parse_mandatory(value: &str) -> Result<Vec<u8>, &'static str> {
    let mut keys: Vec<u16> = value
        .split(',')
        .map(parse_key)
        .collect::<Option<_>>()
        .ok_or("registered keys separated by commas")?;
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) || keys.first() == Some(&MANDATORY) {
        return Err("each key at most once, and not `mandatory` itself");
    }
    Ok(keys.iter().flat_map(|key| key.to_be_bytes()).collect())
}

/// Parses a comma-separated list whose items may contain `\,` and `\\` after the escapes of the
/// character-string are resolved (RFC 9460 A.1).
fn parse_alpn(value: &str) -> Result<Vec<u8>, &'static str> {
    let octets = unescape(value).ok_or("escapes of the form \\DDD or \\X")?;
    let mut items = vec![Vec::new()];
    let mut octets = octets.into_iter();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => octets.next().ok_or("a character after the backslash")?,
            plain => plain,
        };
        if let Some(item) = items.last_mut() {
            item.push(octet);
        }
    }
    let mut wire = Vec::new();
    for item in items {
        match u8::try_from(item.len()) {
            Ok(length @ 1..) => {
                wire.push(length);
                wire.extend(item);
            }
            _ => return Err("protocol identifiers of 1 to 255 octets"),
        }
    }
    Ok(wire)
}

fn parse_list<const N: usize>(value: &str, parse: impl Fn(&str) -> Option<[u8; N]>) -> Option<Vec<u8>> {
    let items: Option<Vec<[u8; N]>> = value.split(',').map(parse).collect();
    items.map(|items| items.concat())
}

/// Decodes the Base64 of an ECH configuration list.
fn parse_ech(value: &str) -> Option<Vec<u8>> {
    // Other characters could end the parameter and start another one in the presentation form.
    let is_digit = |octet: u8| octet.is_ascii_alphanumeric() || b"+/=".contains(&octet);
    if !value.bytes().all(is_digit) {
        return None;
    }
    let record = RData::try_from_str(HickoryType::SVCB, &format!("1 . ech={value}")).ok()?;
    let RData::SVCB(svcb) = record else {
        return None;
    };
    match svcb.svc_params.first() {
        Some((_, SvcParamValue::EchConfigList(EchConfigList(octets)))) => Some(octets.clone()),
        _ => None,
    }
}

fn print_param(key: u16, value: &[u8]) -> Option<String> {
    let name = match KEYS.get(usize::from(key)) {
        Some(name) => (*name).to_owned(),
        None => format!("key{key}"),
    };
    let value = match key {
        NO_DEFAULT_ALPN => return value.is_empty().then_some(name),
        MANDATORY => print_list(value, |key: &[u8; 2]| {
            let key = u16::from_be_bytes(*key);
            match KEYS.get(usize::from(key)) {
                Some(name) => (*name).to_owned(),
                None => format!("key{key}"),
            }
        })?,
        ALPN => print_alpn(value)?,
        PORT => u16::from_be_bytes(value.try_into().ok()?).to_string(),
        IPV4HINT => print_list(value, |hint: &[u8; 4]| Ipv4Addr::from(*hint).to_string())?,
        IPV6HINT => print_list(value, |hint: &[u8; 16]| Ipv6Addr::from(*hint).to_string())?,
        ECH if value.is_empty() => return None,
        ECH => EchConfigList(value.to_vec()).to_string(),
        _ if value.is_empty() => return Some(name),
        _ => quote(value),
    };
    Some(format!("{name}={value}"))
}

fn print_list<const N: usize>(value: &[u8], print: impl Fn(&[u8; N]) -> String) -> Option<String> {
    let (items, []) = value.as_chunks::<N>() else {
        return None;
    };
    let items: Vec<String> = items.iter().map(print).collect();
    (!items.is_empty()).then(|| items.join(","))
}

fn print_alpn(mut value: &[u8]) -> Option<String> {
    let mut list = Vec::new();
    while let Some((&length, rest)) = value.split_first() {
        let (item, rest) = rest.split_at_checked(usize::from(length))?;
        if item.is_empty() {
            return None;
        }
        if !list.is_empty() {
            list.push(b',');
        }
        for &octet in item {
            if matches!(octet, b',' | b'\\') {
                list.push(b'\\');
            }
            list.push(octet);
        }
        value = rest;
    }
    (!list.is_empty()).then(|| quote(&list))
}
