//! `plustwo explain`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

use super::names::{NamesError, read_names};
use super::{ConfigArgs, Exit, ExitCode, out};
use crate::dns::{Class, Name, Question, RecordType};
use crate::explain::text::{PathText, ExplanationText};
use crate::explain::{Explanation, PathExplanation, json, vantage};
use crate::resolve::QueryContext;
use crate::world::{Vantage, World};

/// Who asks when nobody is named.
const HOME: &str = "127.0.0.1";

/// Tells why a name is answered as it is, and which way its traffic goes.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The name.
    #[arg(required_unless_present_any = ["address", "names"])]
    name: Option<Name>,
    /// The record type.
    #[arg(long = "type", short = 't', default_value = "A")]
    record_type: RecordType,
    /// Who asks: a subnet's id, a site's id, `outside`, or an address. The lab's first private subnet when
    /// not said.
    #[arg(long, short, value_name = "PLACE")]
    from: Option<String>,
    /// Whose resolver is asked: a VPC's id, an inbound endpoint's id, or `public`. That of the place when not said.
    #[arg(long, value_name = "RESOLVER")]
    view: Option<String>,
    /// The random number that weighted records are drawn by.
    #[arg(long, value_name = "N", default_value_t = 0)]
    draw: u64,
    /// The path to this address alone, no name.
    #[arg(long, value_name = "IP", conflicts_with_all = ["name", "names"])]
    address: Option<IpAddr>,
    /// A file with a name a line.
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    names: Option<PathBuf>,
    /// JSON, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Explain {
    /// Explains.
    pub fn run(self) -> Exit {
        let (_, world) = self.config.load()?;
        let from = self.from.as_deref().unwrap_or(HOME);
        let vantage = vantage(&world, from, self.view.as_deref()).map_err(|message| {
            out::complain(format_args!(
                "{message}; say `--from` with a place or an address, and `--view` with a resolver or not at all"
            ));
            ExitCode::Config
        })?;
        if let Some(address) = self.address {
            // An IPv4 address may be written inside an IPv6 one; what is sent goes by IPv4.
            return self.path(&world, vantage, address.to_canonical());
        }
        for name in self.all_names()? {
            let question = Question { qname: name, qtype: self.record_type, qclass: Class::IN };
            let now_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
            match Explanation::of(&world, vantage, &question, QueryContext { now: now_s, random: self.draw })
            {
                Some(told) if self.json => out::print_line(self.pretty(&json::value(&told)))?,
                Some(told) => out::print_line(ExplanationText(&told))?,
                None => out::print_line(format_args!(
                    "{question}: the VPC's DNS support is off, so nothing answers"
                ))?,
            }
        }
        Ok(ExitCode::Success)
    }

    fn path(&self, world: &World, vantage: Vantage, address: IpAddr) -> Exit {
        let told = PathExplanation::of(world, vantage, address);
        if self.json {
            out::print_line(self.pretty(&json::path_value(&told)))?;
        } else {
            out::print_line(PathText(&told))?;
        }
        Ok(ExitCode::Success)
    }

    /// One document is laid out for reading; of many each has a line.
    fn pretty(&self, value: &impl std::fmt::Display) -> String {
        if self.names.is_some() { format!("{value}") } else { format!("{value:#}") }
    }

    fn all_names(&self) -> Result<Vec<Name>, ExitCode> {
        let Some(file) = &self.names else { return Ok(self.name.clone().into_iter().collect()) };
        read_names(file).map_err(|trouble| {
            out::complain(&trouble);
            match trouble {
                NamesError::Unreadable(..) => ExitCode::Filesystem,
                NamesError::Wrong(..) => ExitCode::Config,
            }
        })
    }
}
