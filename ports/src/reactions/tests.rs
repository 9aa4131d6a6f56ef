//! The folds, against a model that keeps everything, on logs made from a seed.

use std::collections::BTreeMap;

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % bound
    }
}

#[derive(Debug, Clone)]
struct Event {
    seq: Seq,
    emoji: &'static str,
    user_id: UserId,
    removed: bool,
}

impl Event {
    fn change(&self) -> ReactionChange<'_> {
        ReactionChange {
            seq: self.seq,
            emoji: self.emoji,
            user_id: &self.user_id,
            removed: self.removed,
        }
    }
}

/// What a store that keeps every row knows: since when, and the last event.
type Rows = BTreeMap<(&'static str, UserId), (Option<Seq>, Seq)>;

fn write(rows: &mut Rows, event: &Event) {
    let key = (event.emoji, event.user_id.clone());
    let since = (!event.removed).then_some(event.seq);
    rows.insert(key, (since, event.seq));
}

fn user(number: usize) -> UserId {
    UserId::new(&format!("u{number}")).unwrap()
}

/// A log in which every event changes something, as gateways append it.
fn log(random: &mut Random, users: usize, length: usize) -> Vec<Event> {
    let (mut rows, mut events) = (Rows::new(), Vec::new());
    for seq in 1..=length {
        let (emoji, user_id) = (["a", "b", "c"][random.below(3)], user(random.below(users)));
        let row = rows.get(&(emoji, user_id.clone()));
        let event = Event {
            seq: Seq::new(seq as u64).unwrap(),
            emoji,
            user_id,
            removed: row.is_some_and(|(since, _)| since.is_some()),
        };
        // More are given than taken back.
        if event.removed && random.below(3) > 0 {
            continue;
        }
        write(&mut rows, &event);
        events.push(event);
    }
    events
}

fn read(events: &[Event], scope: ReactionScope<'_>) -> Reactions {
    let mut rows = Rows::new();
    for event in events {
        write(&mut rows, event);
    }
    let mut fold = ReactionFold::new(scope);
    for ((emoji, user_id), (since, written)) in rows {
        fold.add(ReactionRow {
            emoji: emoji.to_owned(),
            user_id,
            since,
            written,
        });
    }
    fold.finish()
}

/// Every emoji that has holders with all of them, in order.
fn model(events: &[Event]) -> Vec<(&'static str, Vec<(Seq, UserId)>)> {
    let mut rows = Rows::new();
    for event in events {
        write(&mut rows, event);
    }
    let mut by_emoji: BTreeMap<&str, Vec<(Seq, UserId)>> = BTreeMap::new();
    for ((emoji, user_id), (since, _)) in rows {
        if let Some(since) = since {
            by_emoji.entry(emoji).or_default().push((since, user_id));
        }
    }
    let mut all: Vec<_> = by_emoji.into_iter().collect();
    for (_, holders) in &mut all {
        holders.sort();
    }
    all.sort_by_key(|(_, holders)| holders[0].0);
    all
}

fn assert_agrees(reactions: &Reactions, events: &[Event], own: &UserId, told: &str) {
    let expected = model(events);
    let emoji: Vec<&str> = reactions.iter().map(|it| &*it.emoji).collect();
    let expected_emoji: Vec<&str> = expected.iter().map(|(emoji, _)| *emoji).collect();
    assert_eq!(emoji, expected_emoji, "{told}");
    for (state, (emoji, holders)) in reactions.iter().zip(&expected) {
        assert_eq!(state.count, holders.len() as u64, "{told}: {emoji}");
        assert!(holders.starts_with(&state.holders), "{told}: {emoji}");
        assert!(state.holders.len() <= REACTION_HOLDERS_KEPT_MAX);
        let held = holders.iter().any(|(_, user_id)| user_id == own);
        assert_eq!(reactions.is_own(emoji), held, "{told}: {emoji}");
    }
    let own_count = expected
        .iter()
        .filter(|(_, holders)| holders.iter().any(|(_, user_id)| user_id == own));
    assert_eq!(reactions.own_count(), own_count.count(), "{told}");
}

#[test]
fn reactions_are_the_same_wherever_the_store_ends_and_the_tail_starts() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let users = [4, 90, 400][random.below(3)];
        let events = log(&mut random, users, 3 * users);
        let own = user(random.below(users));
        for _ in 0..8 {
            let tail_from = random.below(events.len());
            // The store may have written any part of the tail by the time it is read.
            let written = tail_from + random.below(events.len() + 1 - tail_from);
            let scope = ReactionScope {
                tail_from: match tail_from {
                    0 => Seq::ZERO,
                    index => events[index - 1].seq,
                },
                user_id: Some(&own),
            };
            let mut reactions = read(&events[..written], scope);
            for event in &events[tail_from..] {
                reactions.apply(event.change());
            }
            let told = format!("seed {seed}, tail from {tail_from}, written {written}");
            assert_agrees(&reactions, &events, &own, &told);
        }
    }
}

#[test]
fn fold_keeps_a_bounded_number_of_holders_and_counts_all() {
    let users = 5_000;
    let events: Vec<Event> = (0..users)
        .map(|number| Event {
            seq: Seq::new(number as u64 + 1).unwrap(),
            emoji: "a",
            user_id: user(number),
            removed: false,
        })
        .collect();
    let last = user(users - 1);
    let scope = ReactionScope {
        tail_from: Seq::MAX,
        user_id: Some(&last),
    };
    let reactions = read(&events, scope);
    let state = reactions.get("a").unwrap();
    assert_eq!(state.count, users as u64);
    assert_eq!(state.holders.len(), REACTION_HOLDERS_KEPT_MAX);
    assert_eq!(state.holders[0].1, user(0));
    assert!(reactions.ahead.is_empty());
    assert!(reactions.is_own("a"));
}

#[test]
fn spellings_of_an_emoji_are_one_and_the_first_holder_spells_it() {
    let mut fold = ReactionFold::new(ReactionScope::NONE);
    for (number, emoji) in ["\u{2764}", "\u{2764}\u{fe0f}"].into_iter().enumerate() {
        let since = Seq::new(9 - number as u64);
        fold.add(ReactionRow {
            emoji: emoji.to_owned(),
            user_id: user(number),
            since,
            written: since.unwrap(),
        });
    }
    let reactions = fold.finish();
    assert_eq!(reactions.len(), 1);
    assert_eq!(
        reactions.get("\u{2764}\u{fe0e}").unwrap().emoji,
        "\u{2764}\u{fe0f}"
    );
}
