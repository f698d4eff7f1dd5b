//! `plustwo explain`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use super::names::{NamesError, read_names};
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::dns::{Class, Name, Question, RecordType};
use crate::explain::text::{ExplanationText, PathText};
use crate::explain::{Explanation, PathExplanation, json, vantage};
use crate::resolve::QueryContext;
use crate::world::{Vantage, World};

/// The default location of the client.
const DEFAULT_CLIENT: &str = "127.0.0.1";

/// Explain how a name resolves from a location and which path its traffic takes. Offline
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    /// Name to resolve
    #[arg(required_unless_present_any = ["address", "names"])]
    name: Option<Name>,
    /// Record type
    #[arg(long = "type", short = 't', default_value = "A")]
    record_type: RecordType,
    /// Location of the client: a subnet ID, a site ID, `outside` or an IP address [default: 127.0.0.1, in the
    /// lab `subnet-private-a`]
    #[arg(long, short, value_name = "LOCATION")]
    from: Option<String>,
    /// Resolver to query: a VPC ID, an inbound endpoint ID or `public` [default: that of the location]
    #[arg(long, value_name = "RESOLVER")]
    view: Option<String>,
    /// Random number for the selection of weighted records
    #[arg(long = "draw", value_name = "N", default_value_t = 0)]
    random: u64,
    /// Explain only the path to this address, without a name
    #[arg(long, value_name = "IP", conflicts_with_all = ["name", "names"])]
    address: Option<IpAddr>,
    /// File with one name per line
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    names: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Explain {
    /// Runs the command.
    pub(super) fn run(self) -> Exit {
        let (_, world) = self.config.load()?;
        let from = self.from.as_deref().unwrap_or(DEFAULT_CLIENT);
        let vantage = vantage(&world, from, self.view.as_deref()).map_err(|error| {
            out::report_error(format_args!(
                "{error}; set `--from` to a location or an IP address, and `--view`, if necessary, to a resolver"
            ));
            ExitCode::Config
        })?;
        if let Some(address) = self.address {
            // An IPv4 address may be written as an IPv4-mapped one; traffic to it uses IPv4.
            return self.path(&world, vantage, address.to_canonical());
        }
        for name in self.all_names()? {
            let question = Question { qname: name, qtype: self.record_type, qclass: Class::IN };
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
            match Explanation::of(&world, vantage, &question, QueryContext { now, random: self.random }) {
                Some(described) if self.json => {
                    out::print_data(format_args!("{}\n", self.pretty(&json::value(&described))))?
                }
                Some(described) => out::print_line(ExplanationText(&described))?,
                None => out::print_line(format_args!(
                    "{question}: no reply: DNS support is disabled for the VPC"
                ))?,
            }
        }
        Ok(ExitCode::Success)
    }

    fn path(&self, world: &World, vantage: Vantage, address: IpAddr) -> Exit {
        let described = PathExplanation::of(world, vantage, address);
        if self.json {
            out::print_data(format_args!("{}\n", self.pretty(&json::path_value(&described))))?;
        } else {
            out::print_line(PathText(&described))?;
        }
        Ok(ExitCode::Success)
    }

    /// A single document is pretty-printed; with `--names`, each document is printed on one line.
    fn pretty(&self, value: &impl std::fmt::Display) -> String {
        if self.names.is_some() { format!("{value}") } else { format!("{value:#}") }
    }

    fn all_names(&self) -> Result<Vec<Name>, ExitCode> {
        let Some(file) = &self.names else { return Ok(self.name.clone().into_iter().collect()) };
        read_names(file).map_err(|error| {
            out::report_error(&error);
            match error {
                NamesError::Unreadable(..) => ExitCode::Filesystem,
                NamesError::Invalid(..) => ExitCode::Config,
            }
        })
    }
}
