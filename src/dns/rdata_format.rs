//! Conversion of RDATA between presentation form and wire form.
//!
//! The most common types are described field by field, which also identifies the fields that are names and
//! may be relative in a zone file. The remaining types with a presentation form, which consist of numbers and
//! opaque data, are handled by `hickory_proto`. Every type can be written in the generic form of RFC 3597 5.

use std::net::{Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{RData, RecordType as HickoryType};
use hickory_proto::serialize::binary::{BinDecoder, BinEncodable, BinEncoder, Restrict};

use super::code::RecordType;
use super::name::{Name, wire_length, wire_to_text};
use super::presentation::{Token, parse_seconds, quote, unescape};
use super::rdata::RdataError;
use super::svcb;

/// An error and the index of the token it concerns; one past the last token if a field is missing.
pub(crate) type FieldError = (usize, RdataError);

/// The format of one field.
#[derive(Clone, Copy)]
enum FieldKind {
    U8,
    U16,
    U32,
    /// 32 bits; the text may use units of time.
    Seconds,
    Ipv4,
    Ipv6,
    Name,
    /// One character-string.
    CharString,
    /// One character-string, printed without quotes.
    BareCharString,
    /// One or more character-strings, up to the end of the data.
    CharStrings,
    /// Text without a length octet, up to the end of the data.
    RestString,
    /// Octets as hexadecimal digits, up to the end of the data; white space between them is ignored.
    Hex,
    /// Service parameters, up to the end of the data (RFC 9460 2.1).
    Params,
}

/// A field: its format, and its name in error messages.
type Field = (FieldKind, &'static str);

/// Returns the fields of a record type, or `None` if it is not described here.
fn fields_of(rtype: RecordType) -> Option<&'static [Field]> {
    use FieldKind::*;
    Some(match rtype {
        RecordType::A => &[(Ipv4, "address")],
        RecordType::AAAA => &[(Ipv6, "address")],
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => &[(Name, "target")],
        RecordType::MB | RecordType::MD | RecordType::MF | RecordType::MG | RecordType::MR => {
            &[(Name, "target")]
        }
        RecordType::MINFO => &[(Name, "responsible mailbox"), (Name, "error mailbox")],
        RecordType::RT => &[(U16, "preference"), (Name, "intermediate host")],
        RecordType::PX => &[(U16, "preference"), (Name, "RFC 822 domain"), (Name, "X.400 domain")],
        RecordType::SOA => &[
            (Name, "primary server"),
            (Name, "mailbox"),
            (U32, "serial"),
            (Seconds, "refresh"),
            (Seconds, "retry"),
            (Seconds, "expire"),
            (Seconds, "minimum"),
        ],
        RecordType::MX => &[(U16, "preference"), (Name, "exchange")],
        RecordType::AFSDB => &[(U16, "subtype"), (Name, "host name")],
        RecordType::KX => &[(U16, "preference"), (Name, "exchanger")],
        RecordType::TXT | RecordType::SPF => &[(CharStrings, "text")],
        RecordType::HINFO => &[(CharString, "processor"), (CharString, "system")],
        RecordType::RP => &[(Name, "mailbox"), (Name, "text name")],
        RecordType::SRV => &[(U16, "priority"), (U16, "weight"), (U16, "port"), (Name, "target")],
        RecordType::NAPTR => &[
            (U16, "order"),
            (U16, "preference"),
            (CharString, "flags"),
            (CharString, "services"),
            (CharString, "regular expression"),
            (Name, "replacement"),
        ],
        RecordType::SVCB | RecordType::HTTPS => {
            &[(U16, "priority"), (Name, "target"), (Params, "parameters")]
        }
        RecordType::CAA => &[(U8, "flags"), (BareCharString, "tag"), (RestString, "value")],
        RecordType::URI => &[(U16, "priority"), (U16, "weight"), (RestString, "target")],
        RecordType::DS | RecordType::CDS => {
            &[(U16, "key tag"), (U8, "algorithm"), (U8, "digest type"), (Hex, "digest")]
        }
        _ => return None,
    })
}

/// A part of RDATA, as far as is needed to locate the names in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RdataPart {
    /// This number of octets.
    Octets(usize),
    /// A length octet, followed by that number of octets.
    CharString,
    /// A name, possibly compressed.
    Name,
}

/// Length of the fixed fields of SIG data in octets: type covered, algorithm, labels, original TTL,
/// expiration, inception, key tag (RFC 2535 4.1). The signer's name follows.
const SIG_FIXED: usize = 18;

/// Iterates over the parts of a type's RDATA up to the last name in it. Empty for types without names. The
/// data after the last name is opaque.
///
/// This covers every type whose names may be compressed by old servers (RFC 3597 4): those of RFC 1035, and
/// RP, AFSDB, RT, SIG, PX, NXT, NAPTR and SRV.
pub(crate) fn parts_to_last_name(rtype: RecordType) -> impl Iterator<Item = RdataPart> {
    // These two have no presentation form here, so `fields_of` does not describe them.
    let undescribed: &[RdataPart] = match rtype {
        RecordType::NXT => &[RdataPart::Name],
        RecordType::SIG => &[RdataPart::Octets(SIG_FIXED), RdataPart::Name],
        _ => &[],
    };
    let fields = fields_of(rtype).unwrap_or_default();
    let names =
        fields.iter().rposition(|(kind, _)| matches!(kind, FieldKind::Name)).map_or(0, |last| last + 1);
    let described = fields[..names].iter().map(|(kind, _)| match kind {
        FieldKind::Name => RdataPart::Name,
        FieldKind::U8 => RdataPart::Octets(1),
        FieldKind::U16 => RdataPart::Octets(2),
        FieldKind::U32 | FieldKind::Seconds | FieldKind::Ipv4 => RdataPart::Octets(4),
        FieldKind::Ipv6 => RdataPart::Octets(16),
        // Of these, only a character-string can precede a name. The others extend to the end of the data.
        FieldKind::CharString
        | FieldKind::BareCharString
        | FieldKind::CharStrings
        | FieldKind::RestString
        | FieldKind::Hex
        | FieldKind::Params => RdataPart::CharString,
    });
    undescribed.iter().copied().chain(described)
}

/// Returns whether other data may follow the last name in data of this type.
pub(crate) fn may_have_tail(rtype: RecordType) -> bool {
    matches!(rtype, RecordType::NXT | RecordType::SIG | RecordType::SVCB | RecordType::HTTPS)
}

/// Returns whether this type is handled by `hickory_proto`. Its data has neither names nor character-strings.
fn uses_hickory(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::SSHFP
            | RecordType::TLSA
            | RecordType::SMIMEA
            | RecordType::CERT
            | RecordType::OPENPGPKEY
            | RecordType::CSYNC
    )
}

/// Replaces the content of `wire` with the wire form of the RDATA in `tokens`. Relative names are completed
/// with `origin`, or taken as absolute if it is `None`.
pub(crate) fn parse(
    rtype: RecordType,
    tokens: &[Token<'_>],
    origin: Option<&Name>,
    wire: &mut Vec<u8>,
) -> Result<(), FieldError> {
    wire.clear();
    if tokens.first().is_some_and(|token| !token.quoted && token.text == r"\#") {
        *wire = parse_generic(rtype, tokens)?;
    } else if let Some(fields) = fields_of(rtype) {
        parse_fields(fields, tokens, origin, wire)?;
    } else if uses_hickory(rtype) {
        *wire = parse_with_hickory(rtype, tokens).map_err(|error| (0, error))?;
    } else {
        return Err((0, RdataError::NoTextForm(rtype)));
    }
    if wire.len() > usize::from(u16::MAX) {
        return Err((0, RdataError::TooLong));
    }
    Ok(())
}

/// Returns the presentation form of RDATA, or `None` if the type has none here or the data is malformed.
pub(crate) fn print(rtype: RecordType, wire: &[u8]) -> Option<String> {
    match fields_of(rtype) {
        Some(fields) => print_fields(fields, wire),
        // CERT would be printed with mnemonics that the parser does not accept.
        None if uses_hickory(rtype) && rtype != RecordType::CERT => print_with_hickory(rtype, wire),
        None => None,
    }
}

fn parse_fields(
    fields: &[Field],
    tokens: &[Token<'_>],
    origin: Option<&Name>,
    wire: &mut Vec<u8>,
) -> Result<(), FieldError> {
    let mut at = 0;
    for &(kind, field) in fields {
        let rest = &tokens[at..];
        if let FieldKind::Params = kind {
            return svcb::parse_params(rest, wire).map_err(|(index, error)| (at + index, error));
        }
        let Some(token) = rest.first() else {
            return Err((at, RdataError::Missing(field)));
        };
        parse_field(kind, field, token, origin, wire).map_err(|error| (at, error))?;
        at += 1;
        while matches!(kind, FieldKind::CharStrings | FieldKind::Hex) && at < tokens.len() {
            parse_field(kind, field, &tokens[at], origin, wire).map_err(|error| (at, error))?;
            at += 1;
        }
    }
    match tokens.get(at) {
        Some(extra) => Err((at, RdataError::Extra(extra.text.to_owned()))),
        None => Ok(()),
    }
}

fn parse_field(
    kind: FieldKind,
    field: &'static str,
    token: &Token<'_>,
    origin: Option<&Name>,
    wire: &mut Vec<u8>,
) -> Result<(), RdataError> {
    let text = token.text;
    let invalid = |expected| RdataError::Field { field, text: text.to_owned(), expected };
    match kind {
        FieldKind::U8 => wire.push(text.parse().map_err(|_| invalid("a number from 0 to 255"))?),
        FieldKind::U16 => {
            let number: u16 = text.parse().map_err(|_| invalid("a number from 0 to 65535"))?;
            wire.extend(number.to_be_bytes());
        }
        FieldKind::U32 => {
            let number: u32 = text.parse().map_err(|_| invalid("a number from 0 to 4294967295"))?;
            wire.extend(number.to_be_bytes());
        }
        FieldKind::Seconds => {
            let number =
                parse_seconds(text).ok_or_else(|| invalid("seconds, or a duration such as 1h30m"))?;
            wire.extend(number.to_be_bytes());
        }
        FieldKind::Ipv4 => {
            let address: Ipv4Addr = text.parse().map_err(|_| invalid("an IPv4 address"))?;
            wire.extend(address.octets());
        }
        FieldKind::Ipv6 => {
            let address: Ipv6Addr = text.parse().map_err(|_| invalid("an IPv6 address"))?;
            wire.extend(address.octets());
        }
        FieldKind::Name => match origin {
            Some(origin) if text == "@" && !token.quoted => {
                wire.extend_from_slice(origin.as_wire());
            }
            _ => {
                let name = Name::parse_with_origin(text, origin)
                    .map_err(|error| RdataError::Name { field, error })?;
                wire.extend_from_slice(name.as_wire());
            }
        },
        FieldKind::CharString | FieldKind::BareCharString | FieldKind::CharStrings => {
            let octets = unescape(text).ok_or_else(|| invalid("escapes of the form \\DDD or \\X"))?;
            let length = u8::try_from(octets.len())
                .map_err(|_| invalid("at most 255 octets: split the text into several quoted strings"))?;
            wire.push(length);
            wire.extend(octets);
        }
        FieldKind::RestString => {
            wire.extend(unescape(text).ok_or_else(|| invalid("escapes of the form \\DDD or \\X"))?);
        }
        FieldKind::Hex => {
            let octets = decode_hex(text).ok_or_else(|| invalid("pairs of hexadecimal digits"))?;
            wire.extend(octets);
        }
        // Parameters span several tokens; the caller parses them.
        FieldKind::Params => {}
    }
    Ok(())
}

/// Parses `\# LENGTH HEX` (RFC 3597 5).
fn parse_generic(rtype: RecordType, tokens: &[Token<'_>]) -> Result<Vec<u8>, FieldError> {
    let length = tokens.get(1).ok_or((1, RdataError::Missing("length")))?;
    let invalid =
        |text: &str, expected| RdataError::Field { field: "generic data", text: text.to_owned(), expected };
    let stated_length: u16 =
        length.text.parse().map_err(|_| (1, invalid(length.text, "a length from 0 to 65535")))?;
    // White space may separate the digits anywhere, even within an octet.
    let digits: String = tokens[2..].iter().map(|token| token.text).collect();
    let wire = decode_hex(&digits).ok_or_else(|| (2, invalid(&digits, "pairs of hexadecimal digits")))?;
    if wire.len() != usize::from(stated_length) {
        return Err((1, invalid(length.text, "the number of octets that follow")));
    }
    if fields_of(rtype).is_some() && print(rtype, &wire).is_none() {
        return Err((2, RdataError::Malformed(rtype)));
    }
    Ok(wire)
}

/// Decodes hexadecimal digits; `None` if they are not pairs.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |octet: u8| char::from(octet).to_digit(16);
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

fn parse_with_hickory(rtype: RecordType, tokens: &[Token<'_>]) -> Result<Vec<u8>, RdataError> {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let invalid = |reason: String| RdataError::InvalidData { rtype, reason };
    let data = RData::try_from_str(HickoryType::from(rtype.0), &texts.join(" "))
        .map_err(|error| invalid(error.to_string()))?;
    let mut wire = Vec::new();
    data.emit(&mut BinEncoder::new(&mut wire)).map_err(|error| invalid(error.to_string()))?;
    Ok(wire)
}

fn print_with_hickory(rtype: RecordType, wire: &[u8]) -> Option<String> {
    let length = u16::try_from(wire.len()).ok()?;
    let mut decoder = BinDecoder::new(wire);
    let data = RData::read(&mut decoder, HickoryType::from(rtype.0), Restrict::new(length)).ok()?;
    Some(data.to_string())
}

fn print_fields(fields: &[Field], wire: &[u8]) -> Option<String> {
    let mut rest = wire;
    let mut texts: Vec<String> = Vec::with_capacity(fields.len());
    for &(kind, _) in fields {
        match kind {
            FieldKind::U8 => texts.push(take::<1>(&mut rest)?[0].to_string()),
            FieldKind::U16 => texts.push(u16::from_be_bytes(take(&mut rest)?).to_string()),
            FieldKind::U32 | FieldKind::Seconds => {
                texts.push(u32::from_be_bytes(take(&mut rest)?).to_string());
            }
            FieldKind::Ipv4 => texts.push(Ipv4Addr::from(take::<4>(&mut rest)?).to_string()),
            FieldKind::Ipv6 => texts.push(Ipv6Addr::from(take::<16>(&mut rest)?).to_string()),
            FieldKind::Name => {
                let (name, after) = rest.split_at(wire_length(rest).ok()?);
                rest = after;
                texts.push(wire_to_text(name));
            }
            FieldKind::CharString => texts.push(quote(take_char_string(&mut rest)?)),
            FieldKind::BareCharString => {
                let text = take_char_string(&mut rest)?;
                let is_plain = !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric);
                texts.push(if is_plain {
                    text.iter().copied().map(char::from).collect()
                } else {
                    quote(text)
                });
            }
            FieldKind::CharStrings => {
                texts.push(quote(take_char_string(&mut rest)?));
                while !rest.is_empty() {
                    texts.push(quote(take_char_string(&mut rest)?));
                }
            }
            FieldKind::RestString => texts.push(quote(std::mem::take(&mut rest))),
            FieldKind::Hex if rest.is_empty() => return None,
            FieldKind::Hex => {
                let octets = std::mem::take(&mut rest).iter();
                texts.push(octets.map(|octet| format!("{octet:02x}")).collect());
            }
            FieldKind::Params => texts.extend(svcb::print_params(std::mem::take(&mut rest))?),
        }
    }
    rest.is_empty().then(|| texts.join(" "))
}

/// Removes the first `N` octets from `rest`.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*head)
}

/// Removes a character-string from `rest`, without its length octet.
fn take_char_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let [length] = take(rest)?;
    let (text, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    Some(text)
}
