//! Lexer of the presentation format (RFC 1035 5.1): entries and tokens, escapes, quoting and durations.

use std::borrow::Cow;

use super::name::parse_escape;

/// One token of an entry. Escapes are not yet resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// The text, without the quotes if the whole token is quoted.
    pub text: &'a str,
    /// Whether the whole token was quoted.
    pub quoted: bool,
    /// Line of the first octet, from 1.
    pub line: usize,
    /// Column of the first octet, in octets from 1.
    pub column: usize,
}

/// Error returned when text cannot be split into tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub line: usize,
    pub column: usize,
    pub message: &'static str,
}

/// Splits text into entries: a line, or several lines joined by parentheses.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text: text.strip_prefix('\u{feff}').unwrap_or(text), at: 0, line: 1, line_start: 0 }
    }

    /// Replaces the content of `tokens` with the tokens of the next non-empty entry. Returns whether the
    /// entry began with white space, or `None` at the end of the text.
    ///
    /// After an error, the rest of the line is skipped and the next call continues on the following line.
    pub(crate) fn next_entry(&mut self, tokens: &mut Vec<Token<'a>>) -> Result<Option<bool>, SyntaxError> {
        tokens.clear();
        let mut indented = self.is_at_blank();
        let mut open: Option<(usize, usize)> = None;
        loop {
            let Some(&octet) = self.text.as_bytes().get(self.at) else {
                if let Some((line, column)) = open {
                    return Err(SyntaxError { line, column, message: "unclosed parenthesis" });
                }
                return Ok((!tokens.is_empty()).then_some(indented));
            };
            match octet {
                b'\n' => {
                    self.end_line();
                    if open.is_none() {
                        if !tokens.is_empty() {
                            return Ok(Some(indented));
                        }
                        indented = self.is_at_blank();
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => self.skip_line(),
                b'(' if open.is_some() => {
                    return Err(self.error_and_skip_line("parentheses cannot be nested"));
                }
                b'(' => {
                    open = Some((self.line, self.column()));
                    self.at += 1;
                }
                b')' if open.take().is_some() => self.at += 1,
                b')' => return Err(self.error_and_skip_line("unmatched closing parenthesis")),
                _ => tokens.push(self.token()?),
            }
        }
    }

    fn token(&mut self) -> Result<Token<'a>, SyntaxError> {
        let (line, column) = (self.line, self.column());
        let quoted = self.text.as_bytes()[self.at] == b'"';
        let start = self.at;
        if quoted {
            self.skip_quoted()?;
        } else {
            self.skip_bare()?;
        }
        let text = &self.text[start..self.at];
        Ok(Token { text: if quoted { &text[1..text.len() - 1] } else { text }, quoted, line, column })
    }

    /// Moves past the closing quote.
    fn skip_quoted(&mut self) -> Result<(), SyntaxError> {
        let octets = self.text.as_bytes();
        let mut at = self.at + 1;
        loop {
            match octets.get(at) {
                None | Some(b'\n') => {
                    return Err(self.error_and_skip_line("unterminated quoted string"));
                }
                Some(b'"') => break,
                // An escape does not continue a string on the next line.
                Some(b'\\') if octets.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
                Some(_) => at += 1,
            }
        }
        self.at = at + 1;
        Ok(())
    }

    /// Moves past an unquoted token. Only the value of a `key="value"` pair may be quoted within it.
    fn skip_bare(&mut self) -> Result<(), SyntaxError> {
        let octets = self.text.as_bytes();
        while let Some(&octet) = octets.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' => break,
                b'"' if octets[self.at - 1] == b'=' => return self.skip_quoted(),
                b'"' => break,
                // If a multi-byte character follows, this stops in its middle. Its other octets match none of
                // the delimiters, so the token still ends at a character boundary.
                b'\\' if octets.get(self.at + 1).is_some_and(|next| *next != b'\n') => self.at += 2,
                _ => self.at += 1,
            }
        }
        Ok(())
    }

    fn is_at_blank(&self) -> bool {
        matches!(self.text.as_bytes().get(self.at), Some(b' ' | b'\t'))
    }

    fn column(&self) -> usize {
        self.at - self.line_start + 1
    }

    fn error_and_skip_line(&mut self, message: &'static str) -> SyntaxError {
        let error = SyntaxError { line: self.line, column: self.column(), message };
        self.skip_line();
        if self.at < self.text.len() {
            self.end_line();
        }
        error
    }

    /// Moves to the end of the line, before the line feed.
    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn end_line(&mut self) {
        self.at += 1;
        self.line += 1;
        self.line_start = self.at;
    }
}

/// Resolves the escapes in a token. Returns `None` if an escape is malformed.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        octets.extend_from_slice(&rest.as_bytes()[..backslash]);
        rest = &rest[backslash + 1..];
        let (octet, length) = parse_escape(rest)?;
        octets.push(octet);
        rest = &rest[length..];
    }
    octets.extend_from_slice(rest.as_bytes());
    Some(octets)
}

/// Converts Route 53's escapes to those of a zone file: Route 53 writes an octet as a backslash and three
/// octal digits, RFC 1035 5.1 uses decimal digits (Route 53 Developer Guide, "DNS domain name format" and
/// "TXT record type"). A backslash before a character that is not a digit is left unchanged.
///
/// # Errors
///
/// A message, if the digits after a backslash are not three octal digits up to 377.
pub fn from_octal_escapes(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains('\\') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decimal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(backslash) = rest.find('\\') {
        decimal.push_str(&rest[..=backslash]);
        rest = &rest[backslash + 1..];
        let Some(first) = rest.chars().next() else { break };
        let length = if first.is_ascii_digit() { 3 } else { first.len_utf8() };
        let escaped = rest.get(..length).unwrap_or(rest);
        if first.is_ascii_digit() {
            let is_octal = escaped.len() == 3 && escaped.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
            let octet = is_octal.then(|| u8::from_str_radix(escaped, 8).ok()).flatten();
            let octet = octet.ok_or_else(|| {
                format!("invalid escape `\\{escaped}`: Route 53 uses three octal digits, from \\000 to \\377")
            })?;
            decimal.push_str(&format!("{octet:03}"));
        } else {
            decimal.push_str(escaped);
        }
        rest = &rest[escaped.len()..];
    }
    decimal.push_str(rest);
    Ok(Cow::Owned(decimal))
}

/// Formats octets as a quoted string.
pub(crate) fn quote(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() + 2);
    text.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(octet));
            }
            b' '..=b'~' => text.push(char::from(octet)),
            _ => text.push_str(&format!("\\{octet:03}")),
        }
    }
    text.push('"');
    text
}

/// Parses a duration: seconds, or numbers with units w, d, h, m and s (`1h30m`). Returns `None` if the text
/// is neither or exceeds 32 bits.
pub(crate) fn parse_seconds(text: &str) -> Option<u32> {
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    let mut units = false;
    for octet in text.bytes() {
        let unit = match octet.to_ascii_lowercase() {
            digit @ b'0'..=b'9' => {
                let shifted = number.unwrap_or(0).checked_mul(10)?;
                number = Some(shifted.checked_add(u32::from(digit - b'0'))?);
                continue;
            }
            b'w' => 604_800,
            b'd' => 86_400,
            b'h' => 3_600,
            b'm' => 60,
            b's' => 1,
            _ => return None,
        };
        units = true;
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    match (number, units) {
        (Some(plain), false) => Some(plain),
        (None, true) => Some(total),
        // Empty text, or digits without a unit as in "1h30".
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether an entry is indented, and its tokens; or the position of an error.
    type Outcome = Result<(bool, Vec<String>), (usize, usize)>;

    fn entries(text: &str) -> Vec<Outcome> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        let mut found = Vec::new();
        loop {
            match lexer.next_entry(&mut tokens) {
                Ok(None) => return found,
                Ok(Some(indented)) => {
                    found.push(Ok((indented, tokens.iter().map(|token| token.text.to_owned()).collect())))
                }
                Err(error) => found.push(Err((error.line, error.column))),
            }
        }
    }

    fn token_texts(text: &str) -> Vec<String> {
        entries(text).remove(0).expect("tokens").1
    }

    #[test]
    fn splits_tokens_comments_and_parentheses() {
        assert_eq!(token_texts("a b;c\n"), ["a", "b"]);
        assert_eq!(token_texts("a ( b ; x )\n c\n) d\n"), ["a", "b", "c", "d"]);
        assert_eq!(token_texts(r#"a "b c;(" d\ e"#), ["a", "b c;(", r"d\ e"]);
        assert_eq!(token_texts(r#"k="a b" "x""y""#), [r#"k="a b""#, "x", "y"]);
        assert_eq!(token_texts(r"a\;b\é c"), [r"a\;b\é", "c"]);
        assert_eq!(entries("\n ; only a comment\n\t\n"), []);
        assert_eq!(entries(" a\r\nb"), [Ok((true, vec!["a".into()])), Ok((false, vec!["b".into()]))]);
    }

    #[test]
    fn continues_on_the_line_after_an_error() {
        assert_eq!(
            entries("a \"b\nc\n)\n(("),
            [Err((1, 3)), Ok((false, vec!["c".into()])), Err((3, 1)), Err((4, 2))]
        );
        assert_eq!(entries("a (\nb\n"), [Err((1, 3))]);
    }

    #[test]
    fn octal_escapes_are_converted_to_decimal() {
        for (octal, decimal) in [
            (r"\052.example.com", r"\042.example.com"),
            (r#""say \"hi\" \303\251""#, r#""say \"hi\" \195\169""#),
            (r"a\\052", r"a\\052"),
            (r"\# 4 0a000001", r"\# 4 0a000001"),
            ("plain é", "plain é"),
            (r"\é\", r"\é\"),
        ] {
            assert_eq!(from_octal_escapes(octal).as_deref(), Ok(decimal));
        }
        for bad in [r"\400", r"\08", r"\189", r"\1", r"\12é"] {
            assert!(from_octal_escapes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parses_durations() {
        assert_eq!(parse_seconds("300"), Some(300));
        assert_eq!(parse_seconds("1h30M"), Some(5400));
        assert_eq!(parse_seconds("1w2d3s"), Some(777_603));
        for bad in ["", "h", "1h30", "1x", "-1", "4294967296", "9999999w"] {
            assert_eq!(parse_seconds(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn quoting_round_trips(octets in prop::collection::vec(any::<u8>(), 0..50)) {
            let quoted = quote(&octets);
            let inner = &quoted[1..quoted.len() - 1];
            prop_assert_eq!(unescape(inner).unwrap(), octets);
            prop_assert_eq!(token_texts(&quoted), [inner]);
        }

        #[test]
        fn never_panics(text in "[a\\\\\"();\\né \t=]{0,60}") {
            entries(&text);
            let _ = unescape(&text);
            let _ = from_octal_escapes(&text);
        }
    }
}
