//! One media thread of a running server stands still: figures and signalling do not wait for it, the server is not ready,
//! and at last it ends with an error, for whoever starts it again.
#![allow(unsafe_code, reason = "a single thread of another process is stopped with ptrace(2)")]

use crate::server::{Server, bedrud, free_port};
use crate::signalling::Client;
use std::ptr::null_mut;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// A thread that is stopped for as long as this lives. The thread that asked for it must stay, so it has one.
struct Stopped(Option<std::sync::mpsc::Sender<()>>, Option<std::thread::JoinHandle<()>>);

impl Stopped {
    fn new(thread: i32) -> Self {
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (stopped, is_stopped) = std::sync::mpsc::channel();
        let tracer = std::thread::spawn(move || {
            let none = null_mut::<libc::c_void>();
            // SAFETY: no memory is passed but `status`, which outlives the call that writes to it.
            unsafe {
                assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0, "ptrace is not allowed");
                assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
                let mut status = 0;
                assert_eq!(libc::waitpid(thread, &raw mut status, libc::__WALL), thread);
            }
            stopped.send(()).unwrap();
            // The end of the thread is ours to take note of: before that its process cannot end.
            let ended = || {
                let mut status = 0;
                // SAFETY: `status` outlives the call.
                unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) == thread }
            };
            while released.recv_timeout(Duration::from_millis(50)) == Err(RecvTimeoutError::Timeout) {
                if ended() {
                    return;
                }
            }
            // SAFETY: no memory is passed.
            unsafe { libc::ptrace(libc::PTRACE_DETACH, thread, none, none) };
        });
        is_stopped.recv().unwrap();
        Self(Some(release), Some(tracer))
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        drop(self.0.take());
        let _ = self.1.take().map(std::thread::JoinHandle::join);
    }
}

#[tokio::test]
async fn a_media_thread_that_stands_still_is_seen_and_ends_the_process() {
    let (port, figures) = (free_port(), free_port());
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let (text, body) = (port.to_string(), format!("prometheus_port: {figures}"));
    let args = ["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &text, "--config-body", &body];
    let mut server = Server::spawn_logged(&mut bedrud(&args), port, &log);
    server.announced();
    let mut ada = Client::join(&server, "ada").await;
    assert_eq!(server.get("/").0, 200);

    let stopped = Stopped::new(server.thread("shard-0"));
    let scrape = || {
        use std::io::{Read as _, Write as _};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", figures)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // Nobody who does not need that thread waits for it.
    for _ in 0..3 {
        let answer = scrape();
        assert!(answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("livekit_participant_total"));
        ada.is_served().await;
    }
    let mut bob = Client::join(&server, "bob").await;
    bob.is_served().await;
    server.until("it is not ready", |s| s.get("/").0 == 406).await;
    ada.is_served().await;

    // The process waits a minute, counted by itself.
    let status = tokio::task::spawn_blocking(move || server.ended());
    let status = tokio::time::timeout(Duration::from_secs(300), status).await.expect("it never ends");
    assert_eq!(status.unwrap().code(), Some(1));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("the media server cannot go on: the media thread 0 has not moved"), "{log}");
    drop(stopped);
}
