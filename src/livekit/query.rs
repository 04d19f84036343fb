//! The parameters of an address.

use crate::server::head::LongQuery;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;

/// Names and values, in order. Those of a query that was too long for the HTTP parser are among them.
#[derive(Debug, Clone, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// The first value of a name.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == name).map(|(_, v)| v)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

impl<S: Sync> FromRequestParts<S> for Pairs {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = match parts.extensions.get::<LongQuery>() {
            Some(LongQuery(query)) => query.as_ref(),
            None => parts.uri.query().unwrap_or_default().as_bytes(),
        };
        Ok(Self(form_urlencoded::parse(query).into_owned().collect()))
    }
}
