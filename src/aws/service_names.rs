//! The names by which services of AWS are reached in a region.

use super::Facts;
use super::region::Region;
use super::service::Service;
use super::template::region_in_name;

/// What stands for the wildcard's label, by what follows it. The shape is that of AWS's examples.
const EXAMPLE_LABELS: [(&str, &str); 5] = [
    ("dkr.ecr.", "123456789012"),
    ("dkr-ecr.", "123456789012"),
    ("execute-api.", "a1b2c3d4e5"),
    ("cloudfront.", "d111111abcdef8"),
    ("s3", "example-bucket"),
];

/// A name that a wildcard covers; another name is left as it is.
pub fn example_host(host: &str) -> String {
    let Some(parent) = host.strip_prefix("*.") else { return host.to_owned() };
    let label = EXAMPLE_LABELS
        .iter()
        .find(|(start, _)| parent.starts_with(start))
        .map_or("example", |(_, label)| label);
    format!("{label}.{parent}")
}

impl Facts {
    /// Every name by which a service is reached in a region, or from it: the public names of the region and those of no
    /// region, and the private names that endpoint services of the region have. Each once, in the order of names, a
    /// sample for each wildcard.
    pub fn service_names(&self, region: &Region) -> Vec<String> {
        let mut names: Vec<String> =
            self.public_names.hosts(region).map(|host| example_host(&host)).collect();
        // The well-known name of RFC 7050 is no service.
        names.retain(|name| !name.ends_with(".arpa"));
        for row in self.services.rows() {
            let own = region_in_name(&row.template);
            if own.is_none_or(|own| own == *region) {
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
    fn wildcards_have_a_sample() {
        assert_eq!(example_host("*.s3.eu-west-1.amazonaws.com"), "example-bucket.s3.eu-west-1.amazonaws.com");
        assert_eq!(
            example_host("*.s3-control.eu-west-1.amazonaws.com"),
            "example-bucket.s3-control.eu-west-1.amazonaws.com"
        );
        assert_eq!(example_host("*.lambda-url.eu-west-1.on.aws"), "example.lambda-url.eu-west-1.on.aws");
        assert_eq!(example_host("sns.eu-west-1.amazonaws.com"), "sns.eu-west-1.amazonaws.com");
    }

    #[test]
    fn names_of_a_region_are_its_own_and_those_of_none() {
        let tokyo = Region::parse("ap-northeast-1").unwrap();
        let names = Facts::built_in().service_names(&tokyo);
        for name in
            ["sns.ap-northeast-1.amazonaws.com", "iam.amazonaws.com", "ecs-a.ap-northeast-1.amazonaws.com"]
        {
            assert!(names.iter().any(|have| have == name), "{name}");
        }
        assert!(names.is_sorted() && !names.iter().any(|name| name.contains(['*', '{'])));
        assert!(!names.iter().any(|name| name.contains("us-east-1")));
    }
}
