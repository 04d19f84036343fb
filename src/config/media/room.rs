//! `room` and `video`: what rooms are like unless they say otherwise.

use super::Codecs;
use crate::config::room_presets::RoomConfigurations;
use crate::config::setting::section;
use crate::config::value::Unread;
use crate::config::webhook::Span;

section! {
    /// Rooms.
    pub struct RoomDefaults {
        /// The first participant creates the room.
        auto_create: bool = true, "auto_create", env [];
        /// Codecs by preference.
        enabled_codecs: Codecs = Codecs::default(), "enabled_codecs", env [];
        /// Participants per room; 0: no limit.
        max_participants: u32 = 0, "max_participants", env [];
        /// Seconds until a room nobody joined closes.
        empty_timeout: u32 = 300, "empty_timeout", env [];
        /// Seconds until a room closes after the last participant left.
        departure_timeout: u32 = 20, "departure_timeout", env [];
        /// Moderators may unmute.
        enable_remote_unmute: bool = false, "enable_remote_unmute", env [];
        /// Limits of what receivers of video hold back.
        playout_delay: PlayoutDelay = PlayoutDelay::default(), "playout_delay", env [];
        /// Tracks of one participant share a stream, so that browsers play them in sync.
        sync_streams: bool = false, "sync_streams", env [];
        /// Read over.
        create_room_timeout: Unread = Unread, "create_room_timeout", env [], inert;
        /// Read over.
        create_room_attempts: Unread = Unread, "create_room_attempts", env [], inert;
        /// Webhooks about tracks carry the whole room, not only its name.
        enable_full_room_in_webhooks: bool = false, "enable_full_room_in_webhooks", env [];
        /// Updates about many participants are sent in messages of about this size, bytes; 0: in one.
        update_batch_target_size: u32 = 131_072, "update_batch_target_size", env [];
        /// Named room settings for `room_preset` and `roomPreset`.
        room_configurations: RoomConfigurations = RoomConfigurations::default(), "room_configurations", env [];
        /// Old place of limit.max_metadata_size.
        max_metadata_size: Option<u32> = None, "max_metadata_size", env [];
        /// Old place of limit.max_room_name_length.
        max_room_name_length: Option<u32> = None, "max_room_name_length", env [];
        /// Old place of limit.max_participant_identity_length.
        max_participant_identity_length: Option<u32> = None, "max_participant_identity_length", env [];
    }
}

section! {
    /// Limits of what receivers of video hold back, in rooms that ask for none of their own.
    pub struct PlayoutDelay {
        /// They apply.
        enabled: bool = false, "enabled", env [];
        /// Lowest delay, milliseconds.
        min: u32 = 0, "min", env [];
        /// Highest delay, milliseconds; 0: as the receivers have it.
        max: u32 = 0, "max", env [];
    }
}

section! {
    /// Video.
    pub struct Video {
        /// In rooms with fewer participants a backup codec replaces the preferred one for everybody as soon as one
        /// subscriber needs it; in larger ones both are sent. 0: it replaces it in every room.
        codec_regression_threshold: u32 = 5, "codec_regression_threshold", env [];
        /// A publisher may stop sending what nobody has watched for this long. Default: 5s.
        dynacast_pause_delay: Span = Span::default(), "dynacast_pause_delay", env [];
        /// Read over.
        stream_tracker_manager: Unread = Unread, "stream_tracker_manager", env [], inert;
    }
}
