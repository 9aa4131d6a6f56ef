//! Prepared statements of messages, rooms and members.

use crate::client::statements;

statements! {
    /// The prepared statements.
    Statements {
        // The feed.
        insert_event: Write = "INSERT INTO {ks}.messages
            (room_id, bucket, seq, prev, event_id, body, is_message, ordinal, number, bytes)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
        insert_bucket: Write = "INSERT INTO {ks}.room_buckets (room_id, first_seq, bucket)
            VALUES (?, ?, ?) USING TIMESTAMP ?",
        insert_id: Write = "INSERT INTO {ks}.events_by_id (room_id, shard, event_id, seq, bucket)
            VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?",
        move_head: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET head = ?, ordinal = ?, bucket = ?, number = ?, bytes = ? WHERE room_id = ?",
        move_head_and_message: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET head = ?, ordinal = ?, bucket = ?, number = ?, bytes = ?, last_message = ?,
            last_message_bucket = ?, last_message_at = ? WHERE room_id = ?",
        move_last_message: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET last_message = ?, last_message_bucket = ?, last_message_at = ? WHERE room_id = ?",
        move_active_at: Write = "UPDATE {ks}.rooms USING TIMESTAMP ? SET active_at = ?
            WHERE room_id = ?",
        move_members_changed: Write = "UPDATE {ks}.rooms USING TIMESTAMP ? SET members_changed = ?
            WHERE room_id = ?",
        advance_checkpoint: Write = "UPDATE {ks}.checkpoints USING TIMESTAMP ? SET position = ?
            WHERE partition = ?",
        raise_epoch_floor: Write = "UPDATE {ks}.checkpoints USING TIMESTAMP ? SET epoch_floor = ?
            WHERE partition = ?",
        // What becomes of messages.
        edit: Write = "UPDATE {ks}.messages USING TIMESTAMP ?
            SET edited_content = ?, edited_at = ?, edits[?] = ?
            WHERE room_id = ? AND bucket = ? AND seq = ?",
        delete: Write = "UPDATE {ks}.messages USING TIMESTAMP ?
            SET body = ?, edited_content = '', deleted = true
            WHERE room_id = ? AND bucket = ? AND seq = ?",
        empty: Write = "UPDATE {ks}.messages USING TIMESTAMP ? SET body = ?
            WHERE room_id = ? AND bucket = ? AND seq = ?",
        react: Write = "UPDATE {ks}.reactions USING TIMESTAMP ? SET since_seq = ?
            WHERE room_id = ? AND bucket = ? AND seq = ? AND emoji = ? AND user_id = ?",
        // Rooms and members.
        found: Write = "UPDATE {ks}.rooms USING TIMESTAMP ? SET creation = ?, created_at = ?
            WHERE room_id = ?",
        change_room: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET name = ?, topic = ?, visibility = ? WHERE room_id = ?",
        end_room: Write = "UPDATE {ks}.rooms USING TIMESTAMP ? SET deleted = true WHERE room_id = ?",
        end_members: Write = "UPDATE {ks}.members USING TIMESTAMP ? SET room_deleted = true
            WHERE room_id = ?",
        set_member: Write = "UPDATE {ks}.members USING TIMESTAMP ? SET is_member = ?, role = ?
            WHERE room_id = ? AND user_id = ?",
        join_member: Write = "UPDATE {ks}.members USING TIMESTAMP ?
            SET is_member = true, role = ?, read = ?, read_ordinal = ?, delivered = ?
            WHERE room_id = ? AND user_id = ?",
        set_room_of_user: Write = "UPDATE {ks}.rooms_by_user USING TIMESTAMP ? SET is_member = ?
            WHERE user_id = ? AND room_id = ?",
        insert_owner: Write = "INSERT INTO {ks}.owners (room_id, user_id) VALUES (?, ?)
            USING TIMESTAMP ?",
        move_read: Write = "UPDATE {ks}.members USING TIMESTAMP ? SET read = ?, read_ordinal = ?
            WHERE room_id = ? AND user_id = ?",
        move_delivered: Write = "UPDATE {ks}.members USING TIMESTAMP ? SET delivered = ?
            WHERE room_id = ? AND user_id = ?",
        move_both: Write = "UPDATE {ks}.members USING TIMESTAMP ?
            SET read = ?, read_ordinal = ?, delivered = ? WHERE room_id = ? AND user_id = ?",
        mark_indexed: Write = "UPDATE {ks}.rooms USING TIMESTAMP ? SET indexed = true
            WHERE room_id = ?",
        add_index_key: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET index_keys = index_keys + ? WHERE room_id = ?",
        remove_index_key: Write = "UPDATE {ks}.rooms USING TIMESTAMP ?
            SET index_keys = index_keys - ? WHERE room_id = ?",
        insert_index: Write = "UPDATE {ks}.public_rooms USING TIMESTAMP ? SET indexed = true
            WHERE shard = ? AND name_key = ? AND room_id = ?",
        delete_index: Write = "DELETE FROM {ks}.public_rooms USING TIMESTAMP ?
            WHERE shard = ? AND name_key = ? AND room_id = ?",
        // Reading.
        place: Read = "SELECT position, epoch_floor FROM {ks}.checkpoints WHERE partition = ?",
        head: Read = "SELECT head, ordinal FROM {ks}.rooms WHERE room_id = ?",
        room: Read = "SELECT room_id, creation, created_at, name, topic, visibility, deleted, head,
            ordinal, last_message, last_message_bucket, active_at, members_changed
            FROM {ks}.rooms WHERE room_id = ?",
        is_indexed: Read = "SELECT indexed FROM {ks}.rooms WHERE room_id = ?",
        indexed_cells: Read = "SELECT creation, WRITETIME(creation), name, WRITETIME(name),
            visibility, WRITETIME(visibility), deleted, WRITETIME(deleted), index_keys
            FROM {ks}.rooms WHERE room_id = ?",
        public_rooms: Read = "SELECT name_key, room_id FROM {ks}.public_rooms
            WHERE shard = ? AND (name_key, room_id) > (?, ?) AND (name_key) < (?) LIMIT ?",
        bucket_up_to: Read = "SELECT bucket, first_seq FROM {ks}.room_buckets
            WHERE room_id = ? AND first_seq <= ? ORDER BY first_seq DESC LIMIT 1",
        buckets_after: Read = "SELECT bucket, first_seq FROM {ks}.room_buckets
            WHERE room_id = ? AND first_seq > ? ORDER BY first_seq ASC LIMIT ?",
        chains_up_to: Read = "SELECT seq, ordinal, number, bytes FROM {ks}.messages
            WHERE room_id = ? AND bucket = ? AND seq <= ? ORDER BY seq DESC LIMIT ?",
        by_id: Read = "SELECT bucket, seq FROM {ks}.events_by_id
            WHERE room_id = ? AND shard = ? AND event_id = ?",
        target: Read = "SELECT body, deleted, edits FROM {ks}.messages
            WHERE room_id = ? AND bucket = ? AND seq = ?",
        reaction: Read = "SELECT since_seq FROM {ks}.reactions
            WHERE room_id = ? AND bucket = ? AND seq = ? AND emoji = ? AND user_id = ?",
        reactions: Read = "SELECT seq, emoji, user_id, since_seq, WRITETIME(since_seq) FROM {ks}.reactions
            WHERE room_id = ? AND bucket = ? AND (seq, emoji, user_id) > (?, ?, ?) AND (seq) <= (?)
            LIMIT ?",
        event_at: Read = "SELECT seq, prev, body FROM {ks}.messages
            WHERE room_id = ? AND bucket = ? AND seq = ?",
        events_from: Read = "SELECT seq, prev, body FROM {ks}.messages
            WHERE room_id = ? AND bucket = ? AND seq >= ? ORDER BY seq ASC LIMIT ?",
        message_at: Read = "SELECT seq, body, edited_content, edited_at, deleted
            FROM {ks}.messages WHERE room_id = ? AND bucket = ? AND seq = ?",
        messages_from: Read = "SELECT seq, body, edited_content, edited_at, deleted
            FROM {ks}.messages WHERE room_id = ? AND bucket = ? AND seq >= ? AND is_message = true
            ORDER BY seq ASC LIMIT ? ALLOW FILTERING",
        messages_to: Read = "SELECT seq, body, edited_content, edited_at, deleted
            FROM {ks}.messages WHERE room_id = ? AND bucket = ? AND seq <= ? AND is_message = true
            ORDER BY seq DESC LIMIT ? ALLOW FILTERING",
        member: Read = "SELECT room_deleted, is_member, writetime(is_member) AS joined, role, read,
            read_ordinal, delivered FROM {ks}.members WHERE room_id = ? AND user_id = ?",
        members: Read = "SELECT user_id, role, read, delivered, room_deleted, writetime(is_member)
            FROM {ks}.members WHERE room_id = ? AND user_id > ? AND is_member = true LIMIT ? ALLOW FILTERING",
        member_count: Read = "SELECT count(*) FROM {ks}.members
            WHERE room_id = ? AND is_member = true ALLOW FILTERING",
        owners: Read = "SELECT user_id FROM {ks}.owners WHERE room_id = ?",
        rooms_of_user: Read = "SELECT room_id FROM {ks}.rooms_by_user
            WHERE user_id = ? AND is_member = true LIMIT ? ALLOW FILTERING",
    }
}
