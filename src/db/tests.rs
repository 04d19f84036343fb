//! The store as a whole: transactions, failures, restarts.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use diesel::{connection::SimpleConnection, prelude::*, sql_query, sql_types::Text};
use futures_util::future::join_all;

use crate::{
    db::{
        Conflict, DatabaseConfig, Db, DbError, DbResult, Store, schema,
        testing::{TestDb, with_db},
        users::{self, tests::sample},
    },
    each_db,
};

async fn ids(store: &Store) -> Vec<String> {
    let load = |c: &mut Db| {
        use schema::users::dsl;
        Ok::<_, DbError>(dsl::users.select(dsl::id).order(dsl::id).load::<String>(c)?)
    };
    store.read(load).await.unwrap()
}

async fn add(store: &Store, id: &str) -> DbResult<()> {
    let user = sample(id);
    store.write(move |c| users::insert(c, &user)).await
}

#[test]
fn every_table_and_column_exists_in_the_database() {
    with_db(|c| {
        macro_rules! check {
            ($($table:ident),*) => { $({
                use schema::$table;
                $table::table.select($table::all_columns).limit(0).execute(c).unwrap();
            })* };
        }
        check!(users, sessions, blocked_refresh_tokens, invite_tokens, user_preferences);
        check!(setup_tokens, rooms, room_participants, settings, webhook_deliveries, revoked_tokens);
    });
}

#[tokio::test]
async fn a_refused_write_leaves_nothing_behind_and_its_neighbours_alone() {
    let test = TestDb::new();
    let store = test.store().await;
    let writes = (0..40).map(|n| {
        let (store, user) = (store.clone(), sample(&format!("u{n:02}")));
        async move {
            let write = move |c: &mut Db| {
                users::insert(c, &user)?;
                if n % 2 == 1 { Err(DbError::NotFound) } else { Ok(n) }
            };
            store.write(write).await
        }
    });
    let results = join_all(writes).await;
    for (n, result) in (0..).zip(results) {
        assert_eq!(result, if n % 2 == 1 { Err(DbError::NotFound) } else { Ok(n) });
    }
    let expected: Vec<String> = (0..40).filter(|n| n % 2 == 0).map(|n| format!("u{n:02}")).collect();
    assert_eq!(ids(&store).await, expected);
}

#[tokio::test]
async fn a_broken_rule_inside_a_group_is_told_to_its_writer_only() {
    let test = TestDb::new();
    let store = test.store().await;
    let results = join_all((0..10).map(|_| add(&store, "same"))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let refused =
        |result: &&DbResult<()>| matches!(result, Err(DbError::Conflict(Conflict::UserEmail | Conflict::Id)));
    assert_eq!(results.iter().filter(refused).count(), 9, "{results:?}");
}

#[tokio::test]
async fn a_write_that_panics_is_rolled_back_and_the_store_goes_on() {
    let test = TestDb::new();
    let store = test.store().await;
    let panicking = store.write(|c| {
        users::insert(c, &sample("lost"))?;
        c.savepoint()?;
        users::insert(c, &sample("lost too"))?;
        if c.depth() > Some(0) {
            panic!("on purpose");
        }
        Ok::<(), DbError>(())
    });
    let (panicked, neighbour) = tokio::join!(panicking, add(&store, "kept"));
    assert!(matches!(panicked, Err(DbError::Bug(_))), "{panicked:?}");
    neighbour.unwrap();
    let reading =
        store.read(|c| if c.depth() == Some(0) { panic!("on purpose") } else { Ok::<(), DbError>(()) });
    assert!(matches!(reading.await, Err(DbError::Bug(_))));
    add(&store, "later").await.unwrap();
    assert_eq!(ids(&store).await, ["kept", "later"]);
}

#[tokio::test]
async fn a_commit_that_fails_fails_the_write() {
    let test = TestDb::new();
    let store = test.store().await;
    if !matches!(test.config, DatabaseConfig::Sqlite(_)) {
        return; // the rule can be put off to the commit on SQLite only
    }
    let orphan = store.write(|c| {
        each_db!(c, c.batch_execute("PRAGMA defer_foreign_keys = ON"))?;
        let sql = "INSERT INTO user_preferences VALUES ('nobody', '{}', '2027-01-01 00:00:00.000000+00:00')";
        sql_query(sql).execute(c)?;
        Ok::<(), DbError>(())
    });
    assert!(matches!(orphan.await, Err(DbError::Reference(_))));
    add(&store, "later").await.unwrap();
    assert_eq!(ids(&store).await, ["later"]);
}

#[tokio::test]
async fn a_reader_cannot_write_a_sqlite_file() {
    let test = TestDb::new();
    let store = test.store().await;
    if matches!(test.config, DatabaseConfig::Sqlite(_)) {
        assert!(store.read(|c| users::insert(c, &sample("a"))).await.is_err());
        assert_eq!(ids(&store).await, [""; 0]);
    }
}

#[tokio::test]
async fn two_processes_may_write_at_once() {
    let test = TestDb::new();
    let (one, two) = (test.store().await, test.store().await);
    let writes = (0..30).map(|n| {
        let store = if n % 2 == 0 { one.clone() } else { two.clone() };
        async move { add(&store, &format!("u{n:02}")).await }
    });
    for result in join_all(writes).await {
        result.unwrap();
    }
    assert_eq!(ids(&two).await.len(), 30);
}

#[tokio::test]
async fn after_closing_everything_is_in_the_file_and_nothing_is_taken() {
    let test = TestDb::new();
    let store = test.store().await;
    add(&store, "a").await.unwrap();
    store.close().await;
    assert!(matches!(add(&store, "b").await, Err(DbError::Unavailable(_))));
    assert!(matches!(store.ping().await, Err(DbError::Unavailable(_))));
    if let DatabaseConfig::Sqlite(path) = &test.config {
        let log = path.with_extension("db-wal");
        assert_eq!(std::fs::metadata(log).map_or(0, |meta| meta.len()), 0);
    }
    let again = test.store().await;
    assert_eq!(ids(&again).await, ["a"]);
}

#[tokio::test]
async fn a_lost_server_connection_is_replaced() {
    let test = TestDb::new();
    let store = test.store().await;
    if !matches!(test.config, DatabaseConfig::Postgres(_)) {
        return;
    }
    for _ in 0..3 {
        let cut = store.write(|c| {
            each_db!(c, c.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())"))?;
            Ok::<(), DbError>(())
        });
        assert!(matches!(cut.await, Err(DbError::Unavailable(_) | DbError::Bug(_))));
        store.ping().await.unwrap();
    }
    add(&store, "a").await.unwrap();
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_cut_off() {
    let test = TestDb::new();
    let store = test.store().await;
    if !matches!(test.config, DatabaseConfig::Postgres(_)) {
        return;
    }
    let slow = store.read(|c| {
        each_db!(c, c.batch_execute("SET statement_timeout = '20ms'; SELECT pg_sleep(5)"))?;
        Ok::<(), DbError>(())
    });
    assert_eq!(slow.await, Err(DbError::Busy));
}

#[test]
fn folding_case_knows_more_than_ascii() {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        name: String,
    }
    with_db(|c| {
        let row: Row = sql_query("SELECT lower('ÉLODIE') AS name").get_result(c).unwrap();
        assert_eq!(row.name, "élodie");
    });
}

/// Environment variable that tells the child of the next test which file to write.
const VICTIM: &str = "BEDRUD_TEST_VICTIM";

/// Writes until it is killed, and says of each write when it is acknowledged. Does nothing when run as a test.
#[test]
fn victim() {
    let Ok(path) = std::env::var(VICTIM) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open_sqlite(path).await.unwrap();
        let writer = |task: u32| {
            let store = store.clone();
            async move {
                for n in 0.. {
                    let id = format!("t{task}n{n}");
                    add(&store, &id).await.unwrap();
                    println!("acknowledged {id}");
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), join_all((0..8).map(writer))).await.unwrap_err();
    });
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bedrud.db");
    for round in 1..=3 {
        let mut acknowledged = Vec::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "db::tests::victim", "--nocapture", "--test-threads=1"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            // The name of the test may stand in front of the first line.
            if let Some((_, id)) = line.unwrap().split_once("acknowledged ") {
                acknowledged.push(id.to_owned());
                if acknowledged.len() == round * 100 {
                    child.kill().unwrap();
                    break;
                }
            }
        }
        child.wait().unwrap();
        let store = Store::open_sqlite(&path).await.unwrap();
        let kept = ids(&store).await;
        let lost: Vec<_> = acknowledged.iter().filter(|id| !kept.contains(id)).collect();
        assert_eq!(lost, [""; 0], "round {round}");
        let check = store.read(|c| {
            let ok = diesel::dsl::sql::<Text>("SELECT integrity_check FROM pragma_integrity_check");
            Ok::<_, DbError>(each_db!(c, ok.get_result::<String>(c))?)
        });
        assert_eq!(check.await.unwrap(), "ok");
        // The next round writes other rows.
        let empty = |c: &mut Db| Ok::<_, DbError>(diesel::delete(schema::users::table).execute(c)?);
        store.write(empty).await.unwrap();
        store.close().await;
    }
}
