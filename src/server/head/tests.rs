//! Heads without a network.

use super::lift::{is_long_route, lift};
use super::scan::{Progress, Scanner};
use super::*;

fn limits() -> HeadLimits {
    HeadLimits {
        time: None,
        idle: None,
        bytes: 8192,
        long_bytes: 100_000,
        memory: LongHeads::new(1 << 20, Duration::ZERO),
    }
}

#[test]
fn the_end_of_a_head_is_found_wherever_pieces_end() {
    for head in [
        "GET / HTTP/1.1\r\nhost: h\r\n\r\n",
        "GET / HTTP/1.1\nhost: h\n\n",
        "GET / HTTP/1.1\r\nhost: h\n\r\n",
    ] {
        let stream = format!("{head}body\r\n\r\n");
        for piece in 1..stream.len() {
            let mut scanner = Scanner::default();
            let mut seen = Progress::More;
            for end in (piece..stream.len() + piece).step_by(piece) {
                seen = scanner.advance(&stream.as_bytes()[..end.min(stream.len())], &limits());
                if seen != Progress::More {
                    break;
                }
            }
            assert_eq!(seen, Progress::Complete(head.len()), "{head:?} in pieces of {piece}");
        }
    }
}

#[test]
fn only_routes_of_the_media_server_may_have_long_heads() {
    for yes in [
        "GET /rtc?x",
        "GET //rtc/v1?x",
        "GET /livekit/rtc ",
        "GET http://h:1/rtc?x",
        "POST /whip/v1?a",
        "GET /agent?",
        "POST /twirp/livekit.RoomService/ListRooms?access_token=",
        "GET /rtc/validate?",
    ] {
        assert!(is_long_route(yes.as_bytes()), "{yes}");
    }
    for no in [
        "",
        "GET",
        "GET /",
        "GET /rtcx?",
        "GET /api/rtc?x",
        "GET /m/rtc",
        "GET ?rtc",
        "GET http://rtc?x",
        "\r\n",
    ] {
        assert!(!is_long_route(no.as_bytes()), "{no}");
    }
}

#[test]
fn what_is_long_is_lifted_off_and_the_rest_stays_as_it_is() {
    let (query, token) =
        ("a=b&access_token=".to_owned() + &"x".repeat(20_000), "Bearer ".to_owned() + &"y".repeat(9_000));
    let head = format!("GET /rtc?{query} HTTP/1.1\r\nHost: h\r\nAUTHORIZATION:  {token} \r\nx: z\r\n\r\n");
    let (rest, lifted) = lift(&head.into(), &limits()).unwrap();
    assert_eq!(rest, "GET /rtc? HTTP/1.1\r\nHost: h\r\nx: z\r\n\r\n");
    assert_eq!(lifted.query.unwrap().0, query);
    assert_eq!(lifted.authorization.unwrap(), token);

    let short = Bytes::from_static(b"GET /rtc?access_token=x HTTP/1.1\r\nauthorization: Bearer y\r\n\r\n");
    let (rest, lifted) = lift(&short, &limits()).unwrap();
    assert_eq!(rest, short);
    assert!(lifted.query.is_none() && lifted.authorization.is_none());

    // The first counts, as with the parser.
    let two = format!("GET /rtc HTTP/1.1\r\nauthorization: Bearer a\r\nauthorization: {token}\r\n\r\n");
    assert_eq!(lift(&two.into(), &limits()).unwrap_err(), Refusal::Headers);
    let address = format!("GET /rtc/{} HTTP/1.1\r\n\r\n", "x".repeat(9_000));
    assert_eq!(lift(&address.into(), &limits()).unwrap_err(), Refusal::Address);
}
