//! `limit`: sizes, counts and rates.

use crate::config::setting::section;
use crate::config::value::Unread;

section! {
    /// Limits; 0 means none.
    pub struct MediaLimits {
        /// Room name, bytes.
        max_room_name_length: u32 = 256, "max_room_name_length", env [];
        /// Identity, bytes.
        max_participant_identity_length: u32 = 256, "max_participant_identity_length", env [];
        /// Participant name, bytes.
        max_participant_name_length: u32 = 256, "max_participant_name_length", env [];
        /// Metadata, bytes.
        max_metadata_size: u32 = 524_288, "max_metadata_size", env [];
        /// Attributes, keys and values together, bytes.
        max_attributes_size: u32 = 65_536, "max_attributes_size", env [];
        /// Body of a server API call, bytes.
        max_api_request_body_size: u32 = 10_485_760, "max_api_request_body_size", env [];
        /// Signalling message of a client, bytes.
        signal_message_size_limit: u32 = 2_097_152, "signal_message_size_limit", env [];
        /// Message of an agent worker, bytes.
        agent_signal_message_size_limit: u32 = 2_097_152, "agent_signal_message_size_limit", env [];
        /// Signalling messages per second a client may send in the long run. Not in livekit-server.
        signal_messages_per_second: u32 = 200, "signal_messages_per_second", env [];
        /// Signalling messages a client may send at once. Not in livekit-server. 0 lifts both limits.
        signal_message_burst: u32 = 2_000, "signal_message_burst", env [];
        /// Data messages per second a participant may send in the long run, twice as many at once. Not in livekit-server.
        data_messages_per_second: u32 = 5_000, "data_messages_per_second", env [];
        /// Bytes of data messages per second a participant may send. Not in livekit-server.
        data_bytes_per_second: u64 = 67_108_864, "data_bytes_per_second", env [];
        /// The same messages times their receivers. Not in livekit-server.
        data_deliveries_per_second: u32 = 20_000, "data_deliveries_per_second", env [];
        /// The same bytes times their receivers. Not in livekit-server.
        data_delivered_bytes_per_second: u64 = 134_217_728, "data_delivered_bytes_per_second", env [];
        /// Key of a data blob, bytes.
        max_data_blob_key_length: u32 = 256, "max_data_blob_key_length", env [];
        /// All data blobs of a participant, bytes.
        max_data_blobs_size: u32 = 64_000, "max_data_blobs_size", env [];
        /// Read over.
        max_data_track_custom_encoding_length: Unread = Unread, "max_data_track_custom_encoding_length", env [], inert;
        /// Tracks published and subscribed on this server; joins beyond are refused. Negative: no limit.
        num_tracks: i64 = 0, "num_tracks", env [];
        /// Media in both directions, bytes per second; joins beyond are refused.
        bytes_per_sec: u64 = 0, "bytes_per_sec", env [];
        /// Video tracks one participant may receive at a time.
        subscription_limit_video: u32 = 0, "subscription_limit_video", env [];
        /// Audio tracks one participant may receive at a time.
        subscription_limit_audio: u32 = 0, "subscription_limit_audio", env [];
    }
}
