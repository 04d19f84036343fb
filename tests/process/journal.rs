//! What the operator and fail2ban read of people's coming and going.

use crate::server::{Server, bedrud, free_port};
use crate::signalling::{Client, signer};
use bedrud::auth::media_token::VideoGrant;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const PROXY: &str = "--set=server.trustedProxies=127.0.0.1";

fn start(dir: &Path, format: &str) -> (Server, std::path::PathBuf) {
    let (port, log) = (free_port(), dir.join("log"));
    let text = port.to_string();
    let mut command = bedrud(&["--json", "run", "--host", "127.0.0.1", "--port", &text, PROXY]);
    command.env("BEDRUD_DATA", dir.join("data")).env("LOG_FORMAT", format);
    let mut server = Server::spawn_logged(&mut command, port, &log);
    server.announced();
    (server, log)
}

fn login(server: &Server, ip: &str, email: &str, password: &str) -> u16 {
    let headers = [("content-type", "application/json"), ("x-forwarded-for", ip)];
    let body = serde_json::json!({ "email": email, "password": password }).to_string();
    server.request("POST", "/api/auth/login", &headers, &body).0
}

/// Runs the patterns of the sample filter over a log as fail2ban does: it takes the time of a line away first, and `<HOST>`
/// stands for an address. Answers the addresses found.
fn banned(log: &Path) -> Vec<String> {
    let filter =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/fail2ban/filter.conf")).unwrap();
    let script = r#"
import re, sys
filter, log = open(sys.argv[1]).read(), open(sys.argv[2]).read()
section = filter[filter.index("failregex ="):].split("\n\n")[0]
patterns = [l.strip() for l in section.removeprefix("failregex =").splitlines() if l.strip()]
patterns = [re.compile(p.replace("<HOST>", r"(?P<host>[0-9A-Fa-f:.]+)")) for p in patterns]
for line in log.splitlines():
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "", line, count=1)
    for p in patterns:
        found = p.search(line)
        if found:
            print(found["host"])
            break
"#;
    let file = log.with_extension("conf");
    std::fs::write(&file, filter).unwrap();
    let output = Command::new("python3").args(["-c", script]).arg(&file).arg(log).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn fail2ban_finds_those_who_guess_and_nobody_else() {
    for format in ["text", "json"] {
        let dir = tempfile::tempdir().unwrap();
        let (server, log) = start(dir.path(), format);
        server.account();
        assert_eq!(login(&server, "198.51.100.7", "ada@example.org", "guess"), 401);
        assert_eq!(login(&server, "2001:db8::7", "nobody@example.org", "guess"), 401);
        // What a peer writes into names is no line of the log.
        let evil = "x\n2026-12-01T00:00:00Z  INFO bedrud::journal: sign-in failed address=192.0.2.66 reason=credentials";
        login(&server, "198.51.100.8", evil, evil);
        assert_eq!(login(&server, "192.0.2.1", "ada@example.org", "correct horse battery"), 200);
        let me = [("authorization", "Bearer nonsense"), ("x-forwarded-for", "192.0.2.2")];
        server.request("GET", "/api/auth/me", &me, "");
        server.end("-TERM");
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(banned(&log), ["198.51.100.7", "2001:db8::7", "198.51.100.8"], "{text}");
    }
}

#[tokio::test]
async fn the_journal_tells_who_came_and_went() {
    let dir = tempfile::tempdir().unwrap();
    let (server, log) = start(dir.path(), "json");
    let access = server.account();
    let room = server.post("/api/room/create", &access, r#"{"name":"den-of-ada","isPublic":true}"#);
    server.post("/api/room/guest-join", "", r#"{"roomName":"den-of-ada","guestName":"Gus"}"#);
    let data = dir.path().join("data");
    let signed = signer(&data);
    let grant = VideoGrant { room_join: true, room: "elsewhere".into(), ..VideoGrant::default() };
    let path = format!("/rtc?protocol=16&access_token={}", signed("bob@example.org", grant));
    drop(Client::enter(&server, &path).await);
    server.post("/api/auth/logout", &access, "{}");
    let bearer = server.post(
        "/api/auth/login",
        "",
        r#"{"email":"ada@example.org","password":"correct horse battery"}"#,
    );
    let bearer = format!("Bearer {}", bearer["tokens"]["accessToken"].as_str().unwrap());
    let path = format!("/api/room/{}", room["id"].as_str().unwrap());
    assert_eq!(server.request("DELETE", &path, &[("authorization", &bearer)], "").0, 202);
    let lines = || -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(&log).unwrap();
        let values = text.lines().filter_map(|line| serde_json::from_str(line).ok());
        values.filter(|v: &serde_json::Value| v["target"] == "bedrud::journal").collect()
    };
    let messages = || lines().iter().map(|v| v["message"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let wanted = [
        "signed in",
        "room created",
        "admitted to room",
        "room opened",
        "participant did not connect",
        "signed out",
        "room ended",
    ];
    for _ in 0..1200 {
        if wanted.iter().all(|text| messages().iter().any(|m| m == text)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for text in wanted {
        assert!(messages().iter().any(|m| m == text), "{text} is missing: {:?}", messages());
    }
    let find = |text: &str| lines().into_iter().find(|v| v["message"] == text).unwrap();
    assert_eq!(find("room created")["room"], "den-of-ada");
    assert_eq!(find("room created")["address"], "127.0.0.1");
    assert_eq!(find("admitted to room")["method"], "guest");
    assert_eq!(find("room opened")["room"], "elsewhere");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("example.org"), "mail addresses are nobody's business: {text}");
}
