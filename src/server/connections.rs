//! Places for TCP connections: how many there are, who holds them, and who has to go when they are all taken.
//!
//! A connection waits for its client (for the first bytes, a handshake, a head, a body, the next request, or until an
//! answer is taken), is at work, or has become a session (a WebSocket). Sessions have places of their own. When the others
//! are all taken, a newcomer gets the place of one that waits for its client: of the client that has most of these, the
//! oldest. So strangers who open connections and say nothing displace each other and nobody else.

use bedrud_media::IpNetwork;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// All connections of a server.
#[derive(Debug)]
pub struct Connections {
    table: Mutex<Table>,
    max: usize,
    max_per_client: usize,
    /// A place may be free.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    sessions: usize,
    /// All that are no sessions.
    open: HashMap<u64, Open>,
    clients: HashMap<IpNetwork, Client>,
    /// Clients with waiting connections: how much each is a burden.
    burdens: BTreeSet<(Burden, IpNetwork)>,
}

#[derive(Debug)]
struct Open {
    client: IpNetwork,
    /// Since when it waits for its client, in order of such moments.
    waits: Option<u64>,
    evict: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Client {
    /// Stands for many clients (a reverse proxy): without limit, and the last to lose connections.
    shared: bool,
    open: usize,
    /// Waiting connections by age.
    waiting: BTreeMap<u64, u64>,
    burden: Option<Burden>,
}

/// The largest goes first: not shared, many waiting connections, an old one among them.
type Burden = (bool, usize, Reverse<u64>);

/// One open connection.
#[derive(Debug)]
pub struct Permit {
    connections: Arc<Connections>,
    id: u64,
    evict: Arc<Notify>,
    session: bool,
}

impl Table {
    fn count(&mut self, network: IpNetwork) {
        let Some(client) = self.clients.get_mut(&network) else { return };
        let burden = client
            .waiting
            .first_key_value()
            .map(|(oldest, _)| (!client.shared, client.waiting.len(), Reverse(*oldest)));
        if let Some(old) = std::mem::replace(&mut client.burden, burden) {
            self.burdens.remove(&(old, network));
        }
        if let Some(new) = burden {
            self.burdens.insert((new, network));
        }
        if client.open == 0 {
            self.clients.remove(&network);
        }
    }

    fn set_waiting(&mut self, id: u64, waits: bool) {
        let Some(open) = self.open.get_mut(&id).filter(|open| open.waits.is_some() != waits) else { return };
        let network = open.client;
        let Some(client) = self.clients.get_mut(&network) else { return };
        match open.waits.take() {
            Some(since) => {
                client.waiting.remove(&since);
            }
            None => {
                self.next += 1;
                open.waits = Some(self.next);
                client.waiting.insert(self.next, id);
            }
        }
        self.count(network);
    }

    /// Takes a connection out; false when it is out already.
    fn remove(&mut self, id: u64) -> bool {
        self.set_waiting(id, false);
        let Some(open) = self.open.remove(&id) else { return false };
        if let Some(client) = self.clients.get_mut(&open.client) {
            client.open = client.open.saturating_sub(1);
        }
        self.count(open.client);
        true
    }

    fn evict(&mut self, id: u64) {
        if let Some(open) = self.open.get(&id) {
            open.evict.notify_one();
        }
        self.remove(id);
    }

    fn oldest_of(&self, network: &IpNetwork) -> Option<u64> {
        self.clients.get(network)?.waiting.first_key_value().map(|(_, id)| *id)
    }
}

impl Connections {
    /// At most `max` connections that are no sessions, and as many sessions; at most `max_per_client` of one client, 0 is
    /// no limit.
    #[must_use]
    pub fn new(max: u32, max_per_client: u32) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            max: (max as usize).max(1),
            max_per_client: if max_per_client == 0 { usize::MAX } else { max_per_client as usize },
            freed: Notify::new(),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a newcomer can have a place, its own or that of another.
    pub async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            freed.as_mut().enable();
            if self.has_room() {
                return;
            }
            freed.await;
        }
    }

    fn has_room(&self) -> bool {
        let table = self.table();
        table.open.len() < self.max || !table.burdens.is_empty()
    }

    /// A place for a newcomer, who is waited for at first. `None` when its network has all it may have and all of it is at
    /// work, or when everybody is.
    #[must_use]
    pub fn admit(self: &Arc<Self>, ip: IpAddr, shared: bool) -> Option<Permit> {
        let network = IpNetwork::client(ip);
        let mut table = self.table();
        let held = table.clients.get(&network).map_or(0, |client| client.open);
        if !shared && held >= self.max_per_client {
            let oldest = table.oldest_of(&network)?;
            table.evict(oldest);
        } else if table.open.len() >= self.max {
            let (_, heaviest) = *table.burdens.last()?;
            let oldest = table.oldest_of(&heaviest)?;
            table.evict(oldest);
        }
        table.next += 1;
        let id = table.next;
        let evict = Arc::new(Notify::new());
        table.open.insert(id, Open { client: network, waits: None, evict: Arc::clone(&evict) });
        let client = table.clients.entry(network).or_default();
        client.open += 1;
        client.shared = shared;
        table.set_waiting(id, true);
        drop(table);
        Some(Permit { connections: Arc::clone(self), id, evict, session: false })
    }

    /// True when there may be no more sessions.
    #[must_use]
    pub fn sessions_full(&self) -> bool {
        self.table().sessions >= self.max
    }

    fn freed(&self) {
        self.freed.notify_one();
    }
}

impl Permit {
    /// Returns when somebody else has got the place.
    pub fn evicted(&self) -> impl Future<Output = ()> + use<> {
        let evict = Arc::clone(&self.evict);
        async move { evict.notified().await }
    }

    /// Tell this to end the connection as if somebody else had got its place.
    #[must_use]
    pub fn evict_handle(&self) -> Arc<Notify> {
        Arc::clone(&self.evict)
    }

    /// Whether it waits for its client now.
    pub fn set_unfinished(&self, unfinished: bool) {
        self.connections.table().set_waiting(self.id, unfinished);
        if unfinished {
            self.connections.freed();
        }
    }

    /// Moves to the places of sessions. False when they are taken, or the place is already lost.
    #[must_use]
    pub fn become_session(&mut self) -> bool {
        let mut table = self.connections.table();
        if self.session || table.sessions >= self.connections.max || !table.remove(self.id) {
            return self.session;
        }
        table.sessions += 1;
        drop(table);
        self.session = true;
        self.connections.freed();
        true
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        if self.session {
            table.sessions = table.sessions.saturating_sub(1);
        } else {
            table.remove(self.id);
        }
        drop(table);
        self.connections.freed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn is_evicted(permit: &Permit) -> bool {
        permit.evicted().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_that_waits_of_the_heaviest_client_goes_first() {
        let connections = Connections::new(6, 0);
        let admit = |text: &str| connections.admit(ip(text), false).unwrap();
        let alone = admit("198.51.100.1");
        let many: Vec<_> = (0..4).map(|n| admit(&format!("2001:db8::{n}"))).collect();
        let at_work = admit("2001:db8::9");
        at_work.set_unfinished(false);
        let newcomer = admit("198.51.100.2");
        assert!(is_evicted(&many[0]), "one /64 is one client");
        assert!(many[1..].iter().chain([&alone, &at_work, &newcomer]).all(|p| !is_evicted(p)));
        // When all have one, age decides.
        drop(many);
        let few: Vec<_> = (3..6).map(|n| admit(&format!("198.51.100.{n}"))).collect();
        assert!(!is_evicted(&alone));
        let _another = admit("198.51.100.9");
        assert!(is_evicted(&alone) && few.iter().all(|p| !is_evicted(p)));
    }

    #[test]
    fn nobody_at_work_is_sent_away() {
        let connections = Connections::new(2, 0);
        let admit = |text: &str| connections.admit(ip(text), false);
        let busy = [admit("198.51.100.1").unwrap(), admit("198.51.100.2").unwrap()];
        busy.iter().for_each(|p| p.set_unfinished(false));
        assert!(connections.room().now_or_never().is_none());
        assert!(admit("198.51.100.3").is_none());
        busy[1].set_unfinished(true);
        assert!(connections.room().now_or_never().is_some());
        let third = admit("198.51.100.3").unwrap();
        assert!(is_evicted(&busy[1]) && !is_evicted(&busy[0]));
        drop(busy);
        assert_eq!(connections.table().open.len(), 1, "a lost place is not given back twice");
        drop(third);
        assert!(connections.table().clients.is_empty() && connections.table().burdens.is_empty());
    }

    #[test]
    fn a_client_beyond_its_share_displaces_itself() {
        let connections = Connections::new(100, 2);
        let admit = |text: &str| connections.admit(ip(text), false);
        let own = [admit("192.0.2.1").unwrap(), admit("192.0.2.1").unwrap()];
        own[0].set_unfinished(false);
        let _third = admit("192.0.2.1").unwrap();
        assert!(is_evicted(&own[1]) && !is_evicted(&own[0]));
        _third.set_unfinished(false);
        assert!(admit("192.0.2.1").is_none(), "all of it is at work");
        assert!(admit("192.0.2.2").is_some());
    }

    #[test]
    fn sessions_have_places_of_their_own_and_proxies_lose_last() {
        let connections = Connections::new(2, 1);
        let mut sessions: Vec<_> = (0..2)
            .map(|_| {
                let mut permit = connections.admit(ip("192.0.2.1"), false).unwrap();
                assert!(permit.become_session());
                permit
            })
            .collect();
        assert!(connections.sessions_full());
        let proxied: Vec<_> = (0..2).map(|_| connections.admit(ip("192.0.2.7"), true).unwrap()).collect();
        let mut other = connections.admit(ip("192.0.2.2"), false).unwrap();
        assert!(is_evicted(&proxied[0]), "there is nobody else");
        assert!(!other.become_session(), "no more sessions");
        let _another = connections.admit(ip("192.0.2.3"), false).unwrap();
        assert!(is_evicted(&other) && !is_evicted(&proxied[1]));
        assert!(sessions.iter().all(|p| !is_evicted(p)));
        drop(sessions.pop());
        assert!(!connections.sessions_full());
    }
}
