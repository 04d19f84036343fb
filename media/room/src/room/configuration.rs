//! What is asked for a room when it is made: by the server API, by a join token, by a preset.

use super::Room;
use crate::config::{HubConfig, Limits};
use crate::io::{ServiceError, ServiceErrorCode, complaint};
use bedrud_rtp::PlayoutDelay;
use livekit_protocol::{CreateRoomRequest, RoomAgentDispatch, RoomConfiguration};

/// Agents one room may be made with.
const MAX_AGENTS: usize = 64;
/// Highest play-out delay where a room names only the lowest, milliseconds: what receivers take without being told.
const MAX_PLAYOUT_DELAY: u32 = 10_000;
/// Tags one room may have.
const MAX_TAGS: usize = 64;

/// Why a configuration is refused; the texts are those of the reference server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("unknown room configuration in create room request")]
    Preset,
    #[error("{}", complaint::METADATA)]
    Metadata(usize),
    #[error("{}", complaint::ATTRIBUTES)]
    Attributes(usize),
    #[error("too many agents or tags")]
    TooMany,
}

impl From<Unusable> for ServiceError {
    fn from(why: Unusable) -> Self {
        match why {
            Unusable::Metadata(max) => Self::too_large(complaint::METADATA, max),
            Unusable::Attributes(max) => Self::too_large(complaint::ATTRIBUTES, max),
            Unusable::Preset | Unusable::TooMany => {
                Self::new(ServiceErrorCode::InvalidArgument, why.to_string())
            }
        }
    }
}

/// The wishes of a CreateRoom call.
pub(crate) fn of_request(
    request: &CreateRoomRequest,
    config: &HubConfig,
) -> Result<RoomConfiguration, Unusable> {
    let wishes = RoomConfiguration {
        name: request.room_preset.clone(),
        empty_timeout: request.empty_timeout,
        departure_timeout: request.departure_timeout,
        max_participants: request.max_participants,
        metadata: request.metadata.clone(),
        egress: None,
        min_playout_delay: request.min_playout_delay,
        max_playout_delay: request.max_playout_delay,
        sync_streams: request.sync_streams,
        agents: request.agents.clone(),
        tags: request.tags.clone(),
    };
    settle(wishes, &request.room_preset, config)
}

/// The wishes of a join token.
pub(crate) fn of_token(
    wishes: Option<&RoomConfiguration>,
    preset: &str,
    config: &HubConfig,
) -> Result<RoomConfiguration, Unusable> {
    settle(wishes.cloned().unwrap_or_default(), preset, config)
}

/// Fills what was left open from the preset, and checks the sizes.
fn settle(
    mut wishes: RoomConfiguration,
    preset: &str,
    config: &HubConfig,
) -> Result<RoomConfiguration, Unusable> {
    if !preset.is_empty() {
        let preset = config.room_presets.get(preset).ok_or(Unusable::Preset)?;
        fill(&mut wishes, preset);
    }
    check(&wishes, &config.limits)?;
    Ok(wishes)
}

/// Zero and empty mean "open".
fn fill(wishes: &mut RoomConfiguration, preset: &RoomConfiguration) {
    let pick = |wish: &mut u32, preset: u32| {
        if *wish == 0 {
            *wish = preset;
        }
    };
    pick(&mut wishes.empty_timeout, preset.empty_timeout);
    pick(&mut wishes.departure_timeout, preset.departure_timeout);
    pick(&mut wishes.max_participants, preset.max_participants);
    pick(&mut wishes.min_playout_delay, preset.min_playout_delay);
    pick(&mut wishes.max_playout_delay, preset.max_playout_delay);
    wishes.sync_streams |= preset.sync_streams;
    if wishes.metadata.is_empty() {
        wishes.metadata.clone_from(&preset.metadata);
    }
    if wishes.agents.is_empty() {
        wishes.agents.clone_from(&preset.agents);
    }
    for (key, value) in &preset.tags {
        wishes.tags.entry(key.clone()).or_insert_with(|| value.clone());
    }
    preset.name.clone_into(&mut wishes.name);
}

fn check(wishes: &RoomConfiguration, limits: &Limits) -> Result<(), Unusable> {
    let over = |len: usize, max: usize| max != 0 && len > max;
    if over(wishes.metadata.len(), limits.metadata) {
        return Err(Unusable::Metadata(limits.metadata));
    }
    let sum = |map: &std::collections::HashMap<String, String>| -> usize {
        map.iter().map(|(k, v)| k.len() + v.len()).sum()
    };
    for RoomAgentDispatch { metadata, attributes, .. } in &wishes.agents {
        if over(metadata.len(), limits.metadata) {
            return Err(Unusable::Metadata(limits.metadata));
        }
        if over(sum(attributes), limits.attributes) {
            return Err(Unusable::Attributes(limits.attributes));
        }
    }
    if over(sum(&wishes.tags), limits.attributes) {
        return Err(Unusable::Attributes(limits.attributes));
    }
    if wishes.agents.len() > MAX_AGENTS || wishes.tags.len() > MAX_TAGS {
        return Err(Unusable::TooMany);
    }
    Ok(())
}

impl Room {
    /// Overwrites what the wishes name; zero and empty leave things as they are. True when the agents changed.
    pub(crate) fn configure(&mut self, wishes: &RoomConfiguration) -> bool {
        let pick = |new: u32, old: &mut u32| {
            if new != 0 {
                *old = new;
            }
        };
        pick(wishes.empty_timeout, &mut self.info.empty_timeout);
        pick(wishes.departure_timeout, &mut self.info.departure_timeout);
        pick(wishes.max_participants, &mut self.info.max_participants);
        if !wishes.metadata.is_empty() {
            self.info.metadata.clone_from(&wishes.metadata);
        }
        let own = &mut self.config;
        pick(wishes.min_playout_delay, &mut own.min_playout_delay);
        pick(wishes.max_playout_delay, &mut own.max_playout_delay);
        own.sync_streams |= wishes.sync_streams;
        if !wishes.name.is_empty() {
            own.name.clone_from(&wishes.name);
        }
        own.tags.extend(wishes.tags.clone());
        let changed = !wishes.agents.is_empty() && own.agents != wishes.agents;
        if changed {
            own.agents.clone_from(&wishes.agents);
        }
        changed
    }

    /// Limits of what receivers of video may hold back, when the room asks for any.
    pub(crate) fn playout_delay(&self) -> Option<PlayoutDelay> {
        let (min, max) = (self.config.min_playout_delay, self.config.max_playout_delay);
        if min == 0 && max == 0 {
            return None;
        }
        // Milliseconds here, 12 bits of ten milliseconds on the wire.
        let units = |ms: u32| u16::try_from(ms.div_ceil(10)).unwrap_or(u16::MAX).min(0xfff);
        let max = if max == 0 { MAX_PLAYOUT_DELAY } else { max };
        Some(PlayoutDelay { min: units(min), max: units(max.max(min)) })
    }

    /// How the room is configured now.
    pub(crate) fn configuration(&self) -> RoomConfiguration {
        RoomConfiguration {
            empty_timeout: self.info.empty_timeout,
            departure_timeout: self.info.departure_timeout,
            max_participants: self.info.max_participants,
            metadata: self.info.metadata.clone(),
            ..self.config.clone()
        }
    }
}
