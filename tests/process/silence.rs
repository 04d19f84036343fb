//! Secrets stay where they belong: nothing that is printed or served to others has them.

use crate::server::{Server, bedrud, free_port};
use crate::signalling::{Client, signer};
use bedrud::auth::media_token::VideoGrant;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PASSWORD: &str = "walrus-teapot-orbit-lantern";
const EMAIL: &str = "ada.lovelace@example.org";
const METRICS: &str = "8f4e1c0a7b6d59483726";

/// A receiver of webhooks that keeps what it was sent.
fn receiver() -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let kept = Arc::new(Mutex::new(String::new()));
    let keep = Arc::clone(&kept);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            // A request of ours is complete when its body is: events end with a brace.
            while !String::from_utf8_lossy(&request).trim_end().ends_with('}') {
                match stream.read(&mut buffer) {
                    Ok(n) if n > 0 => request.extend(&buffer[..n]),
                    _ => break,
                }
            }
            keep.lock().unwrap().push_str(&String::from_utf8_lossy(&request));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (url, kept)
}

/// What was served to somebody whom it was not secret from, so that only others' secrets may not be in it.
struct Told {
    what: String,
    text: String,
}

#[tokio::test]
async fn nothing_printed_or_served_has_a_secret_in_it() {
    for level in ["info", "trace"] {
        let dir = tempfile::tempdir().unwrap();
        let (data, log, port) = (dir.path().join("data"), dir.path().join("log"), free_port());
        let (hook, hooked) = receiver();
        let text = port.to_string();
        let mut command = bedrud(&["--json", "run", "--host", "127.0.0.1", "--port", &text]);
        command.args(["--set", &format!("livekit.webhook.urls={hook}")]);
        command.args(["--set", &format!("metrics.token={METRICS}")]);
        command.env("BEDRUD_DATA", &data).env("BEDRUD_LOG", level);
        let mut server = Server::spawn_logged(&mut command, port, &log);
        let announced = server.announced();
        let setup =
            announced["data"]["setupLink"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();

        let mut secrets = vec![("password", PASSWORD.to_owned()), ("setup link", setup.clone())];
        let mut told = Vec::new();
        let json = ("content-type", "application/json");
        let mut call =
            |server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &str, own: bool| {
                let mut all = vec![json];
                all.extend(headers);
                let (status, head, body) = server.request(method, path, &all, body);
                let what = format!("{method} {}", path.split('?').next().unwrap());
                // Who signs in gets the tokens: that answer is the one place for them.
                if !own {
                    told.push(Told { what, text: format!("{head}\n{body}") });
                }
                (status, head, body)
            };
        let form = |email: &str, password: &str| {
            serde_json::json!({ "email": email, "password": password, "name": "Ada", "token": setup })
                .to_string()
        };
        let mut tokens = Vec::new();
        let mut keep = |answer: &(u16, String, String)| {
            let value: serde_json::Value = serde_json::from_str(&answer.2).unwrap();
            for key in ["access_token", "refresh_token", "token"] {
                if let Some(token) = value[key].as_str() {
                    tokens.push(token.to_owned());
                }
            }
            let cookies = answer.1.lines().filter(|line| line.starts_with("set-cookie: "));
            for (_, value) in cookies.filter_map(|line| line.split_once('=')) {
                tokens.push(value.split(';').next().unwrap().to_owned());
            }
            value
        };
        keep(&call(&server, "POST", "/api/setup", &[], &form(EMAIL, PASSWORD), true));
        let guess =
            call(&server, "POST", "/api/auth/login", &[], &form(EMAIL, "sesame-open-now-please"), false);
        assert_eq!(guess.0, 401);
        secrets.push(("wrong password", "sesame-open-now".into()));
        call(&server, "POST", "/api/auth/register", &[], &form(EMAIL, PASSWORD), false);
        call(
            &server,
            "POST",
            "/api/auth/login",
            &[],
            "{\"password\": \"walrus-teapot-orbit-lantern\"",
            false,
        );
        let login = keep(&call(&server, "POST", "/api/auth/login", &[], &form(EMAIL, PASSWORD), true));
        let access = format!("Bearer {}", login["access_token"].as_str().unwrap());
        let bearer = [("authorization", access.as_str())];
        call(&server, "POST", "/api/room/create", &bearer, r#"{"name":"den-of-ada","isPublic":true}"#, false);
        let joined =
            keep(&call(&server, "POST", "/api/room/join", &bearer, r#"{"roomName":"den-of-ada"}"#, true));
        let guest = r#"{"roomName":"den-of-ada","guestName":"Gus"}"#;
        keep(&call(&server, "POST", "/api/room/guest-join", &[], guest, true));
        let refresh = serde_json::json!({ "refresh_token": login["refresh_token"] }).to_string();
        keep(&call(&server, "POST", "/api/auth/refresh", &[], &refresh, true));
        call(&server, "GET", "/api/auth/me", &[("authorization", "Bearer made.up.token")], "", false);
        call(&server, "GET", &format!("/api/nothing?access_token={setup}"), &[], "", false);
        call(&server, "POST", "/api/auth/login", &[], &"[".repeat(1000), false);

        let media = joined["token"].as_str().unwrap();
        for path in ["/rtc/validate", "/livekit/rtc/validate", "/rtc/v1/validate", "/whip/v1", "/nothing"] {
            call(&server, "GET", &format!("{path}?access_token={media}"), &[], "", false);
            call(&server, "POST", &format!("{path}?access_token={media}x"), &[], "v=0\r\n", false);
        }
        let client = Client::enter(&server, &format!("/rtc?protocol=16&access_token={media}")).await;
        let signed = signer(&data);
        let admin = signed("", VideoGrant { room_list: true, ..VideoGrant::default() });
        let admin_bearer = format!("Bearer {admin}");
        tokens.push(admin);
        let list = [("authorization", admin_bearer.as_str())];
        call(&server, "POST", "/twirp/livekit.RoomService/ListRooms", &list, "{}", false);
        let metrics = format!("Bearer {METRICS}");
        call(&server, "GET", "/metrics", &[("authorization", &metrics)], "", false);
        call(&server, "GET", "/metrics", &[], "", false);
        for path in [
            "/api/health",
            "/api/ready",
            "/api/auth/settings",
            "/api/setup",
            "/",
            "/api/room/check/den-of-ada",
        ] {
            call(&server, "GET", path, &[], "", false);
        }
        // A token used twice ends its session, so this comes last.
        call(&server, "POST", "/api/auth/refresh", &[], &refresh, false);
        drop(client);
        // The room's first event is enough to see what events carry.
        for _ in 0..600 {
            if hooked.lock().unwrap().contains("room_started") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.end("-TERM");

        let kept = std::fs::read_to_string(data.join("secrets.json")).unwrap();
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        for key in ["jwtSecret", "sessionSecret", "livekitApiSecret"] {
            secrets.push((key, kept[key].as_str().unwrap().to_owned()));
        }
        secrets.push(("metrics token", METRICS.into()));
        secrets.extend(tokens.iter().filter(|token| token.len() > 20).map(|token| ("token", token.clone())));
        assert!(tokens.len() > 10, "{}", tokens.len());
        let printed = std::fs::read_to_string(&log).unwrap();
        assert!(!printed.is_empty());
        let events = hooked.lock().unwrap().clone();
        assert!(events.contains("room_started"), "{events}");
        told.push(Told { what: "log".into(), text: printed.clone() });
        told.push(Told { what: "webhooks".into(), text: events });
        for Told { what, text } in &told {
            for (name, secret) in &secrets {
                assert!(!text.contains(secret.as_str()), "{name} in {what} at {level}");
            }
        }
        if level == "info" {
            assert!(!printed.contains("example.org") && !printed.contains("lovelace"), "{printed}");
        }
        // Nobody gets the address of another: the one who registers with it and the public pages see none.
        let public = told.iter().filter(|t| t.what.starts_with("GET ") || t.what.contains("register"));
        for Told { what, text } in public {
            assert!(!text.contains(EMAIL), "{what}");
        }
    }
}
