//! Two forms of one object: two accounts, two regions or two calls tell of it, and neither need tell everything.

use serde_json::Value;

/// Tags differ from account to account, and change no answer.
const TAGS: &[&str] = &["Tags", "TagSet"];

/// Whether a value is as good as absent.
pub fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// The fields about which two forms of one object do not agree.
pub fn conflicting_fields(one: &Value, other: &Value) -> Vec<String> {
    let (Value::Object(one), Value::Object(other)) = (one, other) else { return Vec::new() };
    let both = one.iter().filter_map(|(field, value)| Some((field, value, other.get(field)?)));
    both.filter(|(field, one, other)| !TAGS.contains(&field.as_str()) && !are_compatible(one, other))
        .map(|(field, ..)| field.clone())
        .collect()
}

/// Whether two values may be of one object: what only one of them says is no contradiction.
fn are_compatible(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Bool(one), Value::Bool(other)) => one == other,
        (one, other) if is_empty_value(one) || is_empty_value(other) => true,
        (Value::Object(_), Value::Object(_)) => conflicting_fields(one, other).is_empty(),
        (Value::Array(one), Value::Array(other)) => {
            // The order of a list says nothing.
            one.len() == other.len() && one.iter().all(|item| other.iter().any(|like| are_compatible(item, like)))
        }
        (one, other) => one == other,
    }
}

/// An object with what another form of it says and it does not.
pub fn merge(mut object: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(others)) = (&mut object, other) {
        for (field, value) in others {
            match members.remove(&field) {
                Some(own) => members.insert(field, merge(own, value)),
                None => members.insert(field, value),
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
    fn what_one_form_lacks_the_other_one_says() {
        let peering =
            |side: &str| json!({"Id": "pcx-1", side: {"VpcId": "vpc-1", "PeeringOptions": {"Allow": true}}});
        let (mut one, other) = (peering("Requester"), peering("Accepter"));
        one["Accepter"] = json!({"VpcId": "vpc-1"});
        assert!(conflicting_fields(&one, &other).is_empty());
        let whole = merge(one, other);
        assert_eq!(whole["Requester"], whole["Accepter"]);
    }

    #[test]
    fn forms_that_do_not_agree_are_told() {
        let one = json!({"Cidr": "10.0.0.0/16", "Tags": [1], "Groups": ["a", "b"], "On": true, "Owner": ""});
        let other =
            json!({"Cidr": "10.1.0.0/16", "Tags": [2], "Groups": ["b", "a"], "On": false, "Owner": "1"});
        assert_eq!(conflicting_fields(&one, &other), ["Cidr", "On"]);
    }
}
