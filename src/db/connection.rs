//! The connection that is either database, and what diesel's derive leaves out.

use diesel::{
    connection::{AnsiTransactionManager, Connection, TransactionManager},
    deserialize::{self, FromSql},
    pg::Pg,
    prelude::*,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{HasSqlType, Text},
    sqlite::Sqlite,
};
use serde::Serialize;

use self::multi::MultiRawValue;
pub use self::multi::{Db, MultiBackend};
use crate::db::{DbError, Json, Moment, PgConn, Ts};

#[allow(missing_docs, reason = "the derive writes items without documentation")]
mod multi {
    use crate::db::PgConn;
    use diesel::SqliteConnection;

    /// A connection to either database.
    #[derive(diesel::MultiConnection)]
    #[allow(
        clippy::large_enum_variant,
        reason = "a handful exist, and the derive wants the connections themselves"
    )]
    pub enum Db {
        /// A SQLite file.
        Sqlite(SqliteConnection),
        /// A PostgreSQL server.
        Postgres(PgConn),
    }
}

impl HasSqlType<Ts> for MultiBackend {
    fn metadata(lookup: &mut Self::MetadataLookup) -> Self::TypeMetadata {
        Self::lookup_sql_type::<Ts>(lookup)
    }
}

impl ToSql<Ts, MultiBackend> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((Ts, self));
        Ok(IsNull::No)
    }
}

impl FromSql<Ts, MultiBackend> for Moment {
    fn from_sql(value: MultiRawValue<'_>) -> deserialize::Result<Self> {
        value.from_sql::<Self, Ts>()
    }
}

impl<T: Serialize + std::fmt::Debug + Send + Sync + 'static> ToSql<Text, MultiBackend> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, MultiBackend>) -> serialize::Result {
        out.set_value((Text, self));
        Ok(IsNull::No)
    }
}

/// A statement whose nodes the derive leaves out (`ON CONFLICT`) but which both dialects know.
#[derive(Debug, Clone, Copy)]
pub struct Both<T>(pub T);

impl<T: QueryId> QueryId for Both<T> {
    type QueryId = T::QueryId;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: QueryFragment<Pg> + QueryFragment<Sqlite>> QueryFragment<MultiBackend> for Both<T> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        MultiBackend::walk_variant_ast(&self.0, pass)
    }
}

impl<T: Query> Query for Both<T> {
    type SqlType = T::SqlType;
}

impl<T> RunQueryDsl<Db> for Both<T> {}

impl Db {
    /// One writing transaction. SQLite takes its write lock at the start (`BEGIN IMMEDIATE`), because a transaction that
    /// reads first and writes later fails at once when another one wrote in between.
    ///
    /// # Errors
    /// The closure's own, after rolling back; or the database's.
    pub fn write<T, E: From<DbError>>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        self.begin().map_err(|error| E::from(error.into()))?;
        match f(self) {
            Ok(value) => {
                self.commit().map_err(|error| E::from(error.into()))?;
                Ok(value)
            }
            Err(error) => match self.rollback() {
                Ok(()) | Err(diesel::result::Error::BrokenTransactionManager) => Err(error),
                Err(rollback) => Err(E::from(rollback.into())),
            },
        }
    }

    /// Starts a writing transaction.
    pub(crate) fn begin(&mut self) -> QueryResult<()> {
        match self {
            Self::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, "BEGIN IMMEDIATE"),
            Self::Postgres(c) => <PgConn as Connection>::TransactionManager::begin_transaction(c),
        }
    }

    /// A savepoint inside a transaction.
    pub(crate) fn savepoint(&mut self) -> QueryResult<()> {
        <Self as Connection>::TransactionManager::begin_transaction(self)
    }

    /// Commits the transaction, or releases the innermost savepoint.
    pub(crate) fn commit(&mut self) -> QueryResult<()> {
        <Self as Connection>::TransactionManager::commit_transaction(self)
    }

    /// Rolls back the transaction, or to the innermost savepoint.
    pub(crate) fn rollback(&mut self) -> QueryResult<()> {
        <Self as Connection>::TransactionManager::rollback_transaction(self)
    }

    /// Transactions and savepoints open, `None` when the connection can no longer be trusted.
    pub(crate) fn depth(&mut self) -> Option<u32> {
        <Self as Connection>::TransactionManager::transaction_manager_status_mut(self)
            .transaction_depth()
            .ok()
            .map(|depth| depth.map_or(0, std::num::NonZeroU32::get))
    }

    /// True when the connection must be thrown away.
    pub(crate) fn is_broken(&mut self) -> bool {
        match self {
            Self::Sqlite(c) => AnsiTransactionManager::is_broken_transaction_manager(c),
            Self::Postgres(c) => <PgConn as Connection>::TransactionManager::is_broken_transaction_manager(c),
        }
    }
}

/// One expression, compiled once per database, for what the enum connection does not offer.
#[macro_export]
macro_rules! each_db {
    ($c:ident, $e:expr) => {
        match $c {
            $crate::db::Db::Sqlite($c) => $e,
            $crate::db::Db::Postgres($c) => $e,
        }
    };
}
