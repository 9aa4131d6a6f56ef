//! Collects violations: counts all, and keeps the first counterexamples of each kind.

use std::collections::BTreeMap;

use crate::result::{COUNTEREXAMPLES_MAX, Checked, Count, Counterexample, Verdict, ViolationKind};

/// The violations found so far, in bounded memory.
#[derive(Default)]
pub(crate) struct Findings {
    kinds: BTreeMap<ViolationKind, Kind>,
}

#[derive(Default)]
struct Kind {
    count: u64,
    counterexamples: Vec<Counterexample>,
}

impl Findings {
    /// Counts a violation; calls `describe` if another counterexample is kept.
    pub(crate) fn add(
        &mut self,
        kind: ViolationKind,
        room: &str,
        seq: u64,
        at_us: u64,
        describe: impl FnOnce() -> Vec<String>,
    ) {
        let found = self.kinds.entry(kind).or_default();
        found.count += 1;
        let mut described = found.counterexamples.iter_mut();
        if let Some(counterexample) = described
            .find(|counterexample| counterexample.seq == seq && counterexample.room == room)
        {
            counterexample.more += 1;
        } else if found.counterexamples.len() < COUNTEREXAMPLES_MAX {
            found.counterexamples.push(Counterexample {
                kind,
                room: room.to_owned(),
                seq,
                at_us,
                lines: describe(),
                more: 0,
            });
        }
    }

    /// Adds the violations found by another thread.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (kind, found) in other.kinds {
            let mine = self.kinds.entry(kind).or_default();
            mine.count += found.count;
            mine.counterexamples.extend(found.counterexamples);
        }
    }

    /// Selects counterexamples round-robin over the kinds, earliest first, up to the limit.
    pub(crate) fn into_verdict(self, checked: Checked) -> Verdict {
        let violations = self.kinds.iter().map(|(kind, found)| Count {
            kind: *kind,
            promise: kind.promise(),
            count: found.count,
        });
        let violations = violations.collect();
        let mut ranked: Vec<(usize, Counterexample)> = Vec::new();
        for mut found in self.kinds.into_values() {
            found
                .counterexamples
                .sort_by_key(|counterexample| (counterexample.at_us, counterexample.seq));
            ranked.extend(found.counterexamples.into_iter().enumerate());
        }
        ranked.sort_by_key(|(rank, counterexample)| (*rank, counterexample.kind));
        ranked.truncate(COUNTEREXAMPLES_MAX);
        ranked.sort_by_key(|(rank, counterexample)| (counterexample.kind, *rank));
        Verdict {
            checked,
            violations,
            counterexamples: ranked
                .into_iter()
                .map(|(_, counterexample)| counterexample)
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_story_however_many_there_are_of_another() {
        let mut findings = Findings::default();
        for seq in (0..1_000).rev() {
            findings.add(ViolationKind::Gap, "r", seq, seq, Vec::new);
        }
        for _ in 0..5 {
            findings.add(ViolationKind::Invented, "r", 7, 7, Vec::new);
        }
        let verdict = findings.into_verdict(Checked::default());
        assert_eq!(verdict.count(ViolationKind::Gap), 1_000);
        assert_eq!(verdict.counterexamples.len(), COUNTEREXAMPLES_MAX);
        let invented = &verdict.counterexamples[0];
        assert_eq!((invented.kind, invented.more), (ViolationKind::Invented, 4));
        let gaps: Vec<u64> = verdict.counterexamples[1..]
            .iter()
            .map(|counterexample| counterexample.at_us)
            .collect();
        assert!(gaps.is_sorted(), "{gaps:?}");
    }
}
