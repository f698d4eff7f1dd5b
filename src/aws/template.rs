//! Templates of host and service names, with `{region}` in place of the region, and an index to find them by
//! hash.

use std::ops::ControlFlow;

use super::region::{Partition, Region};

/// The placeholder in a template.
pub const REGION: &str = "{region}";

/// Returns a template with `{region}` replaced. A template without the placeholder is returned unchanged.
///
/// The tables contain names of the standard partition. For a partition with another suffix, a trailing
/// `amazonaws.com` is replaced with that suffix. This is a rule of this project: it is correct for EC2 names
/// in China, but not verified for each name.
pub fn fill(template: &str, region: &Region) -> String {
    let filled = template.replace(REGION, region.as_str());
    match filled.strip_suffix("amazonaws.com") {
        Some(head) => format!("{head}{}", region.partition().dns_suffix()),
        None => filled,
    }
}

/// Returns the known region that a label consists of, or ends with after a hyphen (`s3-us-west-2`), and the
/// offset at which it starts.
pub fn region_in_label(label: &str) -> Option<(usize, Region)> {
    if let Some(region) = Region::find_known(label) {
        return Some((0, region));
    }
    // A region code ends with a digit and has at least two hyphens, so most labels need no lookup.
    if !label.as_bytes().last()?.is_ascii_digit() {
        return None;
    }
    // `x-ap-northeast-1`, `x-us-gov-east-1`: the hyphen before the region is the third or fourth from the
    // right.
    for (at, _) in label.rmatch_indices('-').skip(2).take(2) {
        if let Some(region) = Region::find_known(&label[at + 1..]) {
            return Some((at + 1, region));
        }
    }
    None
}

/// Returns the region in one of the labels of a name, starting with the rightmost label.
pub fn region_in_name(name: &str) -> Option<Region> {
    name.rsplit('.').find_map(|l| region_in_label(l).map(|(_, r)| r))
}

/// Returns whether names of a region can match the tables, which contain names of the standard partition.
/// GovCloud uses the same suffix.
pub fn uses_standard_names(region: &Region) -> bool {
    matches!(region.partition(), Partition::Aws | Partition::AwsUsGov)
}

/// Returns the last label and the last two labels of a host; each is the whole host if it has no more labels.
fn last_labels(host: &str) -> [&str; 2] {
    let mut dots = host.rmatch_indices('.').map(|(at, _)| &host[at + 1..]);
    [dots.next().unwrap_or(host), dots.next().unwrap_or(host)]
}

/// Index of host templates by hash: exact templates and wildcards (`*.x` covers every name below `x`, but not
/// `x` itself, RFC 4592). Values are row numbers.
///
/// The number of labels in the longest template bounds the hashes per lookup, whatever the length of the
/// host or the size of the table.
#[derive(Debug, Default)]
pub struct TemplateIndex {
    exact: foldhash::HashMap<Box<str>, Vec<u32>>,
    /// Keyed by the name after `*.`.
    wildcard: foldhash::HashMap<Box<str>, Vec<u32>>,
    /// Number of labels in the longest key. A longer suffix of a host cannot match.
    max_labels: usize,
    /// The last two labels of each key, or only the last one if it is the only one or the one before it
    /// contains `{region}`. Most hosts outside AWS match none of these, which avoids the full lookup.
    ends: foldhash::HashSet<Box<str>>,
}

impl TemplateIndex {
    /// Adds a template. Several rows may have the same template.
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

    /// Calls `visitor` for every row whose template covers the host, with the region in the host name: exact
    /// templates first, then wildcards, longest first, and at equal length a literal template before one with
    /// `{region}`. The visitor can stop the iteration.
    pub fn visit<T>(
        &self,
        host: &str,
        mut visitor: impl FnMut(u32, Option<Region>) -> ControlFlow<T>,
    ) -> Option<T> {
        if !last_labels(host).iter().any(|end| self.ends.contains(*end)) {
            return None;
        }
        // Offsets of the last labels, at most `max_labels` of them, leftmost first.
        let mut starts: Vec<usize> = host.rmatch_indices('.').map(|(i, _)| i + 1).collect();
        starts.push(0);
        let label_count = starts.len();
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
        let mut look_up = |map: &foldhash::HashMap<Box<str>, Vec<u32>>, tail: usize| {
            for &row in map.get(&host[tail..]).into_iter().flatten() {
                if let ControlFlow::Break(t) = visitor(row, None) {
                    return Some(t);
                }
            }
            for (from, to, region) in regions.iter().filter(|(from, ..)| *from >= tail) {
                key.clear();
                key.push_str(&host[tail..*from]);
                key.push_str(REGION);
                key.push_str(&host[*to..]);
                for &row in map.get(key.as_str()).into_iter().flatten() {
                    if let ControlFlow::Break(t) = visitor(row, Some(region.clone())) {
                        return Some(t);
                    }
                }
            }
            None
        };
        if label_count <= self.max_labels
            && let Some(t) = look_up(&self.exact, 0)
        {
            return Some(t);
        }
        starts.iter().filter(|&&tail| tail != 0).find_map(|&tail| look_up(&self.wildcard, tail))
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
    fn rows_are_visited_in_order_of_precedence() {
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
        // A bucket may have the name of a region.
        assert_eq!(hits(&index, "us-west-2.s3.ap-northeast-1.amazonaws.com"), [tokyo(1), none(3)]);
        assert_eq!(hits(&index, "b.s3.us-west-2.amazonaws.com"), [none(2), (1, "us-west-2".into()), none(3)]);
        assert_eq!(hits(&index, "s3-ap-northeast-1.amazonaws.com"), [tokyo(4), none(3)]);
        assert_eq!(hits(&index, "amazonaws.com"), []);
        assert_eq!(hits(&index, "s3.zz-nowhere-1.amazonaws.com"), [none(3)]);
        assert_eq!(hits(&index, ""), []);
        assert_eq!(index.exact.len() + index.wildcard.len(), 5);
    }

    #[test]
    fn names_in_china_do_not_match_the_standard_partition() {
        let mut index = TemplateIndex::default();
        index.insert("ec2.{region}.amazonaws.com", 0);
        assert_eq!(hits(&index, "ec2.cn-north-1.amazonaws.com"), []);
        let cn = Region::parse("cn-north-1").unwrap();
        assert_eq!(fill("ec2.{region}.vpce.amazonaws.com", &cn), "ec2.cn-north-1.vpce.amazonaws.com.cn");
    }
}
