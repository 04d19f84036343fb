//! Entering rooms and seeing who is inside.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};

use crate::{
    api::{
        AppState, ClientAddr, cookies,
        error::{ApiError, ApiResult},
        extract::Input,
        principal::{Reader, Writer},
        rooms::{
            host::livekit_host,
            model::{
                CheckBody, CountBody, GuestInput, GuestJoinedBody, JoinedBody, OverBody, PresenceBody,
                RoomNameInput, TokenBody,
            },
        },
        visitor::Visitor,
    },
    domain::rooms::{self, JoinError, Joined, PresenceError, Refusal},
    observe::journal,
};

const INVALID: &str = "Invalid request body";

pub(super) async fn join(
    State(state): State<AppState>,
    Writer(principal): Writer,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
    client: Option<Extension<ClientAddr>>,
    input: Input<RoomNameInput>,
) -> ApiResult<Response> {
    let RoomNameInput { room_name } = input.or_bad_request(INVALID)?;
    Ok(match rooms::join(&state, &principal.user, &principal.session, &room_name).await? {
        Joined::In { room, token } => {
            journal::admitted(visitor.address(), "account", &principal.user.id, &room.id);
            let host = livekit_host(&state.settings, &headers, &uri, client.map(|Extension(client)| client));
            Json(JoinedBody::new(*room, token, host)).into_response()
        }
        Joined::Over(room) => Json(OverBody::from(*room)).into_response(),
    })
}

pub(super) async fn guest_join(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
    client: Option<Extension<ClientAddr>>,
    input: Input<GuestInput>,
) -> ApiResult<Response> {
    let GuestInput { room_name, guest_name } = input.or_bad_request(INVALID)?;
    let cookie = cookies::read(&headers, cookies::GUEST_ID);
    let joined = rooms::guest_join(&state, &room_name, &guest_name, cookie).await;
    let joined = joined.map_err(|error| ApiError::from(error).about(&room_name))?;
    let host = livekit_host(&state.settings, &headers, &uri, client.map(|Extension(client)| client));
    journal::admitted(visitor.address(), "guest", &joined.session.user.id, &joined.room.id);
    let mut answer = HeaderMap::new();
    if let Some(value) = &joined.new_cookie {
        cookies::guest_id(&mut answer, value, &state.settings);
    }
    Ok((answer, Json(GuestJoinedBody::new(joined, host))).into_response())
}

pub(super) async fn check(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> ApiResult<Json<CheckBody>> {
    let checked = rooms::check(&state, &name).await;
    let name = checked.map_err(|error| ApiError::from(error).about(&name))?;
    Ok(Json(CheckBody { exists: true, name }))
}

pub(super) async fn renew_token(
    State(state): State<AppState>,
    Writer(principal): Writer,
    input: Input<RoomNameInput>,
) -> ApiResult<Json<TokenBody>> {
    let RoomNameInput { room_name } = input.or_bad_request(INVALID)?;
    let token = rooms::renew_token(&state, &principal.user, &principal.session, &room_name).await?;
    Ok(Json(TokenBody { token }))
}

pub(super) async fn presence(
    State(state): State<AppState>,
    reader: Option<Reader>,
    uri: Uri,
    Path(id): Path<String>,
) -> ApiResult<Response> {
    let mut pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    if pairs.any(|(key, value)| key == "countOnly" && matches!(value, "1" | "true")) {
        let count = rooms::count(&state, &id).await?;
        return Ok(Json(CountBody { count }).into_response());
    }
    if reader.is_none() {
        return Err(ApiError::unauthorized("Unauthorized"));
    }
    let present = rooms::participants(&state, &id).await?;
    Ok(Json(PresenceBody::from(present)).into_response())
}

impl From<JoinError> for ApiError {
    fn from(error: JoinError) -> Self {
        let text = error.to_string();
        match error {
            JoinError::NoName | JoinError::Name(_) | JoinError::NoGuestName | JoinError::GuestNameTooLong => {
                Self::bad_request(text)
            }
            JoinError::NotFound => Self::not_found(text).with("code", "room_unknown"),
            JoinError::Refused(why @ (Refusal::Inactive | Refusal::NotOpen)) => {
                Self::gone(text).with("code", why.code())
            }
            JoinError::Refused(why) => Self::forbidden(text).with("code", why.code()),
            JoinError::GuestsDisabled | JoinError::Deactivated => Self::forbidden(text),
            JoinError::Token(error) => Self::internal(error),
            JoinError::Account(error) => error.into(),
            JoinError::Db(error) => error.into(),
        }
    }
}

impl From<PresenceError> for ApiError {
    fn from(error: PresenceError) -> Self {
        match error {
            PresenceError::NotFound => Self::not_found(error.to_string()),
            PresenceError::Db(error) => error.into(),
        }
    }
}
