//! Bedrud's HTTP API: one folder per resource, typed requests in, typed responses out.
//!
//! [`router`] is mounted by the server; everything it needs comes in through [`AppState`].

pub mod error;
pub mod settings;
mod state;

pub use state::{AppParts, AppState, ClientAddr, Clock, Entropy, MediaControl, NoMedia};

/// The API under `/api`, complete with its state.
pub fn router(state: AppState) -> axum::Router {
    axum::Router::new().with_state(state)
}
