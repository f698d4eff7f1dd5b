//! Queries of a suite, and their answers in the style of dig.

use std::fmt::Write as _;
use std::net::IpAddr;

use plustwo::dns::{Class, Question, RrSet};
use plustwo::explain::Explanation;
use plustwo::resolve::{NoTrace, Outcome, QueryContext, resolve};
use plustwo::serve::annotate::path_texts;
use plustwo::world::{Vantage, ViewId, World};

/// The time of every query, in seconds: TTLs that count down have a fixed value.
const NOW_S: u64 = 0;

/// All queries in the lines of a block, with their answers.
pub(crate) fn lines(world: &World, info: &str, queries: &[&str]) -> Result<Vec<String>, String> {
    let options = Options::read(info)?;
    let mut lines = Vec::new();
    // Lines of answers begin with a semicolon.
    for line in queries.iter().filter(|line| !line.starts_with(';')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, rtype] = words[..] else { continue };
        let question = Question {
            qname: name.parse().map_err(|error| format!("`{name}`: {error}"))?,
            qtype: rtype.parse().map_err(|_| format!("unknown record type `{rtype}`"))?,
            qclass: Class::IN,
        };
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push((*line).to_owned());
        options.answer(world, &question, &mut lines)?;
    }
    if lines.is_empty() { Err(format!("`{info}` has no queries")) } else { Ok(lines) }
}

/// The options of a `dig` fence.
#[derive(Default)]
struct Options<'a> {
    from: &'a str,
    view: Option<&'a str>,
    rotation: usize,
    draw: u64,
    texts: bool,
    /// Whether claims are shown instead of records.
    explains: bool,
}

impl<'a> Options<'a> {
    fn read(info: &'a str) -> Result<Self, String> {
        let mut options = Self { explains: info.starts_with("explain"), ..Self::default() };
        for word in info.split_whitespace().skip(1) {
            match word.split_once('=') {
                Some(("from", from)) => options.from = from,
                Some(("view", view)) => options.view = Some(view),
                Some(("rotation", n)) => {
                    options.rotation = n.parse().map_err(|_| format!("rotation `{n}`"))?
                }
                Some(("draw", n)) => options.draw = n.parse().map_err(|_| format!("draw `{n}`"))?,
                None if word == "texts" => options.texts = true,
                _ => return Err(format!("unknown option `{word}` of `{info}`")),
            }
        }
        if options.from.is_empty() { Err(format!("`{info}` requires from=PLACE")) } else { Ok(options) }
    }

    /// Appends a query's answer.
    fn answer(&self, world: &World, question: &Question, lines: &mut Vec<String>) -> Result<(), String> {
        let vantage = match self.vantage(world)? {
            Ok(vantage) => vantage,
            Err(nowhere) => {
                lines.push(format!("; nowhere: {nowhere}"));
                return Ok(());
            }
        };
        let context = QueryContext { now: NOW_S, random: self.draw };
        if self.explains {
            lines.extend(claims(world, vantage, question, context));
            return Ok(());
        }
        let Some(outcome) = resolve(world, vantage, question, context, &mut NoTrace) else {
            lines.push("; no reply".to_owned());
            return Ok(());
        };
        lines.push(format!("; {} source={}", outcome.answer.rcode, outcome.source.as_str()));
        for set in &outcome.answer.answer {
            lines.extend(records(set, self.rotation, &outcome));
        }
        for set in &outcome.answer.authority {
            lines.extend(records(set, 0, &outcome).map(|line| format!("; authority {line}")));
        }
        let ede = &outcome.answer.ede;
        lines.extend(ede.iter().map(|ede| format!("; ede {} {}", ede.code, ede.text)));
        if self.texts || outcome.paths.is_empty() {
            let texts = path_texts(world, vantage, &outcome);
            lines.extend(texts.into_iter().map(|text| format!("; ede 0 {text}")));
        }
        Ok(())
    }

    /// The client's vantage. The outer error is one of the scenario, the inner one a client without a
    /// location.
    fn vantage(&self, world: &World) -> Result<Result<Vantage, String>, String> {
        let view = self.view.map(|name| view_named(world, name)).transpose()?;
        if let Some(place) = world.network.places.named(self.from) {
            let view = view.map_or_else(
                || world.names.view_of(&world.network, place),
                |view| world.names.view_for(&world.network, view, place),
            );
            return Ok(Ok(Vantage { view, place }));
        }
        let address: IpAddr = self.from.parse().map_err(|_| format!("`{}` is not a location", self.from))?;
        Ok(world.vantage(plustwo::net::host_prefix(address), view).map_err(|nowhere| nowhere.to_string()))
    }
}

/// The claims for the names of a query, one per line: selected, rejected, and the rule of AWS; and the record
/// sets selected by routing policies.
fn claims(world: &World, vantage: Vantage, question: &Question, context: QueryContext) -> Vec<String> {
    let Some(reported) = Explanation::of(world, vantage, question, context) else {
        return vec!["; no reply".to_owned()];
    };
    let line = |claim: &plustwo::explain::ClaimLine| {
        let word = if claim.is_selected { "selected" } else { "rejected" };
        let through = claim.profile.as_ref().map(|id| format!(" through {id}")).unwrap_or_default();
        let source_of_claim = format!("{} {}{through}", claim.kind, claim.id);
        format!("; {word} {source_of_claim} on {} for {}: {}", claim.suffix, claim.name, claim.rule)
    };
    let claims = reported.claims.iter().map(line);
    let delegations = reported.delegations.iter().map(|delegation| {
        format!(
            "; delegated {} to {} through {}",
            delegation.zone,
            delegation.servers.join(", "),
            delegation.rule
        )
    });
    let routing = reported.routing.iter().map(|seen| {
        let set = seen.set_identifier.as_deref().unwrap_or("nothing");
        format!("; routed {} {} by {} to {set}: {}", seen.name, seen.rtype, seen.policy, seen.why)
    });
    std::iter::once(format!("; source={}", reported.source.as_str()))
        .chain(claims)
        .chain(delegations)
        .chain(routing)
        .collect()
}

fn view_named(world: &World, name: &str) -> Result<ViewId, String> {
    if let Some(inbound) = world.names.inbound_endpoints.iter().find(|endpoint| &*endpoint.id == name) {
        return Ok(inbound.view);
    }
    let found = world.names.views.indexed().find(|(_, view)| &*view.name == name);
    found.map(|(index, _)| index).ok_or_else(|| format!("no view is called `{name}`"))
}

/// The records of a set, one per line, with the paths of addresses.
fn records(set: &RrSet, rotation: usize, outcome: &Outcome) -> impl Iterator<Item = String> {
    set.rotated(rotation).map(move |rdata| {
        let mut line = format!("{} {} IN {} {}", set.owner, set.ttl, set.rtype, rdata.to_text(set.rtype));
        let hints = rdata.hints(set.rtype);
        for address in rdata.address(set.rtype).iter().chain(&hints) {
            let Some(found) = outcome.paths.iter().find(|path| path.address == *address) else { continue };
            let path = &found.path;
            let _ = write!(line, "   ; egress={}", path.class.as_str());
            if !path.via.is_empty() {
                let _ = write!(line, " via={}", path.via.join(","));
            }
            let _ = write!(line, " reach={}", path.reach.as_str());
            let reasons: Vec<&str> = path.reasons.iter().map(|reason| reason.as_str()).collect();
            if !reasons.is_empty() {
                let _ = write!(line, " hint={}", reasons.join(","));
            }
        }
        line
    })
}
