//! PostgreSQL without libpq: the pure Rust client behind diesel's synchronous traits.
//!
//! A query made from async code panics in the client's runtime; [`super::Store`] therefore runs every closure on a
//! thread made for blocking.

use std::any::Any;

use diesel::{
    ConnectionError, ConnectionResult, QueryResult,
    connection::{
        self as sync, CacheSize, Connection, Instrumentation, LoadConnection, SimpleConnection,
        TransactionManagerStatus,
    },
    expression::QueryMetadata,
    internal::derives::multiconnection::{ConnectionSealed, MultiConnectionHelper},
    migration::MigrationConnection,
    pg::{Pg, PgMetadataLookup, PgTypeMetadata},
    query_builder::{Query, QueryFragment, QueryId},
    sql_types::TypeMetadata,
};
use diesel_async::{
    AsyncConnection, AsyncConnectionCore, AsyncPgConnection, SimpleAsyncConnection, TransactionManager,
    pooled_connection::PoolableConnection,
};
use futures_util::StreamExt as _;
use tokio::runtime::Runtime;

use crate::db::{PostgresConfig, SslMode, tls};

/// Limits of every session: a blocking closure cannot be cancelled from outside, so the server has to.
const SESSION: &str = "SET TIME ZONE 'UTC'; SET statement_timeout = '15s'; SET lock_timeout = '5s'; \
                       SET idle_in_transaction_session_timeout = '30s'";

/// A PostgreSQL connection with a small runtime of its own, driven by the thread that runs the query.
pub struct PgConn {
    inner: AsyncPgConnection,
    rt: OwnRuntime,
}

/// A runtime may not be dropped inside async code unless it is told not to wait.
struct OwnRuntime(Option<Runtime>);

impl Drop for OwnRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl OwnRuntime {
    fn new() -> ConnectionResult<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self(Some(runtime.map_err(|error| bad(&error))?)))
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("the runtime is taken in Drop only"),
        }
    }
}

impl PgConn {
    /// Connects and sets the session up.
    ///
    /// # Errors
    /// The whole chain of causes in one line; the password is not part of it.
    pub fn connect(config: &PostgresConfig) -> ConnectionResult<Self> {
        let mut target = tokio_postgres::Config::new();
        target
            .host(&config.host)
            .port(config.port)
            .user(&config.user)
            .dbname(&config.database)
            .application_name("bedrud")
            .connect_timeout(std::time::Duration::from_secs(5));
        if !config.password.is_empty() {
            target.password(config.password.expose());
        }
        if let Some(schema) = &config.schema {
            target.options(format!("-c search_path={schema}"));
        }
        let rt = OwnRuntime::new()?;
        let inner = rt.block_on(async {
            if config.ssl == SslMode::Disable {
                target.ssl_mode(tokio_postgres::config::SslMode::Disable);
                let (client, connection) =
                    target.connect(tokio_postgres::NoTls).await.map_err(|e| bad(&e))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            } else {
                target.ssl_mode(tokio_postgres::config::SslMode::Require);
                let tls = tls::client_config(&config.ssl).map_err(ConnectionError::BadConnection)?;
                let tls = tokio_postgres_rustls::MakeRustlsConnect::new(tls);
                let (client, connection) = target.connect(tls).await.map_err(|e| bad(&e))?;
                AsyncPgConnection::try_from_client_and_connection(client, connection).await
            }
        })?;
        let mut connection = Self { inner, rt };
        connection.batch_execute(SESSION).map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(connection)
    }
}

/// An error with all its causes: "error connecting to server" alone helps nobody.
fn bad(error: &dyn std::error::Error) -> ConnectionError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ConnectionError::BadConnection(text)
}

type Rows<'c, 'q> = <AsyncPgConnection as AsyncConnectionCore>::Row<'c, 'q>;
type AsyncTx = <AsyncPgConnection as AsyncConnection>::TransactionManager;
type TxState = <AsyncTx as TransactionManager<AsyncPgConnection>>::TransactionStateData;

impl SimpleConnection for PgConn {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.rt.block_on(self.inner.batch_execute(query))
    }
}

impl ConnectionSealed for PgConn {}

impl Connection for PgConn {
    type Backend = Pg;
    type TransactionManager = Tx;

    fn establish(url: &str) -> ConnectionResult<Self> {
        match super::DatabaseConfig::postgres_url(url) {
            Ok(super::DatabaseConfig::Postgres(config)) => Self::connect(&config),
            Ok(super::DatabaseConfig::Sqlite(_)) => {
                Err(ConnectionError::BadConnection("not a PostgreSQL URL".into()))
            }
            Err(text) => Err(ConnectionError::BadConnection(text)),
        }
    }

    fn execute_returning_count<T: QueryFragment<Pg> + QueryId>(&mut self, source: &T) -> QueryResult<usize> {
        self.rt.block_on(self.inner.execute_returning_count(source))
    }

    fn transaction_state(&mut self) -> &mut TxState {
        self.inner.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.inner.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.inner.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.inner.set_prepared_statement_cache_size(size);
    }
}

impl LoadConnection for PgConn {
    type Cursor<'c, 'q> = std::vec::IntoIter<QueryResult<Rows<'c, 'q>>>;
    type Row<'c, 'q> = Rows<'c, 'q>;

    fn load<'c, 'q, T>(&'c mut self, source: T) -> QueryResult<Self::Cursor<'c, 'q>>
    where
        T: Query + QueryFragment<Pg> + QueryId + 'q,
        Pg: QueryMetadata<T::SqlType>,
    {
        let Self { inner, rt } = self;
        // All rows at once: every query of ours is paged, and entering the runtime per row would cost more.
        rt.block_on(async {
            Ok(AsyncConnectionCore::load(inner, source).await?.collect::<Vec<_>>().await.into_iter())
        })
    }
}

/// Transactions, forwarded.
pub struct Tx;

impl sync::TransactionManager<PgConn> for Tx {
    type TransactionStateData = TxState;

    fn begin_transaction(c: &mut PgConn) -> QueryResult<()> {
        c.rt.block_on(AsyncTx::begin_transaction(&mut c.inner))
    }

    fn rollback_transaction(c: &mut PgConn) -> QueryResult<()> {
        c.rt.block_on(AsyncTx::rollback_transaction(&mut c.inner))
    }

    fn commit_transaction(c: &mut PgConn) -> QueryResult<()> {
        c.rt.block_on(AsyncTx::commit_transaction(&mut c.inner))
    }

    fn transaction_manager_status_mut(c: &mut PgConn) -> &mut TransactionManagerStatus {
        AsyncTx::transaction_manager_status_mut(&mut c.inner)
    }

    fn is_broken_transaction_manager(c: &mut PgConn) -> bool {
        // Looks at the socket too: after a lost server the manager alone still says "fine".
        PoolableConnection::is_broken(&mut c.inner)
    }
}

impl MigrationConnection for PgConn {
    fn setup(&mut self) -> QueryResult<usize> {
        self.batch_execute(diesel::migration::CREATE_MIGRATIONS_TABLE).map(|()| 0)
    }
}

/// Every type we bind has a fixed oid, so nothing is ever looked up.
struct NoLookup;

impl PgMetadataLookup for NoLookup {
    fn lookup_type(&mut self, _: &str, _: Option<&str>) -> PgTypeMetadata {
        PgTypeMetadata::new(0, 0)
    }
}

impl MultiConnectionHelper for PgConn {
    fn to_any<'a>(_: &mut <Pg as TypeMetadata>::MetadataLookup) -> &mut (dyn Any + 'a) {
        // A zero-sized value: the box allocates nothing, so nothing leaks.
        Box::leak(Box::new(NoLookup))
    }

    fn from_any(lookup: &mut dyn Any) -> Option<&mut <Pg as TypeMetadata>::MetadataLookup> {
        lookup.downcast_mut::<NoLookup>().map(|lookup| lookup as _)
    }
}
