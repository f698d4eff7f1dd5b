//! Merging of several representations of one object. Output of different commands, accounts or regions may
//! contain different fields of it.

use serde_json::Value;

/// Tags are visible only to the account that set them, and have no effect on answers.
const TAGS: &[&str] = &["Tags", "TagSet"];

/// Returns whether a value is equivalent to a missing field.
pub(super) fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Returns the fields in which two representations of one object conflict.
pub(super) fn conflicting_fields(one: &Value, other: &Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else { return Vec::new() };
    let both = one.iter().filter_map(|(field, value)| Some((field, value, other.get(field)?)));
    both.filter(|(field, one, other)| !TAGS.contains(&field.as_str()) && !are_compatible(one, other))
        .map(|(field, ..)| field.clone())
        .collect()
}

/// Returns whether two values may belong to one object. A value that is present in only one representation is
/// not a conflict.
fn are_compatible(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (one, other) if is_empty_value(one) || is_empty_value(other) => true,
        (Value::Object(_), Value::Object(_)) => conflicting_fields(one, other).is_empty(),
        (Value::Array(one), Value::Array(other)) => {
            // The order of a list has no meaning.
            one.len() == other.len()
                && one.iter().all(|item| other.iter().any(|candidate| are_compatible(item, candidate)))
        }
        (one, other) => one == other,
    }
}

/// Adds the fields that `object` lacks from another representation of it.
pub(super) fn merge(mut object: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(others)) = (&mut object, other) {
        for (field, value) in others {
            match members.remove(&field) {
                Some(existing) if !is_empty_value(&existing) => members.insert(field, merge(existing, value)),
                Some(existing) if is_empty_value(&value) => members.insert(field, existing),
                Some(_) | None => members.insert(field, value),
            };
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_fields_are_added_from_the_other_representation() {
        let peering =
            |side: &str| json!({"Id": "pcx-1", side: {"VpcId": "vpc-1", "PeeringOptions": {"Allow": true}}});
        let (mut one, other) = (peering("Requester"), peering("Accepter"));
        one["Accepter"] = json!({"VpcId": "vpc-1"});
        assert!(conflicting_fields(&one, &other).is_empty());
        let merged = merge(one, other);
        assert_eq!(merged["Requester"], merged["Accepter"]);
    }

    #[test]
    fn empty_fields_are_replaced_by_those_of_the_other_representation() {
        let one = json!({"Owner": "", "Groups": [], "Address": null, "On": false, "Kept": "a"});
        let other = json!({"Owner": "1", "Groups": ["a"], "Address": "10.0.0.1", "On": false, "Kept": ""});
        assert!(conflicting_fields(&one, &other).is_empty());
        let expected =
            json!({"Owner": "1", "Groups": ["a"], "Address": "10.0.0.1", "On": false, "Kept": "a"});
        assert_eq!(merge(one.clone(), other.clone()), expected);
        assert_eq!(merge(other, one), expected);
    }

    #[test]
    fn conflicting_fields_are_returned() {
        let one = json!({"Cidr": "10.0.0.0/16", "Tags": [1], "Groups": ["a", "b"], "On": true, "Owner": ""});
        let other =
            json!({"Cidr": "10.1.0.0/16", "Tags": [2], "Groups": ["b", "a"], "On": false, "Owner": "1"});
        assert_eq!(conflicting_fields(&one, &other), ["Cidr", "On"]);
    }
}
