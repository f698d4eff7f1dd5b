//! RDATA: the data of records.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;
use std::sync::Arc;

use super::code::RecordType;
use super::name::{Name, NameError, wire_length};
use super::presentation::Lexer;
use super::rdata_format;
use super::svcb;

/// The data of one record in uncompressed wire form. Cheap to clone.
///
/// The record type is not part of it. Data created with [`Rdata::from_wire`] may be malformed for the type it
/// is used with: the accessors then return nothing, and printing uses the generic form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Rdata(Octets);

/// Maximum length of data stored inline, in octets, chosen so that [`Octets`] is as large as a `Vec`.
const INLINE_OCTETS: usize = 22;

/// Octets, stored inline if there are few of them, as for addresses.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Octets {
    /// The number of octets used; the others are zero.
    Inline(u8, [u8; INLINE_OCTETS]),
    /// More than [`INLINE_OCTETS`] octets.
    Heap(Arc<[u8]>),
}

impl From<&[u8]> for Octets {
    fn from(wire: &[u8]) -> Self {
        let mut octets = [0; INLINE_OCTETS];
        match octets.get_mut(..wire.len()) {
            Some(used) => {
                used.copy_from_slice(wire);
                Self::Inline(wire.len() as u8, octets)
            }
            None => Self::Heap(wire.into()),
        }
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(length, octets) => &octets[..usize::from(*length)],
            Self::Heap(octets) => octets,
        }
    }
}

/// Error returned when text is not valid data of the given record type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdataError {
    /// The text ends before the last field.
    #[error("missing {0}")]
    Missing(&'static str),
    /// There is text after the last field.
    #[error("unexpected {0:?} after the last field")]
    Extra(String),
    /// The value of a field is invalid.
    #[error("invalid {field} {text:?}: expected {expected}")]
    Field {
        /// The name of the field.
        field: &'static str,
        /// The text found.
        text: String,
        /// A description of what is valid.
        expected: &'static str,
    },
    /// The value of a field is not a valid name.
    #[error("invalid {field}: {error}")]
    Name {
        /// The name of the field.
        field: &'static str,
        /// The error in the name.
        error: NameError,
    },
    /// The presentation form of the type is not supported.
    #[error("no text form is supported for {0}: write \\#, the length, and the data in hexadecimal")]
    NoTextForm(RecordType),
    /// Generic data (RFC 3597 5) is malformed for a known type.
    #[error("malformed {0} data")]
    Malformed(RecordType),
    /// The data of a type that is parsed by `hickory_proto` is invalid.
    #[error("invalid {rtype} data: {reason}")]
    InvalidData {
        /// The record type.
        rtype: RecordType,
        /// The error reported by the parser for that type.
        reason: String,
    },
    /// The data is longer than 65535 octets.
    #[error("data too long: the maximum is 65535 octets")]
    TooLong,
    /// Unbalanced quotes or parentheses, or more than one line.
    #[error("{0}")]
    Syntax(&'static str),
}

impl Rdata {
    /// Creates the data of an A record (RFC 1035 3.4.1).
    pub fn a(address: Ipv4Addr) -> Self {
        Self::from_wire(&address.octets())
    }

    /// Creates the data of an AAAA record (RFC 3596 2.2).
    pub fn aaaa(address: Ipv6Addr) -> Self {
        Self::from_wire(&address.octets())
    }

    /// Returns the type and data of the A or AAAA record for an address.
    pub fn for_address(address: IpAddr) -> (RecordType, Self) {
        match address {
            IpAddr::V4(address) => (RecordType::A, Self::a(address)),
            IpAddr::V6(address) => (RecordType::AAAA, Self::aaaa(address)),
        }
    }

    /// Creates data that consists of one name: CNAME, NS, PTR or DNAME.
    pub fn from_name(target: &Name) -> Self {
        Self::from_wire(target.as_wire())
    }

    /// Creates the data of an SOA record (RFC 1035 3.3.13). Times are in seconds.
    pub fn soa(
        mname: &Name,
        rname: &Name,
        serial: u32,
        refresh: u32,
        retry: u32,
        expire: u32,
        minimum: u32,
    ) -> Self {
        let mut wire = [mname.as_wire(), rname.as_wire()].concat();
        for number in [serial, refresh, retry, expire, minimum] {
            wire.extend(number.to_be_bytes());
        }
        Self::from_wire(&wire)
    }

    /// Creates the data of a TXT record. Each text is split into character-strings of at most 255 octets.
    /// Without any text, the data is one empty character-string, since RFC 1035 3.3.14 requires at least one.
    pub fn txt(texts: &[&str]) -> Self {
        let mut wire = Vec::new();
        for text in if texts.is_empty() { &[""] } else { texts } {
            if text.is_empty() {
                wire.push(0);
            }
            for part in text.as_bytes().chunks(255) {
                wire.push(part.len() as u8);
                wire.extend_from_slice(part);
            }
        }
        Self::from_wire(&wire)
    }

    /// Creates data from octets, without validation. Names in it must be uncompressed.
    pub fn from_wire(wire: &[u8]) -> Self {
        Self(Octets::from(wire))
    }

    /// Parses the presentation form of the data of one record.
    ///
    /// Every type can be written in the generic form `\# 4 0a000001` (RFC 3597 5). Names are absolute, with
    /// or without a trailing dot. TXT and SPF accept quoted strings and unquoted tokens of at most 255 octets
    /// each, as in a zone file.
    pub fn parse(rtype: RecordType, text: &str) -> Result<Self, RdataError> {
        let syntax = |error: super::presentation::SyntaxError| RdataError::Syntax(error.message);
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        lexer.next_entry(&mut tokens).map_err(syntax)?;
        let mut more = Vec::new();
        if lexer.next_entry(&mut more).map_err(syntax)?.is_some() {
            return Err(RdataError::Syntax("the data spans several lines: enclose it in parentheses"));
        }
        let mut wire = Vec::new();
        rdata_format::parse(rtype, &tokens, None, &mut wire).map_err(|(_, error)| error)?;
        Ok(Self::from(wire))
    }

    /// Returns the presentation form, or the generic form of RFC 3597 5 if the type has none or the data is
    /// malformed for it.
    pub fn to_text(&self, rtype: RecordType) -> String {
        rdata_format::print(rtype, &self.0).unwrap_or_else(|| self.to_generic_text())
    }

    /// Returns the uncompressed wire form.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// Returns the address in A or AAAA data, or `None` for other types.
    pub fn address(&self, rtype: RecordType) -> Option<IpAddr> {
        match rtype {
            RecordType::A => Some(<[u8; 4]>::try_from(self.as_wire()).ok()?.into()),
            RecordType::AAAA => Some(<[u8; 16]>::try_from(self.as_wire()).ok()?.into()),
            _ => None,
        }
    }

    /// Returns the name in CNAME, NS, PTR or DNAME data, or `None` for other types.
    pub fn target(&self, rtype: RecordType) -> Option<Name> {
        match rtype {
            RecordType::CNAME | RecordType::NS | RecordType::PTR | RecordType::DNAME => {
                Name::from_wire(&self.0).ok()
            }
            _ => None,
        }
    }

    /// Returns the address hints in SVCB or HTTPS data (RFC 9460 7.3), and none for other types.
    pub fn hints(&self, rtype: RecordType) -> Vec<IpAddr> {
        match rtype {
            RecordType::SVCB | RecordType::HTTPS => svcb::hints(&self.0),
            _ => Vec::new(),
        }
    }

    /// Returns the MINIMUM field of SOA data, which limits the TTL of negative answers (RFC 2308 4), or
    /// `None` if this is not SOA data.
    pub fn soa_minimum(&self) -> Option<u32> {
        let mname = wire_length(&self.0).ok()?;
        let rname = wire_length(&self.0[mname..]).ok()?;
        let numbers: &[u8; 20] = self.0[mname + rname..].try_into().ok()?;
        numbers.last_chunk().copied().map(u32::from_be_bytes)
    }

    fn to_generic_text(&self) -> String {
        let mut text = format!("\\# {}", self.0.len());
        if !self.0.is_empty() {
            text.push(' ');
            text.extend(self.0.iter().map(|octet| format!("{octet:02x}")));
        }
        text
    }
}

impl From<Vec<u8>> for Rdata {
    fn from(wire: Vec<u8>) -> Self {
        Self::from_wire(&wire)
    }
}

impl fmt::Debug for Rdata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_generic_text())
    }
}

#[cfg(test)]
mod tests;
