//! Name, metadata and attributes.

use crate::context::Cx;
use crate::ids::Pid;
use crate::room::{Audience, Room};
use livekit_protocol::UpdateParticipantMetadata;
use livekit_protocol::request_response::{Reason, Request};
use std::collections::HashMap;

/// Who changes a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The participant.
    Itself,
    /// The server API.
    Server,
}

impl Room {
    pub(super) fn on_update_metadata(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        mut update: UpdateParticipantMetadata,
    ) {
        let Some(p) = self.get(pid) else { return };
        let limits = &cx.config.limits;
        let over = |len: usize, max: usize| max != 0 && len > max;
        let text = Some(update.metadata.as_str()).filter(|text| !text.is_empty());
        let imposed = p.member.as_ref().zip(text).map(|(member, text)| member.impose(text));
        let refused = if !p.permission.can_update_metadata {
            Some((Reason::NotAllowed, "does not have permission to update own metadata"))
        } else if matches!(imposed, Some(Err(_))) {
            Some((Reason::InvalidRequest, "metadata must be a JSON object"))
        } else if over(update.name.len(), limits.participant_name) {
            Some((Reason::LimitExceeded, "exceeds name length limit"))
        } else if over(update.metadata.len(), limits.metadata) {
            Some((Reason::LimitExceeded, "exceeds metadata size limit"))
        } else {
            if let Some(Ok(text)) = imposed {
                update.metadata = text;
            }
            let attributes = update.attributes.clone();
            let changed =
                self.change_profile(cx, pid, &update.name, &update.metadata, attributes, By::Itself);
            changed.err().map(|text| (Reason::LimitExceeded, text))
        };
        if let Some((reason, text)) = refused {
            self.respond(cx, pid, reason, text, Request::UpdateMetadata(update));
            return;
        }
        self.refresh_token(cx, pid);
        self.respond(cx, pid, Reason::Ok, "", Request::UpdateMetadata(update));
    }

    /// Changes what is not empty; an attribute with an empty value is deleted. Everyone hears of it.
    pub(crate) fn change_profile(
        &mut self,
        cx: &mut Cx<'_>,
        pid: Pid,
        name: &str,
        metadata: &str,
        attributes: HashMap<String, String>,
        by: By,
    ) -> Result<(), &'static str> {
        let max = cx.config.limits.attributes;
        let Some(p) = self.get(pid) else { return Ok(()) };
        let mut merged = p.claims.attributes.clone();
        merged.extend(attributes);
        merged.retain(|_, value| !value.is_empty());
        let size: usize = merged.iter().map(|(k, v)| k.len() + v.len()).sum();
        if max != 0 && size > max {
            return Err("exceeds attributes size limit");
        }
        let metadata_size = if metadata.is_empty() { p.claims.metadata.len() } else { metadata.len() };
        let more = size.saturating_add(metadata_size).saturating_sub(p.profile_size());
        if by == By::Itself && !self.has_space(&cx.config.limits, pid, more) {
            return Err("the room has no space for more metadata");
        }
        let Some(p) = self.get_mut(pid) else { return Ok(()) };
        p.claims.attributes = merged;
        if !name.is_empty() {
            name.clone_into(&mut p.claims.name);
        }
        if !metadata.is_empty() {
            metadata.clone_into(&mut p.claims.metadata);
        }
        p.touch();
        self.announce(cx, pid, Audience::Everyone, true);
        Ok(())
    }
}
