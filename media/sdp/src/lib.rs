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

mod answer;
mod answerer;
mod codecs;
mod error;
mod fmtp;
mod fragment;
mod names;
mod negotiate;
mod offer;
mod offer_build;
mod offerer;
mod parse;
mod parse_section;
mod payload;
mod print;
mod requirement;
mod session;
mod track;
mod transport;
mod transport_write;
mod work;

pub use answer::{Answer, AnswerChoices, AnsweredSection, PublishChoice};
pub use answerer::{Answerer, AnswererConfig};
pub use codecs::{ClientQuirks, CodecSetting, CodecTable, SubscriberFeedback};
pub use error::SdpError;
pub use fragment::IceFragment;
pub use offer::{Offer, OfferedLayer, OfferedSection, OfferedStream};
pub use offerer::{AcceptedSection, AnswerSummary, OfferText, Offerer, OffererConfig};
pub use payload::{CodecSpec, H264Profile, NegotiatedPayload};
pub use requirement::SectionCounts;
pub use session::{
    Direction, ExtMap, MediaSection, Msid, Origin, PayloadFormat, SectionKind, SessionDescription, Setup,
    SimulcastStream, SsrcAttributes, SsrcGroup, TransportAttributes,
};
pub use track::SendTrack;
pub use transport::{HostCandidate, IceCredentials, LocalTransport, RemoteTransport};
