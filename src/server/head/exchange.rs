//! What the gate and the service behind the parser tell each other about the request under way.

use super::lift::Lifted;
use super::{LongQuery, Refusal};
use crate::intake::Held;
use crate::server::connections::Permit;
use axum::body::Body;
use axum::http::{Request, header};
use hyper::body::Body as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use tokio::sync::Notify;

/// What follows a head, as the parser has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes of body, then the next head.
    Length(u64),
    /// A body whose end only the parser sees. The connection ends with its answer.
    Unknown,
}

/// Of one connection. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Exchange(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    permit: Permit,
    framing: Option<Framing>,
    lifted: Lifted,
    refusal: Option<Refusal>,
    held: Option<Held>,
    /// From the parsed head to the last byte of the answer.
    running: bool,
    /// The request has not come completely.
    incoming: bool,
    /// The client does not take the answer.
    stalled: bool,
    upgraded: bool,
    gate: Option<Waker>,
}

impl State {
    /// Whoever waits for the client may be sent away to make room, and nobody else.
    fn update(&self) {
        if !self.upgraded {
            self.permit.set_unfinished(!self.running || self.incoming || self.stalled);
        }
    }
}

/// What a request begins with.
#[derive(Debug)]
pub struct Begun {
    /// Its head was refused.
    pub refusal: Option<Refusal>,
    /// The connection must end with the answer.
    pub last: bool,
    /// To be kept until the answer is sent.
    pub answered: Answered,
}

/// Ends the exchange when it is dropped.
#[derive(Debug)]
pub struct Answered(Exchange);

impl Exchange {
    /// Of a connection whose first head has not come.
    #[must_use]
    pub fn new(permit: Permit) -> Self {
        Self(Arc::new(Mutex::new(State {
            permit,
            framing: None,
            lifted: Lifted::default(),
            refusal: None,
            held: None,
            running: false,
            incoming: false,
            stalled: false,
            upgraded: false,
            gate: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request was parsed. Must be called before the parser reads on, which it does not do before its service returned
    /// a future. Puts what was lifted off the head back into the request.
    #[must_use]
    pub fn begin(&self, request: &mut Request<Body>) -> Begun {
        let framing = match request.body().size_hint().exact() {
            _ if request.body().is_end_stream() => Framing::Length(0),
            Some(length) => Framing::Length(length),
            None => Framing::Unknown,
        };
        let mut state = self.state();
        state.framing = Some(framing);
        state.running = true;
        state.incoming = framing != Framing::Length(0);
        state.update();
        let Lifted { query, authorization } = std::mem::take(&mut state.lifted);
        let refusal = state.refusal;
        drop(state);
        if let Some(LongQuery(query)) = query {
            request.extensions_mut().insert(LongQuery(query));
        }
        if let Some(value) = authorization {
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let last = refusal.is_some() || framing == Framing::Unknown;
        Begun { refusal, last, answered: Answered(self.clone()) }
    }

    /// The body of the request is complete.
    pub fn received(&self) {
        let mut state = self.state();
        state.incoming = false;
        state.update();
    }

    /// The answer turns the connection into a session. False: there are too many.
    #[must_use]
    pub fn upgrade(&self) -> bool {
        let mut state = self.state();
        state.upgraded = state.permit.become_session();
        state.held = None;
        if let Some(gate) = state.gate.take() {
            gate.wake();
        }
        state.upgraded
    }

    pub(super) fn hand_over(&self, lifted: Lifted, refusal: Option<Refusal>, held: Option<Held>) {
        let mut state = self.state();
        (state.lifted, state.refusal, state.held) = (lifted, refusal, held);
    }

    /// Tell this to end the connection.
    pub(super) fn evict_handle(&self) -> Arc<Notify> {
        self.state().permit.evict_handle()
    }

    pub(super) fn framing(&self) -> Option<Framing> {
        self.state().framing.take()
    }

    pub(super) fn is_refused(&self) -> bool {
        self.state().refusal.is_some()
    }

    pub(super) fn is_upgraded(&self) -> bool {
        self.state().upgraded
    }

    /// True while a request is under way. The gate is woken when that ends.
    pub(super) fn is_running(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        state.gate = Some(cx.waker().clone());
        state.running
    }

    pub(super) fn set_stalled(&self, stalled: bool) {
        let mut state = self.state();
        if state.stalled != stalled {
            state.stalled = stalled;
            state.update();
        }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running = false;
        state.held = None;
        state.update();
        if let Some(gate) = state.gate.take() {
            gate.wake();
        }
    }
}
