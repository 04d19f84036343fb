//! Workers: what they registered as, how busy they are, and which of them is asked.

use super::io::Conn;
use livekit_protocol as proto;
use rand::Rng as _;
use rand::rngs::StdRng;
use std::collections::{BTreeMap, BTreeSet};

/// Longest deployment name, bytes.
const MAX_DEPLOYMENT: usize = 64;
/// Weight of a worker that calls itself available and fully loaded: it knows best.
const MIN_WEIGHT: f32 = 0.01;

/// Workers that stand in for each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    pub(super) agent_name: String,
    /// `JobType`.
    pub(super) kind: i32,
    pub(super) deployment: String,
    /// Deprecated by the protocol; one job is started for each.
    pub(super) namespace: String,
}

impl Group {
    /// Whose job this is.
    #[allow(deprecated, reason = "older workers register with a namespace")]
    pub(super) fn of(job: &proto::Job) -> Self {
        Self {
            agent_name: job.agent_name.clone(),
            kind: job.r#type,
            deployment: job.deployment.clone(),
            namespace: job.namespace.clone(),
        }
    }
}

/// What a worker said of itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Registration {
    pub(super) group: Group,
    /// Rights of its agents.
    pub(super) permissions: proto::ParticipantPermission,
}

impl Registration {
    /// Checks a registration.
    ///
    /// # Errors
    /// A short text for the worker.
    pub(super) fn read(request: proto::RegisterWorkerRequest, max_name: usize) -> Result<Self, &'static str> {
        if proto::JobType::try_from(request.r#type).is_err() {
            return Err("unknown job type");
        }
        check_deployment(&request.deployment)?;
        let namespace = request.namespace.unwrap_or_default();
        if request.agent_name.len() > max_name || namespace.len() > max_name {
            return Err("agent name too long");
        }
        let permissions = request.allowed_permissions.unwrap_or(proto::ParticipantPermission {
            can_subscribe: true,
            can_publish: true,
            can_publish_data: true,
            can_update_metadata: true,
            ..proto::ParticipantPermission::default()
        });
        let group = Group {
            agent_name: request.agent_name,
            kind: request.r#type,
            deployment: request.deployment,
            namespace,
        };
        Ok(Self { group, permissions })
    }
}

/// Whether this can name a deployment.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_deployment(name: &str) -> Result<(), &'static str> {
    if name.len() > MAX_DEPLOYMENT {
        return Err("deployment exceeds 64 bytes");
    }
    if name.contains('_') {
        return Err("deployment contains the reserved character '_'");
    }
    if name.bytes().any(|b| b <= b' ' || b == 0x7f) {
        return Err("deployment contains white space or a control character");
    }
    Ok(())
}

/// One worker socket.
#[derive(Debug)]
pub(super) struct Worker {
    /// `AW_…`
    pub(super) id: String,
    /// The key that signed its token also signs those of its agents.
    pub(super) api_key: String,
    pub(super) registration: Option<Registration>,
    pub(super) available: bool,
    pub(super) load: f32,
    /// Jobs it was asked about and has not answered.
    pub(super) asked: BTreeSet<String>,
}

impl Worker {
    pub(super) fn new(id: String, api_key: String) -> Self {
        Self { id, api_key, registration: None, available: true, load: 0.0, asked: BTreeSet::new() }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        self.registration.as_ref().map(|r| &r.group)
    }

    fn weight(&self) -> f32 {
        let load = if self.load.is_finite() { self.load } else { 1.0 };
        (1.0 - load).clamp(MIN_WEIGHT, 1.0)
    }
}

/// Picks a worker of the group that is available and was not tried: the less loaded, the more likely.
pub(super) fn choose(
    workers: &BTreeMap<Conn, Worker>,
    group: &Group,
    tried: &BTreeSet<Conn>,
    open_requests: usize,
    rng: &mut StdRng,
) -> Option<Conn> {
    let candidates: Vec<(Conn, f32)> = workers
        .iter()
        .filter(|(conn, w)| {
            w.available && w.asked.len() < open_requests && w.group() == Some(group) && !tried.contains(conn)
        })
        .map(|(conn, w)| (*conn, w.weight()))
        .collect();
    let mut rest = rng.random::<f32>() * candidates.iter().map(|(_, weight)| weight).sum::<f32>();
    for (conn, weight) in &candidates {
        rest -= weight;
        if rest <= 0.0 {
            return Some(*conn);
        }
    }
    // Rounding may leave a little.
    candidates.last().map(|(conn, _)| *conn)
}
