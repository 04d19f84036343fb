//! `logger`, `cors`, `rateLimit`.

use crate::config::setting::section;
use crate::config::value::choice;

choice! {
    /// How much is logged.
    pub enum LogLevel {
        /// Everything.
        Trace = "trace",
        /// For finding faults.
        Debug = "debug",
        /// What an operator wants to know.
        Info = "info",
        /// Only what needs attention.
        Warn = "warn" | "warning",
        /// Only failures.
        Error = "error",
        /// Nothing.
        Disabled = "disabled" | "off",
    }
    default Info
}

choice! {
    /// Form of log lines.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
    default Text
}

section! {
    /// Log output. Lines go to standard error.
    pub struct Logger {
        /// trace, debug, info, warn, error or disabled. BEDRUD_LOG may also hold per-module filters, e.g. `info,bedrud_room=debug`.
        level: LogLevel = LogLevel::default(), "level", env ["LOG_LEVEL"];
        /// text or json.
        format: LogFormat = LogFormat::default(), "format", env ["LOG_FORMAT"];
        /// Read by nothing: the service manager collects standard error.
        output_path: String = String::new(), "outputPath", env ["LOG_OUTPUT_PATH"], inert;
    }
}

section! {
    /// Which other origins may call the API from a browser. The media server's routes accept any origin, as LiveKit's do.
    pub struct Cors {
        /// Origins, or * for any.
        allowed_origins: Vec<String> = vec!["*".to_owned()], "allowedOrigins", env ["CORS_ALLOWED_ORIGINS"];
        /// Request headers allowed. Empty: those that the browser asks for.
        allowed_headers: Vec<String> = Vec::new(), "allowedHeaders", env ["CORS_ALLOWED_HEADERS"];
        /// Methods allowed.
        allowed_methods: Vec<String> = ["GET", "POST", "PUT", "DELETE", "OPTIONS"].map(str::to_owned).to_vec(), "allowedMethods", env ["CORS_ALLOWED_METHODS"];
        /// Cookies may be sent along. Needs a list of origins.
        allow_credentials: bool = false, "allowCredentials", env ["CORS_ALLOW_CREDENTIALS"];
        /// Response headers that scripts may read.
        expose_headers: Vec<String> = Vec::new(), "exposeHeaders", env ["CORS_EXPOSE_HEADERS"];
        /// Seconds a browser may remember the answer to a preflight request.
        max_age: u32 = 0, "maxAge", env ["CORS_MAX_AGE"];
    }
}

section! {
    /// Limits per client (an IPv4 address, or an IPv6 /64; eight times as much per /48), fixed windows. They count
    /// failures: wrong passwords, unknown names. Of requests that succeed, 20 times as many are allowed, 40 times as
    /// many of guests joining, 5 times as many registrations. A maximum of 0 turns a limit off.
    pub struct RateLimit {
        /// Sign-in and registration: failures per window.
        auth_max_requests: u32 = 10, "authMaxRequests", env ["RATELIMIT_AUTH_MAX"];
        /// Window, seconds.
        auth_window_secs: u32 = 60, "authWindowSecs", env ["RATELIMIT_AUTH_WINDOW"];
        /// Confirmation mail: requests per window.
        auth_resend_max_requests: u32 = 3, "authResendMaxRequests", env ["RATELIMIT_AUTH_RESEND_MAX"];
        /// Window, seconds.
        auth_resend_window_secs: u32 = 60, "authResendWindowSecs", env ["RATELIMIT_AUTH_RESEND_WINDOW"];
        /// Guests joining: failures per window. All tries for the same room count as one.
        guest_max_requests: u32 = 5, "guestMaxRequests", env ["RATELIMIT_GUEST_MAX"];
        /// Window, seconds.
        guest_window_secs: u32 = 60, "guestWindowSecs", env ["RATELIMIT_GUEST_WINDOW"];
        /// Room creation, token refresh, uploads: failures per window.
        api_max_requests: u32 = 30, "apiMaxRequests", env ["RATELIMIT_API_MAX"];
        /// Window, seconds.
        api_window_secs: u32 = 60, "apiWindowSecs", env ["RATELIMIT_API_WINDOW"];
    }
}
