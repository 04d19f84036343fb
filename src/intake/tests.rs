//! Bodies against limits and pools.

use super::*;
use axum::body::Bytes;
use futures_util::stream;
use std::convert::Infallible;

fn chunks(count: usize, size: usize) -> Body {
    let chunk = move || Ok::<_, Infallible>(Bytes::from(vec![b'x'; size]));
    Body::from_stream(stream::iter((0..count).map(move |_| chunk())))
}

fn intake(bytes: usize) -> Intake {
    Intake { strangers: BytePool::new(bytes), known: BytePool::new(bytes), stall: Duration::from_secs(60) }
}

#[tokio::test]
async fn what_announces_too_much_is_refused_unread() {
    let intake = intake(1 << 20);
    let body = Body::from(vec![0; 5001]);
    assert_eq!(read(body, 5000, &intake, Sender::Stranger).await.unwrap_err(), ReadError::TooLarge);
    // Without announcement, as soon as it is too much.
    assert_eq!(
        read(chunks(1000, 1000), 5000, &intake, Sender::Known).await.unwrap_err(),
        ReadError::TooLarge
    );
    assert_eq!(intake.known.free(), 1 << 20);
}

#[tokio::test]
async fn all_bodies_together_are_bounded_and_small_ones_always_fit() {
    let intake = intake(100 * 1024);
    let large = || read(Body::from(vec![0; 60 * 1024]), 1 << 20, &intake, Sender::Known);
    let first = large().await.unwrap();
    assert_eq!(large().await.unwrap_err(), ReadError::Busy);
    assert_eq!(
        read(chunks(60, 1024), 1 << 20, &intake, Sender::Known).await.unwrap_err(),
        ReadError::Busy,
        "a body without announcement is counted as it comes"
    );
    let rest = intake.known.take(intake.known.free()).unwrap();
    let form = read(Body::from(vec![0; FREE]), 1 << 20, &intake, Sender::Known).await.unwrap();
    assert_eq!(form.len(), FREE);
    assert_eq!(intake.strangers.free(), 100 * 1024, "strangers have a pool of their own");
    drop((first, rest, form));
    assert_eq!(intake.known.free(), 100 * 1024);
    assert_eq!(read(chunks(60, 1024), 1 << 20, &intake, Sender::Known).await.unwrap().len(), 60 * 1024);
}

#[tokio::test]
async fn broken_bodies_give_their_place_back() {
    let intake = intake(100 * 1024);
    let parts = [Ok(Bytes::from(vec![0; 50 * 1024])), Err(std::io::Error::other("gone"))];
    let body = Body::from_stream(stream::iter(parts));
    assert_eq!(read(body, 1 << 20, &intake, Sender::Known).await.unwrap_err(), ReadError::Broken);
    assert_eq!(intake.known.free(), 100 * 1024);
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let intake = Intake { stall: Duration::from_millis(10), ..intake(1024) };
    assert_eq!(read(body, 1 << 20, &intake, Sender::Stranger).await.unwrap_err(), ReadError::Broken);
}
