//! Where a request comes from, for those who sign in.

use std::{convert::Infallible, net::IpAddr};

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{
    api::{AppState, ClientAddr, cookies},
    domain::accounts::Client,
};

/// The client of a request. Every request has one.
#[derive(Debug, Clone)]
pub(super) struct Visitor(pub(super) Client);

impl Visitor {
    /// Its address for the journal.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.0.address
    }
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Infallible> {
        let address = parts.extensions.get::<ClientAddr>().map(|addr| addr.ip.to_canonical());
        let device = cookies::read(&parts.headers, cookies::DEVICE).map(str::to_owned);
        Ok(Self(Client { address, device }))
    }
}
