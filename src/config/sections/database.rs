//! `database`: where accounts and rooms are kept.

use crate::config::setting::section;
use crate::config::value::{Secret, choice};
use std::path::PathBuf;

choice! {
    /// Database engine.
    pub enum DatabaseType {
        /// One file.
        Sqlite = "sqlite",
        /// PostgreSQL.
        Postgres = "postgres" | "postgresql",
    }
    default Sqlite
}

section! {
    /// Where accounts and rooms are kept.
    pub struct Database {
        /// sqlite or postgres. Default: postgres when `host` is set, else sqlite.
        kind: Option<DatabaseType> = None, "type", env ["DB_TYPE"];
        /// SQLite file. Default: bedrud.db in server.dataDir.
        path: PathBuf = PathBuf::new(), "path", env ["DB_PATH"];
        /// PostgreSQL host name, address, or folder of its socket.
        host: String = String::new(), "host", env ["DB_HOST"];
        /// PostgreSQL port. Default: 5432.
        port: Option<u16> = None, "port", env ["DB_PORT"];
        /// PostgreSQL user.
        user: String = String::new(), "user", env ["DB_USER"];
        /// PostgreSQL password.
        password: Secret = Secret::default(), "password", env ["DB_PASSWORD"];
        /// PostgreSQL database.
        dbname: String = String::new(), "dbname", env ["DB_NAME"];
        /// disable, prefer, require, verify-ca or verify-full. Default: prefer.
        sslmode: String = String::new(), "sslmode", env ["DB_SSLMODE"];
        /// Idle PostgreSQL connections kept. 0: as many as the pool holds.
        max_idle_conns: u32 = 0, "maxIdleConns", env ["DB_MAX_IDLE_CONNS"];
        /// PostgreSQL connections at most. 0: chosen by Bedrud.
        max_open_conns: u32 = 0, "maxOpenConns", env ["DB_MAX_OPEN_CONNS"];
        /// Minutes after which a PostgreSQL connection is renewed. 0: never.
        max_lifetime: u32 = 0, "maxLifetime", env ["DB_MAX_LIFETIME"];
    }
}
