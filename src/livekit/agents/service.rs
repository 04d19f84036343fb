//! The task around the dispatcher.

use super::dispatch::{Conn, DispatchError, Dispatcher, Limits, Now, Output};
use super::{CallError, Request, ToWorker, news};
use crate::auth::media_token::{self, ApiKeys, Claims};
use crate::server::shutdown::Guard;
use bedrud_media::{EventReceiver, ServiceRequest, ServiceResponse, Sfu, SfuEvent};
use livekit_protocol as proto;
use livekit_protocol::server_message::Message;
use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// Listing all rooms is work for the media server: under a storm of events it is done at most this often.
const RESYNC_INTERVAL: Duration = Duration::from_secs(1);

struct Service {
    sfu: Sfu,
    keys: ApiKeys,
    dispatcher: Dispatcher,
    workers: HashMap<Conn, mpsc::Sender<ToWorker>>,
    /// When the rooms are to be looked at anew.
    resync: Option<Instant>,
    /// When that may be done next.
    resync_from: Instant,
}

enum Work {
    Event(SfuEvent),
    Request(Request),
    Timeout,
    Stop,
}

/// Runs until the server stops, the media server ends, or nobody is left to ask anything.
pub(super) async fn run(
    sfu: Sfu,
    keys: ApiKeys,
    mut events: EventReceiver,
    mut requests: mpsc::Receiver<Request>,
    guard: Guard,
) {
    let mut seed = [0; 32];
    if let Err(error) = getrandom::fill(&mut seed) {
        tracing::error!(%error, "no random numbers: agents are not dispatched");
        return;
    }
    let limits =
        Limits { metadata: sfu.limits().metadata, attributes: sfu.limits().attributes, ..Limits::default() };
    let dispatcher = Dispatcher::new(limits, sfu.server_info(), seed);
    let resync_from = now().mono;
    let mut service = Service { sfu, keys, dispatcher, workers: HashMap::new(), resync: None, resync_from };
    loop {
        let deadline = [service.dispatcher.deadline(), service.resync].into_iter().flatten().min();
        let timer = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // Events first: whoever asks about a room expects what happened there before.
        let work = tokio::select! {
            biased;
            () = guard.stopped() => Work::Stop,
            event = events.recv() => event.map_or(Work::Stop, Work::Event),
            () = timer => Work::Timeout,
            request = requests.recv() => request.map_or(Work::Stop, Work::Request),
        };
        match work {
            Work::Event(SfuEvent::Room(event)) => {
                if let Some(news) = news::of(*event) {
                    service.dispatcher.news(now(), news);
                }
            }
            Work::Event(SfuEvent::Missed(count)) => {
                tracing::warn!(count, "agents missed events of the media server and look at the rooms anew");
                service.resync = Some(service.resync_from);
            }
            Work::Request(request) => service.request(request).await,
            Work::Timeout => service.dispatcher.timeout(now()),
            Work::Stop => break,
        }
        if service.resync.is_some_and(|at| at <= now().mono) {
            service.look_anew().await;
        }
        service.carry_out().await;
    }
}

impl Service {
    /// Looks at all rooms. Events that are still queued are older than what is seen and change nothing in the end.
    async fn look_anew(&mut self) {
        self.resync = None;
        match news::snapshot(&self.sfu).await {
            Ok(rooms) => self.dispatcher.resync(now(), rooms),
            Err(error) => tracing::debug!(%error, "rooms could not be listed"),
        }
        self.resync_from = now().mono + RESYNC_INTERVAL;
    }

    async fn request(&mut self, request: Request) {
        match request {
            Request::Open { conn, api_key, outputs } => {
                self.workers.insert(conn, outputs);
                self.dispatcher.open(now(), conn, api_key);
            }
            Request::Message { conn, message } => self.dispatcher.message(now(), conn, *message),
            Request::Closed { conn } => {
                self.workers.remove(&conn);
                self.dispatcher.closed(now(), conn);
            }
            Request::Create { request, reply } => {
                let _ = reply.send(self.create(*request).await);
            }
            Request::Delete { request, reply } => {
                let result = self.dispatcher.delete(now(), &request.room, &request.dispatch_id);
                let _ = reply.send(result.map_err(CallError::from));
            }
            Request::Stats { reply } => drop(reply.send(self.dispatcher.stats())),
            Request::List { request, reply } => {
                let result = self.dispatcher.list(&request.room, &request.dispatch_id);
                let _ = reply.send(result.map_err(CallError::from));
            }
        }
    }

    /// The room's end cannot overtake its dispatch: events are read only after.
    async fn create(
        &mut self,
        request: proto::CreateAgentDispatchRequest,
    ) -> Result<proto::AgentDispatch, CallError> {
        let name = request.room.clone();
        let open = if self.sfu.auto_create() {
            let create = proto::CreateRoomRequest { name, ..proto::CreateRoomRequest::default() };
            ServiceRequest::CreateRoom(Box::new(create))
        } else {
            ServiceRequest::ListRooms(proto::ListRoomsRequest { names: vec![name] })
        };
        let room = match self.sfu.service(open).await? {
            ServiceResponse::Room(room) => Some(room),
            ServiceResponse::Rooms(rooms) => rooms.into_iter().next(),
            _ => None,
        };
        Ok(self.dispatcher.create(now(), room.ok_or(DispatchError::NoRoom)?, request)?)
    }

    async fn carry_out(&mut self) {
        while let Some(output) = self.dispatcher.poll() {
            match output {
                Output::Send { conn, mut message } => {
                    if let Message::Availability(proto::AvailabilityRequest { job: Some(job), .. }) =
                        &mut *message
                    {
                        bring_up_to_date(&self.sfu, job).await;
                    }
                    self.send(conn, ToWorker::Message(message));
                }
                Output::Assign { conn, mut job, claims } => {
                    bring_up_to_date(&self.sfu, &mut job).await;
                    if let Some(token) = self.sign(&claims) {
                        let assignment = proto::JobAssignment { job: Some(*job), url: None, token };
                        self.send(conn, ToWorker::Message(Box::new(Message::Assignment(assignment))));
                    }
                }
                Output::Close { conn, reason } => {
                    self.send(conn, ToWorker::Close(reason));
                    self.workers.remove(&conn);
                }
                Output::Remove { room, identity } => self.remove(room, identity),
            }
        }
    }

    fn send(&mut self, conn: Conn, what: ToWorker) {
        let Some(worker) = self.workers.get(&conn) else { return };
        if worker.try_send(what).is_err() {
            // It reads too slowly or is gone; its socket sees the queue end.
            self.workers.remove(&conn);
            self.dispatcher.closed(now(), conn);
        }
    }

    fn sign(&self, claims: &Claims) -> Option<String> {
        let key = claims.iss.as_deref().unwrap_or_default();
        media_token::sign(claims, key, &self.keys)
            .inspect_err(|error| tracing::error!(%error, "cannot sign the token of an agent"))
            .ok()
    }

    fn remove(&self, room: String, identity: String) {
        let sfu = self.sfu.clone();
        let request = proto::RoomParticipantIdentity { room, identity, ..Default::default() };
        tokio::spawn(async move {
            if let Err(error) = sfu.service(ServiceRequest::RemoveParticipant(request)).await {
                // It has left meanwhile.
                tracing::debug!(%error, "an ended agent was not removed");
            }
        });
    }
}

/// Jobs wait, and nothing tells of changed metadata: a worker gets room and participant as they are when it is asked.
/// What is gone meanwhile stays as it was known.
pub(super) async fn bring_up_to_date(sfu: &Sfu, job: &mut proto::Job) {
    let Some(room) = &mut job.room else { return };
    let list = proto::ListRoomsRequest { names: vec![room.name.clone()] };
    if let Ok(ServiceResponse::Rooms(rooms)) = sfu.service(ServiceRequest::ListRooms(list)).await
        && let Some(current) = rooms.into_iter().find(|r| r.sid == room.sid)
    {
        *room = current;
    }
    let Some(participant) = &mut job.participant else { return };
    let who = proto::RoomParticipantIdentity {
        room: room.name.clone(),
        identity: participant.identity.clone(),
        ..proto::RoomParticipantIdentity::default()
    };
    if let Ok(ServiceResponse::Participant(current)) = sfu.service(ServiceRequest::GetParticipant(who)).await
        && current.sid == participant.sid
    {
        *participant = *current;
    }
}

fn now() -> Now {
    #[allow(clippy::disallowed_methods, reason = "this task is the edge of the dispatcher")]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mono = tokio::time::Instant::now().into_std();
    Now { mono, unix_nanos: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX) }
}
