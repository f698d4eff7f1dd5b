//! Bundles: the host names that one AWS operation needs, such as pulling a container image.

use super::facts::{TableError, lines};
use super::region::Region;
use super::service_names::example_host;
use super::template::fill;

/// A set of host names that one operation needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Its name, such as `ecr-pull`.
    pub name: String,
    /// Its purpose.
    pub purpose: String,
    /// Templates of its names, including wildcards, each with the AWS page that lists it.
    names: Vec<(String, String)>,
}

impl Bundle {
    /// Returns the host names in a region, with an example label in place of each wildcard.
    pub fn hosts(&self, region: &Region) -> Vec<String> {
        self.names.iter().map(|(template, _)| example_host(&fill(template, region))).collect()
    }

    /// Iterates over the templates of the host names.
    pub fn templates(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(template, _)| template.as_str())
    }

    /// Returns the AWS pages that list the host names, without duplicates.
    pub fn sources(&self) -> Vec<&str> {
        let mut sources: Vec<&str> = self.names.iter().map(|(_, source)| source.as_str()).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }
}

/// Parses a table of bundles, which must be sorted by name.
pub(super) fn parse(text: &str) -> Result<Vec<Bundle>, TableError> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for line in lines::<4>("bundles.tsv", text) {
        let line = line?;
        let [name, purpose, template, source] = line.cells.map(str::to_owned);
        match bundles.last_mut() {
            Some(last) if last.name == name => last.names.push((template, source)),
            last if last.as_ref().is_none_or(|last| last.name < name) => {
                bundles.push(Bundle { name, purpose, names: vec![(template, source)] });
            }
            _ => return Err(line.error("rows are not sorted by bundle name")),
        }
    }
    Ok(bundles)
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::*;

    #[test]
    fn every_host_of_a_bundle_is_a_public_name() {
        let facts = Facts::built_in();
        let tokyo = Region::parse("ap-northeast-1").unwrap();
        assert!(facts.bundles.len() >= 8);
        for bundle in &facts.bundles {
            for host in bundle.hosts(&tokyo) {
                assert!(facts.public_names.find(&host).is_some(), "{}: {host}", bundle.name);
            }
            assert!(bundle.sources().iter().all(|page| page.starts_with("https://docs.aws.amazon.com/")));
        }
        let pull = facts.bundles.iter().find(|bundle| bundle.name == "ecr-pull").unwrap();
        assert_eq!(pull.hosts(&tokyo)[1], "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com");
    }

    #[test]
    fn rows_out_of_order_are_rejected() {
        assert!(parse("b\tx\tn\ts\na\tx\tn\ts\n").is_err());
    }
}
