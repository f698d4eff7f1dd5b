//! Elements of a list of upstream servers: an address, or a table with options.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::yes;
use crate::config::source::{Mark, Marked};
use crate::config::text::ServerAddress;

/// A name server with options. Without options, a string with its address is sufficient.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamServer {
    /// The address, as in the short form: `192.0.2.53`, `tcp://192.0.2.53:5353`,
    /// `tls://192.0.2.53#dns.example`, `https://192.0.2.53/dns-query#dns.example`, `fe80::1%eth0`.
    #[schemars(required)]
    pub address: Option<Marked<String>>,
    /// Whether queries contain an OPT record (EDNS, RFC 6891). `false` disables EDNS permanently.
    #[serde(default = "yes")]
    pub edns: bool,
    /// Whether names are sent in random case over UDP (0x20), as a protection against forged replies. `false`
    /// for servers that treat case as significant.
    #[serde(default = "yes")]
    pub case: bool,
    /// For TLS and HTTPS: a PEM file with the certificate authorities used instead of Mozilla's. Relative to
    /// this file.
    pub ca: Option<Marked<String>>,
    /// For TLS and HTTPS: `sha256/` and the base64-encoded SHA-256 hash of the public key
    /// (SubjectPublicKeyInfo); one of them must match (RFC 7858 section 4.2). Without `ca`, nothing else in
    /// the certificate is checked.
    #[serde(default)]
    pub spki_pin: Vec<Marked<String>>,
    /// For TLS and HTTPS: a PEM file with the client certificate and its chain. Relative to this file.
    pub client_certificate: Option<Marked<String>>,
    /// PEM file with the private key of `client_certificate`.
    pub client_key: Option<Marked<String>>,
}

/// An element of a list of servers.
///
/// Deserialisation does not fail because of the address: the compiler reports one error for each invalid
/// server, at its position.
#[derive(Clone)]
pub struct ServerEntry {
    /// The server. Without an address if the element is neither a string nor a table.
    pub server: UpstreamServer,
    /// The type of an element that is neither a string nor a table: "an integer".
    pub wrong_type: Option<&'static str>,
    mark: Mark,
}

impl ServerEntry {
    /// The position of the element.
    pub fn mark(&self) -> Mark {
        self.mark
    }
}

/// Without its position.
impl fmt::Debug for ServerEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

/// An element without its position.
struct Element {
    /// The server.
    server: UpstreamServer,
    /// Whether it is a table. If it is a string, the address has the position of the element.
    is_table: bool,
    /// See [`ServerEntry::wrong_type`].
    wrong_type: Option<&'static str>,
}

impl Element {
    /// A server with this address and default options.
    fn short(address: Option<Marked<String>>, wrong_type: Option<&'static str>) -> Self {
        let server = UpstreamServer {
            address,
            edns: true,
            case: true,
            ca: None,
            spki_pin: Vec::new(),
            client_certificate: None,
            client_key: None,
        };
        Self { server, is_table: false, wrong_type }
    }
}

impl<'de> Deserialize<'de> for ServerEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = toml::Spanned::<Element>::deserialize(deserializer)?;
        let mark = Mark::new(written.span());
        let Element { mut server, is_table, wrong_type } = written.into_inner();
        if !is_table {
            server.address = server.address.map(|address| Marked::new(address.value().clone(), mark));
        }
        Ok(Self { server, wrong_type, mark })
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Deserialises either form, and records any other type.
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Element;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name server: a string or a table")
            }

            fn visit_str<E>(self, text: &str) -> Result<Element, E> {
                Ok(Element::short(Some(Marked::from(text.to_owned())), None))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Element, M::Error> {
                let server = UpstreamServer::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Element { server, is_table: true, wrong_type: None })
            }

            fn visit_bool<E>(self, _: bool) -> Result<Element, E> {
                Ok(Element::short(None, Some("a boolean")))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Element, E> {
                Ok(Element::short(None, Some("an integer")))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Element, E> {
                Ok(Element::short(None, Some("a float")))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Element, S::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Element::short(None, Some("an array")))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for ServerEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ServerEntry".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<UpstreamServer>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "title": ServerAddress::EXPECTED }, table] })
    }
}
