//! CHAOS TXT: what a client can ask about the resolver itself, and about a name, without EDNS.

use ipnet::IpNet;

use super::annotate::path_texts;
use crate::dns::{Answer, Class, Ede, Question, Rcode, Rdata, RecordType, RrSet};
use crate::explain::stands_in;
use crate::resolve::{Occasion, Silent, resolve};
use crate::world::{Vantage, World};

/// Answers a CHAOS question: `whoami.plustwo.`, `version.bind.`, `id.server.` and their other spellings, and
/// for any other name its explanation from the asking place.
/// A client that is `told` nothing hears of the program only.
pub fn answer(
    world: &World,
    vantage: Vantage,
    client: IpNet,
    told: bool,
    question: &Question,
    now_s: u64,
) -> Answer {
    let refused = |text: &str| Answer::empty(Rcode::REFUSED).with_ede(Ede::new(Ede::NOT_SUPPORTED, text));
    if !world.annotate.chaos {
        return refused("CHAOS questions are turned off");
    }
    if !matches!(question.qtype, RecordType::TXT | RecordType::ANY) {
        return refused("class CH has TXT records only");
    }
    let texts = match question.qname.to_string().as_str() {
        "version.bind." | "version.server." => {
            vec![concat!("plustwo ", env!("CARGO_PKG_VERSION")).to_owned()]
        }
        "id.server." | "hostname.bind." => vec!["plustwo".to_owned()],
        _ if !told => return refused("this client is not told paths (annotate.to)"),
        "whoami.plustwo." => vec![
            format!("view={}", world.views[vantage.view].name),
            format!("place={}", world.place_name(vantage.place)),
            format!("client={client}"),
        ],
        _ => explanation(world, vantage, question, now_s),
    };
    let rdatas: Vec<Rdata> = texts.iter().map(|text| Rdata::txt(&[text])).collect();
    let mut set = RrSet::new(question.qname.clone(), RecordType::TXT, 0, rdatas);
    set.class = Class::CH;
    Answer::of(vec![set])
}

/// The asked name's addresses and their paths, in the words of the Extended DNS Errors.
fn explanation(world: &World, vantage: Vantage, question: &Question, now_s: u64) -> Vec<String> {
    let place = world.place_name(vantage.place);
    let of_type = |qtype| Question { qname: question.qname.clone(), qtype, qclass: Class::IN };
    let mut texts = Vec::new();
    for qtype in [RecordType::A, RecordType::AAAA] {
        let Some(outcome) = resolve(world, vantage, &of_type(qtype), Occasion::at(now_s), &mut Silent) else {
            return vec![format!("from={place} answer=none: DNS support is off")];
        };
        if qtype == RecordType::AAAA && outcome.paths.is_empty() {
            continue;
        }
        // Nothing is sent for a CHAOS question, so what others would say is not here to be told.
        let note = if stands_in(world, &outcome) { " note=sealed-internet-stands-in" } else { "" };
        texts.push(format!(
            "type={qtype} rcode={} source={} from={place}{note}",
            outcome.answer.rcode,
            outcome.source.as_str()
        ));
        texts.extend(path_texts(world, vantage, &outcome));
    }
    texts
}
