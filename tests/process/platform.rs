//! `bedrud run`.

use crate::server::{Server, bedrud, output};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn secrets(data: &Path) -> String {
    std::fs::read_to_string(data.join("secrets.json")).unwrap()
}

#[test]
fn metrics_on_the_main_port_are_for_those_with_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(&dir.path().join("data"), &["--set", "metrics.token=0123456789abcdef"]);
    assert_eq!(server.get("/metrics").0, 401);
    let token = [("authorization", "Bearer 0123456789abcdef")];
    let (status, head, body) = server.request("GET", "/metrics", &token, "");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    let rooms = body.lines().find(|l| l.starts_with("livekit_room_total{node_id=\"ND_"));
    assert!(rooms.is_some_and(|l| l.ends_with(",node_type=\"SERVER\"} 0")), "{body}");
}

#[test]
fn starts_from_nothing_serves_and_stops_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (server, announced) = Server::run(&data, &[]);
    assert_eq!(announced["data"]["address"], format!("127.0.0.1:{}", server.port));
    let link = announced["data"]["setupLink"].as_str().unwrap();
    assert!(link.starts_with(&format!("http://127.0.0.1:{}/setup?token=", server.port)), "{link}");

    let (status, body) = server.get("/api/health");
    assert_eq!(status, 200);
    assert!(body.contains(r#""status":"healthy""#), "{body}");
    assert_eq!(server.get("/api/ready").0, 200);
    assert_eq!(server.get("/livekit/").1, "OK");
    assert_eq!(server.get("/rtc/validate").0, 401);
    let (status, head, body) = server.request("GET", "/api/nothing", &[], "");
    assert_eq!((status, body.as_str()), (404, r#"{"error":"Not Found"}"#));
    for header in [
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "content-security-policy: ",
        "x-request-id: ",
    ] {
        assert!(head.contains(header), "{header} is missing: {head}");
    }
    let (status, head, _) = server.request("GET", "/health", &[], "");
    assert_eq!(status, 302);
    assert!(head.contains("location: /api/health"));

    for file in ["secrets.json", "bedrud.db"] {
        let mode = std::fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} {mode:o}");
    }
    assert_eq!(server.end("-TERM").code(), Some(0));
}

#[test]
fn a_restart_keeps_secrets_and_accounts_even_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let (server, announced) = Server::run(dir.path(), &[]);
    let before = secrets(dir.path());
    let token = announced["data"]["setupLink"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
    let form = format!(
        r#"{{"token":"{token}","name":"Ada","email":"ada@example.org","password":"correct horse battery"}}"#
    );
    let json = [("content-type", "application/json")];
    let (status, _, body) = server.request("POST", "/api/setup", &json, &form);
    assert!((200..300).contains(&status), "{status} {body}");
    server.end("-KILL");

    let (server, announced) = Server::run(dir.path(), &[]);
    assert_eq!(secrets(dir.path()), before);
    assert_eq!(announced["data"]["setupLink"], serde_json::Value::Null);
    let form = r#"{"email":"ada@example.org","password":"correct horse battery"}"#;
    let (status, _, body) = server.request("POST", "/api/auth/login", &json, form);
    assert_eq!(status, 200, "{body}");
    assert_eq!(server.end("-INT").code(), Some(0));
}

#[test]
fn one_data_folder_serves_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let mut second = bedrud(&["run", "--host", "127.0.0.1", "--port", "0"]);
    let (code, _, stderr) = output(second.env("BEDRUD_DATA", dir.path()));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("another bedrud process is using the data folder"), "{stderr}");

    let other = tempfile::tempdir().unwrap();
    let port = server.port.to_string();
    let mut second = bedrud(&["run", "--host", "127.0.0.1", "--port", &port]);
    let (code, _, stderr) = output(second.env("BEDRUD_DATA", other.path()));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&format!("cannot listen on 127.0.0.1:{port}")) && stderr.contains("server.port"),
        "{stderr}"
    );
}

#[test]
fn secrets_never_reach_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let port = crate::server::free_port();
    let port_text = port.to_string();
    let mut command = bedrud(&["--json", "run", "--host", "127.0.0.1", "--port", &port_text]);
    command.env("BEDRUD_DATA", dir.path().join("data")).env("BEDRUD_LOG", "trace");
    let mut server = Server::spawn_logged(&mut command, port, &log);
    let announced = server.announced();
    let setup_token =
        announced["data"]["setupLink"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
    server.get("/rtc/validate?access_token=sesame-token&join_request=sesame-join");
    server.get("/livekit/rtc/v1?access_token=sesame-token&join_request=sesame-join");
    server.request(
        "GET",
        "/api/auth/me",
        &[("authorization", "Bearer sesame-bearer"), ("cookie", "access_token=sesame-cookie")],
        "",
    );
    let json = [("content-type", "application/json")];
    server.request(
        "POST",
        "/api/auth/login",
        &json,
        r#"{"email":"a@example.org","password":"sesame-password"}"#,
    );
    server.end("-TERM");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("/rtc/validate"), "requests are logged at this level");
    let kept: serde_json::Value = serde_json::from_str(&secrets(&dir.path().join("data"))).unwrap();
    let secret = |key: &str| kept[key].as_str().unwrap().to_owned();
    for forbidden in [
        "sesame".to_owned(),
        setup_token,
        secret("jwtSecret"),
        secret("sessionSecret"),
        secret("livekitApiSecret"),
    ] {
        let line = text.lines().find(|l| l.contains(&forbidden));
        assert_eq!(line, None);
    }
}

#[test]
fn a_media_token_does_not_outlive_its_room() {
    let dir = tempfile::tempdir().unwrap();
    let (server, _) = Server::run(dir.path(), &[]);
    let post = |path: &str, bearer: &str, body: &str| server.post(path, bearer, body);
    let access = &server.account();
    let room = post("/api/room/create", access, r#"{"name":"short-lived","isPublic":true}"#);
    let media = post("/api/room/join", access, r#"{"roomName":"short-lived"}"#);
    let validate = format!("/livekit/rtc/validate?access_token={}", media["token"].as_str().unwrap());
    assert_eq!(server.get(&validate), (200, "success".to_owned()));
    let whip = format!("/livekit/whip/v1?access_token={}", media["token"].as_str().unwrap());
    let publish = || server.request("POST", &whip, &[("content-type", "application/sdp")], "v=0\r\n").0;
    assert_eq!(publish(), 400, "let in, with an offer of nothing");

    let bearer = format!("Bearer {access}");
    let room = format!("/api/room/{}", room["id"].as_str().unwrap());
    let (status, _, _) = server.request("DELETE", &room, &[("authorization", &bearer)], "");
    assert_eq!(status, 202);
    assert_eq!(server.get(&validate), (404, "requested room does not exist".to_owned()));
    assert_eq!(publish(), 404);
}
