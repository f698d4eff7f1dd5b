//! CHAOS TXT: information about the server itself and explanations of names, for clients without EDNS.

use ipnet::IpNet;

use super::inspect::{InspectedAnswer, Inspection};
use crate::dns::{Answer, Class, Ede, Question, Rcode, Rdata, RecordType, RrSet};
use crate::resolve::{Outcome, Source};
use crate::serve::annotate::path_texts;
use crate::world::{Vantage, World};

/// Answers a CHAOS query for `whoami.plustwo.`, `version.bind.`, `id.server.` or one of their synonyms.
/// Returns `None` for any other name, whose resolution is explained ([`explanation`]).
///
/// A client that is not allowed to see annotations receives only information about the program.
pub(super) fn answer(
    world: &World,
    vantage: Vantage,
    client: IpNet,
    may_see_paths: bool,
    question: &Question,
) -> Option<Answer> {
    let refused =
        |text: &str| Some(Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text)));
    if !world.settings.annotate.chaos {
        return refused("CHAOS queries are disabled (annotate.chaos)");
    }
    if !matches!(question.qtype, RecordType::TXT | RecordType::ANY) {
        return refused("only TXT records are served in class CH");
    }
    let texts = match question.qname.to_string().as_str() {
        "version.bind." | "version.server." => {
            vec![concat!("plustwo ", env!("CARGO_PKG_VERSION")).to_owned()]
        }
        "id.server." | "hostname.bind." => vec!["plustwo".to_owned()],
        _ if !may_see_paths => return refused("paths are not shown to this client (annotate.to)"),
        "whoami.plustwo." => vec![
            format!("view={}", world.names.views[vantage.view].name),
            format!("place={}", world.network.place_name(vantage.place)),
            format!("client={client}"),
        ],
        _ => return None,
    };
    Some(strings(question, &texts))
}

/// The questions that a CHAOS query for a name inspects: its A and AAAA records.
pub(super) fn inspected_questions(question: &Question) -> [Question; 2] {
    let of_type = |qtype| Question { qname: question.qname.clone(), qtype, qclass: Class::IN };
    [of_type(RecordType::A), of_type(RecordType::AAAA)]
}

/// The addresses of a name and their paths, in the format of the Extended DNS Errors.
pub(super) fn explanation(
    world: &World,
    vantage: Vantage,
    question: &Question,
    questions: &[Question],
    results: &[InspectedAnswer],
) -> Outcome {
    let from = world.network.place_name(vantage.place);
    let mut texts = Vec::new();
    for (Question { qtype, .. }, InspectedAnswer { result, .. }) in questions.iter().zip(results) {
        match result {
            Inspection::NoReply => {
                texts = vec![format!("from={from} answer=none: DNS support is disabled")];
                break;
            }
            Inspection::NotQueried { upstream } => {
                texts.push(format!(
                    "type={qtype} from={from} upstream={upstream} queried=no: retry in a second"
                ));
            }
            Inspection::Answered(outcome) if *qtype == RecordType::AAAA && has_no_addresses(outcome) => {}
            Inspection::Answered(outcome) => {
                texts.push(format!(
                    "type={qtype} rcode={} source={} from={from}",
                    outcome.answer.rcode,
                    outcome.source.as_str()
                ));
                texts.extend(
                    outcome
                        .answer
                        .ede
                        .iter()
                        .filter(|ede| !ede.text.is_empty())
                        .map(|ede| format!("ede={} {}", ede.code, ede.text)),
                );
                texts.extend(path_texts(world, vantage, outcome));
            }
        }
    }
    Outcome::without_paths(strings(question, &texts), Source::Refused)
}

/// Whether an answer has no addresses and is not a failure, which is usual for AAAA and not worth reporting.
fn has_no_addresses(outcome: &Outcome) -> bool {
    outcome.paths.is_empty() && outcome.answer.rcode != Rcode::SERVFAIL
}

/// A TXT record set of class CH: one record per text, split at the maximum length of a character-string.
fn strings(question: &Question, texts: &[String]) -> Answer {
    let rdatas: Vec<Rdata> = texts.iter().map(|text| Rdata::txt(&[text])).collect();
    let mut set = RrSet::new(question.qname.clone(), RecordType::TXT, 0, rdatas);
    set.class = Class::CH;
    Answer::noerror(vec![set])
}
