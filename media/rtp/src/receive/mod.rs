//! Receiving-side bookkeeping of one stream or connection: extended sequence numbers, reception reports, missing
//! packets, transport-wide arrival times. Time comes in as a value.

mod nack;
mod sequence;
mod stats;
mod twcc;

pub use nack::{NackConfig, NackGenerator};
pub use sequence::extend_seq;
pub use stats::{ReceiveStats, SenderClock};
pub use twcc::TwccRecorder;
