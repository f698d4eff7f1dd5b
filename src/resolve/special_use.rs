//! Special-use names and locally served zones: answered here and never forwarded to the internet.
//!
//! ```text
//!  about the resolver itself (resolver.arpa, ipv4only.arpa) ──► unless a claim is for the zone or a name in it
//!  others (test, local, home.arpa, RFC 6303 …)              ──► if no claim at all matches the name
//! ```

use super::{Reply, Source, zone};
use crate::dns::{Answer, Ede, Question, Rcode, Rdata, RecordType, RrSet};
use crate::world::{Names, SpecialUseNames, SpecialUseZone, ViewId};

/// The end of a name below `arpa`, in wire form.
const ARPA: &[u8] = b"\x04arpa\0";

/// TTL of the SVCB records of designated listeners, in seconds.
const DESIGNATION_TTL_S: u32 = 300;

/// Answers names that describe the resolver itself. `None` if the name is not one of them, or if a claim is
/// specifically for it.
///
/// A FORWARD rule for the root domain does not apply: another resolver's records at `resolver.arpa` describe
/// that resolver (RFC 9462 section 6.4).
pub(super) fn resolver_name_reply(names: &Names, view: ViewId, question: &Question) -> Option<Reply> {
    // All of them are below `arpa`. This early return matters, because this runs for every query that is not
    // answered from a cache.
    if !question.qname.as_wire().ends_with(ARPA) {
        return None;
    }
    let special =
        names.public.special_use.longest_match(&question.qname).filter(|zone| zone.is_about_resolver)?;
    let apex_labels = special.zone.apex().label_count();
    let deepest = names.claims.covering(names.views[view].claims, &question.qname).next();
    let is_claimed = deepest.is_some_and(|(labels, _)| labels >= apex_labels);
    (!is_claimed)
        .then(|| designation(names, view, special, question).unwrap_or_else(|| answer(special, question)))
}

/// The encrypted listeners with the same view, for `_dns.resolver.arpa` (RFC 9462 section 4). `None` for
/// other questions, or if there is no such listener.
fn designation(names: &Names, view: ViewId, special: &SpecialUseZone, question: &Question) -> Option<Reply> {
    let is_type = matches!(question.qtype, RecordType::SVCB | RecordType::ANY);
    let is_name = question.qname.first_label() == Some(b"_dns")
        && question.qname.labels_below(special.zone.apex()) == Some(1);
    if !is_type || !is_name || names.public.designated.is_empty() {
        return None;
    }
    let claims_of = |view: ViewId| names.views[view].claims;
    let all = names.public.designated.iter();
    let same = all.filter(|listener| listener.view.is_none_or(|bound| claims_of(bound) == claims_of(view)));
    let rdatas: Vec<Rdata> = same.map(|listener| listener.svcb.clone()).collect();
    let set = RrSet::new(question.qname.clone(), RecordType::SVCB, DESIGNATION_TTL_S, rdatas);
    (!set.rdatas.is_empty()).then(|| Reply::new(Answer::noerror(vec![set]), Source::Public))
}

/// Answers the other special-use names, if no claim matches. `None` if the name is not special-use, or if the
/// configuration forwards them to the internet.
pub(super) fn unclaimed(names: &Names, question: &Question) -> Option<Reply> {
    let special = names.public.special_use.longest_match(&question.qname)?;
    let is_local = special.is_about_resolver || names.answers.special_use_names == SpecialUseNames::Local;
    is_local.then(|| answer(special, question))
}

fn answer(special: &SpecialUseZone, question: &Question) -> Reply {
    let mut reply = zone::answer(&special.zone, question, Source::Public);
    if reply.answer.rcode == Rcode::NXDOMAIN {
        let text = format!("{} is answered locally ({})", special.zone.apex(), special.rfc);
        reply.answer.ede = Some(Ede::new(Ede::OTHER, text));
    }
    reply
}
