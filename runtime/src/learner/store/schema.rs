//! The tables of a store, and how older stores become newer ones.

use rusqlite::{Connection, TransactionBehavior};

/// Marks the file as a learner (`application_id` of SQLite's header): "OfsL".
pub(super) const APPLICATION_ID: i64 = 0x4f66_734c;

/// Step `i` makes a store of version `i` one of version `i + 1`; version 0 has no tables.
/// A step that was released never changes: what comes later is a step of its own.
pub(super) const STEPS: &[&str] = &[VERSION_1, VERSION_2];

/// The version that is written, and the newest that is read.
pub(super) const VERSION: i64 = STEPS.len() as i64;

const VERSION_1: &str = "
-- One row: whose embeddings these are and where the history stands.
CREATE TABLE learner (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    encoder_digest TEXT NOT NULL,
    encoder_name TEXT NOT NULL,
    dimensions INTEGER NOT NULL CHECK (dimensions > 0),
    prompt TEXT,
    head TEXT NOT NULL,
    keeps_text INTEGER NOT NULL CHECK (keeps_text IN (0, 1)),
    -- Grows with every update.
    revision INTEGER NOT NULL,
    -- The last revision that deleted something whose bytes may still be there.
    erasing INTEGER
) STRICT;

CREATE TABLE example (
    -- Never used again, so that what was forgotten does not come back as another.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Little-endian 32-bit floats.
    embedding BLOB NOT NULL,
    label TEXT,
    weight REAL NOT NULL,
    -- Milliseconds since 1970.
    time INTEGER NOT NULL,
    source TEXT,
    text TEXT
) STRICT;
CREATE INDEX example_label ON example (label);
CREATE INDEX example_source ON example (source) WHERE source IS NOT NULL;

-- Updates that can be undone, by the revision that they made, and between them the places
-- where something was forgotten.
CREATE TABLE history (
    revision INTEGER PRIMARY KEY,
    action TEXT NOT NULL,
    examples INTEGER NOT NULL,
    time INTEGER NOT NULL
) STRICT;

-- What an update changed: the label and the weight that an example had before.
CREATE TABLE change (
    revision INTEGER NOT NULL REFERENCES history ON DELETE CASCADE,
    example INTEGER NOT NULL REFERENCES example ON DELETE CASCADE,
    label TEXT,
    weight REAL,
    PRIMARY KEY (revision, example)
) STRICT, WITHOUT ROWID;
CREATE INDEX change_example ON change (example);

-- The head that was fitted last: the bytes of a head file.
CREATE TABLE head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
";

const VERSION_2: &str = "
-- Whether examples without a label help to predict.
ALTER TABLE learner ADD COLUMN
    uses_unlabelled INTEGER NOT NULL DEFAULT 0 CHECK (uses_unlabelled IN (0, 1));
";

/// Version of the open store.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the steps that a store lacks, all or none of them.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have taken them while this one waited.
    let found = usize::try_from(version(&transaction)?).unwrap_or(usize::MAX);
    for (done, step) in steps.iter().enumerate().skip(found) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", done as i64 + 1)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store of version 1 as the program that introduced it wrote it, with one example.
    fn version_1() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &[VERSION_1]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO learner VALUES (1, 'sha256:1', 'e', 2, NULL, 'ridge', 1, 7, NULL);
                 INSERT INTO example VALUES (3, x'0000803f00000040', 'a', 0.5, 12, 's', 't');",
            )
            .unwrap();
        connection
    }

    fn columns(connection: &Connection) -> Vec<String> {
        let mut statement =
            connection.prepare("SELECT name FROM pragma_table_info('example')").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn an_older_store_takes_the_steps_that_it_lacks_and_keeps_its_examples() {
        let mut connection = version_1();
        let steps = [
            VERSION_1,
            "ALTER TABLE example ADD COLUMN mark TEXT; UPDATE example SET mark = 'm' || id;",
            "ALTER TABLE example RENAME COLUMN mark TO tag;",
        ];
        migrate(&mut connection, &steps).unwrap();
        assert_eq!(version(&connection).unwrap(), 3);
        let row = connection.query_row("SELECT label, weight, tag FROM example", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?, row.get::<_, String>(2)?))
        });
        assert_eq!(row.unwrap(), ("a".into(), 0.5, "m3".into()));
        // A second time there is nothing to do.
        migrate(&mut connection, &steps).unwrap();
        assert_eq!(version(&connection).unwrap(), 3);
    }

    #[test]
    fn version_2_keeps_what_version_1_said_and_uses_no_unlabelled_examples() {
        let mut connection = version_1();
        migrate(&mut connection, STEPS).unwrap();
        let row = connection.query_row(
            "SELECT encoder_name, head, revision, uses_unlabelled FROM learner",
            [],
            |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            },
        );
        assert_eq!(row.unwrap(), ("e".into(), "ridge".into(), 7, 0));
        connection.execute("UPDATE learner SET uses_unlabelled = 2", []).unwrap_err();
    }

    #[test]
    fn a_step_that_fails_leaves_the_store_as_it_was() {
        let mut connection = version_1();
        let before = columns(&connection);
        let steps =
            [VERSION_1, "ALTER TABLE example ADD COLUMN mark TEXT;", "UPDATE nothing SET x = 1;"];
        migrate(&mut connection, &steps).unwrap_err();
        assert_eq!((version(&connection).unwrap(), columns(&connection)), (1, before));
        assert!(connection.is_autocommit());
    }
}
