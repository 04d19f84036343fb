//! Signals that must not end meetings, and the ends of a terminal.

use crate::server::{Server, bedrud, free_port};
use std::path::Path;
use std::time::Duration;

/// Signals that would end a process that does nothing about them.
const HARMLESS: [&str; 8] = ["-HUP", "-USR1", "-USR2", "-ALRM", "-VTALRM", "-PROF", "-IO", "-PIPE"];

fn livekit(port: u16, config: &Path) -> std::process::Command {
    let mut command = bedrud(&["--json", "--config", config.to_str().unwrap(), "livekit", "--dev"]);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command
}

fn platform(port: u16, config: &Path, data: &Path) -> std::process::Command {
    let mut command = bedrud(&["--json", "--config", config.to_str().unwrap(), "run", "--host", "127.0.0.1"]);
    command.args(["--port", &port.to_string()]).env("BEDRUD_DATA", data);
    command
}

/// Waits until the log has a line with this text.
fn until(log: &Path, text: &str) -> String {
    for _ in 0..1200 {
        let all = std::fs::read_to_string(log).unwrap();
        if let Some(line) = all.lines().find(|line| line.contains(text)) {
            return line.to_owned();
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    panic!("no line with {text:?} in\n{}", std::fs::read_to_string(log).unwrap());
}

#[test]
fn signals_without_a_meaning_do_not_end_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let (config, log) = (dir.path().join("empty.yaml"), dir.path().join("log"));
    std::fs::write(&config, "").unwrap();
    for which in ["run", "livekit"] {
        let port = free_port();
        let mut command = match which {
            "run" => platform(port, &config, &dir.path().join("data")),
            _ => livekit(port, &config),
        };
        let mut server = Server::spawn_logged(&mut command, port, &log);
        server.announced();
        for signal in HARMLESS {
            server.signal(signal);
        }
        until(&log, "signal=\"SIGUSR1\"");
        until(&log, "SIGHUP: still running");
        assert!(server.is_alive(), "{which}");
        assert_eq!(server.get("/rtc/validate").0, 401, "{which} serves on");
        assert_eq!(server.end("-TERM").code(), Some(0), "{which} still stops in order");
    }
}

#[test]
fn hangup_reloads_the_level_of_the_log_and_says_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    let (config, log) = (dir.path().join("bedrud.yaml"), dir.path().join("log"));
    std::fs::write(&config, "logger: {level: info}\n").unwrap();
    let port = free_port();
    let mut server = Server::spawn_logged(&mut platform(port, &config, &dir.path().join("data")), port, &log);
    server.announced();
    server.get("/api/health");
    std::fs::write(&config, "logger: {level: debug}\nrateLimit: {guestMaxRequests: 7}\n").unwrap();
    server.signal("-HUP");
    let line = until(&log, "SIGHUP: still running");
    assert!(line.contains("reloaded=\"logger.level\""), "{line}");
    assert!(line.contains("at_next_start=\"rateLimit.guestMaxRequests\""), "{line}");
    assert!(!std::fs::read_to_string(&log).unwrap().contains("path=\"/api/health\""), "not logged before");
    server.get("/api/health");
    until(&log, "path=\"/api/health\"");

    std::fs::write(&config, "logger: {level: loud}\n").unwrap();
    server.signal("-HUP");
    let line = until(&log, "the configuration stays as it is");
    assert!(line.contains("bedrud.yaml:1: logger.level: must be one of"), "{line}");
    assert_eq!(server.get("/api/health").0, 200);
}

#[test]
fn a_closed_pipe_of_the_log_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (config, port) = (dir.path().join("empty.yaml"), free_port());
    std::fs::write(&config, "").unwrap();
    let mut command = platform(port, &config, &dir.path().join("data"));
    let mut server = Server::spawn_piped(command.env("BEDRUD_LOG", "debug"), port);
    server.announced();
    drop(server.stderr());
    for _ in 0..20 {
        assert_eq!(server.get("/api/health").0, 200, "requests are answered though they cannot be logged");
    }
    assert_eq!(server.end("-TERM").code(), Some(0));
}

#[test]
fn no_core_is_ever_dumped() {
    for server in [Server::run(tempfile::tempdir().unwrap().path(), &[]).0, Server::livekit()] {
        let limits = server.proc("limits");
        let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(cores.split_whitespace().skip(4).collect::<Vec<_>>()[..2], ["0", "0"], "{cores}");
    }
}

#[test]
fn a_start_that_voids_the_link_of_another_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (server, first) = Server::run(dir.path(), &[]);
    assert_eq!(first["data"]["setupLinkReplaced"], false);
    server.end("-TERM");
    let (_server, second) = Server::run(dir.path(), &[]);
    assert_eq!(second["data"]["setupLinkReplaced"], true);
    assert_ne!(first["data"]["setupLink"], second["data"]["setupLink"]);
}
