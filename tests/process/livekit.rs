//! `bedrud livekit`.

use crate::server::{Server, bedrud, free_port, output};
use crate::signalling::{Client, path, token};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::{Error, Message};

#[test]
fn the_media_server_alone_answers_as_livekit_does() {
    let port = free_port();
    let port_text = port.to_string();
    let mut command = bedrud(&["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &port_text]);
    let mut server = Server::spawn(&mut command, port);
    server.announced();
    assert_eq!(server.get("/"), (200, "OK".to_owned()));
    assert_eq!(server.get("/rtc").0, 404);
    let (status, head, body) = server.request("GET", "//rtc/validate", &[("origin", "http://x.example")], "");
    assert_eq!((status, body.as_str()), (401, "no permissions to access the room"));
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    assert_eq!(server.end("-TERM").code(), Some(0));
}

#[test]
fn no_keys_is_refused_with_what_to_do() {
    let (code, _, stderr) = output(&mut bedrud(&["livekit", "--port", "0"]));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("--keys") && stderr.contains("LIVEKIT_KEYS"), "{stderr}");
}

#[test]
fn keys_of_the_reference_server_apply_and_unknown_ones_do_not() {
    let mut command = bedrud(&["livekit"]);
    let (code, _, stderr) = output(command.env("LIVEKIT_CONFIG", "rtc:\n  tcp_prot: 7881\n"));
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("--config-body:2: rtc.tcp_prot: unknown key (did you mean `rtc.tcp_port`?)"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_socket_joins_pings_in_both_forms_and_ends_cleanly_with_the_server() {
    let server = Server::livekit();
    let slashes = path(&token("ada", "den", |_| {})).replace("/rtc", "//rtc");
    let mut ada = Client::enter(&server, &slashes).await;
    assert!(ada.joined.participant.as_ref().unwrap().sid.starts_with("PA_"));
    assert!(!ada.joined.server_info.as_ref().unwrap().version.is_empty());

    ada.is_served().await;
    let mut socket = ada.socket;
    socket.send(Message::Text(r#"{"pingReq":{"timestamp":"5"}}"#.into())).await.unwrap();
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) if text.contains("pongResp") => break,
            Message::Text(_) | Message::Binary(_) => {}
            other => panic!("{other:?}"),
        }
    }

    let ending = tokio::task::spawn_blocking(move || server.end("-TERM"));
    let mut said_goodbye = false;
    let mut code = None;
    while let Some(Ok(message)) = socket.next().await {
        match message {
            Message::Text(text) => said_goodbye |= text.contains("leave"),
            Message::Close(frame) => code = frame.map(|f| u16::from(f.code)),
            _ => {}
        }
    }
    assert!(said_goodbye);
    assert!(code.is_some());
    assert_eq!(ending.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_refused_join_is_an_http_answer() {
    let server = Server::livekit();
    let refused = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{}/rtc", server.port)).await;
    let Err(Error::Http(response)) = refused else { panic!("no HTTP answer") };
    assert_eq!(response.status(), 401);
}
