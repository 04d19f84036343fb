//! From routes to open ports: what the platform and the stand-alone media server have in common.

use super::client_ip::TrustedProxies;
use super::connections::Connections;
use super::head::{HeadLimits, LongHeads};
use super::http::{HttpLimits, RequestIds, Service};
use super::listen::{Port, serve};
use super::shutdown::{Shutdown, signal};
use super::watchdog;
use crate::config::{Limits, Server};
use crate::intake::Intake;
use anyhow::bail;
use axum::Router;
use bedrud_media::Sfu;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// How often a server that waits for its last participant looks.
const LOOK: Duration = Duration::from_millis(500);
/// Memory for long heads of all requests together, bytes.
const LONG_HEADS: usize = 16 << 20;
/// A long head of a client that means to be served is complete by then; slower ones make room when the memory is used up.
const LONG_HEAD_PATIENCE: Duration = Duration::from_secs(1);

/// How meetings may end by themselves before the server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    /// For so long; `None`: as long as they take.
    pub limit: Option<Duration>,
}

impl Farewell {
    /// Lets no more rooms open, and returns when nobody is left, or the time is over.
    async fn wait(self, media: &Sfu) {
        media.drain().await;
        let empty = async {
            while media.stats().await.is_some_and(|s| s.hub.participants > 0) {
                tokio::time::sleep(LOOK).await;
            }
        };
        match self.limit {
            Some(limit) => drop(tokio::time::timeout(limit, empty).await),
            None => empty.await,
        }
    }
}

/// What the media server's routes take, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaNeeds {
    /// Largest head, with the token and the join request in it.
    pub head: usize,
    /// Largest body.
    pub body: usize,
}

/// Everything a port needs but its routes.
pub struct Edge {
    /// Stops everything.
    pub shutdown: Shutdown,
    proxies: Arc<TrustedProxies>,
    limits: HttpLimits,
    ids: Arc<RequestIds>,
    connections: Arc<Connections>,
    intake: Intake,
    sniff_timeout: Duration,
    drain: Duration,
}

impl Edge {
    /// Limits and proxies of a configuration, and those that the media server's routes need.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new(server: &Server, media: MediaNeeds) -> anyhow::Result<Self> {
        bedrud_media::memory::return_large_blocks();
        let limits: &Limits = &server.limits;
        let seconds = |n: u64| (n > 0).then(|| Duration::from_secs(n));
        let drain = Duration::from_secs(limits.drain_timeout);
        Ok(Self {
            shutdown: Shutdown::default(),
            proxies: Arc::new(TrustedProxies::new(&server.trusted_proxies, &server.proxy_header)),
            limits: HttpLimits {
                head: HeadLimits {
                    time: seconds(server.read_timeout),
                    idle: seconds(server.idle_timeout),
                    bytes: limits.header_bytes as usize,
                    long_bytes: media.head,
                    memory: LongHeads::new(LONG_HEADS.max(media.head.saturating_mul(2)), LONG_HEAD_PATIENCE),
                },
                answer: seconds(server.write_timeout),
                drain,
            },
            ids: Arc::new(RequestIds::new(u32::from_be_bytes(super::secrets::random_bytes()?))),
            connections: Connections::new(limits.connections, limits.connections_per_address),
            intake: Intake::new(media.body),
            sniff_timeout: Duration::from_secs(limits.sniff_timeout),
            drain,
        })
    }

    /// Serves a port until the end.
    ///
    /// # Errors
    /// When the socket cannot be watched.
    pub fn serve(
        &self,
        listener: TcpListener,
        routes: Router,
        media: Option<Sfu>,
        tls: Option<TlsAcceptor>,
    ) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let http = Service {
            routes,
            proxies: Arc::clone(&self.proxies),
            limits: self.limits.clone(),
            ids: Arc::clone(&self.ids),
            connections: Arc::clone(&self.connections),
            intake: self.intake.clone(),
        };
        let port = Port { http, media, tls, sniff_timeout: self.sniff_timeout };
        tokio::spawn(serve(listener, Arc::new(port), self.shutdown.guard()));
        Ok(())
    }

    /// Waits for a signal, then says goodbye to all meetings, lets open requests finish, and stops. A second signal
    /// ends the waiting. With `farewell`, meetings are first let go on by themselves, and another signal ends that.
    ///
    /// # Errors
    /// When signals cannot be caught, and when the media server cannot go on: then everything is stopped as after a
    /// signal, and the process should end with the error, for a service manager to start it again.
    pub async fn run_until_signal(self, media: Sfu, farewell: Option<Farewell>) -> anyhow::Result<()> {
        let stop = async {
            let name = signal().await?;
            if let Some(farewell) = farewell {
                tracing::info!(signal = name, "no new rooms; waiting for the last participant to leave");
                tokio::select! {
                    () = farewell.wait(&media) => {}
                    second = signal() => tracing::info!(signal = second?, "waiting no longer"),
                }
            }
            anyhow::Ok(name)
        };
        let name = tokio::select! {
            name = stop => name?,
            why = watchdog::watch(&media) => {
                tracing::error!(why, "the media server cannot go on; the process ends, to be started again");
                self.stop(media).await?;
                bail!("the media server cannot go on: {why}");
            }
        };
        tracing::info!(signal = name, "stopping");
        self.stop(media).await
    }

    async fn stop(self, media: Sfu) -> anyhow::Result<()> {
        // No new connections and no new joins first, then the meetings, then what is left of the requests.
        self.shutdown.begin();
        let drain = self.drain;
        let orderly = async {
            media.shutdown(drain).await;
            if !self.shutdown.finish(drain).await {
                tracing::warn!("some connections did not end in time");
            }
        };
        tokio::select! {
            () = orderly => tracing::info!("stopped"),
            second = signal() => tracing::warn!(signal = second?, "stopped at once"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::health;
    use bedrud_media::SfuConfig;

    /// Ready, then not: a thread of it has ended. The process ends with an error that says so.
    #[tokio::test]
    async fn a_media_server_that_cannot_go_on_ends_the_process_with_an_error() {
        let sfu = Sfu::start(SfuConfig::bound_to(([127, 0, 0, 1], 0).into())).unwrap();
        let ready = health::media_probe(&sfu);
        assert_eq!(ready().await, Ok(()));
        let edge = Edge::new(&Server::default(), MediaNeeds { head: 0, body: 0 }).unwrap();
        let guard = edge.shutdown.guard();
        sfu.occupy_shard(0, Box::new(|| Err(std::io::Error::other("broken"))));
        sfu.failed().await;
        assert_eq!(ready().await, Err("media server unhealthy"));
        let others = tokio::spawn(async move { guard.stopped().await });
        let error = edge.run_until_signal(sfu, None).await.unwrap_err().to_string();
        assert!(error.starts_with("the media server cannot go on: media thread 0"), "{error}");
        others.await.unwrap();
    }
}
