//! Making, listing, changing and ending rooms.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, Uri},
};

use crate::{
    api::{
        AppState, ClientAddr,
        auth::MessageBody,
        error::{ApiError, ApiResult},
        extract::Input,
        page::Page,
        principal::{Reader, Writer},
        rooms::{
            host::livekit_host,
            model::{ArchivedBody, ArchivedRoom, CreateInput, CreatedBody, RoomBody, UpdateInput},
        },
        visitor::Visitor,
    },
    domain::rooms::{self, CreateError, ManageError},
    observe::journal,
};

const INVALID: &str = "Invalid request body";

pub(super) async fn create(
    State(state): State<AppState>,
    Writer(principal): Writer,
    visitor: Visitor,
    headers: HeaderMap,
    uri: Uri,
    client: Option<Extension<ClientAddr>>,
    input: Input<CreateInput>,
) -> ApiResult<Json<CreatedBody>> {
    principal.no_guest()?;
    let wish = input.or_bad_request(INVALID)?;
    let room = rooms::create(&state, &principal.user, wish.into()).await?;
    journal::room_created(visitor.address(), &principal.user.id, &room.id, &room.name);
    let host = livekit_host(&state.settings, &headers, &uri, client.map(|Extension(client)| client));
    Ok(Json(CreatedBody::new(room, host)))
}

pub(super) async fn list(
    State(state): State<AppState>,
    Reader(principal): Reader,
) -> ApiResult<Json<Vec<RoomBody>>> {
    principal.no_guest()?;
    let rooms = rooms::list(&state, &principal.user.id).await?;
    Ok(Json(rooms.into_iter().map(RoomBody::from).collect()))
}

pub(super) async fn archived(
    State(state): State<AppState>,
    Reader(principal): Reader,
    uri: Uri,
) -> ApiResult<Json<ArchivedBody>> {
    principal.no_guest()?;
    let page = Page::of(&uri, 20);
    let (rooms, total) = rooms::archived(&state, &principal.user.id, page.limit, page.offset()).await?;
    let rooms = rooms.into_iter().map(ArchivedRoom::from).collect();
    Ok(Json(ArchivedBody { rooms, total, page: page.number, limit: page.limit }))
}

pub(super) async fn update(
    State(state): State<AppState>,
    Writer(principal): Writer,
    Path(id): Path<String>,
    input: Input<UpdateInput>,
) -> ApiResult<Json<RoomBody>> {
    principal.no_guest()?;
    let change = input.or_bad_request(INVALID)?;
    let room = rooms::update(&state, &principal.user, &id, change.into()).await?;
    Ok(Json(room.into()))
}

pub(super) async fn reopen(
    State(state): State<AppState>,
    Writer(principal): Writer,
    Path(id): Path<String>,
) -> ApiResult<Json<RoomBody>> {
    principal.no_guest()?;
    let room = rooms::reopen(&state, &principal.user, &id).await?;
    Ok(Json(room.into()))
}

pub(super) async fn end(
    State(state): State<AppState>,
    Writer(principal): Writer,
    visitor: Visitor,
    Path(id): Path<String>,
) -> ApiResult<(StatusCode, Json<MessageBody>)> {
    principal.no_guest()?;
    rooms::end(state.platform(), &principal.user, &id).await?;
    journal::room_ended(visitor.address(), &principal.user.id, &id);
    Ok((StatusCode::ACCEPTED, Json(MessageBody { message: "Room deletion queued" })))
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        let text = error.to_string();
        match error {
            CreateError::Name(_) | CreateError::TooLarge(_) | CreateError::Mode => Self::bad_request(text),
            CreateError::TooMany(_) => Self::forbidden(text),
            CreateError::NameTaken => Self::conflict(text),
            CreateError::Db(error) => error.into(),
        }
    }
}

impl From<ManageError> for ApiError {
    fn from(error: ManageError) -> Self {
        let text = error.to_string();
        match error {
            ManageError::NotFound => Self::not_found(text),
            ManageError::NotOwner | ManageError::NotCreator | ManageError::TooMany(_) => {
                Self::forbidden(text)
            }
            ManageError::NameTaken => Self::conflict(text),
            ManageError::Capacity(_) => Self::bad_request(text),
            ManageError::Db(error) => error.into(),
        }
    }
}
