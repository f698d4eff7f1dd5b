//! Zone files, also called master files (RFC 1035 5, RFC 2308 4).

use std::fmt;

use super::code::{Class, RecordType};
use super::name::Name;
use super::presentation::{Lexer, Token, parse_seconds};
use super::rdata::Rdata;
use super::rdata_format;

/// One record of a zone file, of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The owner name, absolute.
    pub owner: Name,
    /// The TTL in seconds, at most 2^31 - 1 (RFC 2181 8).
    pub ttl: u32,
    /// The record type; never a meta-TYPE.
    pub rtype: RecordType,
    /// The data. Names in it are absolute.
    pub rdata: Rdata,
    /// Line of the start of the record, from 1.
    pub line: usize,
}

/// An error in a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFileError {
    /// The line, from 1.
    pub line: usize,
    /// The column, in octets from 1.
    pub column: usize,
    /// The error message.
    pub message: String,
}

impl fmt::Display for ZoneFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ZoneFileError {}

/// Parses a zone file.
///
/// Supports `$ORIGIN`, `$TTL`, `@`, relative names (also in the data), a blank owner that repeats the
/// previous one, parentheses, comments, quoted strings, TTL and class in either order, units of time, and
/// unknown types in the generic form of RFC 3597. `$INCLUDE` is an error. A record without a TTL has the TTL
/// of `$TTL`, else the last explicit one, else `default_ttl`.
///
/// Consistency between records is not checked.
///
/// # Errors
///
/// All errors in the file, in the order of lines.
pub fn parse_zone_file(
    text: &str,
    origin: &Name,
    default_ttl: u32,
) -> Result<Vec<ZoneRecord>, Vec<ZoneFileError>> {
    let mut state = ZoneFileState {
        origin: origin.clone(),
        owner: None,
        owner_text: None,
        directive_ttl: None,
        last_ttl: default_ttl,
        wire: Vec::new(),
    };
    let mut lexer = Lexer::new(text);
    let mut tokens = Vec::new();
    let mut records = Vec::new();
    let mut errors = Vec::new();
    loop {
        match lexer.next_entry(&mut tokens) {
            Ok(None) => break,
            Ok(Some(indented)) => match state.parse_entry(indented, &tokens) {
                Ok(record) => records.extend(record),
                Err(error) => errors.push(error),
            },
            Err(error) => {
                // The failed entry may have had an owner, so do not report blank owners after it.
                state.owner.get_or_insert_with(|| origin.clone());
                errors.push(ZoneFileError {
                    line: error.line,
                    column: error.column,
                    message: error.message.to_owned(),
                });
            }
        }
    }
    if errors.is_empty() { Ok(records) } else { Err(errors) }
}

/// Maximum TTL in seconds (RFC 2181 8).
const MAX_TTL: u32 = 0x7fff_ffff;

/// State that carries over from one entry to the next.
struct ZoneFileState<'a> {
    origin: Name,
    owner: Option<Name>,
    /// The text of `owner`, if the same text still denotes the same name.
    owner_text: Option<&'a str>,
    directive_ttl: Option<u32>,
    last_ttl: u32,
    /// Buffer for the data of the record being parsed.
    wire: Vec<u8>,
}

impl<'a> ZoneFileState<'a> {
    /// Parses a non-empty entry. Returns the record, or `None` for a directive.
    fn parse_entry(
        &mut self,
        indented: bool,
        tokens: &[Token<'a>],
    ) -> Result<Option<ZoneRecord>, ZoneFileError> {
        let [first, rest @ ..] = tokens else {
            return Ok(None);
        };
        if !indented && !first.quoted && first.text.starts_with('$') {
            self.apply_directive(first, rest)?;
            return Ok(None);
        }
        let (owner, rest) = if indented {
            let owner = self.owner.clone().ok_or_else(|| {
                error_at(first, "the first record has no owner: start the line with a name or @")
            })?;
            (owner, tokens)
        } else {
            (self.parse_owner(first)?, rest)
        };
        self.parse_record(owner, first, rest).map(Some)
    }

    fn parse_owner(&mut self, token: &Token<'a>) -> Result<Name, ZoneFileError> {
        // Most names have several records: parse the name once and share it.
        if let (Some(owner), Some(text)) = (&self.owner, self.owner_text)
            && text == token.text
            && !token.quoted
        {
            return Ok(owner.clone());
        }
        let owner = self.parse_name(token);
        self.owner_text = (owner.is_ok() && !token.quoted).then_some(token.text);
        // An invalid owner replaces the previous one too, so that a blank owner does not repeat that one.
        let replacement = owner.as_ref().unwrap_or(&self.origin).clone();
        self.owner = Some(replacement);
        owner
    }

    fn parse_record(
        &mut self,
        owner: Name,
        first: &Token<'_>,
        mut rest: &[Token<'_>],
    ) -> Result<ZoneRecord, ZoneFileError> {
        let mut explicit_ttl = None;
        let mut class = None;
        let rtype = loop {
            let Some((token, after)) = rest.split_first() else {
                return Err(error_at(first, "missing record type"));
            };
            rest = after;
            if explicit_ttl.is_none() && token.text.starts_with(|c: char| c.is_ascii_digit()) {
                explicit_ttl = Some(parse_ttl(token)?);
            } else if let (None, Ok(parsed)) = (class, token.text.parse::<Class>()) {
                if parsed != Class::IN {
                    return Err(error_at(token, format!("unsupported class {parsed}: only IN is supported")));
                }
                class = Some(parsed);
            } else {
                break self.parse_record_type(token)?;
            }
        };
        rdata_format::parse(rtype, rest, Some(&self.origin), &mut self.wire).map_err(|(index, error)| {
            let token = rest.get(index).or(rest.last()).unwrap_or(first);
            error_at(token, format!("{rtype}: {error}"))
        })?;
        if let Some(ttl) = explicit_ttl {
            self.last_ttl = ttl;
        }
        Ok(ZoneRecord {
            owner,
            ttl: explicit_ttl.or(self.directive_ttl).unwrap_or(self.last_ttl),
            rtype,
            rdata: Rdata::from_wire(&self.wire),
            line: first.line,
        })
    }

    fn parse_record_type(&self, token: &Token<'_>) -> Result<RecordType, ZoneFileError> {
        let rtype: RecordType = token.text.parse().map_err(|error| error_at(token, error))?;
        if rtype.is_meta() {
            return Err(error_at(token, format!("{rtype} is not a data type and cannot occur in a zone")));
        }
        Ok(rtype)
    }

    fn apply_directive(&mut self, name: &Token<'_>, rest: &[Token<'_>]) -> Result<(), ZoneFileError> {
        let argument = || match rest {
            [argument] => Ok(argument),
            [] => Err(error_at(name, format!("missing value for {}", name.text))),
            [_, extra, ..] => Err(error_at(extra, format!("{} takes only one value", name.text))),
        };
        match name.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                self.origin = self.parse_name(argument()?)?;
                self.owner_text = None;
            }
            "$TTL" => self.directive_ttl = Some(parse_ttl(argument()?)?),
            "$INCLUDE" => {
                return Err(error_at(name, "$INCLUDE is not supported: insert the records here"));
            }
            other => return Err(error_at(name, format!("unknown directive {other}"))),
        }
        Ok(())
    }

    fn parse_name(&self, token: &Token<'_>) -> Result<Name, ZoneFileError> {
        if token.text == "@" && !token.quoted {
            return Ok(self.origin.clone());
        }
        Name::parse_with_origin(token.text, Some(&self.origin)).map_err(|error| error_at(token, error))
    }
}

fn parse_ttl(token: &Token<'_>) -> Result<u32, ZoneFileError> {
    parse_seconds(token.text).filter(|ttl| *ttl <= MAX_TTL).ok_or_else(|| {
        let expected = "seconds up to 2147483647, or a duration such as 1h30m";
        error_at(token, format!("invalid TTL {:?}: expected {expected}", token.text))
    })
}

fn error_at(token: &Token<'_>, message: impl ToString) -> ZoneFileError {
    ZoneFileError { line: token.line, column: token.column, message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::dns::name::tests::name;

    fn lines(text: &str) -> Vec<String> {
        let records = parse_zone_file(text, &name("example"), 60).expect("a valid zone file");
        records
            .iter()
            .map(|r| format!("{} {} {} {}", r.owner, r.ttl, r.rtype, r.rdata.to_text(r.rtype)))
            .collect()
    }

    fn errors(text: &str) -> Vec<(usize, usize, String)> {
        let errors = parse_zone_file(text, &name("example"), 60).expect_err("an invalid zone file");
        errors.into_iter().map(|e| (e.line, e.column, e.message)).collect()
    }

    #[test]
    fn parses_a_complete_zone() {
        let text = r#"
; a zone
$TTL 1h
@   IN SOA ns admin (
        1      ; serial
        2h 15m 2w 1m )
    NS  ns
    NS  ns.other.
ns  300 IN A 10.0.0.2
    IN 5m AAAA 2001:db8::2
www CNAME @
$ORIGIN sub
$TTL 30
@   MX 10 mail
_sip._tcp SRV 1 2 5060 sip
txt TXT "a;b" bare ( "c"
  )
svc HTTPS 1 . alpn="h2,h3"
    HTTPS 0 @
n   NAPTR 1 2 "s" "x" "" n2
odd TYPE65280 \# 2 abcd
"#;
        assert_eq!(
            lines(text),
            [
                "example. 3600 SOA ns.example. admin.example. 1 7200 900 1209600 60",
                "example. 3600 NS ns.example.",
                "example. 3600 NS ns.other.",
                "ns.example. 300 A 10.0.0.2",
                "ns.example. 300 AAAA 2001:db8::2",
                "www.example. 3600 CNAME example.",
                "sub.example. 30 MX 10 mail.sub.example.",
                "_sip._tcp.sub.example. 30 SRV 1 2 5060 sip.sub.example.",
                r#"txt.sub.example. 30 TXT "a;b" "bare" "c""#,
                r#"svc.sub.example. 30 HTTPS 1 . alpn="h2,h3""#,
                "svc.sub.example. 30 HTTPS 0 sub.example.",
                r#"n.sub.example. 30 NAPTR 1 2 "s" "x" "" n2.sub.example."#,
                r"odd.sub.example. 30 TYPE65280 \# 2 abcd",
            ]
        );
    }

    #[test]
    fn ttls_have_an_order_of_precedence() {
        let text = "a A 10.0.0.1\nb 5 A 10.0.0.1\nc A 10.0.0.1\n$TTL 9\nd A 10.0.0.1\n";
        let ttls: Vec<u32> = parse_zone_file(text, &Name::root(), 60)
            .expect("a valid zone file")
            .iter()
            .map(|record| record.ttl)
            .collect();
        assert_eq!(ttls, [60, 5, 5, 9]);
    }

    #[test]
    fn every_error_is_reported_with_its_position() {
        let text = "  A 10.0.0.1\n\
                    a A 10.0.0\n\
                    b..c A 10.0.0.1\n\
                    \tA 10.0.0.1\n\
                    c CH TXT x\n\
                    d BOGUS x\n\
                    $INCLUDE other\n\
                    e TXT \"open\n\
                    f 99999999999 A 10.0.0.1\n\
                    g MX 10\n\
                    h IN\n\
                    i ANY x\n\
                    $TTL\n\
                    j A (10.0.0.1\n";
        let errors = errors(text);
        let positions: Vec<_> = errors.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(
            positions,
            [
                (1, 3),
                (2, 5),
                (3, 1),
                (5, 3),
                (6, 3),
                (7, 1),
                (8, 7),
                (9, 3),
                (10, 6),
                (11, 1),
                (12, 3),
                (13, 1),
                (14, 5),
            ]
        );
        assert_eq!(errors[1].2, r#"A: invalid address "10.0.0": expected an IPv4 address"#);
        assert!(errors[5].2.contains("$INCLUDE"));
    }

    #[test]
    fn large_zones_are_parsed_quickly() {
        let text: String = (0..100_000)
            .map(|i| format!("host-{i} 300 IN A 10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255))
            .collect();
        let start = Instant::now();
        let records = parse_zone_file(&text, &name("example"), 60).expect("a valid zone file");
        assert_eq!(records.len(), 100_000);
        // Generous, since tests run unoptimised and in parallel.
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in "[aA0 1.\n\\\\\"();@$tTxXé=]{0,80}") {
            let _ = parse_zone_file(&text, &Name::root(), 60);
        }
    }
}
