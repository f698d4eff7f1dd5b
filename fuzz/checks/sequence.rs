//! Octets as a sequence of queries: in whatever order they come, each is answered the same.

use crate::order::{Asked, Upstreams};

/// The most questions of a sequence.
const MAX_QUESTIONS: usize = 24;

/// How often a sequence has to fail.
const REPEATS: usize = 3;

/// Checks one sequence: the octets choose the questions and the other order that they are asked in.
pub async fn check(upstreams: &Upstreams, octets: &[u8]) {
    let mut rest = octets;
    let mut below = chooser(&mut rest);
    let length = 1 + below(MAX_QUESTIONS);
    let mut questions = Vec::with_capacity(length);
    for _ in 0..length {
        // Some come again, so that what is cached is used.
        let asked = match below(4) {
            0 if !questions.is_empty() => {
                let again: &Asked = &questions[below(questions.len())];
                again.clone()
            }
            _ => Asked::choose(&mut below),
        };
        questions.push(asked);
    }
    drop(below);
    // On a machine that is busy a reply may come too late; a fault of ours does not depend on that.
    let mut failure = Ok(());
    for _ in 0..REPEATS {
        failure = upstreams.check(&questions, &mut chooser(&mut { rest })).await;
        if failure.is_ok() {
            return;
        }
    }
    if let Err(failure) = failure {
        panic!("{failure}");
    }
}

/// Takes numbers below a bound from octets, and zeros when there are no more.
fn chooser<'r, 'o>(rest: &'r mut &'o [u8]) -> impl FnMut(usize) -> usize + use<'r, 'o> {
    move |bound| match rest.split_first() {
        Some((octet, others)) => {
            *rest = others;
            usize::from(*octet) % bound
        }
        None => 0,
    }
}
