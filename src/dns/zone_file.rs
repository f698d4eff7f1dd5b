//! Master files (RFC 1035 5, RFC 2308 4).

use std::fmt;

use super::code::{Class, RecordType};
use super::name::Name;
use super::presentation::{Lexer, Token, parse_seconds};
use super::rdata::Rdata;
use super::rdata_format;

/// One record of a master file. Its class is IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneRecord {
    /// The owner, made absolute.
    pub owner: Name,
    /// The TTL in seconds, 2^31 - 1 at most (RFC 2181 8).
    pub ttl: u32,
    /// The type; never a meta type.
    pub rtype: RecordType,
    /// The data, with names made absolute.
    pub rdata: Rdata,
    /// The line the record begins on, from 1.
    pub line: usize,
}

/// One thing that is wrong in a master file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneFileError {
    /// The line, from 1.
    pub line: usize,
    /// Where in the line, in octets from 1.
    pub column: usize,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
}

impl fmt::Display for ZoneFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for ZoneFileError {}

/// Reads a master file.
///
/// Understood are `$ORIGIN`, `$TTL`, `@`, relative names (in the data too), a blank owner for the
/// one before, parentheses, comments, quoted strings, TTL and class in either order, units of
/// time, and unknown types in the generic form of RFC 3597. `$INCLUDE` is refused. A record
/// without a TTL has that of `$TTL`, else the last one stated, else `default_ttl`.
///
/// Whether the records make sense together is not looked at. If anything is wrong the result is
/// all the errors, in the order of the lines.
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
                // Blank owners below must not be blamed for an owner that was lost here.
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

/// The longest TTL (RFC 2181 8).
const MAX_TTL: u32 = 0x7fff_ffff;

/// What earlier lines mean for later ones.
struct ZoneFileState<'a> {
    origin: Name,
    owner: Option<Name>,
    /// How `owner` was written, if the same text means the same name still.
    owner_text: Option<&'a str>,
    directive_ttl: Option<u32>,
    last_ttl: u32,
    /// The data of the record that is being read.
    wire: Vec<u8>,
}

impl<'a> ZoneFileState<'a> {
    /// Reads an entry, which is not empty: a record, or a directive that is none.
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
                error_at(first, "the first record has no owner; begin the line with a name or @")
            })?;
            (owner, tokens)
        } else {
            (self.parse_owner(first)?, rest)
        };
        self.parse_record(owner, first, rest).map(Some)
    }

    fn parse_owner(&mut self, token: &Token<'a>) -> Result<Name, ZoneFileError> {
        // Most names have several records, and so they share one name.
        if let (Some(owner), Some(text)) = (&self.owner, self.owner_text)
            && text == token.text
            && !token.quoted
        {
            return Ok(owner.clone());
        }
        let owner = self.parse_name(token);
        self.owner_text = (owner.is_ok() && !token.quoted).then_some(token.text);
        // Even a bad owner ends the reach of the one before.
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
        let mut stated_ttl = None;
        let mut class = None;
        let rtype = loop {
            let Some((token, after)) = rest.split_first() else {
                return Err(error_at(first, "the record has no type"));
            };
            rest = after;
            if stated_ttl.is_none() && token.text.starts_with(|c: char| c.is_ascii_digit()) {
                stated_ttl = Some(parse_ttl(token)?);
            } else if let (None, Ok(found)) = (class, token.text.parse::<Class>()) {
                if found != Class::IN {
                    return Err(error_at(token, format!("class {found} is not served, only IN is")));
                }
                class = Some(found);
            } else {
                break self.parse_record_type(token)?;
            }
        };
        rdata_format::parse(rtype, rest, Some(&self.origin), &mut self.wire).map_err(|(index, error)| {
            let token = rest.get(index).or(rest.last()).unwrap_or(first);
            error_at(token, format!("{rtype}: {error}"))
        })?;
        if let Some(stated) = stated_ttl {
            self.last_ttl = stated;
        }
        Ok(ZoneRecord {
            owner,
            ttl: stated_ttl.or(self.directive_ttl).unwrap_or(self.last_ttl),
            rtype,
            rdata: Rdata::from_wire(&self.wire),
            line: first.line,
        })
    }

    fn parse_record_type(&self, token: &Token<'_>) -> Result<RecordType, ZoneFileError> {
        let rtype: RecordType = token.text.parse().map_err(|error| error_at(token, error))?;
        if rtype.is_meta() || rtype.0 == 0 {
            return Err(error_at(token, format!("{rtype} records cannot be in a zone")));
        }
        Ok(rtype)
    }

    fn apply_directive(&mut self, name: &Token<'_>, rest: &[Token<'_>]) -> Result<(), ZoneFileError> {
        let argument = || match rest {
            [argument] => Ok(argument),
            [] => Err(error_at(name, format!("{} needs a value", name.text))),
            [_, extra, ..] => Err(error_at(extra, format!("{} takes one value", name.text))),
        };
        match name.text.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                self.origin = self.parse_name(argument()?)?;
                self.owner_text = None;
            }
            "$TTL" => self.directive_ttl = Some(parse_ttl(argument()?)?),
            "$INCLUDE" => {
                return Err(error_at(name, "$INCLUDE is not supported; put the records here"));
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
        let wanted = "seconds up to 2147483647, or a time such as 1h30m";
        error_at(token, format!("TTL {:?}: expected {wanted}", token.text))
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
        let records = parse_zone_file(text, &name("example"), 60).expect("a good zone file");
        records
            .iter()
            .map(|r| format!("{} {} {} {}", r.owner, r.ttl, r.rtype, r.rdata.to_text(r.rtype)))
            .collect()
    }

    fn errors(text: &str) -> Vec<(usize, usize, String)> {
        let errors = parse_zone_file(text, &name("example"), 60).expect_err("a bad zone file");
        errors.into_iter().map(|e| (e.line, e.column, e.message)).collect()
    }

    #[test]
    fn reads_a_whole_zone() {
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
    fn ttls_have_an_order() {
        let text = "a A 10.0.0.1\nb 5 A 10.0.0.1\nc A 10.0.0.1\n$TTL 9\nd A 10.0.0.1\n";
        let ttls: Vec<u32> = parse_zone_file(text, &Name::root(), 60)
            .expect("a good zone file")
            .iter()
            .map(|record| record.ttl)
            .collect();
        assert_eq!(ttls, [60, 5, 5, 9]);
    }

    #[test]
    fn reports_every_error_in_its_place() {
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
        let places: Vec<_> = errors.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(
            places,
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
        assert_eq!(errors[1].2, r#"A: address "10.0.0": expected an IPv4 address"#);
        assert!(errors[5].2.contains("$INCLUDE"));
    }

    #[test]
    fn large_zones_are_quick() {
        let text: String = (0..100_000)
            .map(|i| format!("host-{i} 300 IN A 10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255))
            .collect();
        let start = Instant::now();
        let records = parse_zone_file(&text, &name("example"), 60).expect("a good zone file");
        assert_eq!(records.len(), 100_000);
        // Generous, since tests run unoptimised and beside one another.
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[aA0 1.\n\\\\\"();@$tTxXé=]{0,80}") {
            let _ = parse_zone_file(&text, &Name::root(), 60);
        }
    }
}
