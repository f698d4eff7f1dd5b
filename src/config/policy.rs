//! Endpoint policies: whether one is AWS's default ("Control access to VPC endpoints using endpoint
//! policies").

use serde_json::Value;

/// Whether a policy allows everything to everyone, like the default policy of an endpoint.
///
/// # Errors
///
/// A description if the text is not valid JSON.
pub fn allows_everything(text: &str) -> Result<bool, String> {
    let document: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let statement = match &document["Statement"] {
        Value::Array(statements) if statements.len() == 1 => &statements[0],
        other => other,
    };
    let is_everything = |key: &str| match &statement[key] {
        Value::Array(all) => all.len() == 1 && all[0] == "*",
        Value::Object(principals) => {
            principals.len() == 1 && principals.get("AWS").is_some_and(|all| all == "*")
        }
        one => one == "*",
    };
    Ok(statement["Effect"] == "Allow"
        && ["Action", "Principal", "Resource"].into_iter().all(is_everything)
        && statement.get("Condition").is_none())
}

#[cfg(test)]
mod tests {
    use super::allows_everything;

    #[test]
    fn only_a_policy_that_allows_everything_is_the_default() {
        let default = r#"{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#;
        assert_eq!(allows_everything(default), Ok(true));
        assert_eq!(allows_everything(&default.replace("[{", "{").replace("}]", "}")), Ok(true));
        assert_eq!(
            allows_everything(&default.replace(r#""Principal":"*""#, r#""Principal":{"AWS":"*"}"#)),
            Ok(true)
        );
        assert_eq!(allows_everything(&default.replace("Allow", "Deny")), Ok(false));
        assert_eq!(
            allows_everything(&default.replace(r#""Action":"*""#, r#""Action":"s3:GetObject""#)),
            Ok(false)
        );
        assert_eq!(allows_everything(r#"{"Statement":[]}"#), Ok(false));
        assert!(allows_everything("{").is_err());
    }
}
