//! AWS's objects as its command line prints them, one file a group. Fields have AWS's names; what a field means
//! stands in AWS's API references.

pub mod endpoint;
pub mod gateway;
pub mod instance;
pub mod network;
pub mod resolver;
pub mod route53;
pub mod security;
pub mod transit;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The fields of an object that its type does not read.
pub type OtherFields = BTreeMap<String, serde_json::Value>;

/// An object that a document holds.
pub trait Object: DeserializeOwned {
    /// Its kind: the key of the documents that hold it.
    const KIND: &'static str;
    /// Fields that are known and change no answer.
    const IGNORED: &'static [&'static str];

    /// Its id.
    fn id(&self) -> String;

    /// The fields that are not read.
    fn other_fields(&self) -> &OtherFields;
}

/// Makes types objects: each with its document's key, its id, and the fields that change no answer.
macro_rules! objects {
    ($($type:ident, $kind:literal, |$this:ident| $id:expr, [$($ignored:literal),* $(,)?];)+) => {
        $(impl super::Object for $type {
            const KIND: &'static str = $kind;
            const IGNORED: &'static [&'static str] = &[$($ignored),*];

            fn id(&self) -> String {
                let $this = self;
                $id
            }

            fn other(&self) -> &super::Other {
                &self.other
            }
        })+
    };
}
pub(super) use objects;

/// A tag.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// The value of the tag `Name`, if it says anything.
pub fn name_tag(tags: &[Tag]) -> Option<&str> {
    tags.iter().find(|tag| tag.key == "Name" && !tag.value.is_empty()).map(|tag| tag.value.as_str())
}

/// Whether a state, in whatever case AWS wrote it over the years, is one of these.
pub fn is_state(state: Option<&str>, states: &[&str]) -> bool {
    state.is_some_and(|state| states.iter().any(|one| one.eq_ignore_ascii_case(state)))
}
