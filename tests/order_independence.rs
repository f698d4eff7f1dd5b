//! What a question is answered does not depend on the questions before it, whoever asked them.

mod order;

use order::{Answered, ClientQuery, Upstreams};

/// How many sequences are tried, and how many questions each has. All are asked twice, in different orders.
const SEQUENCES: u64 = 24;
const QUESTIONS: usize = 150;

/// Numbers that look random (SplitMix64, Steele, Lea and Flood 2014).
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
async fn in_whatever_order_questions_come_each_is_answered_the_same() {
    let upstreams = Upstreams::start().await;
    for seed in 0..SEQUENCES {
        let mut below = random(seed);
        let mut questions: Vec<ClientQuery> =
            (0..QUESTIONS).map(|_| ClientQuery::choose(&mut below)).collect();
        // Some come again, so that what is cached is used; three times, for the packet cache.
        for _ in 0..QUESTIONS {
            questions.push(questions[below(QUESTIONS / 3)].clone());
        }
        if let Err(failure) = upstreams.check(&questions, &mut below).await {
            panic!("seed {seed}: {failure}");
        }
    }
}

/// The questions that once emptied a whole top-level domain: a denial, no data of type 0, a name below it.
#[tokio::test]
async fn no_data_of_a_type_that_clients_can_send_is_no_denial_of_the_names_below() {
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
            assert_ne!(last, Some(Answered::Nothing));
        }
    }
}
