//! `bedrud livekit`.

use crate::server::{Server, bedrud, free_port, output};

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

mod signalling {
    use super::*;
    use bedrud::auth::media_token::{ApiKeys, Claims, VideoGrant, sign};
    use futures_util::{SinkExt as _, StreamExt as _};
    use livekit_protocol::{SignalRequest, SignalResponse, signal_request, signal_response};
    use prost::Message as _;
    use tokio_tungstenite::tungstenite::{Error, Message};

    fn token(identity: &str) -> String {
        let video = VideoGrant { room_join: true, room: "den".into(), ..VideoGrant::default() };
        let claims = Claims {
            sub: identity.into(),
            exp: Some(4_000_000_000),
            video: Some(video),
            ..Claims::default()
        };
        sign(&claims, "devkey", &ApiKeys::one("devkey", "secret")).unwrap()
    }

    fn start() -> Server {
        let port = free_port();
        let port_text = port.to_string();
        let args = ["--json", "livekit", "--dev", "--bind", "127.0.0.1", "--port", &port_text];
        let mut server = Server::spawn(&mut bedrud(&args), port);
        server.announced();
        server
    }

    fn binary(message: Message) -> signal_response::Message {
        let Message::Binary(bytes) = message else { panic!("not binary: {message:?}") };
        SignalResponse::decode(bytes).unwrap().message.unwrap()
    }

    #[tokio::test]
    async fn a_socket_joins_pings_in_both_forms_and_ends_cleanly_with_the_server() {
        let server = start();
        let url =
            format!("ws://127.0.0.1:{}//rtc?protocol=15&sdk=js&access_token={}", server.port, token("ada"));
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let first = binary(socket.next().await.unwrap().unwrap());
        let signal_response::Message::Join(join) = first else { panic!("first message: {first:?}") };
        assert!(join.participant.unwrap().sid.starts_with("PA_"));
        assert!(!join.server_info.unwrap().version.is_empty());

        let ping = SignalRequest { message: Some(signal_request::Message::Ping(7)) };
        socket.send(Message::Binary(ping.encode_to_vec().into())).await.unwrap();
        loop {
            if matches!(binary(socket.next().await.unwrap().unwrap()), signal_response::Message::Pong(_)) {
                break;
            }
        }
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
    async fn a_refused_join_is_an_http_answer_and_garbage_ends_the_socket_alone() {
        let server = start();
        let refused = tokio_tungstenite::connect_async(format!("ws://127.0.0.1:{}/rtc", server.port)).await;
        let Err(Error::Http(response)) = refused else { panic!("no HTTP answer") };
        assert_eq!(response.status(), 401);
        let url = format!("ws://127.0.0.1:{}/livekit/rtc?access_token={}", server.port, token("eve"));
        let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
        socket.send(Message::Binary(vec![0xff; 64].into())).await.unwrap();
        let mut code = None;
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Close(frame) = message {
                code = frame.map(|f| u16::from(f.code));
            }
        }
        assert_ne!(code, Some(1000), "a client that is told 1000 does not come back");
        tokio_tungstenite::connect_async(&url).await.unwrap();
    }
}
