//! The host names of AWS services in a region.

use super::Facts;
use super::region::Region;
use super::service::Service;
use super::template::region_in_name;

/// Example labels for wildcards, by the start of the name after `*.`. Their format follows AWS's examples.
const EXAMPLE_LABELS: [(&str, &str); 5] = [
    ("dkr.ecr.", "123456789012"),
    ("dkr-ecr.", "123456789012"),
    ("execute-api.", "a1b2c3d4e5"),
    ("cloudfront.", "d111111abcdef8"),
    ("s3", "example-bucket"),
];

/// Returns an example of a name that a wildcard covers. A name without a wildcard is returned unchanged.
pub fn example_host(host: &str) -> String {
    let Some(parent) = host.strip_prefix("*.") else { return host.to_owned() };
    let label = EXAMPLE_LABELS
        .iter()
        .find(|(start, _)| parent.starts_with(start))
        .map_or("example", |(_, label)| label);
    format!("{label}.{parent}")
}

impl Facts {
    /// Returns all host names of services in a region: the public names of the region, the global ones, and
    /// the private DNS names of the region's endpoint services. They are sorted and without duplicates, with
    /// an example in place of each wildcard.
    pub fn service_names(&self, region: &Region) -> Vec<String> {
        let mut names: Vec<String> =
            self.public_names.hosts(region).map(|host| example_host(&host)).collect();
        // The well-known name of RFC 7050 is not a service.
        names.retain(|name| !name.ends_with(".arpa"));
        for row in self.services.rows() {
            let row_region = region_in_name(&row.template);
            if row_region.is_none_or(|row_region| row_region == *region) {
                let service = Service { row, region: region.clone() };
                names.extend(service.private_names().into_iter().flatten().map(|name| example_host(&name)));
            }
        }
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_have_an_example() {
        assert_eq!(example_host("*.s3.eu-west-1.amazonaws.com"), "example-bucket.s3.eu-west-1.amazonaws.com");
        assert_eq!(
            example_host("*.s3-control.eu-west-1.amazonaws.com"),
            "example-bucket.s3-control.eu-west-1.amazonaws.com"
        );
        assert_eq!(example_host("*.lambda-url.eu-west-1.on.aws"), "example.lambda-url.eu-west-1.on.aws");
        assert_eq!(example_host("sns.eu-west-1.amazonaws.com"), "sns.eu-west-1.amazonaws.com");
    }

    #[test]
    fn service_names_of_a_region_are_regional_and_global() {
        let tokyo = Region::parse("ap-northeast-1").unwrap();
        let names = Facts::built_in().service_names(&tokyo);
        for name in
            ["sns.ap-northeast-1.amazonaws.com", "iam.amazonaws.com", "ecs-a.ap-northeast-1.amazonaws.com"]
        {
            assert!(names.iter().any(|other| other == name), "{name}");
        }
        assert!(names.is_sorted() && !names.iter().any(|name| name.contains(['*', '{'])));
        assert!(!names.iter().any(|name| name.contains("us-east-1")));
    }
}
