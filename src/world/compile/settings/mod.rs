//! Config → Settings: listeners, annotations and expectations.

mod exposure;
mod listener;

use super::*;
use crate::config::LogTo;

/// Compiles the settings.
pub(super) fn compile<'a>(
    cx: &mut Context<'a>,
    network: &Network,
    declarations: &Declarations<'a>,
    names: &Names,
) -> Settings {
    let mut compiler = SettingsCompiler { cx, network, declarations, names };
    let listeners = compiler.listeners();
    compiler.check_exposure();
    let expectations = compiler.expectations();
    compiler.check_query_log();
    let config = compiler.cx.config;
    let nets = |list: &[Marked<config::Cidr>]| list.iter().map(|cidr| cidr.value().0).collect();
    Settings {
        replies: ReplyRules {
            max_udp_payload: config.answers.max_udp_payload,
            negative_soa: config.answers.negative_soa,
        },
        annotate: AnnotateRules {
            ede: config.annotate.ede,
            option: config.annotate.option,
            chaos: config.annotate.chaos,
            to: nets(&config.annotate.to),
        },
        listeners,
        allow: nets(&config.server.allow),
        trust_client_subnet: nets(&config.server.trust_client_subnet),
        expectations,
    }
}

/// The inputs of the settings.
struct SettingsCompiler<'c, 'a> {
    cx: &'c mut Context<'a>,
    network: &'c Network,
    declarations: &'c Declarations<'a>,
    names: &'c Names,
}

impl SettingsCompiler<'_, '_> {
    /// Warns of VPCs with overlapping addresses, where only a listener with a view can distinguish the
    /// clients.
    pub(super) fn check_ambiguous_places(&mut self) {
        let mut seen: PrefixMap<(Index<Vpc>, Arc<str>)> = PrefixMap::new();
        for vpc in &self.cx.config.vpc {
            let Some(index) = self.declarations.vpcs.get(&vpc.id.to_string()).copied() else { continue };
            for subnet in &vpc.subnet {
                let Some(cidr) = &subnet.cidr else { continue };
                let net = cidr.value().0;
                let above = seen.longest_covering(&net).map(|(_, other)| other.clone());
                let below = || seen.covered_by(&net).first().map(|(_, other)| (*other).clone());
                if let Some((other, name)) = above.or_else(below)
                    && other != index
                {
                    let message = format!("subnet `{}` overlaps `{name}` of another VPC", subnet.id);
                    let warning = self.cx.report.warning(Code::AmbiguousPlace, cidr.mark(), message);
                    warning.help(
                        "a listener that is not bound to a VPC rejects their clients: bind one listener to each with `vpc = \"vpc-…\"`, \
                         or declare the locations of clients with [[client]]",
                    );
                }
                seen.insert(net, (index, subnet.id.value().to_shared()));
            }
        }
    }

    /// Reports a query log without a file.
    fn check_query_log(&mut self) {
        let log = &self.cx.config.query_log;
        if *log.to.value() == LogTo::File && log.file.is_none() {
            let error =
                self.cx.report.error(Code::MissingKey, log.to.mark(), "missing key `file` for the query log");
            error.help("write `file = \"/var/log/plustwo/query.log\"`, or `to = \"stdout\"`");
        }
    }

    /// The expectations, after checking their locations.
    fn expectations(&mut self) -> Vec<(Expect, Mark)> {
        let mut expectations = Vec::new();
        for expect in &self.cx.config.expect {
            let from = &expect.from.value().0;
            if self.network.places.named(from).is_none() && from.parse::<IpAddr>().is_err() {
                self.cx.unknown_place(
                    self.network,
                    from,
                    expect.from.mark(),
                    "a subnet, a site, `outside` or an address",
                );
                continue;
            }
            if !expect.has_condition() {
                let message = "the expectation has no condition, so it is always met";
                let warning = self.cx.report.warning(Code::Surprising, expect.name.mark(), message);
                warning.help("add `addresses`, `path`, `via`, `reach`, `reason`, `rcode` or `source`");
            }
            expectations.push((expect.clone(), expect.name.mark()));
        }
        expectations
    }
}
