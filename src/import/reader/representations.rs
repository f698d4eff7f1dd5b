//! Representations of an object that occurs in several documents.

use super::{Accessor, DocumentReader};
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::merge::{conflicting_fields, merge};
use crate::import::objects::Object;

/// The representation of an object that the inventory contains.
pub(super) struct Representation {
    /// The index of the object in its list of the inventory.
    pub index: usize,
    /// The location of the JSON text.
    pub location: SourceLocation,
    /// The length of the JSON text, in bytes. 0 if the document contains only parts of the object.
    pub len: usize,
    /// The value, if it differs from the JSON text at `location`.
    pub value: Option<serde_json::Value>,
}

impl<'f> DocumentReader<'f> {
    /// Adds an object to the inventory. If another document contained it before, as with
    /// `describe-vpc-classic-link` and `describe-vpcs`, the two are merged: the longer representation takes
    /// precedence, and the other one supplies the fields it lacks.
    pub(super) fn insert_or_merge<T: Object>(
        &mut self,
        object: T,
        representation: Representation,
        accessor: Accessor<T>,
    ) {
        let (id, file) = (object.id(), representation.location.file);
        if self.ledger.insert(T::KIND, &id, representation.location) {
            self.representations.insert((T::KIND, id), representation);
            accessor(&mut self.inventory).push(ReadObject { object, file });
            return;
        }
        let key = (T::KIND, id);
        let Some(first) = self.representations.remove(&key) else { return };
        // Exports of several accounts or regions often contain the same object in the same form.
        if self.text_of(&first) == self.text_of(&representation) && first.len > 0 {
            self.representations.insert(key, first);
            return;
        }
        let index = first.index;
        let (longer, shorter) = if first.len < representation.len {
            (&representation, &first)
        } else {
            (&first, &representation)
        };
        let (value, other) = (self.value_of::<T>(longer), self.value_of::<T>(shorter));
        for field in conflicting_fields(&value, &other) {
            if !T::IGNORED.contains(&field.as_str()) {
                let id = &key.1;
                let message =
                    format!("{id}: conflicting `{field}` in two documents: the longer object is used");
                self.ledger.note_unsupported(Some(representation.location), message);
            }
        }
        let value = merge(value, other);
        let Representation { location, len, .. } = *longer;
        if let (Some(first), Ok(object)) =
            (accessor(&mut self.inventory).get_mut(index), serde_json::from_value(value.clone()))
        {
            *first = ReadObject { object, file: location.file };
        }
        self.representations.insert(key, Representation { index, location, len, value: Some(value) });
    }

    /// Returns the JSON text of a representation.
    fn text_of(&self, representation: &Representation) -> &'f str {
        let Representation { location, len, .. } = representation;
        self.files[location.file].text.get(location.at..location.at + len).unwrap_or_default()
    }

    /// Returns the value of a representation.
    fn value_of<T: Object>(&self, representation: &Representation) -> serde_json::Value {
        let parsed = || serde_json::from_str(self.text_of(representation)).unwrap_or_default();
        representation.value.clone().unwrap_or_else(|| normalised::<T>(parsed()))
    }
}

/// Normalises an object for deserialisation. Some tools write the keys of the Direct Connect API with an
/// initial capital, as in the EC2 API.
pub(super) fn normalised<T: Object>(value: serde_json::Value) -> serde_json::Value {
    let value = without_nulls(value);
    if T::KIND.starts_with(char::is_lowercase) { with_camel_case_keys(value) } else { value }
}

/// Removes all members that are `null`.
pub(super) fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let present = members.into_iter().filter(|(_, value)| !value.is_null());
            Object(present.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Changes the first letter of all keys to lower case.
fn with_camel_case_keys(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let lower_first = |key: String| {
                let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
                first.to_lowercase() + rest
            };
            Object(
                members
                    .into_iter()
                    .map(|(key, value)| (lower_first(key), with_camel_case_keys(value)))
                    .collect(),
            )
        }
        Array(items) => Array(items.into_iter().map(with_camel_case_keys).collect()),
        other => other,
    }
}
