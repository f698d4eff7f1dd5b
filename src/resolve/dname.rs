//! DNAME records in answers of upstreams, and the CNAME records synthesised from them (RFC 6672 section 3).

use crate::dns::{Answer, Name, Rcode, Rdata, RecordType, RrSet};

/// The result of applying a DNAME to a name.
#[derive(Debug)]
pub(super) enum DnameResult {
    /// The DNAME and the synthesised CNAME.
    To(Vec<RrSet>),
    /// The name would be too long (RFC 6672 section 2.2).
    TooLong(Box<RrSet>),
    /// The owner has several DNAME records (RFC 6672 section 2.4), so none is used.
    Ambiguous(String),
}

/// The redirection of a name by a DNAME in `rest`, from which it is removed: the most specific one, if there
/// are several. `here` are the records of the name itself. `None` if there is no DNAME above the name.
///
/// The accompanying CNAME was synthesised by the server for resolvers without DNAME support. If it agrees
/// with the DNAME, it is used with its own letter case and the lower TTL; otherwise it is replaced, as in
/// Unbound.
pub(super) fn redirect(rest: &mut Vec<RrSet>, here: &[RrSet], name: &Name) -> Option<DnameResult> {
    let above = rest.iter().enumerate().filter(|(_, set)| set.is_dname_above(name));
    let (at, _) = above.max_by_key(|(_, set)| set.owner.label_count())?;
    let dname = rest.remove(at);
    let [rdata] = &*dname.rdatas else {
        return Some(DnameResult::Ambiguous(format!("{} has several DNAME records", dname.owner)));
    };
    let Some(target) = substituted(name, &dname.owner, rdata) else {
        return Some(DnameResult::TooLong(Box::new(dname)));
    };
    let is_same = |set: &&RrSet| {
        let [rdata] = &*set.rdatas else { return false };
        set.rtype == RecordType::CNAME && rdata.as_wire().eq_ignore_ascii_case(&target)
    };
    let cname = match here.iter().find(is_same) {
        Some(sent) => sent.with_ttl(sent.ttl.min(dname.ttl)),
        // Its TTL is that of the DNAME (RFC 6672 section 3.1).
        None => RrSet {
            owner: name.clone(),
            rtype: RecordType::CNAME,
            rdatas: [Rdata::from(target)].into(),
            ..dname.clone()
        },
    };
    Some(DnameResult::To(vec![dname, cname]))
}

/// The answer if a DNAME makes a name too long.
pub(super) fn too_long(dname: RrSet) -> Answer {
    Answer { answer: vec![dname], ..Answer::empty(Rcode::YXDOMAIN) }
}

/// The name with its suffix `owner` replaced by the target in `rdata`, in wire form and with the target's
/// letter case. `None` if it would be too long.
fn substituted(name: &Name, owner: &Name, rdata: &Rdata) -> Option<Vec<u8>> {
    let kept = name.as_wire().len() - owner.as_wire().len();
    let wire = [&name.as_wire()[..kept], rdata.as_wire()].concat();
    Name::from_wire(&wire).ok().map(|_| wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn set(owner: &str, rtype: RecordType, ttl: u32, target: &[u8]) -> RrSet {
        RrSet::new(name(owner), rtype, ttl, [Rdata::from_wire(target)])
    }

    fn targets(redirected: Option<DnameResult>) -> Vec<(RecordType, u32, String)> {
        let Some(DnameResult::To(sets)) = redirected else { panic!("{redirected:?}") };
        sets.iter().map(|set| (set.rtype, set.ttl, set.rdatas[0].to_text(set.rtype))).collect()
    }

    #[test]
    fn a_cname_is_synthesised_from_a_dname_with_its_ttl() {
        let mut rest = vec![set("old.example", RecordType::DNAME, 30, b"\x03New\x07example\0")];
        let made = targets(redirect(&mut rest, &[], &name("a.b.old.example")));
        assert_eq!(made[1], (RecordType::CNAME, 30, "a.b.New.example.".to_owned()));
        assert!(rest.is_empty());
        // Not at its owner (RFC 6672 section 2.3), and not outside it.
        for other in ["old.example", "xold.example", "b.example"] {
            let mut rest = vec![set("old.example", RecordType::DNAME, 30, b"\x01n\0")];
            assert!(redirect(&mut rest, &[], &name(other)).is_none(), "{other}");
            assert_eq!(rest.len(), 1);
        }
    }

    #[test]
    fn an_accompanying_cname_is_used_only_if_consistent() {
        let dname = || vec![set("old.example", RecordType::DNAME, 30, b"\x03new\0")];
        let qname = name("a.old.example");
        let same = [set("a.old.example", RecordType::CNAME, 60, b"\x01A\x03NEW\0")];
        assert_eq!(targets(redirect(&mut dname(), &same, &qname))[1].2, "A.NEW.");
        assert_eq!(targets(redirect(&mut dname(), &same, &qname))[1].1, 30);
        let other = [set("a.old.example", RecordType::CNAME, 0, b"\x04evil\0")];
        assert_eq!(targets(redirect(&mut dname(), &other, &qname))[1].2, "a.new.");
    }

    #[test]
    fn the_most_specific_dname_applies_and_duplicates_do_not() {
        let qname = name("a.b.c");
        let mut rest =
            vec![set("c", RecordType::DNAME, 1, b"\x01x\0"), set("b.c", RecordType::DNAME, 1, b"\x01y\0")];
        assert_eq!(targets(redirect(&mut rest, &[], &qname))[1].2, "a.y.");
        let two: Vec<Rdata> = [b"\x01x\0", b"\x01y\0"].map(|wire| Rdata::from_wire(wire)).to_vec();
        let mut rest = vec![RrSet::new(name("c"), RecordType::DNAME, 1, two)];
        assert!(matches!(redirect(&mut rest, &[], &qname), Some(DnameResult::Ambiguous(_))));
    }

    #[test]
    fn a_name_that_becomes_too_long_is_reported() {
        let label = "a".repeat(63);
        let long = name(&format!("{label}.{label}.{label}.c"));
        let mut target = vec![63];
        target.extend([b'b'; 63]);
        target.push(0);
        let mut rest = vec![set("c", RecordType::DNAME, 1, &target)];
        assert!(matches!(redirect(&mut rest, &[], &long), Some(DnameResult::TooLong(_))));
    }
}
