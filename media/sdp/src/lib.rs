//! SDP parsing, building and LiveKit-compatible negotiation, as pure functions and small state structs.
//!
//! No I/O, no clock, no randomness: identifiers, SSRCs and credentials come in as values, text goes out.
//!
//! * [`SessionDescription`] is the parsed form of an offer or answer (RFC 8866, RFC 8829).
//! * [`Answerer`] serves connections on which the client offers: the publisher connection of a dual-connection client,
//!   or the only connection of a single-connection client.
//! * [`Offerer`] serves the subscriber connection of a dual-connection client, on which we offer.
//! * [`CodecTable`] says which codecs, payload types, feedback and header extensions are used on either.
#![deny(clippy::indexing_slicing)]

mod answerer;
mod codecs;
mod error;
mod offerer;
mod payload;
mod session;
mod track;
mod transport;

pub use answerer::{
    Answer, AnswerChoices, AnsweredSection, Answerer, AnswererConfig, Offer, OfferedLayer, OfferedSection,
    OfferedStream, PublishChoice, SectionCounts,
};
pub use codecs::{ClientQuirks, CodecSetting, CodecTable, SubscriberFeedback};
pub use error::SdpError;
pub use offerer::{AcceptedSection, AnswerSummary, OfferText, Offerer, OffererConfig};
pub use payload::{CodecSpec, NegotiatedPayload};
pub use session::SessionDescription;
pub use track::SendTrack;
pub use transport::{HostCandidate, IceCredentials, LocalTransport, RemoteTransport};
