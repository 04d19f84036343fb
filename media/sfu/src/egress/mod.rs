//! How much may be sent to a subscriber, and what of its tracks fits into that.

pub(crate) mod allocate;
pub(crate) mod estimator;
pub(crate) mod history;

pub(crate) use estimator::Egress;
