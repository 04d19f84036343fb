//! What a client asks for when it connects, from the query of `/rtc` and `/rtc/v1`.

use crate::codec::decode_join_request;
use crate::config::Limits;
use crate::enums::only_known;
use crate::grants::Claims;
use crate::io::JoinError;
use crate::member::{Member, Restrictions};
use crate::user_agent;
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use livekit_protocol::{
    AddTrackRequest, ClientInfo, JoinRequest, ReconnectReason, SessionDescription, SyncState, client_info,
};
use std::collections::HashMap;

/// Which endpoint the client used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SignalPath {
    /// `/rtc`
    #[default]
    V0,
    /// `/rtc/v1`
    V1,
}

/// What the HTTP request says besides its query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientContext {
    /// Address of the client as far as proxies can be trusted.
    pub address: String,
    /// `User-Agent`.
    pub user_agent: String,
    /// True on the validate routes, which are stricter about `attributes`.
    pub validating: bool,
}

/// The client wants its old session back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconnect {
    /// Participant sid; may be empty.
    pub sid: String,
    /// Why.
    pub reason: ReconnectReason,
}

/// A join or resume in full.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JoinParams {
    /// Verified claims of the access token.
    pub claims: Claims,
    /// Digest of the token, so that the same one can be refused after a removal; empty when not known.
    pub token: String,
    /// Endpoint.
    pub path: SignalPath,
    /// One peer connection for both directions. True exactly when there was a `join_request`.
    pub single_pc: bool,
    /// SDK, versions, device.
    pub client_info: ClientInfo,
    /// Subscribe to every track.
    pub auto_subscribe: bool,
    /// Subscribe to every data track.
    pub auto_subscribe_data_track: bool,
    /// The client tells what it shows, so start low.
    pub adaptive_stream: bool,
    /// Video may be paused on congestion; `None` leaves it to the server.
    pub subscriber_allow_pause: Option<bool>,
    /// Full ICE wanted.
    pub disable_ice_lite: bool,
    /// Resume instead of join.
    pub reconnect: Option<Reconnect>,
    /// Secondary connection that only publishes.
    pub publish: Option<String>,
    /// Replaces the token's metadata when not empty.
    pub metadata: String,
    /// Merged over the token's attributes.
    pub attributes: HashMap<String, String>,
    /// Tracks announced with the join.
    pub add_tracks: Vec<AddTrackRequest>,
    /// First publisher offer.
    pub publisher_offer: Option<SessionDescription>,
    /// State of the client at a resume.
    pub sync_state: Option<SyncState>,
    /// What the embedder says about who joins, if it knows them. Nothing of it comes from the client.
    pub member: Option<Member>,
}

impl JoinParams {
    /// Reads the query parameters. `claims` are those of the verified token.
    ///
    /// # Errors
    /// 400 when `/rtc/v1` lacks a readable `join_request`, or (validating only) for unreadable `attributes`.
    pub fn from_query<'a>(
        path: SignalPath,
        query: impl IntoIterator<Item = (&'a str, &'a str)>,
        claims: Claims,
        context: &ClientContext,
    ) -> Result<Self, JoinError> {
        let query: HashMap<&str, &str> = query.into_iter().collect();
        let get = |name: &str| query.get(name).copied().unwrap_or_default();
        let mut params = if get("join_request").is_empty() {
            if path == SignalPath::V1 {
                return Err(JoinError::new(400, "join_request is required"));
            }
            Self::from_v0(&query, context)?
        } else {
            Self::from_join_request(decode_join_request(get("join_request"))?)
        };
        params.path = path;
        params.claims = claims;
        params.client_info.address.clone_from(&context.address);
        user_agent::complete(&mut params.client_info, &context.user_agent);
        Ok(params)
    }

    fn from_v0(query: &HashMap<&str, &str>, context: &ClientContext) -> Result<Self, JoinError> {
        let get = |name: &str| query.get(name).copied().unwrap_or_default();
        let flag = |name: &str| matches!(get(name), "1" | "true");
        let number = |name: &str| get(name).parse().unwrap_or(0);
        let optional_flag = |name: &str| query.get(name).map(|v| matches!(*v, "1" | "true"));
        let attributes = match get("attributes") {
            "" => HashMap::new(),
            text => match decode_attributes(text) {
                None if context.validating => return Err(JoinError::new(400, "cannot decode attributes")),
                decoded => decoded.unwrap_or_default(),
            },
        };
        Ok(Self {
            client_info: ClientInfo {
                sdk: sdk(get("sdk")) as i32,
                version: get("version").to_owned(),
                protocol: number("protocol"),
                os: get("os").to_owned(),
                os_version: get("os_version").to_owned(),
                device_model: get("device_model").to_owned(),
                browser: get("browser").to_owned(),
                browser_version: get("browser_version").to_owned(),
                network: get("network").to_owned(),
                client_protocol: number("client_protocol"),
                capabilities: capabilities(get("capabilities")),
                ..ClientInfo::default()
            },
            auto_subscribe: optional_flag("auto_subscribe").unwrap_or(true),
            auto_subscribe_data_track: flag("auto_subscribe_data_track"),
            adaptive_stream: flag("adaptive_stream"),
            subscriber_allow_pause: optional_flag("subscriber_allow_pause"),
            disable_ice_lite: flag("disable_ice_lite"),
            reconnect: flag("reconnect").then(|| Reconnect {
                sid: get("sid").to_owned(),
                reason: ReconnectReason::try_from(number("reconnect_reason")).unwrap_or_default(),
            }),
            publish: Some(get("publish")).filter(|p| !p.is_empty()).map(str::to_owned),
            attributes,
            ..Self::default()
        })
    }

    fn from_join_request(request: JoinRequest) -> Self {
        let settings = request.connection_settings.unwrap_or_default();
        Self {
            single_pc: true,
            client_info: request.client_info.unwrap_or_default(),
            auto_subscribe: settings.auto_subscribe,
            auto_subscribe_data_track: settings.auto_subscribe_data_track.unwrap_or(false),
            adaptive_stream: settings.adaptive_stream,
            subscriber_allow_pause: settings.subscriber_allow_pause,
            disable_ice_lite: settings.disable_ice_lite,
            reconnect: request.reconnect.then(|| Reconnect {
                sid: request.participant_sid,
                reason: ReconnectReason::try_from(request.reconnect_reason).unwrap_or_default(),
            }),
            metadata: request.metadata,
            attributes: request.participant_attributes,
            add_tracks: request.add_track_requests,
            publisher_offer: request.publisher_offer,
            sync_state: request.sync_state,
            ..Self::default()
        }
    }

    /// Checks everything that does not depend on the rooms, in the reference server's order, and merges metadata,
    /// attributes and the `publish` suffix into the claims.
    pub(crate) fn settle(&mut self, limits: &Limits) -> Result<(), JoinError> {
        let over = |len: usize, max: usize| max != 0 && len > max;
        let capabilities = &mut self.client_info.capabilities;
        *capabilities = only_known::<client_info::Capability>(capabilities);
        let Some(video) = self.claims.video.clone() else {
            return Err(JoinError::new(401, "no permissions to access the room"));
        };
        if !video.room_join {
            return Err(JoinError::new(401, "permissions denied"));
        }
        let identity = self.claims.identity().to_owned();
        if identity.is_empty() {
            return Err(JoinError::new(400, "identity cannot be empty"));
        }
        if over(identity.len(), limits.identity) {
            let text = "participant identity length exceeds limits: max length";
            return Err(JoinError::new(400, format!("{text} {}", limits.identity)));
        }
        if video.room.is_empty() {
            return Err(JoinError::new(400, "no room name"));
        }
        if over(video.room.len(), limits.room_name) {
            let text = "room name length exceeds limits: max length";
            return Err(JoinError::new(400, format!("{text} {}", limits.room_name)));
        }
        if over(self.claims.name.len(), limits.participant_name) {
            let text = "participant name length exceeds limits: max length";
            return Err(JoinError::new(400, format!("{text} {}", limits.participant_name)));
        }
        let permission = video.permission();
        self.attributes.retain(|_, v| !v.is_empty());
        let changes_itself = !self.metadata.is_empty() || !self.attributes.is_empty();
        let refused = changes_itself && !permission.can_update_metadata
            || self.publish.is_some() && !permission.can_publish;
        if refused {
            return Err(JoinError::new(401, "no permissions to access the room"));
        }
        self.claims.sub = identity;
        let written = !self.metadata.is_empty();
        if written {
            self.claims.metadata = std::mem::take(&mut self.metadata);
        }
        if let Some(member) = &self.member {
            match member.impose(&self.claims.metadata) {
                Ok(text) => self.claims.metadata = text,
                Err(error) if written => return Err(error.into()),
                // Whoever signed the token writes what it likes.
                Err(_) => {}
            }
            let mut limited = permission;
            member.restrictions.apply(&Restrictions::default(), &mut limited);
            if let Some(grant) = &mut self.claims.video {
                grant.set_sources(&limited.can_publish_sources);
            }
        }
        self.claims.attributes.extend(self.attributes.drain());
        if let (Some(suffix), Some(grant)) = (&self.publish, &mut self.claims.video) {
            self.claims.sub = format!("{}#{suffix}", self.claims.sub);
            grant.can_subscribe = Some(false);
        }
        let attributes: usize = self.claims.attributes.iter().map(|(k, v)| k.len() + v.len()).sum();
        if over(self.claims.metadata.len(), limits.metadata) {
            return Err(JoinError::new(400, "metadata exceeds size limit"));
        }
        if over(attributes, limits.attributes) {
            return Err(JoinError::new(400, "attributes exceed size limit"));
        }
        Ok(())
    }
}

fn decode_attributes(text: &str) -> Option<HashMap<String, String>> {
    let json = URL_SAFE.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
    serde_json::from_slice(&json).ok()
}

fn sdk(name: &str) -> client_info::Sdk {
    use client_info::Sdk;
    match name.to_ascii_lowercase().as_str() {
        "ios" => Sdk::Swift,
        "reactnative" => Sdk::ReactNative,
        "unityweb" => Sdk::UnityWeb,
        other => Sdk::from_str_name(&other.to_ascii_uppercase()).unwrap_or(Sdk::Unknown),
    }
}

fn capabilities(list: &str) -> Vec<i32> {
    let known = |name: &str| client_info::Capability::from_str_name(name.trim()).map(|c| c as i32);
    list.split(',').filter_map(known).take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::VideoGrant;
    use livekit_protocol::{ConnectionSettings, WrappedJoinRequest};
    use prost::Message as _;

    fn claims() -> Claims {
        let video = VideoGrant { room_join: true, room: "r".into(), ..VideoGrant::default() };
        Claims { sub: "alice".into(), video: Some(video), ..Claims::default() }
    }

    fn v0(query: &[(&'static str, &'static str)]) -> Result<JoinParams, JoinError> {
        JoinParams::from_query(SignalPath::V0, query.iter().copied(), claims(), &ClientContext::default())
    }

    fn settled(change: impl FnOnce(&mut JoinParams)) -> Result<JoinParams, JoinError> {
        let mut params = v0(&[]).expect("reads");
        change(&mut params);
        params.settle(&Limits::default())?;
        Ok(params)
    }

    #[test]
    fn v0_defaults_are_those_of_the_reference_server() {
        let p = v0(&[]).expect("reads");
        assert!(p.auto_subscribe && !p.adaptive_stream && !p.single_pc && p.reconnect.is_none());
        let p = v0(&[
            ("auto_subscribe", "yes"),
            ("adaptive_stream", "true"),
            ("reconnect", "1"),
            ("sid", "PA_1"),
        ])
        .expect("reads");
        assert!(!p.auto_subscribe && p.adaptive_stream);
        assert_eq!(p.reconnect.map(|r| r.sid), Some("PA_1".into()));
    }

    #[test]
    fn v0_client_info_is_read() {
        let p = v0(&[
            ("sdk", "reactnative"),
            ("protocol", "16"),
            ("client_protocol", "2"),
            ("capabilities", "CAP_PACKET_TRAILER,NEW,CAP_COMPRESSION_DEFLATE_RAW"),
        ])
        .expect("reads");
        assert_eq!(p.client_info.sdk, client_info::Sdk::ReactNative as i32);
        assert_eq!((p.client_info.protocol, p.client_info.client_protocol), (16, 2));
        assert_eq!(p.client_info.capabilities, vec![1, 2]);
    }

    #[test]
    fn v1_needs_a_join_request_and_takes_its_settings() {
        let context = ClientContext { address: "192.0.2.1".into(), ..ClientContext::default() };
        let missing = JoinParams::from_query(SignalPath::V1, [], claims(), &context).expect_err("refused");
        assert_eq!((missing.status, missing.message.as_str()), (400, "join_request is required"));
        let request = JoinRequest {
            connection_settings: Some(ConnectionSettings { adaptive_stream: true, ..Default::default() }),
            ..JoinRequest::default()
        };
        let wrapped = WrappedJoinRequest { compression: 0, join_request: request.encode_to_vec() };
        let text = URL_SAFE.encode(wrapped.encode_to_vec());
        for path in [SignalPath::V0, SignalPath::V1] {
            let p = JoinParams::from_query(path, [("join_request", text.as_str())], claims(), &context)
                .expect("reads");
            assert!(p.single_pc && p.adaptive_stream && !p.auto_subscribe);
            assert_eq!(p.client_info.address, "192.0.2.1");
        }
    }

    #[test]
    fn join_is_refused_with_the_documented_status_and_text() {
        let refused = |change: fn(&mut JoinParams)| {
            let e = settled(change).expect_err("refused");
            (e.status, e.message)
        };
        assert_eq!(refused(|p| p.claims.video = None), (401, "no permissions to access the room".into()));
        assert_eq!(
            refused(|p| p.claims.video = Some(VideoGrant::default())),
            (401, "permissions denied".into())
        );
        assert_eq!(refused(|p| p.claims.sub.clear()), (400, "identity cannot be empty".into()));
        assert_eq!(
            refused(|p| p.claims.sub = "x".repeat(257)),
            (400, "participant identity length exceeds limits: max length 256".into())
        );
        let grant =
            |p: &mut JoinParams, change: fn(&mut VideoGrant)| change(p.claims.video.as_mut().expect("set"));
        assert_eq!(settled(|p| grant(p, |v| v.room.clear())).expect_err("refused").message, "no room name");
        assert_eq!(settled(|p| grant(p, |v| v.room = "x".repeat(257))).expect_err("refused").status, 400);
        assert_eq!(refused(|p| p.metadata = "m".into()).0, 401);
        assert_eq!(refused(|p| p.claims.metadata = "m".repeat(600_000)).0, 400);
    }

    #[test]
    fn own_metadata_is_merged_when_allowed() {
        let p = settled(|p| {
            p.claims.video.as_mut().expect("set").can_update_own_metadata = Some(true);
            p.claims.metadata = "old".into();
            p.claims.attributes.insert("a".into(), "1".into());
            p.metadata = "new".into();
            p.attributes = [("b".into(), "2".into()), ("a".into(), String::new())].into();
        })
        .expect("allowed");
        assert_eq!(p.claims.metadata, "new");
        assert_eq!(p.claims.attributes.get("a").map(String::as_str), Some("1"));
        assert_eq!(p.claims.attributes.get("b").map(String::as_str), Some("2"));
    }

    #[test]
    fn secondary_connection_gets_its_own_identity_and_cannot_subscribe() {
        let p = settled(|p| p.publish = Some("screen".into())).expect("allowed");
        assert_eq!(p.claims.identity(), "alice#screen");
        assert!(!p.claims.permission().can_subscribe);
    }
}
