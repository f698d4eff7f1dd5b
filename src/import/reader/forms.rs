//! The forms of an object, where several documents tell of one, and how its type reads each.

use super::{Accessor, DocumentReader};
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::merge::{conflicting_fields, merge};
use crate::import::objects::Object;

/// The form of an object that counts.
pub(super) struct Representation {
    /// Which of its kind in the inventory it is.
    pub index: usize,
    /// Where its text begins.
    pub spot: SourceLocation,
    /// How long its text is, in octets; 0 where no document holds it alone.
    pub len: usize,
    /// What it says, where that is no text of a document alone.
    pub value: Option<serde_json::Value>,
}

impl<'f> DocumentReader<'f> {
    /// Keeps an object. Of two calls that tell of one, such as `describe-vpc-classic-link` and `describe-vpcs`, the one
    /// that tells more counts, and the other one for what it lacks.
    pub(super) fn insert_or_merge<T: Object>(&mut self, object: T, form: Representation, shelf: Accessor<T>) {
        let (id, file) = (object.id(), form.spot.file);
        if self.ledger.insert(T::KIND, &id, form.spot) {
            self.representations.insert((T::KIND, id), form);
            shelf(&mut self.inventory).push(ReadObject { object, file });
            return;
        }
        let key = (T::KIND, id);
        let Some(first) = self.representations.remove(&key) else { return };
        if self.text_of(&first) == self.text_of(&form) && first.len > 0 {
            self.representations.insert(key, first);
            return;
        }
        let number = first.index;
        let (longer, shorter) = if first.len < form.len { (&form, &first) } else { (&first, &form) };
        let (value, other) = (self.value_of::<T>(longer), self.value_of::<T>(shorter));
        for field in conflicting_fields(&value, &other) {
            if !T::IGNORED.contains(&field.as_str()) {
                let message =
                    format!("{}: two documents do not agree about `{field}`; the longer form holds", key.1);
                self.ledger.note_unsupported(Some(form.spot), message);
            }
        }
        let value = merge(value, other);
        let Representation { spot, len: size, .. } = *longer;
        if let (Some(first), Ok(object)) =
            (shelf(&mut self.inventory).get_mut(number), serde_json::from_value(value.clone()))
        {
            *first = ReadObject { object, file: spot.file };
        }
        self.representations.insert(key, Representation { index: number, spot, len: size, value: Some(value) });
    }

    /// The text of a form.
    fn text_of(&self, form: &Representation) -> &'f str {
        self.files[form.spot.file].text.get(form.spot.at..form.spot.at + form.len).unwrap_or_default()
    }

    /// What a form says.
    fn value_of<T: Object>(&self, form: &Representation) -> serde_json::Value {
        let written = || serde_json::from_str(self.text_of(form)).unwrap_or_default();
        form.value.clone().unwrap_or_else(|| normalised::<T>(written()))
    }
}

/// An object's value as its type reads it. Some tools write the keys of Direct Connect's API as EC2's are written, which
/// begin with a capital.
pub(super) fn normalised<T: Object>(value: serde_json::Value) -> serde_json::Value {
    let value = without_nulls(value);
    if T::KIND.starts_with(char::is_lowercase) { with_camel_case_keys(value) } else { value }
}

/// A value without members that are `null`.
pub(super) fn without_nulls(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let said = members.into_iter().filter(|(_, value)| !value.is_null());
            Object(said.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// A value whose keys begin with a small letter.
fn with_camel_case_keys(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let small = |key: String| {
                let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
                first.to_lowercase() + rest
            };
            Object(members.into_iter().map(|(key, value)| (small(key), with_camel_case_keys(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(with_camel_case_keys).collect()),
        other => other,
    }
}
