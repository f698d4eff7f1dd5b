//! Host and service names with the region folded to `{region}`, and the index
//! that finds them by hash.

use std::ops::ControlFlow;

use super::region::{Partition, Region};

/// The variable part of a template.
pub const REGION: &str = "{region}";

/// Puts a region into a template; a template without `{region}` stays as it is.
///
/// The tables hold names of the standard partition. In a partition with another
/// suffix, a trailing `amazonaws.com` becomes that suffix: a rule of this project,
/// true for the China region's EC2 names and not checked name by name.
pub fn fill(template: &str, region: &Region) -> String {
    let filled = template.replace(REGION, region.as_str());
    match filled.strip_suffix("amazonaws.com") {
        Some(head) => format!("{head}{}", region.partition().dns_suffix()),
        None => filled,
    }
}

/// The known region that a label is or ends with after a dash (`s3-us-west-2`),
/// with the byte at which it starts.
pub fn region_in_label(label: &str) -> Option<(usize, Region)> {
    if let Some(region) = Region::find_known(label) {
        return Some((0, region));
    }
    // A region ends in a digit and has at least two dashes, so nearly every label
    // is passed over without a look-up.
    if !label.as_bytes().last()?.is_ascii_digit() {
        return None;
    }
    // `x-ap-northeast-1`, `x-us-gov-east-1`: the dash before the region is the third
    // or the fourth from the right.
    for (at, _) in label.rmatch_indices('-').skip(2).take(2) {
        if let Some(region) = Region::find_known(&label[at + 1..]) {
            return Some((at + 1, region));
        }
    }
    None
}

/// The region that a dotted name carries in one of its labels, rightmost first.
pub fn region_in_name(name: &str) -> Option<Region> {
    name.rsplit('.').find_map(|l| region_in_label(l).map(|(_, r)| r))
}

/// Whether names of a region may match the tables: they hold the names of the
/// standard partition, which GovCloud shares.
pub fn uses_standard_names(region: &Region) -> bool {
    matches!(region.partition(), Partition::Aws | Partition::AwsUsGov)
}

/// The last label of a host, and the last two: the whole where there are no more.
fn last_labels(host: &str) -> [&str; 2] {
    let mut dots = host.rmatch_indices('.').map(|(at, _)| &host[at + 1..]);
    [dots.next().unwrap_or(host), dots.next().unwrap_or(host)]
}

/// Host templates by hash: exact ones and wildcards (`*.x` covers every depth below
/// `x`, not `x` itself, RFC 4592). Values are row numbers.
///
/// A look-up costs at most two hashes a label of the longest template, whatever the
/// length of the host and the size of the table.
#[derive(Debug, Default)]
pub struct TemplateIndex {
    exact: foldhash::HashMap<Box<str>, Vec<u32>>,
    /// Keyed by what follows `*.`.
    wildcard: foldhash::HashMap<Box<str>, Vec<u32>>,
    /// Labels of the longest key: no longer tail of a host can match.
    max_labels: usize,
    /// What keys end in: their last two labels, or the last one alone where that is all, or where a region may
    /// stand before it. Nearly every host of others ends in nothing of this.
    ends: foldhash::HashSet<Box<str>>,
}

impl TemplateIndex {
    /// Adds a template; one template may belong to several rows.
    pub fn insert(&mut self, template: &str, row: u32) {
        let (map, key) = match template.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, template),
        };
        self.max_labels = self.max_labels.max(key.split('.').count());
        let [one, two] = last_labels(key);
        self.ends.insert(if two.contains(REGION) { one } else { two }.into());
        map.entry(key.into()).or_default().push(row);
    }

    /// Shows `see` every row whose template covers the host, with the region read
    /// from the host: the exact ones first, then wildcards, deepest first; at equal
    /// depth a literal template before a folded one. `see` may break off.
    pub fn visit<T>(
        &self,
        host: &str,
        mut see: impl FnMut(u32, Option<Region>) -> ControlFlow<T>,
    ) -> Option<T> {
        if !last_labels(host).iter().any(|end| self.ends.contains(*end)) {
            return None;
        }
        // Starts of the last labels, leftmost first, as many as a key may have.
        let mut starts: Vec<usize> = host.rmatch_indices('.').map(|(i, _)| i + 1).collect();
        starts.push(0);
        let whole = starts.len();
        starts.truncate(self.max_labels);
        starts.reverse();

        let regions: Vec<(usize, usize, Region)> = starts
            .iter()
            .filter_map(|&s| {
                let label = host[s..].split('.').next()?;
                let (at, region) = region_in_label(label)?;
                uses_standard_names(&region).then(|| (s + at, s + label.len(), region))
            })
            .collect();

        let mut key = String::new();
        let mut look = |map: &foldhash::HashMap<Box<str>, Vec<u32>>, tail: usize| {
            for &row in map.get(&host[tail..]).into_iter().flatten() {
                if let ControlFlow::Break(t) = see(row, None) {
                    return Some(t);
                }
            }
            for (from, to, region) in regions.iter().filter(|(from, ..)| *from >= tail) {
                key.clear();
                key.push_str(&host[tail..*from]);
                key.push_str(REGION);
                key.push_str(&host[*to..]);
                for &row in map.get(key.as_str()).into_iter().flatten() {
                    if let ControlFlow::Break(t) = see(row, Some(region.clone())) {
                        return Some(t);
                    }
                }
            }
            None
        };
        if whole <= self.max_labels
            && let Some(t) = look(&self.exact, 0)
        {
            return Some(t);
        }
        starts.iter().filter(|&&tail| tail != 0).find_map(|&tail| look(&self.wildcard, tail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(index: &TemplateIndex, host: &str) -> Vec<(u32, String)> {
        let mut out = Vec::new();
        index.visit(host, |row, region| {
            out.push((row, region.map(|r| r.to_string()).unwrap_or_default()));
            ControlFlow::<()>::Continue(())
        });
        out
    }

    #[test]
    fn order_and_depth() {
        let mut index = TemplateIndex::default();
        for (row, t) in [
            "s3.{region}.amazonaws.com",
            "*.s3.{region}.amazonaws.com",
            "*.s3.us-west-2.amazonaws.com",
            "*.amazonaws.com",
            "s3-{region}.amazonaws.com",
        ]
        .iter()
        .enumerate()
        {
            index.insert(t, row as u32);
        }
        let tokyo = |row| (row, "ap-northeast-1".to_string());
        let none = |row| (row, String::new());
        assert_eq!(hits(&index, "s3.ap-northeast-1.amazonaws.com"), [tokyo(0), none(3)]);
        assert_eq!(hits(&index, "a.b.c.d.e.f.s3.ap-northeast-1.amazonaws.com"), [tokyo(1), none(3)]);
        // A bucket may be called like a region.
        assert_eq!(hits(&index, "us-west-2.s3.ap-northeast-1.amazonaws.com"), [tokyo(1), none(3)]);
        assert_eq!(hits(&index, "b.s3.us-west-2.amazonaws.com"), [none(2), (1, "us-west-2".into()), none(3)]);
        assert_eq!(hits(&index, "s3-ap-northeast-1.amazonaws.com"), [tokyo(4), none(3)]);
        assert_eq!(hits(&index, "amazonaws.com"), []);
        assert_eq!(hits(&index, "s3.zz-nowhere-1.amazonaws.com"), [none(3)]);
        assert_eq!(hits(&index, ""), []);
        assert_eq!(index.exact.len() + index.wildcard.len(), 5);
    }

    #[test]
    fn china_names_are_not_those_of_the_standard_partition() {
        let mut index = TemplateIndex::default();
        index.insert("ec2.{region}.amazonaws.com", 0);
        assert_eq!(hits(&index, "ec2.cn-north-1.amazonaws.com"), []);
        let cn = Region::parse("cn-north-1").unwrap();
        assert_eq!(fill("ec2.{region}.vpce.amazonaws.com", &cn), "ec2.cn-north-1.vpce.amazonaws.com.cn");
    }
}
