//! With a platform: a removal is answered when it is kept.

use super::{Fixture, served};
use crate::api::{AppParts, AppState};
use crate::auth::entropy::Entropy;
use crate::auth::media_token::ApiKeys;
use crate::db::{Moment, testing::TestDb};
use crate::domain::settings::Settings;
use crate::domain::{Clock, NoMedia, revocations};
use crate::livekit::{HttpLimits, LiveKit};
use crate::server::health::unix_seconds;
use crate::server::shutdown::Shutdown;
use bedrud_media::{Sfu, SfuConfig};
use serde_json::json;
use std::sync::Arc;

async fn remove(f: &Fixture, identity: &str) -> (u16, serde_json::Value) {
    let admin = f.token(|_, v| v.room_admin = true);
    let body = json!({ "room": "den", "identity": identity }).to_string();
    f.twirp("livekit.RoomService/RemoveParticipant", &admin, &body).await
}

#[tokio::test]
async fn a_removal_is_answered_when_it_is_kept() {
    let db = TestDb::new();
    let parts = AppParts {
        store: db.store().await,
        settings: Settings::new("a jwt secret", "a session secret", "devkey", "secret"),
        clock: Clock::new(|| Moment::from_secs(unix_seconds())),
        entropy: Entropy::from_seed([1; 32]),
        media: Arc::new(NoMedia),
    };
    let app = AppState::new(parts).unwrap();
    let platform = Arc::clone(app.platform());
    let sfu = Sfu::start(SfuConfig::bound_to(([127, 0, 0, 1], 0).into())).unwrap();
    let (keys, shutdown) = (ApiKeys::one("devkey", "secret"), Shutdown::default());
    let limits = HttpLimits::default();
    let livekit =
        LiveKit::of_platform(sfu.clone(), keys.clone(), limits, shutdown.guard(), Arc::clone(&platform));
    let f = served(livekit, keys, shutdown);

    let _ada = f.participant("ada").await;
    assert_eq!(remove(&f, "ada").await, (200, json!({})));
    // Nobody follows the events here: the call itself has stored it.
    let kept = revocations::kept(&platform).await.unwrap();
    assert_eq!(kept, sfu.revocations().await);
    assert_eq!((kept[0].room.as_str(), kept[0].identity.as_str()), ("den", "ada"));

    let _bob = f.participant("bob").await;
    platform.store.close().await;
    let (status, error) = remove(&f, "bob").await;
    assert_eq!((status, &error["code"]), (503, &json!("unavailable")), "{error}");
    assert!(error["msg"].as_str().unwrap().contains("was removed"), "{error}");
    assert_eq!(remove(&f, "bob").await.0, 404, "out he is all the same");
}
