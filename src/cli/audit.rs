//! `plustwo audit`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::names::read_names;
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::audit::locations::locations;
use crate::audit::table::{BundleList, Table};
use crate::audit::{Keyword, Survey, bundle, csv, json, names};
use crate::aws::bundles::Bundle;
use crate::aws::prices::Prices;
use crate::aws::{Facts, Region};
use crate::config::{count, nearest};
use crate::dns::{Name, RecordType};
use crate::world::World;

/// The value of `--bundle` that lists all bundles.
const LIST: &str = "list";

/// Audit the egress path and cost of every AWS service name from every location. Offline
#[derive(Debug, clap::Args)]
pub(super) struct Audit {
    /// Location of the client: a subnet ID, a site ID, `outside` or an IP address; can be repeated [default:
    /// every subnet and site]
    #[arg(long, short, value_name = "LOCATION")]
    from: Vec<String>,
    /// Resolver to query: a VPC ID, an inbound endpoint ID or `public` [default: that of each location]
    #[arg(long, value_name = "RESOLVER")]
    view: Option<String>,
    /// File with one name per line, instead of the AWS service names
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    names: Option<PathBuf>,
    /// Audit only the names of this bundle, with one verdict for all of them; can be repeated. `list` prints
    /// all bundles
    #[arg(long, value_name = "NAME")]
    bundle: Vec<String>,
    /// Record type
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "A", ignore_case = true)]
    types: Types,
    /// Show only rows that match one of these keywords: a verdict, reach, path class, or code of a reason or
    /// suggestion
    #[arg(long, value_name = "KEYWORD,…", value_delimiter = ',')]
    only: Vec<Keyword>,
    /// Exit with status 1 if any row, or the verdict of a bundle, matches one of these keywords
    #[arg(long, value_name = "KEYWORD,…", value_delimiter = ',')]
    fail_on: Vec<Keyword>,
    /// Count rows without showing them
    #[arg(long)]
    summary: bool,
    /// Table of prices to use instead of the built-in one
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Output format
    #[arg(long, default_value = "text")]
    format: Format,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Table
    Text,
    /// JSON
    Json,
    /// CSV, with one line per name and path
    Csv,
}

/// Record types of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Types {
    /// IPv4 addresses
    #[value(name = "A")]
    A,
    /// IPv6 addresses
    #[value(name = "AAAA")]
    Aaaa,
    /// Both
    Both,
}

impl Types {
    /// The record types.
    pub(super) fn list(self) -> &'static [RecordType] {
        match self {
            Self::A => &[RecordType::A],
            Self::Aaaa => &[RecordType::AAAA],
            Self::Both => &[RecordType::A, RecordType::AAAA],
        }
    }
}

impl Audit {
    /// Runs the audit. Status 0: no keyword matched; 1: a keyword matched; 2: an error; 3: the output cannot
    /// be written.
    pub(super) fn run(self) -> Exit {
        if self.bundle.iter().any(|name| name == LIST) {
            out::print(BundleList(&Facts::built_in().bundles))?;
            return Ok(ExitCode::Success);
        }
        let bundles = self.bundles().map_err(out::fail)?;
        self.check_keywords(&bundles).map_err(out::fail)?;
        let custom_prices = self.prices.as_deref().map(read_prices).transpose().map_err(out::fail)?;
        let prices = custom_prices.as_ref().unwrap_or(&Facts::built_in().prices);
        let (_, world) = self.config.load_to_compare()?;
        let locations = locations(&world, &self.from, self.view.as_deref()).map_err(out::fail)?;
        let regions = names::regions(&world, &locations, !self.from.is_empty());
        let names = self.all_names(&world, &bundles, &regions).map_err(out::fail)?;
        let survey = Survey::of(&world, &locations, names::questions(&names, self.types.list()));
        self.print(&survey, &bundles, &regions, prices)?;
        let found = self.keyword_matches(&survey, &bundles, &regions);
        if found.is_empty() {
            return Ok(ExitCode::Success);
        }
        for one in &found {
            let rows = count(one.rows, "row");
            out::report_error(format_args!("found {} ({rows}): {}", one.keyword.as_str(), one.first));
        }
        Ok(ExitCode::Differences)
    }

    /// Prints the rows in the requested format.
    fn print(
        &self,
        survey: &Survey<'_>,
        bundles: &[&Bundle],
        regions: &[Region],
        prices: &Prices,
    ) -> Result<(), ExitCode> {
        let (only, is_summary) = (&self.only[..], self.summary);
        match self.format {
            Format::Text => out::print(Table { survey, regions, bundles, only, is_summary, prices }),
            Format::Json => {
                let value = json::audit(survey, regions, bundles, only, prices);
                out::print_data(format_args!("{value:#}\n"))
            }
            Format::Csv => out::print_data(csv::text(survey, only)),
        }
    }

    /// Rejects keywords that can never match: bundle verdicts if no bundle is audited, and bundle verdicts in
    /// `--only`, which selects rows.
    fn check_keywords(&self, bundles: &[&Bundle]) -> Result<(), String> {
        let of_bundles = |keywords: &[Keyword]| {
            keywords.iter().find(|keyword| matches!(keyword, Keyword::Bundle(_))).copied()
        };
        if let Some(keyword) = of_bundles(&self.fail_on).filter(|_| bundles.is_empty()) {
            return Err(format!(
                "`{}` is a bundle verdict: select a bundle with `--bundle`",
                keyword.as_str()
            ));
        }
        match of_bundles(&self.only) {
            Some(keyword) => {
                Err(format!("`{}` is a bundle verdict, but `--only` selects rows", keyword.as_str()))
            }
            None => Ok(()),
        }
    }

    /// The matches of each keyword.
    fn keyword_matches(
        &self,
        survey: &Survey<'_>,
        bundles: &[&Bundle],
        regions: &[Region],
    ) -> Vec<KeywordMatch> {
        let matching = |keyword: &Keyword| {
            let (mut rows, mut first) = (0, None);
            for group in &survey.groups {
                let verdicts = bundle::verdicts(survey, group, bundles, regions);
                let matching_bundles = verdicts
                    .iter()
                    .filter(|row| keyword.matches_bundle(row.verdict))
                    .map(|row| row.bundle.to_owned());
                let matching_rows =
                    survey.rows(group).filter(|row| keyword.matches(row)).map(|row| row.name());
                for name in matching_bundles.chain(matching_rows) {
                    rows += 1;
                    first.get_or_insert_with(|| format!("{name} from {}", group.places().join(", ")));
                }
            }
            first.map(|first| KeywordMatch { keyword: *keyword, rows, first })
        };
        self.fail_on.iter().filter_map(matching).collect()
    }

    fn bundles(&self) -> Result<Vec<&'static Bundle>, String> {
        let all = &Facts::built_in().bundles;
        let named = |name: &String| {
            all.iter().find(|bundle| bundle.name == *name).ok_or_else(|| {
                let known: Vec<&str> = all.iter().map(|bundle| bundle.name.as_str()).collect();
                let near = nearest(name, &known).map(|near| format!("; did you mean `{near}`?"));
                let near = near.unwrap_or_else(|| format!("; bundles are {}", known.join(", ")));
                format!("unknown bundle `{name}`{near}")
            })
        };
        self.bundle.iter().map(named).collect()
    }

    fn all_names(&self, world: &World, bundles: &[&Bundle], regions: &[Region]) -> Result<Vec<Name>, String> {
        if let Some(file) = &self.names {
            return read_names(file).map_err(|message| message.to_string());
        }
        if bundles.is_empty() {
            return Ok(names::service_names(world, regions));
        }
        let (mut names, mut seen) = (Vec::new(), HashSet::new());
        for host in regions.iter().flat_map(|region| bundles.iter().flat_map(|bundle| bundle.hosts(region))) {
            let name = Name::parse(&host).map_err(|error| format!("{host}: {error}"))?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// The matches of one keyword.
struct KeywordMatch {
    /// The keyword.
    keyword: Keyword,
    /// Number of matching rows, including those of bundles.
    rows: usize,
    /// The first: a name or bundle, and its location.
    first: String,
}

fn read_prices(path: &Path) -> Result<Prices, String> {
    let octets = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Prices::parse_bytes(&octets).map_err(|error| format!("{}:{error}", path.display()))
}
