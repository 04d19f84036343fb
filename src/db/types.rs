//! SQL types of our own: moments and JSON text.
//!
//! A moment is `timestamptz` on PostgreSQL and fixed-width UTC text on SQLite, so that text order is time order.

use std::{fmt, time::Duration};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use diesel::{
    backend::Backend,
    deserialize::{self, FromSql, FromSqlRow},
    expression::AsExpression,
    pg::{Pg, PgValue},
    query_builder::QueryId,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{SqlOrd, SqlType, Text, Timestamp},
    sqlite::Sqlite,
};
use serde::{Serialize, Serializer, de::DeserializeOwned};

/// The SQL type of [`Moment`].
#[derive(Debug, Clone, Copy, Default, SqlType, QueryId)]
#[diesel(postgres_type(oid = 1184, array_oid = 1185), sqlite_type(name = "Text"))]
pub struct Ts;

impl SqlOrd for Ts {}

/// A moment in UTC to the microsecond (what PostgreSQL keeps).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Ts)]
pub struct Moment(DateTime<Utc>);

impl Moment {
    /// The start of 1970.
    pub const EPOCH: Self = Self(DateTime::<Utc>::UNIX_EPOCH);

    /// Microseconds since the epoch; out of range becomes the epoch.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::<Utc>::UNIX_EPOCH))
    }

    /// Whole seconds since the epoch; out of range becomes the epoch.
    #[must_use]
    pub fn from_secs(secs: i64) -> Self {
        Self(DateTime::from_timestamp(secs, 0).unwrap_or(DateTime::<Utc>::UNIX_EPOCH))
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub fn secs(self) -> i64 {
        self.0.timestamp()
    }

    /// Seconds since the epoch for tokens; a moment before 1970 is 0.
    #[must_use]
    pub fn unix(self) -> u64 {
        u64::try_from(self.0.timestamp()).unwrap_or(0)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Later by `span`; stays where it is when the calendar ends.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        TimeDelta::from_std(span)
            .ok()
            .and_then(|span| self.0.checked_add_signed(span))
            .map_or(self, truncated)
    }

    /// Earlier by `span`; stays where it is when the calendar ends.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        TimeDelta::from_std(span)
            .ok()
            .and_then(|span| self.0.checked_sub_signed(span))
            .map_or(self, truncated)
    }

    /// Time gone by since `earlier`, zero when that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        (self.0 - earlier.0).to_std().unwrap_or(Duration::ZERO)
    }
}

fn truncated(at: DateTime<Utc>) -> Moment {
    Moment::from_micros(at.timestamp_micros())
}

impl From<std::time::SystemTime> for Moment {
    fn from(at: std::time::SystemTime) -> Self {
        truncated(DateTime::<Utc>::from(at))
    }
}

/// RFC 3339 with as many fraction digits as needed and `Z`.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ToSql<Ts, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <NaiveDateTime as ToSql<Timestamp, Pg>>::to_sql(&self.0.naive_utc(), &mut out.reborrow())
    }
}

impl FromSql<Ts, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <NaiveDateTime as FromSql<Timestamp, Pg>>::from_sql(value).map(|naive| Self(naive.and_utc()))
    }
}

impl ToSql<Ts, Sqlite> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string());
        Ok(IsNull::No)
    }
}

impl FromSql<Ts, Sqlite> for Moment {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
        // Any offset is read, because older databases hold local times.
        let at = DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%:z")
            .or_else(|_| DateTime::parse_from_rfc3339(&text))
            .map_err(|error| format!("moment {text:?}: {error}"))?;
        Ok(truncated(at.with_timezone(&Utc)))
    }
}

/// A serde value kept as JSON text on both databases.
#[derive(Debug, Clone, PartialEq, Eq, Default, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub struct Json<T>(pub T);

impl<T: Serialize + fmt::Debug> ToSql<Text, Pg> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        serde_json::to_writer(out, &self.0)?;
        Ok(IsNull::No)
    }
}

impl<T: Serialize + fmt::Debug> ToSql<Text, Sqlite> for Json<T> {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(serde_json::to_string(&self.0)?);
        Ok(IsNull::No)
    }
}

impl<B: Backend, T: DeserializeOwned> FromSql<Text, B> for Json<T>
where
    String: FromSql<Text, B>,
{
    fn from_sql(value: B::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(serde_json::from_str(&<String as FromSql<Text, B>>::from_sql(value)?)?))
    }
}
