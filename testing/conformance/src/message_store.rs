//! The promises of [`MessageWriter`] and [`MessageReader`].

use std::sync::Arc;

use roomcast_protocol::event::Message;
use roomcast_protocol::{
    AttachmentId, EventBody, EventId, MessageId, RoomId, Seq, StoredEvent, UserId,
};

use super::sample::{Script, deleted, edited, message_id, reacted, user};
use roomcast_ports::message_store::{Checkpoint, MessageReader, MessageState, MessageWriter};
use roomcast_ports::reactions::{ReactionScope, Reactions};

/// A message store to test.
pub trait MessageHarness: Send {
    /// The write side.
    fn writer(&self) -> Arc<dyn MessageWriter>;

    /// The read side of the same store.
    fn reader(&self) -> Arc<dyn MessageReader>;
}

/// Both sides.
struct Store {
    writer: Arc<dyn MessageWriter>,
    reader: Arc<dyn MessageReader>,
}

impl Store {
    fn of(harness: &impl MessageHarness) -> Self {
        Self {
            writer: harness.writer(),
            reader: harness.reader(),
        }
    }

    /// Writes the room's events as the feed brings them: those that follow what it brought before,
    /// or from some of that on again.
    async fn feed(&self, events: &[Arc<StoredEvent>]) {
        feed(&*self.writer, events).await;
    }

    /// Writes events ahead of the feed.
    async fn write_ahead(&self, events: &[Arc<StoredEvent>]) {
        self.writer.apply(events, None).await.expect("write events");
    }

    async fn events(&self, room_id: &RoomId) -> Vec<Arc<StoredEvent>> {
        self.reader
            .events_after(room_id, Seq::ZERO, 1_000)
            .await
            .expect("read events")
    }

    async fn messages(&self, room_id: &RoomId) -> Vec<MessageState> {
        self.reader
            .messages_from(room_id, Seq::ZERO, 1_000, Seq::MAX)
            .await
            .expect("read messages")
    }

    async fn message(&self, sent: &StoredEvent) -> MessageState {
        let room_id = &sent.event.room_id;
        let message = self
            .reader
            .message(room_id, &message_id(sent), ReactionScope::NONE)
            .await;
        message
            .expect("read a message")
            .expect("the message is there")
    }
}

/// Writes a room's events as one feed batch.
pub(crate) async fn feed(writer: &dyn MessageWriter, events: &[Arc<StoredEvent>]) {
    let Some(last) = events.last() else { return };
    let place = Checkpoint {
        partition: partition(&last.event.room_id),
        position: last.seq.get(),
    };
    let written = writer.apply(events, Some(place)).await;
    written.expect("write a batch");
}

/// A partition that no other test's seq is in.
pub(crate) fn partition(room_id: &RoomId) -> u16 {
    let bytes = room_id.as_str().bytes().rev();
    bytes.fold(7, |hash: u16, byte| {
        hash.wrapping_mul(31).wrapping_add(byte.into())
    })
}

fn content(message: &MessageState) -> Option<&str> {
    message.message.content.as_deref()
}

/// A room in which everything happens to messages.
fn eventful() -> Script {
    let mut script = Script::group("eventful");
    let (ann, bob) = (user(), user());
    let mut sent = Vec::new();
    for number in 0..12 {
        sent.push(message_id(&script.says(&format!("message {number}"))));
    }
    for (number, id) in sent.iter().enumerate() {
        let owner = script.owner.clone();
        if number % 2 == 0 {
            script.does(&owner, edited(id, &format!("edited {number}")));
            script.does(&owner, edited(id, &format!("edited again {number}")));
        }
        if number % 3 == 0 {
            script.does(&owner, deleted(id));
        }
        script.does(&ann, reacted(id, "+1", false));
        script.does(&bob, reacted(id, "-1", false));
        script.does(&ann, reacted(id, "+1", number % 4 == 0));
    }
    script
}

/// Every event is read as it was written, after any seq, in pages.
pub async fn events_are_read_as_they_were_written(harness: &mut impl MessageHarness) {
    let (store, mut script) = (Store::of(harness), Script::new());
    let sender = user();
    for body in super::sample::one_of_each() {
        script.does(&sender, body);
    }
    store.feed(&script.events).await;
    assert_eq!(store.events(&script.room_id).await, script.events);
    for (number, event) in script.events.iter().enumerate() {
        let page = store
            .reader
            .events_after(&script.room_id, event.seq, 3)
            .await
            .expect("read");
        let rest = &script.events[number + 1..];
        assert_eq!(page, rest[..rest.len().min(3)]);
        let id = &event.event.id;
        let named = store
            .reader
            .event(&script.room_id, id)
            .await
            .expect("read an event");
        assert_eq!(named.as_ref(), Some(event));
    }
    let stranger = EventId::generate();
    assert_eq!(
        store
            .reader
            .event(&script.room_id, &stranger)
            .await
            .expect("read"),
        None
    );
    assert_eq!(store.events(&RoomId::generate()).await, []);
}

/// Pages of messages leave other events out, are full, and oldest first in both directions.
pub async fn messages_come_in_pages_both_ways(harness: &mut impl MessageHarness) {
    let (store, script) = (Store::of(harness), eventful());
    store.feed(&script.events).await;
    let all = store.messages(&script.room_id).await;
    let sent: Vec<Seq> = script
        .events
        .iter()
        .filter(|event| matches!(event.event.body, EventBody::MessageSent(_)))
        .map(|event| event.seq)
        .collect();
    assert_eq!(
        all.iter().map(|message| message.seq).collect::<Vec<_>>(),
        sent
    );
    let (room, reader) = (&script.room_id, &store.reader);
    let newest = reader
        .messages_before(room, Seq::MAX, 5, Seq::MAX)
        .await
        .expect("read messages");
    assert_eq!(newest, all[7..]);
    let before = reader
        .messages_before(room, sent[3], 5, Seq::MAX)
        .await
        .expect("read messages");
    assert_eq!(before, all[..3]);
    let from = reader
        .messages_from(room, sent[4], 2, Seq::MAX)
        .await
        .expect("read messages");
    assert_eq!(from, all[4..6]);
    for message in &all {
        let named = reader
            .message(room, &message.message_id, ReactionScope::NONE)
            .await
            .expect("read a message");
        assert_eq!(named.as_ref(), Some(message));
    }
    let stranger = reader
        .message(room, &MessageId::generate(), ReactionScope::NONE)
        .await
        .expect("read a message");
    assert_eq!(stranger, None);
}

/// An edit replaces a message's content and edit time; the rest of it stays.
pub async fn edit_replaces_a_messages_content(harness: &mut impl MessageHarness) {
    let (store, mut script) = (Store::of(harness), Script::group("edits"));
    let (owner, attachment) = (script.owner.clone(), AttachmentId::generate());
    let message = Message {
        content: Some("first".to_owned()),
        attachments: vec![attachment.clone()],
        ..Message::default()
    };
    let sent = script.does(&owner, EventBody::MessageSent(message));
    script.does(&owner, edited(&message_id(&sent), "second"));
    let last = script.does(&owner, edited(&message_id(&sent), "third"));
    store.feed(&script.events).await;
    let state = store.message(&sent).await;
    assert_eq!(content(&state), Some("third"));
    assert_eq!(state.edited_at, Some(last.event.sent_at));
    assert_eq!((state.seq, state.sent_at), (sent.seq, sent.event.sent_at));
    assert_eq!(state.message.attachments, [attachment]);
    assert_eq!(
        store.events(&script.room_id).await,
        script.events,
        "events stay as they happened"
    );
}

/// A deleted message keeps its seq and is redacted everywhere, as are its edits.
pub async fn deleted_message_keeps_its_seq_and_is_redacted(harness: &mut impl MessageHarness) {
    let (store, mut script) = (Store::of(harness), Script::group("deletions"));
    let owner = script.owner.clone();
    let message = Message {
        content: Some("secret".to_owned()),
        attachments: vec![AttachmentId::generate()],
        mentions: vec![user()],
        reply_to: Some(MessageId::generate()),
    };
    let reply_to = message.reply_to.clone();
    let sent = script.does(&owner, EventBody::MessageSent(message));
    script.does(&owner, edited(&message_id(&sent), "secret as well"));
    script.does(&owner, deleted(&message_id(&sent)));
    script.does(&owner, edited(&message_id(&sent), "secret, too late"));
    let kept = script.says("not deleted");
    store.feed(&script.events).await;
    let state = store.message(&sent).await;
    assert!(state.is_deleted());
    assert_eq!(
        state.message,
        Message {
            reply_to,
            ..Message::default()
        }
    );
    let events = store.events(&script.room_id).await;
    assert_eq!(events.len(), script.events.len());
    assert!(!format!("{events:?}").contains("secret"), "{events:?}");
    let named = store
        .reader
        .event(&script.room_id, &sent.event.id)
        .await
        .expect("read an event");
    assert!(!format!("{named:?}").contains("secret"));
    assert_eq!(content(&store.message(&kept).await), Some("not deleted"));
}

/// Each emoji with its holders.
fn holders(reactions: &Reactions) -> Vec<(String, Vec<UserId>)> {
    let ids = |holders: &[(Seq, UserId)]| holders.iter().map(|it| it.1.clone()).collect();
    let states = reactions.iter();
    states
        .map(|it| (it.emoji.clone(), ids(&it.holders)))
        .collect()
}

/// Reactions come in the order they were given, each user once; what is taken back is gone.
pub async fn reactions_are_in_the_order_they_were_given(harness: &mut impl MessageHarness) {
    let (store, mut script) = (Store::of(harness), Script::group("reactions"));
    let sent = script.says("well?");
    let (id, ann, bob) = (message_id(&sent), user(), user());
    script.does(&bob, reacted(&id, "yes", false));
    script.does(&ann, reacted(&id, "maybe", false));
    script.does(&ann, reacted(&id, "yes", false));
    script.does(&ann, reacted(&id, "no", false));
    script.does(&ann, reacted(&id, "no", true));
    store.feed(&script.events).await;
    let state = |emoji: &str, users: &[&UserId]| {
        let users = users.iter().map(|user_id| (*user_id).clone());
        (emoji.to_owned(), users.collect::<Vec<_>>())
    };
    let expected = [state("yes", &[&bob, &ann]), state("maybe", &[&ann])];
    assert_eq!(holders(&store.message(&sent).await.reactions), expected);
}

/// Emoji that differ only in variation selectors are one reaction, spelt as its first holder did, and
/// many reactions are all read.
pub async fn spellings_of_an_emoji_are_one_reaction(harness: &mut impl MessageHarness) {
    let (store, mut script) = (Store::of(harness), Script::group("spellings"));
    let sent = script.says("well?");
    let id = message_id(&sent);
    let users: Vec<_> = (0..60).map(|_| user()).collect();
    for (number, user_id) in users.iter().enumerate() {
        let spelling = ["\u{2764}\u{fe0f}", "\u{2764}", "\u{2764}\u{fe0e}"][number % 3];
        script.does(user_id, reacted(&id, spelling, false));
        for other in 0..20 {
            script.does(user_id, reacted(&id, &format!("e{other}"), false));
        }
    }
    for batch in script.events.chunks(300) {
        store.feed(batch).await;
    }
    let reactions = store.message(&sent).await.reactions;
    assert_eq!(reactions.len(), 21);
    let read = holders(&reactions);
    assert_eq!(read[0].0, "\u{2764}\u{fe0f}");
    assert!(read.iter().all(|(_, it)| *it == users));
    script.does(&users[0], reacted(&id, "\u{2764}\u{fe0f}", true));
    store.feed(&script.events[script.events.len() - 1..]).await;
    let reactions = store.message(&sent).await.reactions;
    let read = holders(&reactions);
    let hearts = read.iter().find(|(emoji, _)| emoji.starts_with('\u{2764}'));
    assert_eq!(hearts.map(|(_, it)| &**it), Some(&users[1..]));
}

/// What is written again changes nothing, whether the feed brings it from an earlier seq on or it
/// is written ahead of it.
pub async fn what_is_written_again_changes_nothing(harness: &mut impl MessageHarness) {
    let (store, script) = (Store::of(harness), eventful());
    store.feed(&script.events).await;
    let (events, messages) = (
        store.events(&script.room_id).await,
        store.messages(&script.room_id).await,
    );
    for begin in [0, 3, 20, script.events.len() - 1] {
        for batch in script.events[begin..].chunks(7) {
            store.feed(batch).await;
            let twice = [Arc::clone(&batch[0]), Arc::clone(&batch[0])];
            store.write_ahead(&twice).await;
        }
        assert_eq!(store.events(&script.room_id).await, events);
        assert_eq!(store.messages(&script.room_id).await, messages);
        assert_eq!(
            store
                .reader
                .applied_seq(&script.room_id)
                .await
                .expect("read"),
            script.head()
        );
    }
}

/// However the feed is cut into batches, and whatever was written ahead of it in any order, what
/// follows is the same.
pub async fn batches_and_what_is_ahead_of_them_change_nothing(harness: &mut impl MessageHarness) {
    let (store, script) = (Store::of(harness), eventful());
    store.feed(&script.events).await;
    let expected = (
        store.events(&script.room_id).await,
        store.messages(&script.room_id).await,
    );
    for (seed, size) in (1..=5).zip([1, 2, 5, 13, 100]) {
        let room_id = RoomId::generate();
        let moved = |event: Arc<StoredEvent>| {
            let mut event = (*event).clone();
            event.event.room_id = room_id.clone();
            Arc::new(event)
        };
        let ahead = script.shuffled(seed).into_iter().map(moved);
        for event in ahead.take(script.events.len() / 2) {
            store.write_ahead(&[event]).await;
        }
        let events: Vec<_> = script.events.iter().cloned().map(moved).collect();
        for batch in events.chunks(size) {
            store.feed(batch).await;
        }
        let fed: Vec<_> = expected.0.iter().cloned().map(moved).collect();
        assert_eq!(store.events(&room_id).await, fed, "seed {seed}");
        let mut messages = expected.1.clone();
        for message in &mut messages {
            message.room_id = room_id.clone();
        }
        assert_eq!(store.messages(&room_id).await, messages, "seed {seed}");
    }
}

/// A consumer batch advances its rooms' applied seq and the partition's checkpoint; early writes advance
/// neither.
pub async fn only_consumer_batches_advance_applied_seq_and_checkpoint(
    harness: &mut impl MessageHarness,
) {
    let (store, mut script) = (Store::of(harness), Script::group("feed"));
    let (room_id, partition) = (script.room_id.clone(), partition(&script.room_id));
    let writer = &store.writer;
    let progress = async || {
        let checkpoint = writer
            .checkpoint(partition)
            .await
            .expect("read the checkpoint");
        let applied_seq = store.reader.applied_seq(&room_id).await.expect("read");
        (checkpoint, applied_seq)
    };
    let at = |position| {
        Some(Checkpoint {
            partition,
            position,
        })
    };
    assert_eq!(progress().await, (0, Seq::ZERO));
    for number in 0..6 {
        script.says(&number.to_string());
    }
    store.write_ahead(&script.events[5..]).await;
    assert_eq!(progress().await, (0, Seq::ZERO));
    let (first, second) = script.events.split_at(3);
    writer.apply(first, at(40)).await.expect("apply a batch");
    assert_eq!(progress().await, (40, first[2].seq));
    writer.apply(second, at(70)).await.expect("apply a batch");
    writer
        .apply(first, at(40))
        .await
        .expect("apply a batch again");
    assert_eq!(progress().await, (70, script.head()));
    writer
        .apply(&[], at(90))
        .await
        .expect("apply an empty batch");
    assert_eq!(progress().await, (90, script.head()));
    assert_eq!(store.events(&room_id).await, script.events);
}

/// Makes a test of every promise of the message store; `$make` is an async function that gives a
/// harness.
#[macro_export]
macro_rules! message_store_conformance {
    ($make:ident) => {
        $crate::conformance_tests!(
            $make,
            message_store,
            [
                events_are_read_as_they_were_written,
                messages_come_in_pages_both_ways,
                edit_replaces_a_messages_content,
                deleted_message_keeps_its_seq_and_is_redacted,
                reactions_are_in_the_order_they_were_given,
                spellings_of_an_emoji_are_one_reaction,
                what_is_written_again_changes_nothing,
                batches_and_what_is_ahead_of_them_change_nothing,
                only_consumer_batches_advance_applied_seq_and_checkpoint,
            ]
        );
    };
}
