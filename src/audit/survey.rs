//! Every question from every location.
//!
//! The questions are divided among as many threads as there are CPUs; each thread resolves its questions from
//! all locations and stores every distinct sequence of rows once. Locations are equal if their sequences are
//! equal in all chunks, so no row is stored twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use super::cost::BillableHops;
use super::locations::{AuditLocation, LocationGroup};
use super::row::{Row, Verdict};
use crate::dns::Question;
use crate::explain::{Suggestion, bypasses_endpoints, suggestions};
use crate::resolve::{Outcome, Reach, Source};
use crate::world::{Index, ViewId, Vpc, World};

/// The results of every question from every location.
#[derive(Debug)]
pub struct Survey<'w> {
    /// The world.
    pub world: &'w World,
    /// The questions, in order.
    pub questions: Vec<Arc<Question>>,
    /// Locations with equal rows, in the order of the first location.
    pub groups: Vec<LocationGroup>,
    chunks: Vec<Chunk>,
}

/// A part of the questions, for all locations.
#[derive(Debug)]
struct Chunk {
    /// The distinct sequences of rows.
    runs: Vec<Vec<Row>>,
    /// The sequence of each location.
    of_location: Vec<usize>,
}

impl<'w> Survey<'w> {
    /// Resolves every question from every location.
    pub fn of(world: &'w World, locations: &[AuditLocation], questions: Vec<Arc<Question>>) -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let size = questions.len().div_ceil(threads).max(1);
        let chunks: Vec<Chunk> = thread::scope(|scope| {
            let parts: Vec<_> = questions
                .chunks(size)
                .map(|part| scope.spawn(move || Chunk::of(world, locations, part)))
                .collect();
            parts.into_iter().map(|part| part.join().expect("answering a question does not panic")).collect()
        });
        let mut groups: Vec<LocationGroup> = Vec::new();
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        for (number, location) in locations.iter().enumerate() {
            let rows: Vec<usize> = chunks.iter().map(|chunk| chunk.of_location[number]).collect();
            match known.get(&rows) {
                Some(group) => groups[*group].locations.push(location.clone()),
                None => {
                    known.insert(rows.clone(), groups.len());
                    groups.push(LocationGroup { locations: vec![location.clone()], rows });
                }
            }
        }
        Self { world, questions, groups, chunks }
    }

    /// The rows of a group, in the order of the questions.
    pub fn rows<'s>(&'s self, group: &LocationGroup) -> impl Iterator<Item = &'s Row> + use<'s> {
        let runs: Vec<usize> = group.rows.clone();
        self.chunks.iter().zip(runs).flat_map(|(chunk, run)| &chunk.runs[run])
    }

    /// Whether the sealed internet was used instead of other servers.
    pub fn uses_sealed_internet(&self) -> bool {
        self.groups.iter().any(|group| self.rows(group).any(|row| row.uses_sealed_internet))
    }

    /// Whether there are rules whose servers were not queried.
    pub fn is_unresolved(&self) -> bool {
        self.has_unknown(|source| source != Source::Public)
    }

    /// Whether there are names of regions whose public names are unknown.
    pub fn is_unlisted(&self) -> bool {
        self.has_unknown(|source| source == Source::Public)
    }

    fn has_unknown(&self, wanted: impl Fn(Source) -> bool) -> bool {
        let is_one = |row: &Row| row.is_unresolved && wanted(row.source);
        self.groups.iter().any(|group| self.rows(group).any(is_one))
    }
}

impl Chunk {
    fn of(world: &World, locations: &[AuditLocation], questions: &[Arc<Question>]) -> Self {
        let mut chunk = Self { runs: Vec::new(), of_location: Vec::with_capacity(locations.len()) };
        // By the verdicts and reaches of their rows, which are equal for equal sequences.
        let mut by_summary: HashMap<Vec<(Verdict, Option<Reach>)>, Vec<usize>> = HashMap::new();
        let billable_hops = BillableHops::of_world(world);
        let mut known = SurveyCache::default();
        for location in locations {
            let vantage = location.vantage;
            let rows: Vec<Row> = questions
                .iter()
                .enumerate()
                .map(|(number, question)| {
                    let mut suggestions =
                        |outcome: &_| known.suggestions(world, location, number, question, outcome);
                    Row::of(&billable_hops, vantage, question, &mut suggestions)
                        .unwrap_or_else(|| Row::no_reply(question))
                })
                .collect();
            let summary = rows.iter().map(|row| (row.verdict, row.reach())).collect();
            let alike = by_summary.entry(summary).or_default();
            let run = alike.iter().copied().find(|run| chunk.runs[*run] == rows).unwrap_or_else(|| {
                chunk.runs.push(rows);
                alike.push(chunk.runs.len() - 1);
                chunk.runs.len() - 1
            });
            chunk.of_location.push(run);
        }
        chunk
    }
}

/// What suggestions depend on: the view, the VPC, the question, and which addresses are not reached through
/// endpoints.
type SuggestionKey = (ViewId, Option<Index<Vpc>>, usize, u64);

/// Suggestions found so far.
#[derive(Default)]
struct SurveyCache {
    suggestions: HashMap<SuggestionKey, Arc<[Suggestion]>>,
}

impl SurveyCache {
    fn suggestions(
        &mut self,
        world: &World,
        location: &AuditLocation,
        number: usize,
        question: &Question,
        outcome: &Outcome,
    ) -> Arc<[Suggestion]> {
        let vantage = location.vantage;
        // For translated addresses, they also depend on the NAT gateway's VPC.
        let is_translated = outcome.paths.iter().any(|one| one.path.translated_by.is_some());
        if outcome.paths.len() > 64 || is_translated {
            return suggestions(world, vantage, question, outcome).into();
        }
        // Whether the path ends at an endpoint, for each public address of the answer.
        let past = outcome
            .paths
            .iter()
            .enumerate()
            .fold(0, |bits, (at, one)| bits | (u64::from(bypasses_endpoints(world, vantage, one)) << at));
        let key = (vantage.view, world.network.place_vpc_index(vantage.place), number, past);
        let compute = || suggestions(world, vantage, question, outcome).into();
        self.suggestions.entry(key).or_insert_with(compute).clone()
    }
}
