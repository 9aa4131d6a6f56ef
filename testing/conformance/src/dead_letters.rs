//! The promises of [`DeadLetters`].

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use roomcast_ports::dead_letters::{DeadLetter, DeadLetters};

/// A keeper of dead letters to test.
pub trait DeadLetterHarness: Send {
    /// It.
    fn dead_letters(&self) -> Arc<dyn DeadLetters>;
}

fn letter(partition: u16, position: u64, reason: &str) -> DeadLetter {
    DeadLetter {
        partition,
        position,
        body: vec![0, 255, b'{'],
        reason: reason.to_owned(),
    }
}

/// A partition number that no other test uses.
fn partition() -> u16 {
    u16::try_from(RandomState::new().hash_one(0) % 60_000).unwrap_or(0)
}

/// What is kept is listed, in order and in pages, as it was.
pub async fn what_is_kept_is_listed_in_order(harness: &mut impl DeadLetterHarness) {
    let (letters, partition) = (harness.dead_letters(), partition());
    let other = letter(partition + 1, 3, "another partition");
    letters.put(&other).await.expect("keep a letter");
    for position in [5, 1, 1 << 52, 3] {
        letters
            .put(&letter(partition, position, "first"))
            .await
            .expect("keep a letter");
    }
    let positions = async |after, limit| -> Vec<u64> {
        let page = letters.list(partition, after, limit).await;
        page.expect("list").iter().map(|it| it.position).collect()
    };
    assert_eq!(positions(0, 10).await, [1, 3, 5, 1 << 52]);
    assert_eq!(positions(1, 2).await, [3, 5]);
    assert_eq!(
        letters.list(partition, 4, 1).await.expect("list"),
        [letter(partition, 5, "first")]
    );
}

/// The same position again replaces the letter; a forgotten one is gone, and forgetting none is fine.
pub async fn a_letter_is_replaced_and_forgotten_by_its_place(harness: &mut impl DeadLetterHarness) {
    let (letters, partition) = (harness.dead_letters(), partition());
    for reason in ["first", "second"] {
        let kept = letters.put(&letter(partition, 7, reason)).await;
        kept.expect("keep a letter");
    }
    assert_eq!(
        letters.list(partition, 0, 10).await.expect("list"),
        [letter(partition, 7, "second")]
    );
    for _ in 0..2 {
        letters.delete(partition, 7).await.expect("forget a letter");
        assert!(
            letters
                .list(partition, 0, 10)
                .await
                .expect("list")
                .is_empty()
        );
    }
}

/// Makes a test of every promise; `$make` is an async function that gives a harness.
#[macro_export]
macro_rules! dead_letter_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            dead_letters,
            [
                what_is_kept_is_listed_in_order,
                a_letter_is_replaced_and_forgotten_by_its_place,
            ]
        );
    };
}
