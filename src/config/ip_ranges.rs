//! `ip-ranges.json`: the address ranges of AWS services, as published by AWS ("AWS IP address ranges
//! syntax").

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Deserialize;

#[derive(Deserialize)]
struct IpRangesDocument {
    prefixes: Vec<V4Entry>,
    ipv6_prefixes: Vec<V6Entry>,
}

#[derive(Deserialize)]
struct V4Entry {
    ip_prefix: Ipv4Net,
    region: String,
    service: String,
}

#[derive(Deserialize)]
struct V6Entry {
    ipv6_prefix: Ipv6Net,
    region: String,
    service: String,
}

/// An error in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpRangesError {
    /// Its line, counted from 1.
    pub line: usize,
    /// Its column, counted from 1.
    pub column: usize,
    /// Its description.
    pub message: String,
}

/// Parses a document: each prefix with its service and region, in order, IPv4 first.
///
/// # Errors
///
/// The first error in the document.
pub fn read(text: &str) -> Result<Vec<(IpNet, String, String)>, IpRangesError> {
    let document: IpRangesDocument = serde_json::from_str(text).map_err(|error| IpRangesError {
        line: error.line(),
        column: error.column(),
        message: error.to_string(),
    })?;
    let v4 = document.prefixes.into_iter().map(|one| (one.ip_prefix.into(), one.service, one.region));
    let v6 = document.ipv6_prefixes.into_iter().map(|one| (one.ipv6_prefix.into(), one.service, one.region));
    Ok(v4.chain(v6).collect())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_published_document_is_parsed() {
        let text = r#"{
            "syncToken": "1787411717", "createDate": "2026-08-22-15-17-05",
            "prefixes": [
                {"ip_prefix": "192.0.2.0/25", "region": "eu-west-1", "service": "S3", "network_border_group": "eu-west-1"}],
            "ipv6_prefixes": [
                {"ipv6_prefix": "2001:db8::/40", "region": "GLOBAL", "service": "CLOUDFRONT", "network_border_group": "GLOBAL"}]}"#;
        let entries = read(text).unwrap();
        assert_eq!(entries[0], ("192.0.2.0/25".parse().unwrap(), "S3".into(), "eu-west-1".into()));
        assert_eq!(entries[1], ("2001:db8::/40".parse().unwrap(), "CLOUDFRONT".into(), "GLOBAL".into()));
        let error = read(&text.replace("192.0.2.0/25", "192.0.2.0/33")).unwrap_err();
        assert_eq!(error.line, 4);
    }
}
