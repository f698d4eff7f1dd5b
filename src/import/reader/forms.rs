//! The forms of an object, where several documents tell of one, and how its type reads each.

use super::{Accessor, DocumentReader};
use crate::import::inventory::ReadObject;
use crate::import::ledger::SourceLocation;
use crate::import::merge::{conflicting_fields, merge};
use crate::import::objects::Object;

/// The form of an object that counts.
pub(super) struct CallShape {
    /// Which of its kind in the inventory it is.
    pub number: usize,
    /// Where its text begins.
    pub spot: SourceLocation,
    /// How long its text is, in octets; 0 where no document holds it alone.
    pub size: usize,
    /// What it says, where that is no text of a document alone.
    pub value: Option<serde_json::Value>,
}

impl<'f> DocumentReader<'f> {
    /// Keeps an object. Of two calls that tell of one, such as `describe-vpc-classic-link` and `describe-vpcs`, the one
    /// that tells more counts, and the other one for what it lacks.
    pub(super) fn keep<T: Object>(&mut self, object: T, form: CallShape, shelf: Accessor<T>) {
        let (id, file) = (object.id(), form.spot.file);
        if self.ledger.insert(T::KIND, &id, form.spot) {
            self.forms.insert((T::KIND, id), form);
            shelf(&mut self.inventory).push(ReadObject { object, file });
            return;
        }
        let key = (T::KIND, id);
        let Some(first) = self.forms.remove(&key) else { return };
        if self.text_of(&first) == self.text_of(&form) && first.size > 0 {
            self.forms.insert(key, first);
            return;
        }
        let number = first.number;
        let (longer, shorter) = if first.size < form.size { (&form, &first) } else { (&first, &form) };
        let (value, other) = (self.value_of::<T>(longer), self.value_of::<T>(shorter));
        for field in conflicting_fields(&value, &other) {
            if !T::IGNORED.contains(&field.as_str()) {
                let message =
                    format!("{}: two documents do not agree about `{field}`; the longer form holds", key.1);
                self.ledger.note_unsupported(Some(form.spot), message);
            }
        }
        let value = merge(value, other);
        let CallShape { spot, size, .. } = *longer;
        if let (Some(first), Ok(object)) =
            (shelf(&mut self.inventory).get_mut(number), serde_json::from_value(value.clone()))
        {
            *first = ReadObject { object, file: spot.file };
        }
        self.forms.insert(key, CallShape { number, spot, size, value: Some(value) });
    }

    /// The text of a form.
    fn text_of(&self, form: &CallShape) -> &'f str {
        self.files[form.spot.file].text.get(form.spot.at..form.spot.at + form.size).unwrap_or_default()
    }

    /// What a form says.
    fn value_of<T: Object>(&self, form: &CallShape) -> serde_json::Value {
        let written = || serde_json::from_str(self.text_of(form)).unwrap_or_default();
        form.value.clone().unwrap_or_else(|| as_read::<T>(written()))
    }
}

/// An object's value as its type reads it. Some tools write the keys of Direct Connect's API as EC2's are written, which
/// begin with a capital.
pub(super) fn as_read<T: Object>(value: serde_json::Value) -> serde_json::Value {
    let value = without_nulls(value);
    if T::KIND.starts_with(char::is_lowercase) { in_camel_case(value) } else { value }
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
fn in_camel_case(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object};
    match value {
        Object(members) => {
            let small = |key: String| {
                let (first, rest) = key.split_at(key.chars().next().map_or(0, char::len_utf8));
                first.to_lowercase() + rest
            };
            Object(members.into_iter().map(|(key, value)| (small(key), in_camel_case(value))).collect())
        }
        Array(items) => Array(items.into_iter().map(in_camel_case).collect()),
        other => other,
    }
}
