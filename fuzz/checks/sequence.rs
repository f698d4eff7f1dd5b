//! Checks for octets as a sequence of queries: each has the same answer in any order.

use crate::order::{ClientQuery, Upstreams};

/// Maximum number of queries in a sequence.
const MAX_QUERIES: usize = 24;

/// Number of attempts that must fail for a sequence to fail.
const ATTEMPTS: usize = 3;

/// Checks one sequence. The octets select the queries and the second order in which they are sent.
pub(crate) async fn check(upstreams: &Upstreams, octets: &[u8]) {
    let mut rest = octets;
    let mut below = chooser(&mut rest);
    let length = 1 + below(MAX_QUERIES);
    let mut queries = Vec::with_capacity(length);
    for _ in 0..length {
        // Some are repeated, so that cached answers are used.
        let query = match below(4) {
            0 if !queries.is_empty() => {
                let earlier: &ClientQuery = &queries[below(queries.len())];
                earlier.clone()
            }
            _ => ClientQuery::choose(&mut below),
        };
        queries.push(query);
    }
    drop(below);
    // On a busy machine a reply may time out. A real failure is reproducible.
    let mut failure = Ok(());
    for _ in 0..ATTEMPTS {
        failure = upstreams.check(&queries, &mut chooser(&mut { rest })).await;
        if failure.is_ok() {
            return;
        }
    }
    if let Err(failure) = failure {
        panic!("{failure}");
    }
}

/// Returns a function that takes numbers below a bound from the octets, and 0 when there are no more.
fn chooser<'r, 'o>(rest: &'r mut &'o [u8]) -> impl FnMut(usize) -> usize + use<'r, 'o> {
    move |bound| match rest.split_first() {
        Some((octet, others)) => {
            *rest = others;
            usize::from(*octet) % bound
        }
        None => 0,
    }
}
