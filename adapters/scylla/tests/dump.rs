//! Every cell of what is derived, with its timestamp: to be compared, and to be copied in part.

use std::collections::BTreeMap;

use scylla::value::{CqlValue, Row};

use crate::harness::Cql;
use crate::sample_log::Chance;

/// Tables: name, key columns, other columns.
const TABLES: &[(&str, &[&str], &[&str])] = &[
    (
        "messages",
        &["room_id", "bucket", "seq"],
        &[
            "prev",
            "event_id",
            "body",
            "is_message",
            "ordinal",
            "number",
            "bytes",
            "edited_content",
            "edited_at",
            "deleted",
        ],
    ),
    ("room_buckets", &["room_id", "first_seq"], &["bucket"]),
    (
        "events_by_id",
        &["room_id", "shard", "event_id"],
        &["seq", "bucket"],
    ),
    (
        "reactions",
        &["room_id", "bucket", "seq", "emoji", "user_id"],
        &["since_seq"],
    ),
    (
        "rooms",
        &["room_id"],
        &[
            "creation",
            "created_at",
            "name",
            "topic",
            "visibility",
            "deleted",
            "indexed",
            "head",
            "ordinal",
            "bucket",
            "number",
            "bytes",
            "last_message",
            "last_message_bucket",
            "last_message_at",
            "active_at",
        ],
    ),
    (
        "members",
        &["room_id", "user_id"],
        &["is_member", "role", "read", "read_ordinal", "delivered"],
    ),
    ("rooms_by_user", &["user_id", "room_id"], &["is_member"]),
    (
        "public_rooms",
        &["shard", "name_key", "room_id"],
        &["indexed"],
    ),
    ("checkpoints", &["partition"], &["position", "epoch_floor"]),
];

/// Table, key, column → value and timestamp.
pub(crate) type Cells = BTreeMap<(String, String, String), (String, i64)>;

/// All cells of a keyspace.
pub(crate) async fn dump(cql: &Cql, keyspace: &str) -> Cells {
    let mut cells = Cells::new();
    for (table, keys, columns) in TABLES {
        for row in rows(cql, keyspace, table, keys, columns).await {
            let key = format!("{:?}", &row.columns[..keys.len()]);
            for (column, pair) in columns.iter().zip(row.columns[keys.len()..].chunks(2)) {
                let [Some(value), Some(CqlValue::BigInt(stamp))] = pair else {
                    continue;
                };
                let name = ((*table).to_owned(), key.clone(), (*column).to_owned());
                cells.insert(name, (format!("{value:?}"), *stamp));
            }
        }
    }
    let edits = format!("SELECT room_id, seq, edits FROM {keyspace}.messages");
    for row in cql.ask(&edits, ()).await {
        let name = (
            "messages".to_owned(),
            format!("{:?}", &row.columns[..2]),
            "edits".to_owned(),
        );
        cells.insert(name, (format!("{:?}", row.columns[2]), 0));
    }
    let owners = format!("SELECT room_id, user_id FROM {keyspace}.owners");
    for row in cql.ask(&owners, ()).await {
        let name = (
            "owners".to_owned(),
            format!("{:?}", row.columns),
            String::new(),
        );
        cells.insert(name, (String::new(), 0));
    }
    cells
}

/// Copies cells that are younger than `after` into another keyspace, each with its timestamp and each
/// with a chance of one half: the state of a cluster that lost its last seconds.
pub(crate) async fn copy_some(
    cql: &Cql,
    (from, to): (&str, &str),
    after: i64,
    chance: &mut Chance,
) {
    for (table, keys, columns) in TABLES {
        for row in rows(cql, from, table, keys, columns).await {
            for (column, pair) in columns.iter().zip(row.columns[keys.len()..].chunks(2)) {
                let [Some(value), Some(CqlValue::BigInt(stamp))] = pair else {
                    continue;
                };
                if stamp.abs() <= after || chance.below(2) == 0 {
                    continue;
                }
                let conditions: Vec<String> = keys.iter().map(|key| format!("{key} = ?")).collect();
                let update = format!(
                    "UPDATE {to}.{table} USING TIMESTAMP ? SET {column} = ? WHERE {}",
                    conditions.join(" AND ")
                );
                let key = row.columns[..keys.len()].iter().cloned();
                let values: Vec<Option<CqlValue>> =
                    [Some(CqlValue::BigInt(*stamp)), Some(value.clone())]
                        .into_iter()
                        .chain(key)
                        .collect();
                cql.ask(&update, values).await;
            }
        }
    }
}

async fn rows(cql: &Cql, keyspace: &str, table: &str, keys: &[&str], columns: &[&str]) -> Vec<Row> {
    let columns: Vec<String> = columns
        .iter()
        .map(|it| format!("{it}, WRITETIME({it})"))
        .collect();
    let select = format!(
        "SELECT {}, {} FROM {keyspace}.{table}",
        keys.join(", "),
        columns.join(", ")
    );
    cql.ask(&select, ()).await
}
