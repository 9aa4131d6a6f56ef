//! Reactions to a message: one fold for every store and for the readers of the log's tail.
//!
//! A store reads a row for each user and emoji; what is kept of them is bounded, independent of how many
//! users reacted: the number of holders of each emoji and the first
//! [`REACTION_HOLDERS_KEPT_MAX`] of them. Events of the log's tail are folded on top. The store may
//! already contain some of them: it returns those rows too, since a count cannot show it.

use std::collections::{BinaryHeap, HashMap};

use roomcast_protocol::limits::REACTION_HOLDERS_KEPT_MAX;
use roomcast_protocol::text::emoji_key;
use roomcast_protocol::{Seq, UserId};

/// The holders of one emoji.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactionState {
    /// The emoji, as its first holder spelt it. Emoji that differ only in variation selectors are one.
    pub emoji: String,
    /// The number of holders.
    pub count: u64,
    /// The first holders, each with the seq since which it holds the emoji, in that order; all of them,
    /// or up to [`REACTION_HOLDERS_KEPT_MAX`].
    pub holders: Vec<(Seq, UserId)>,
}

impl ReactionState {
    /// Whether this is the emoji, however it is spelt.
    pub fn is(&self, emoji: &str) -> bool {
        self.emoji == emoji || emoji_key(&self.emoji) == emoji_key(emoji)
    }

    fn is_complete(&self) -> bool {
        self.count == self.holders.len() as u64
    }

    fn since(&self) -> Seq {
        self.holders.first().map_or(Seq::MAX, |(since, _)| *since)
    }
}

/// One event that gives a reaction or takes it back.
#[derive(Debug, Clone, Copy)]
pub struct ReactionChange<'a> {
    /// Its seq in the room.
    pub seq: Seq,
    /// The emoji, as the event spells it.
    pub emoji: &'a str,
    /// Who reacts.
    pub user_id: &'a UserId,
    /// Whether it is taken back.
    pub removed: bool,
}

/// What a reader wants to know beside the counts and first holders.
#[derive(Debug, Clone, Copy)]
pub struct ReactionScope<'a> {
    /// Events after this one will be folded on top; [`Seq::MAX`] if none will be.
    pub tail_from: Seq,
    /// The user whose own reactions are wanted, holder among the first or not.
    pub user_id: Option<&'a UserId>,
}

impl ReactionScope<'_> {
    /// Nothing more, and no tail.
    pub const NONE: Self = Self::before_tail(Seq::MAX);

    /// Nothing more; events after `tail_from` will be folded on top.
    pub const fn before_tail(tail_from: Seq) -> Self {
        Self {
            tail_from,
            user_id: None,
        }
    }
}

/// A message's reactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reactions {
    /// In the order of their first holders.
    by_emoji: Vec<ReactionState>,
    /// Changes after [`ReactionScope::tail_from`] that are contained: the key, the user, the seq.
    ahead: Vec<(String, UserId, Seq)>,
    /// The keys of the emoji that the user of the scope holds.
    own: Option<(UserId, Vec<String>)>,
}

impl Reactions {
    /// No reactions yet, of a message that the tail begins with.
    pub fn new(user_id: Option<&UserId>) -> Self {
        Self {
            own: user_id.map(|user_id| (user_id.clone(), Vec::new())),
            ..Self::default()
        }
    }

    /// The emoji that have holders, in the order of their first holders.
    pub fn iter(&self) -> std::slice::Iter<'_, ReactionState> {
        self.by_emoji.iter()
    }

    /// How many emoji have holders.
    pub const fn len(&self) -> usize {
        self.by_emoji.len()
    }

    /// Whether no emoji has a holder.
    pub const fn is_empty(&self) -> bool {
        self.by_emoji.is_empty()
    }

    /// The holders of the emoji, however it is spelt.
    pub fn get(&self, emoji: &str) -> Option<&ReactionState> {
        self.by_emoji.iter().find(|it| it.is(emoji))
    }

    /// How many emoji the user of the scope holds.
    pub fn own_count(&self) -> usize {
        self.own.as_ref().map_or(0, |(_, keys)| keys.len())
    }

    /// Whether the user of the scope holds the emoji.
    pub fn is_own(&self, emoji: &str) -> bool {
        let key = emoji_key(emoji);
        let own = self.own.as_ref();
        own.is_some_and(|(_, keys)| keys.iter().any(|it| *it == key))
    }

    /// Folds an event of the tail. Where all holders are known, one that changes nothing is ignored; else
    /// the event is a change, because gateways append no other.
    pub fn apply(&mut self, change: ReactionChange<'_>) {
        let key = emoji_key(change.emoji);
        let contained = |(it, user_id, seq): &(String, UserId, Seq)| {
            *seq >= change.seq && *user_id == *change.user_id && *it == key
        };
        if self.ahead.iter().any(contained) {
            return;
        }
        if let Some((_, keys)) = self.own.as_mut().filter(|own| own.0 == *change.user_id) {
            keys.retain(|it| *it != key);
            if !change.removed {
                keys.push(key.into_owned());
            }
        }
        let index = self.by_emoji.iter().position(|it| it.is(change.emoji));
        match (index, change.removed) {
            (Some(index), true) => self.remove(index, change.user_id),
            (Some(index), false) => self.by_emoji[index].add(change),
            (None, false) => self.by_emoji.push(ReactionState {
                emoji: change.emoji.to_owned(),
                count: 1,
                holders: vec![(change.seq, change.user_id.clone())],
            }),
            (None, true) => {}
        }
    }

    fn remove(&mut self, index: usize, user_id: &UserId) {
        let state = &mut self.by_emoji[index];
        let complete = state.is_complete();
        let before = state.holders.len();
        state.holders.retain(|(_, it)| it != user_id);
        if complete && state.holders.len() == before {
            return;
        }
        state.count -= 1;
        if state.count == 0 {
            self.by_emoji.remove(index);
        }
        self.by_emoji.sort_by_key(ReactionState::since);
    }
}

impl<'a> IntoIterator for &'a Reactions {
    type Item = &'a ReactionState;
    type IntoIter = std::slice::Iter<'a, ReactionState>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl ReactionState {
    fn add(&mut self, change: ReactionChange<'_>) {
        let complete = self.is_complete();
        if complete && self.holders.iter().any(|(_, it)| it == change.user_id) {
            return;
        }
        if complete && self.holders.len() < REACTION_HOLDERS_KEPT_MAX {
            self.holders.push((change.seq, change.user_id.clone()));
        }
        self.count += 1;
    }
}

/// A row of a store: one user and one emoji.
#[derive(Debug)]
pub struct ReactionRow {
    /// The emoji, as the user spelt it.
    pub emoji: String,
    /// The user.
    pub user_id: UserId,
    /// Since when the user holds it; `None` if it was taken back.
    pub since: Option<Seq>,
    /// The seq of the event that wrote the row last.
    pub written: Seq,
}

/// Folds a store's rows of one message, in any order. Keeps a bounded part of them.
#[derive(Debug)]
pub struct ReactionFold {
    tail_from: Seq,
    by_key: HashMap<String, Holders>,
    rest: Reactions,
}

#[derive(Debug, Default)]
struct Holders {
    count: u64,
    /// The first, with their spellings; the last of them on top.
    first: BinaryHeap<(Seq, UserId, String)>,
}

impl ReactionFold {
    /// A fold without rows.
    pub fn new(scope: ReactionScope<'_>) -> Self {
        Self {
            tail_from: scope.tail_from,
            by_key: HashMap::new(),
            rest: Reactions::new(scope.user_id),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: ReactionRow) {
        let key = emoji_key(&row.emoji);
        if row.written > self.tail_from {
            let ahead = (key.clone().into_owned(), row.user_id.clone(), row.written);
            self.rest.ahead.push(ahead);
        }
        let Some(since) = row.since else { return };
        let own = self.rest.own.as_mut();
        if let Some((_, keys)) = own.filter(|own| own.0 == row.user_id) {
            keys.push(key.clone().into_owned());
        }
        if !self.by_key.contains_key(&*key) {
            self.by_key
                .insert(key.clone().into_owned(), Holders::default());
        }
        let Some(holders) = self.by_key.get_mut(&*key) else {
            return;
        };
        holders.count += 1;
        holders.first.push((since, row.user_id, row.emoji));
        if holders.first.len() > REACTION_HOLDERS_KEPT_MAX {
            holders.first.pop();
        }
    }

    /// The reactions.
    pub fn finish(mut self) -> Reactions {
        let states = self.by_key.into_values().filter_map(|holders| {
            let first = holders.first.into_sorted_vec();
            Some(ReactionState {
                emoji: first.first()?.2.clone(),
                count: holders.count,
                holders: first
                    .into_iter()
                    .map(|(since, id, _)| (since, id))
                    .collect(),
            })
        });
        self.rest.by_emoji = states.collect();
        self.rest.by_emoji.sort_by_key(ReactionState::since);
        self.rest
    }
}

#[cfg(test)]
mod tests;
