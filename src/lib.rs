//! The Bedrud platform.
