//! `bedrud webhooks`: dead letters.

use super::{Context, data_folder, output};
use crate::db::{DatabaseConfig, Db, DbError, Store, webhooks as outbox};
use crate::server::{clock, settings, webhooks::FILE};
use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::path::PathBuf;

/// What to do with webhooks that were given up.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// List them, newest first.
    Dead {
        /// At most this many.
        #[arg(long, default_value_t = 50, value_name = "NUMBER")]
        limit: u32,
        /// Only those before this row, for the next page.
        #[arg(long, value_name = "ROW")]
        before: Option<i64>,
        /// Whose outbox.
        #[command(flatten)]
        place: Place,
    },
    /// Send them again: a running server does so within seconds, else the next start.
    Retry {
        /// Rows to send.
        #[arg(value_name = "ROW", required_unless_present = "all")]
        rows: Vec<i64>,
        /// All of them.
        #[arg(long, conflicts_with = "rows")]
        all: bool,
        /// Whose outbox.
        #[command(flatten)]
        place: Place,
    },
}

/// Whose outbox.
#[derive(Debug, Args)]
pub struct Place {
    /// That of `bedrud livekit` instead of `bedrud run`.
    #[arg(long)]
    livekit: bool,
    /// Data folder of `bedrud livekit`. Also: BEDRUD_DATA.
    #[arg(long, value_name = "DIR", requires = "livekit")]
    data: Option<PathBuf>,
}

pub(super) fn run(command: &WebhooksCommand, context: &Context) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        match command {
            WebhooksCommand::Dead { limit, before, place } => {
                let (limit, before) = (i64::from(*limit), *before);
                let load = move |c: &mut Db| {
                    Ok::<_, DbError>((outbox::dead(c, before, limit)?, outbox::count_dead(c)?))
                };
                let store = open(place, context).await?;
                let (rows, total) = store.read(load).await?;
                store.close().await;
                let data = serde_json::json!({ "dead": rows, "total": total });
                output::success(&table(&rows, total), Some(data), context.json);
            }
            WebhooksCommand::Retry { rows, all, place } => {
                let now = clock::system().now();
                let ids: Vec<Option<i64>> =
                    if *all { vec![None] } else { rows.iter().copied().map(Some).collect() };
                let revive = move |c: &mut Db| {
                    ids.iter().try_fold(0, |n, id| Ok::<_, DbError>(n + outbox::revive(c, *id, now)?))
                };
                let store = open(place, context).await?;
                let count = store.write(revive).await?;
                store.close().await;
                let text = format!("{count} will be sent again.");
                output::success(&text, Some(serde_json::json!({ "count": count })), context.json);
            }
        }
        Ok(())
    })
}

async fn open(place: &Place, context: &Context) -> anyhow::Result<Store> {
    let database = if place.livekit {
        DatabaseConfig::sqlite(data_folder(place.data.as_deref()).join(FILE))
    } else {
        settings::database(&context.load(&[])?.config)?
    };
    if let DatabaseConfig::Sqlite(path) = &database
        && !path.exists()
    {
        bail!("there is no outbox at {} (give the data folder of the server)", path.display());
    }
    Store::open(database).await.context("cannot open the outbox of webhooks")
}

fn table(rows: &[outbox::Dead], total: i64) -> String {
    if total == 0 {
        return "No webhook was given up.".to_owned();
    }
    let mut text = format!("{total} given up");
    for row in rows {
        let _ = write!(
            text,
            "\n{}  {}  {} {} in {:?}\n    {}\n    {} attempts, last at {}: {}",
            row.id,
            row.created_at,
            row.event,
            row.event_id,
            row.room,
            row.url.split('?').next().unwrap_or_default(),
            row.attempts,
            row.updated_at,
            row.last_error
        );
    }
    text
}
