//! One POST to a receiver: verified TLS, no redirects, a time for everything.

use std::{path::Path, sync::Arc, time::Duration};

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;

/// Longest attempt, from the name to the status.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for one address of a receiver.
const CONNECT: Duration = Duration::from_secs(3);
/// Addresses of a receiver that are tried.
const ADDRESSES: usize = 4;
/// What receivers' firewalls let through.
const USER_AGENT: &str = "LiveKit";
/// Of the body.
const CONTENT_TYPE: &str = "application/webhook+json";

/// What a receiver answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// `Retry-After` in seconds.
    pub wait: Option<Duration>,
}

/// Makes the requests. Each has a connection of its own.
pub struct Client {
    tls: Option<TlsConnector>,
    timeout: Duration,
}

impl Client {
    /// Trusts the certificates of the PEM file `roots`; without one, `https` receivers cannot be reached.
    ///
    /// # Errors
    /// A file that cannot be read or holds no certificate.
    pub fn new(roots: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let tls = roots.map(tls).transpose()?.map(|config| TlsConnector::from(Arc::new(config)));
        Ok(Self { tls, timeout })
    }

    /// Posts a body.
    ///
    /// # Errors
    /// Why there was no answer, for the operator.
    pub async fn post(&self, to: &Endpoint, token: &str, body: String) -> Result<Answer, String> {
        match tokio::time::timeout(self.timeout, self.attempt(to, token, body)).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs_f32())),
        }
    }

    async fn attempt(&self, to: &Endpoint, token: &str, body: String) -> Result<Answer, String> {
        let request = Request::post(to.path())
            .header(header::HOST, to.authority())
            .header(header::USER_AGENT, USER_AGENT)
            .header(header::CONTENT_TYPE, CONTENT_TYPE)
            .header(header::AUTHORIZATION, token)
            .header(header::CONNECTION, "close")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| error.to_string())?;
        let stream = connect(to).await?;
        if !to.https() {
            return exchange(stream, request).await;
        }
        let tls = self.tls.as_ref().ok_or("no root certificates on this system")?;
        let name = ServerName::try_from(to.host().to_owned()).map_err(|error| error.to_string())?;
        let stream = tls.connect(name, stream).await.map_err(|error| format!("TLS: {error}"))?;
        exchange(stream, request).await
    }
}

fn tls(roots: &Path) -> Result<ClientConfig, String> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", roots.display());
    let mut store = RootCertStore::empty();
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(roots).map_err(|error| failed(&error))?.flatten().collect();
    // Bundles of systems hold some that nobody can read.
    store.add_parsable_certificates(certificates);
    if store.is_empty() {
        return Err(failed(&"no certificate inside"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|error| failed(&error))?.with_root_certificates(store).with_no_client_auth())
}

async fn connect(to: &Endpoint) -> Result<TcpStream, String> {
    let found = lookup_host((to.host(), to.port())).await.map_err(|error| format!("name lookup: {error}"))?;
    let mut last = "the name has no address".to_owned();
    for address in found.take(ADDRESSES) {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Err(_) => last = format!("{address}: no connection within {} s", CONNECT.as_secs()),
        }
    }
    Err(last)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| format!("HTTP: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let _driver = Driver(tokio::spawn(async move {
        // Its errors come back through the request.
        let _ = connection.await;
    }));
    let response = sender.send_request(request).await.map_err(failed)?;
    // The body is of no interest: the status says it all.
    let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
    Ok(Answer { status: response.status(), wait: wait.map(Duration::from_secs) })
}

/// Ends the connection with the request, however that ends.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}
