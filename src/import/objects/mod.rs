//! AWS objects as printed by the AWS CLI, in one file per group. Fields have the names of the AWS APIs and
//! are described in the AWS API references.

pub(super) mod endpoint;
pub(super) mod gateway;
pub(super) mod instance;
pub(super) mod network;
pub(super) mod resolver;
pub(super) mod route53;
pub(super) mod security;
pub(super) mod transit;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The fields of an object that its type does not declare.
pub(super) type OtherFields = BTreeMap<String, serde_json::Value>;

/// An object in a document.
pub(super) trait Object: DeserializeOwned {
    /// The kind: the top-level key of the documents that contain such objects.
    const KIND: &'static str;
    /// Known fields that have no effect on answers.
    const IGNORED: &'static [&'static str];

    /// Returns the id.
    fn id(&self) -> String;

    /// Returns the fields that the type does not declare.
    fn other_fields(&self) -> &OtherFields;
}

/// Implements [`Object`] for types, each with its kind, its id and the fields that have no effect on answers.
macro_rules! objects {
    ($($type:ident, $kind:literal, |$this:ident| $id:expr, [$($ignored:literal),* $(,)?];)+) => {
        $(impl super::Object for $type {
            const KIND: &'static str = $kind;
            const IGNORED: &'static [&'static str] = &[$($ignored),*];

            fn id(&self) -> String {
                let $this = self;
                $id
            }

            fn other_fields(&self) -> &super::OtherFields {
                &self.other
            }
        })+
    };
}
pub(super) use objects;

/// A tag.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Tag {
    /// The key.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Returns the value of the `Name` tag, if it is not empty.
pub(super) fn name_tag(tags: &[Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key == "Name" && !tag.value.is_empty()).map(|tag| tag.value.as_str())
}

/// Returns whether `state` is one of `states`. The comparison ignores case, since AWS has changed it over
/// time.
pub(super) fn is_state(state: Option<&str>, states: &[&str]) -> bool {
    state.is_some_and(|state| states.iter().any(|one| one.eq_ignore_ascii_case(state)))
}
