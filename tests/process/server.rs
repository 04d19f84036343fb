//! A running `bedrud`, ended with the test whatever happens.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

/// Time for anything that should happen soon, generous because tests share the machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

/// `bedrud` with nothing inherited that could change its configuration.
pub(crate) fn bedrud(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bedrud"));
    command.args(args).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end.
pub(crate) fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A port that is free for TCP and UDP alike.
pub(crate) fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        if std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Server {
    /// `bedrud run` on loopback with its data in `data`, announced as JSON.
    pub(crate) fn run(data: &Path, extra: &[&str]) -> (Self, serde_json::Value) {
        let port = free_port();
        let port_text = port.to_string();
        let mut args = vec!["--json", "run", "--host", "127.0.0.1", "--port", &port_text];
        args.extend(extra);
        let mut command = bedrud(&args);
        command.env("BEDRUD_DATA", data);
        let mut server = Self::spawn(&mut command, port);
        let announced = server.announced();
        (server, announced)
    }

    /// `bedrud livekit --dev` on loopback.
    pub(crate) fn livekit() -> Self {
        Self::livekit_with(&[])
    }

    /// The media server alone, with further arguments.
    pub(crate) fn livekit_with(extra: &[&str]) -> Self {
        let port = free_port();
        let text = port.to_string();
        let mut args = vec!["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &text];
        args.extend(extra);
        let mut server = Self::spawn(&mut bedrud(&args), port);
        server.announced();
        server
    }

    /// The id of a thread of the process.
    pub(crate) fn thread(&self, name: &str) -> i32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let named = tasks.map(Result::unwrap).find(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        });
        named.unwrap().file_name().to_str().unwrap().parse().unwrap()
    }

    /// Descriptors open in the process.
    pub(crate) fn open_fds(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: &str, accept: impl Fn(&Self) -> bool) {
        let soon = tokio::time::timeout(PATIENCE, async {
            while !accept(self) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(soon.await.is_ok(), "gave up waiting until {what}");
    }

    /// Resident memory, KiB, and CPU time spent so far, seconds.
    pub(crate) fn usage(&self) -> (u64, f64) {
        let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap();
        let status = proc("status");
        let rss = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        let stat = proc("stat");
        // After the name in brackets: fields 14 and 15 of proc(5), in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        (rss.trim().trim_end_matches(" kB").parse().unwrap(), ticks / 100.0)
    }

    pub(crate) fn spawn(command: &mut Command, port: u16) -> Self {
        Self::spawned(command.stderr(Stdio::inherit()), port)
    }

    /// With its log in a file.
    pub(crate) fn spawn_logged(command: &mut Command, port: u16, log: &Path) -> Self {
        Self::spawned(command.stderr(std::fs::File::create(log).unwrap()), port)
    }

    /// With its standard error in a pipe.
    pub(crate) fn spawn_piped(command: &mut Command, port: u16) -> Self {
        Self::spawned(command.stderr(Stdio::piped()), port)
    }

    fn spawned(command: &mut Command, port: u16) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, port }
    }

    /// The one JSON object printed once it is ready.
    pub(crate) fn announced(&mut self) -> serde_json::Value {
        let mut text = String::new();
        loop {
            let before = text.len();
            self.stdout.read_line(&mut text).unwrap();
            assert!(text.len() > before, "ended before it was ready: {text}");
            if text.ends_with("}\n") && text.lines().last() == Some("}") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Status, head and body of an HTTP/1.1 exchange.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String, String) {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n", self.port);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, head.to_ascii_lowercase(), body.to_owned())
    }

    /// A JSON call that must succeed.
    pub(crate) fn post(&self, path: &str, bearer: &str, body: &str) -> serde_json::Value {
        let bearer = format!("Bearer {bearer}");
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let (status, _, answer) = self.request("POST", path, &headers, body);
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Makes an account; returns its access token.
    pub(crate) fn account(&self) -> String {
        let account = r#"{"email":"ada@example.org","password":"correct horse battery","name":"Ada"}"#;
        self.post("/api/auth/register", "", account);
        let login = self.post("/api/auth/login", "", account);
        login["tokens"]["accessToken"].as_str().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let (status, _, body) = self.request("GET", path, &[], "");
        (status, body)
    }

    /// A file of the process in `/proc`.
    pub(crate) fn proc(&self, name: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// True while the process lives.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Its standard error, once, when it was piped.
    pub(crate) fn stderr(&mut self) -> Option<std::process::ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
