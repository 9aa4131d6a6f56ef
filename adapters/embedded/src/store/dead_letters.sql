-- Entries of the log that could not be derived, until somebody has looked.
CREATE TABLE dead_letters (
    partition INTEGER NOT NULL,
    position INTEGER NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (partition, position)
) STRICT, WITHOUT ROWID;
