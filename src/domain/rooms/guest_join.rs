//! Entering a room by link, without an account.

use crate::{
    db::{Json, rooms, rooms::Room, users, users::User},
    domain::{
        Platform, access,
        accounts::{NewSession, SignedIn},
        effective, names,
        rooms::{JoinError, Refusal, guest_id, join::enter, media_access},
    },
};

/// Longest name of a guest, in bytes.
const NAME_BYTES: usize = 50;

/// A guest on the way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestJoined {
    /// The room.
    pub room: Box<Room>,
    /// Media token.
    pub token: String,
    /// Tokens for the API.
    pub session: SignedIn,
    /// Sealed id for the cookie, when it is a new one.
    pub new_cookie: Option<String>,
}

/// Lets a guest into a public room. `cookie` keeps the identity of an earlier visit.
///
/// # Errors
/// [`JoinError`].
pub async fn guest_join(
    platform: &Platform,
    name: &str,
    guest_name: &str,
    cookie: Option<&str>,
) -> Result<GuestJoined, JoinError> {
    let guest_name = names::sanitised(guest_name);
    if guest_name.is_empty() {
        return Err(JoinError::NoGuestName);
    }
    if guest_name.len() > NAME_BYTES {
        return Err(JoinError::GuestNameTooLong);
    }
    let now = platform.now();
    let until = now.plus(platform.settings.limits.room_idle);
    let secret = &platform.settings.auth.session_secret;
    let (id, new_cookie) = match cookie.and_then(|value| guest_id::open(value, secret)) {
        Some(id) => (id, None),
        None => {
            let id = guest_id::fresh(&platform.entropy);
            let value = guest_id::seal(&id, secret);
            (id, Some(value))
        }
    };
    let user = User {
        email: format!("{id}@bedrud.guest"),
        id,
        name: guest_name,
        provider: access::GUEST_PROVIDER.into(),
        avatar_url: String::new(),
        password: String::new(),
        accesses: Json(vec![access::GUEST.into()]),
        is_active: true,
        email_verified_at: None,
        password_changed_at: None,
        created_at: now,
        updated_at: now,
    };
    let session = NewSession::of(platform, &user, None, now)?;
    let (key, row_id, settings) = (names::room_key(name), platform.entropy.uuid(), platform.settings.clone());
    let (room, user, session) = platform
        .store
        .write(move |c| {
            if !effective::load(c, &settings)?.registration.guest_login_enabled {
                return Err(JoinError::GuestsDisabled);
            }
            let room = rooms::lock_by_name(c, &key)?.ok_or(JoinError::NotFound)?;
            if room.is_active && !room.is_public {
                return Err(Refusal::Private.into());
            }
            match users::by_id(c, &user.id)? {
                Some(known) if !known.is_active => return Err(JoinError::Deactivated),
                Some(_) => users::set_name(c, &user.id, &user.name, now)?,
                None => users::insert(c, &user)?,
            }
            enter(c, &room, &user.id, row_id, (now, until))?;
            session.insert(c, &user.id)?;
            Ok((room, user, session))
        })
        .await?;
    let token = media_access::token(platform, &room, (&user, session.id()), now)?;
    Ok(GuestJoined { room: Box::new(room), token, session: session.signed_in(user), new_cookie })
}
