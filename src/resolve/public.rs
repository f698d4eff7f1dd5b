//! Public DNS as the world knows it: endpoints' own names, EC2 names, the user's records, AWS's names.

use std::net::{IpAddr, Ipv4Addr};

use super::zone::at_node;
use super::{Reply, Source, special_use};
use crate::aws::endpoint_names;
use crate::dns::{Answer, Ede, Name, Question, Rdata, RecordType, RrSet};
use crate::world::{Found, Instance, Node, View, ViewId, World, Zone};

/// TTL of an EC2 public name inside its VPC, in seconds, as seen in captures.
const EC2_INSIDE_TTL_S: u32 = 20;
/// TTL of an EC2 public name at AWS's own name servers, in seconds, as seen in captures.
const EC2_OUTSIDE_TTL_S: u32 = 604_800;

/// Answers what nothing private claims and this world knows itself: endpoints' own names and instances'
/// public names, and everything where the internet is sealed. `None`: others must be asked.
pub fn known(world: &World, view: ViewId, question: &Question, now_s: u64) -> Option<Reply> {
    let public = &world.public;
    if question.qname.is_root() && world.internet.is_some() {
        // The overlay's own SOA record is at the root, which is the internet's.
        return None;
    }
    if let Some(node) = with_data(&public.overlay.find(&question.qname)) {
        return Some(at_node(&public.overlay, node, question, Source::Public));
    }
    if let Some(node) = api_alias(world, question) {
        return Some(at_node(&public.overlay, node, question, Source::Public));
    }
    if let Some(reply) = by_gateway_endpoint(world, view, question) {
        return Some(reply);
    }
    if let Some(host) = public.instances.get(&question.qname) {
        let instance = &world.instances[host.instance];
        let v6 = instance.ipv6_address.filter(|_| host.v6).map(IpAddr::V6);
        let both = |v4: Option<Ipv4Addr>| [v4.filter(|_| host.v4).map(IpAddr::V4), v6];
        if is_inside(world, &world.views[view], instance) {
            // The VPC's resolver makes this answer itself, so its TTL is told in full.
            return Some(addresses(world, question, EC2_INSIDE_TTL_S, both(instance.address)));
        }
        let mut reply = addresses(world, question, EC2_OUTSIDE_TTL_S, both(instance.public_address));
        count_down(&mut reply.answer, world.answers.max_ttl, now_s);
        return Some(reply);
    }
    if world.internet.is_some() {
        return special_use::unclaimed(world, question);
    }
    Some(Reply::of(sealed(world, question, now_s), Source::Public))
}

/// What the sealed internet answers: the user's records and AWS's public names.
pub fn sealed(world: &World, question: &Question, now_s: u64) -> Answer {
    let public = &world.public;
    let records = public.records.find(&question.qname);
    let mut reply = if let Some(node) = with_data(&records) {
        at_node(&public.records, node, question, Source::Public)
    } else if let Some(reply) = aws_name(world, question) {
        reply
    } else {
        let above = |zone: &Zone| matches!(zone.find(&question.qname), Found::Node(_));
        let exists = !question.qname.is_root() && (above(&public.records) || above(&public.overlay));
        if let Some(reply) = special_use::unclaimed(world, question).filter(|_| !exists) {
            // It is the resolver's own answer, not one from a cache: its TTLs do not count down.
            return reply.answer;
        }
        nothing(&public.records, exists, question)
    };
    count_down(&mut reply.answer, world.answers.max_ttl, now_s);
    reply.answer
}

/// Makes the TTLs of an answer those of a cache that took it in some time ago.
///
/// There is no cache to ask: the age is the time of day, shifted for each name so that not all records
/// expire together.
pub fn count_down(answer: &mut Answer, max_ttl: u32, now_s: u64) {
    for set in answer.answer.iter_mut().chain(&mut answer.authority) {
        set.ages = true;
        let ttl = set.ttl.min(max_ttl);
        if ttl > 0 {
            let shift = set
                .owner
                .as_wire()
                .iter()
                .fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add((*b).into()));
            let age = now_s.wrapping_add(shift) % u64::from(ttl);
            // `age` is below `ttl`, which fits.
            set.ttl = ttl - age as u32;
        }
    }
}

fn with_data<'a>(found: &Found<'a>) -> Option<&'a Node> {
    match found {
        Found::Node(node) | Found::Wildcard(node) if !node.rrsets.is_empty() => Some(node),
        _ => None,
    }
}

/// The addresses of the execute-api endpoint that an API's alias ends in.
fn api_alias<'w>(world: &'w World, question: &Question) -> Option<&'w Node> {
    let endpoint = endpoint_names::api_alias(question.qname.first_label()?)?;
    let owner = question.qname.parent()?.prepend(endpoint).ok()?;
    world.public.api_aliases.node(&owner).filter(|node| !node.rrsets.is_empty())
}

/// What one of S3's regional names has in a VPC whose gateway endpoint says its record types. A type that it
/// leaves out is NODATA. AAAA records, which public DNS has at the dual-stack name alone, are taken from there.
fn by_gateway_endpoint(world: &World, view: ViewId, question: &Question) -> Option<Reply> {
    let (families, sibling) = world.chosen_by_gateway_endpoint(view, &question.qname)?;
    let alias = match question.qtype {
        RecordType::A if !families.v4 => None,
        RecordType::AAAA if !families.v6 => None,
        RecordType::AAAA => Some((RecordType::AAAA, sibling)),
        _ => return None,
    };
    Some(Reply { alias, ..Reply::of(Answer::no_data(world.public.soa.clone()), Source::Public) })
}

/// Whether an instance's public name means its private address: inside its VPC it does, and where that VPC's private
/// addresses are told across a peering or a transit gateway; elsewhere it means the public one ("DNS attributes for
/// your VPC").
fn is_inside(world: &World, view: &View, instance: &Instance) -> bool {
    let home = world.subnets[instance.subnet].vpc;
    let Some(vpc) = view.vpc() else { return false };
    (vpc == home && world.vpcs[home].dns_hostnames) || world.vpcs[vpc].is_told_of(home)
}

/// A public name of an AWS service.
fn aws_name(world: &World, question: &Question) -> Option<Reply> {
    let facts = world.public.facts;
    let host = host(&question.qname);
    let found = facts.public.find(&host)?;
    let (v4, v6) = facts.public_addresses(&host, &found);
    Some(addresses(world, question, found.ttl, [v4.map(IpAddr::V4), v6.map(IpAddr::V6)]))
}

/// Whether public DNS has records that answer a question which a private zone denies.
pub fn knows(world: &World, question: &Question) -> bool {
    let found = world.public.records.find(&question.qname);
    let records =
        with_data(&found).map(|node| at_node(&world.public.records, node, question, Source::Public));
    let known = records.or_else(|| aws_name(world, question));
    known.is_some_and(|reply| !reply.answer.answer.is_empty())
}

/// A name as AWS's tables have it: no final dot.
pub fn host(name: &Name) -> String {
    let mut text = name.to_string();
    text.pop();
    text
}

fn addresses(world: &World, question: &Question, ttl: u32, addresses: [Option<IpAddr>; 2]) -> Reply {
    let fitting = addresses.into_iter().flatten().find_map(|address| {
        let (rtype, rdata) = Rdata::address_of(address);
        (question.qtype == rtype || question.qtype == RecordType::ANY).then_some((rtype, rdata))
    });
    let answer = match fitting {
        Some((rtype, rdata)) => Answer::of(vec![RrSet::new(question.qname.clone(), rtype, ttl, vec![rdata])]),
        None => Answer::no_data(world.public.soa.clone()),
    };
    Reply::of(answer, Source::Public)
}

fn nothing(records: &Zone, exists: bool, question: &Question) -> Reply {
    let soa = records.soa().clone();
    let answer = if question.qname.is_root() && question.qtype == RecordType::SOA {
        Answer::of(vec![soa])
    } else if exists || question.qname.is_root() {
        Answer::no_data(soa)
    } else {
        let told = "the internet is sealed: only AWS's public names, this world's own and [[public]] records are known";
        Answer::nxdomain(soa).with_ede(Ede { code: Ede::OTHER, text: told.to_owned() })
    };
    Reply::of(answer, Source::Public)
}
