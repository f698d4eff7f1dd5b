//! The answer to a query does not depend on the queries before it, of the same client or of others.

mod order;

use order::{ClientQuery, ReplySummary, Upstreams};

/// Number of sequences, and of queries in each. Each sequence is sent twice, in different orders.
const SEQUENCES: u64 = 24;
const QUERIES: usize = 150;

/// A pseudo-random number generator (SplitMix64, Steele, Lea and Flood 2014).
fn random(mut state: u64) -> impl FnMut(usize) -> usize {
    move |bound| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

#[tokio::test]
async fn answers_do_not_depend_on_the_order_of_queries() {
    let upstreams = Upstreams::start().await;
    for seed in 0..SEQUENCES {
        let mut below = random(seed);
        let mut queries: Vec<ClientQuery> = (0..QUERIES).map(|_| ClientQuery::choose(&mut below)).collect();
        // Some are repeated, three times on average, so that the packet cache is used as well.
        for _ in 0..QUERIES {
            queries.push(queries[below(QUERIES / 3)].clone());
        }
        if let Err(failure) = upstreams.check(&queries, &mut below).await {
            panic!("seed {seed}: {failure}");
        }
    }
}

/// A sequence that once denied a whole top-level domain: a denial, NODATA for type 0, a name below it.
#[tokio::test]
async fn nodata_for_a_rare_type_does_not_deny_the_names_below() {
    let upstreams = Upstreams::start().await;
    let client = [127, 0, 1, 1];
    for rare in [0, 65_535, 65_280, 41, 251, 255] {
        for victim in ["a.com", "www.com", "host.com", "b.a.com", "a.corp.example"] {
            let victim = ClientQuery::plain(victim, 1, client);
            let alone = upstreams.answers(std::slice::from_ref(&victim)).await;
            let mut questions: Vec<ClientQuery> = ["a", "b", "zz", "a.zz", "b.zz", "a.example"]
                .map(|denied| ClientQuery::plain(denied, 1, client))
                .to_vec();
            questions.extend(
                ["com", "example", "corp.example"].map(|name| ClientQuery::plain(name, rare, [127, 0, 2, 1])),
            );
            questions.push(victim.clone());
            let last = upstreams.answers(&questions).await.pop();
            assert_eq!(last.as_ref(), alone.first(), "{victim:?} after TYPE{rare}");
            assert_ne!(last, Some(ReplySummary::NoReply));
        }
    }
}
