//! Calls of AgentDispatchService.

use super::io::{DispatchError, Now};
use super::rooms::{Dispatch, RoomState};
use super::{Dispatcher, id};
use livekit_protocol as proto;
use std::collections::{BTreeSet, VecDeque};

impl Dispatcher {
    /// Adds a dispatch to a room, which must be open now, and looks for workers.
    ///
    /// # Errors
    /// [`DispatchError::TooMany`].
    pub(crate) fn create(
        &mut self,
        now: Now,
        room: proto::Room,
        request: proto::CreateAgentDispatchRequest,
    ) -> Result<proto::AgentDispatch, DispatchError> {
        let sid = self.note_room(room);
        let agent = proto::RoomAgentDispatch {
            agent_name: request.agent_name,
            metadata: request.metadata,
            restart_policy: request.restart_policy,
            deployment: request.deployment,
            attributes: request.attributes,
        };
        let dispatch = self.add_dispatch(now, &sid, agent)?;
        self.launch_dispatch(now, &sid, &dispatch);
        self.shown(&sid, &dispatch).ok_or(DispatchError::NoRoom)
    }

    /// Ends a dispatch and its jobs.
    ///
    /// # Errors
    /// When there is no such room or dispatch.
    pub(crate) fn delete(
        &mut self,
        now: Now,
        room: &str,
        dispatch: &str,
    ) -> Result<proto::AgentDispatch, DispatchError> {
        let sid = self.names.get(room).cloned().ok_or(DispatchError::NoRoom)?;
        let mut shown = self.shown(&sid, dispatch).ok_or(DispatchError::NoDispatch)?;
        if let Some(state) = &mut shown.state {
            state.deleted_at = now.unix_nanos;
        }
        let jobs = self.rooms.get_mut(&sid).and_then(|r| {
            let jobs = r.dispatch(dispatch).map(|d| std::mem::take(&mut d.jobs));
            r.dispatches.retain(|d| d.info.id != dispatch);
            jobs
        });
        for job in jobs.unwrap_or_default() {
            self.dismiss(now, &job);
        }
        Ok(shown)
    }

    /// The dispatches of a room, or the one of this id. An unknown id is an empty list.
    ///
    /// # Errors
    /// When there is no such room.
    pub(crate) fn list(
        &self,
        room: &str,
        dispatch: &str,
    ) -> Result<Vec<proto::AgentDispatch>, DispatchError> {
        let sid = self.names.get(room).ok_or(DispatchError::NoRoom)?;
        let room = self.rooms.get(sid).ok_or(DispatchError::NoRoom)?;
        let ids = room.dispatches.iter().map(|d| d.info.id.as_str());
        let ids = ids.filter(|id| dispatch.is_empty() || *id == dispatch);
        Ok(ids.filter_map(|id| self.shown(sid, id)).collect())
    }

    /// Adds a dispatch without starting anything.
    pub(super) fn add_dispatch(
        &mut self,
        now: Now,
        room: &str,
        agent: proto::RoomAgentDispatch,
    ) -> Result<String, DispatchError> {
        let id = id(&mut self.rng, "AD_");
        let room = self.rooms.get_mut(room).ok_or(DispatchError::NoRoom)?;
        if room.dispatches.len() >= self.limits.dispatches {
            return Err(DispatchError::TooMany);
        }
        let info = proto::AgentDispatch {
            id: id.clone(),
            agent_name: agent.agent_name,
            room: room.info.name.clone(),
            metadata: agent.metadata,
            state: Some(proto::AgentDispatchState {
                created_at: now.unix_nanos,
                ..proto::AgentDispatchState::default()
            }),
            restart_policy: proto::JobRestartPolicy::try_from(agent.restart_policy).unwrap_or_default()
                as i32,
            deployment: agent.deployment,
            attributes: agent.attributes,
        };
        room.dispatches.push(Dispatch {
            info,
            served: BTreeSet::new(),
            jobs: Vec::new(),
            finished: VecDeque::new(),
        });
        Ok(id)
    }

    /// A dispatch with the jobs that were assigned.
    fn shown(&self, room: &str, id: &str) -> Option<proto::AgentDispatch> {
        let room: &RoomState = self.rooms.get(room)?;
        let dispatch = room.dispatches.iter().find(|d| d.info.id == id)?;
        let running = dispatch.jobs.iter().filter_map(|id| self.jobs.get(id)).filter(|j| j.is_running());
        let jobs = dispatch.finished.iter().cloned().chain(running.map(|j| j.info.clone())).collect();
        let mut info = dispatch.info.clone();
        info.state.get_or_insert_default().jobs = jobs;
        Some(info)
    }
}
