//! What the media server asks before it takes a connection in: tokens outlive bans, sign-ins and rooms, and say nothing
//! about places, so the rules count once more at every connect.

use bedrud_media::Member;

use crate::{
    db::{Db, DbError, DbResult, Moment, alive, participants, rooms, rooms::Room, users},
    domain::{
        Platform,
        rooms::{
            JoinError, Refusal, admit,
            join::{ON_THE_WAY, enter},
            rights,
        },
    },
};

/// What a verified media token says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Room name.
    pub room: String,
    /// Id of the room; empty in tokens that an operator signed.
    pub room_id: String,
    /// Media identity: the user id, if we know them.
    pub identity: String,
    /// Sign-in that asked for the token; empty in tokens that an operator signed.
    pub session_id: String,
    /// Nobody enters yet: only the answer is wanted.
    pub rehearsal: bool,
}

/// The way is free.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The room that the token is for.
    pub room_id: String,
    /// What counts for somebody with an account or a guest's record; `None` for whoever an operator sends.
    pub member: Option<Member>,
}

/// Why nobody connects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// A rule of the room.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The sign-in behind the token is over.
    #[error("session has ended")]
    SessionEnded,
    /// The account was switched off.
    #[error("Account is deactivated")]
    Deactivated,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What was found out, and whether a place must be taken yet.
struct Seen {
    room: Room,
    member: Option<Member>,
    takes_place: bool,
}

/// Judges a token that is shown to the media server, and takes a place for who has none. `None`: the platform knows no
/// such room, so the token alone decides.
///
/// # Errors
/// [`ConnectError`].
pub async fn connect(platform: &Platform, shown: Shown) -> Result<Option<Admitted>, ConnectError> {
    let now = platform.now();
    let (asked, since) = (shown.clone(), now.minus(ON_THE_WAY));
    let Some(seen) = platform.store.read(move |c| look(c, &asked, since)).await? else { return Ok(None) };
    let room_id = seen.room.id;
    if seen.takes_place && !shown.rehearsal {
        let (id, identity, row_id) = (room_id.clone(), shown.identity, platform.entropy.uuid());
        let until = now.plus(platform.settings.limits.room_idle);
        let entered = platform.store.write(move |c| -> Result<(), JoinError> {
            // Two may have seen the last place: who has locked the room has it.
            let room = rooms::lock_by_id(c, &id)?.ok_or(Refusal::Inactive)?;
            enter(c, &room, &identity, row_id, (now, until))
        });
        entered.await.map_err(|error| match error {
            JoinError::Refused(refusal) => ConnectError::Refused(refusal),
            JoinError::Db(error) => error.into(),
            other => DbError::Bug(other.to_string()).into(),
        })?;
    }
    Ok(Some(Admitted { room_id, member: seen.member }))
}

fn look(c: &mut Db, shown: &Shown, since: Moment) -> Result<Option<Seen>, ConnectError> {
    let Some(room) = room_of(c, shown)? else {
        // A token of ours names a room of ours.
        return if shown.room_id.is_empty() { Ok(None) } else { Err(Refusal::Inactive.into()) };
    };
    if !shown.session_id.is_empty()
        && !alive::sessions(c, std::slice::from_ref(&shown.session_id))?.contains(&shown.session_id)
    {
        return Err(ConnectError::SessionEnded);
    }
    let Some(user) = users::by_id(c, &shown.identity)? else {
        // Agents, recorders and encoders, whom an operator let in: only the end of the room counts.
        room.check_open()?;
        return Ok(Some(Seen { room, member: None, takes_place: false }));
    };
    if !user.is_active {
        return Err(ConnectError::Deactivated);
    }
    let row = participants::find(c, &room.id, &user.id)?;
    let has_place = row.as_ref().is_some_and(|row| row.has_place(since));
    let taken = if has_place { 0 } else { participants::count_places(c, &room.id, &user.id, since)? };
    admit(&room, &user.id, row.as_ref(), taken)?;
    let member = Some(rights::member(&room, &user, row.as_ref()));
    Ok(Some(Seen { room, member, takes_place: !has_place }))
}

/// The room a token is for: the one of its id, or, for tokens without, the one the name means now.
fn room_of(c: &mut Db, shown: &Shown) -> DbResult<Option<Room>> {
    if shown.room_id.is_empty() {
        return rooms::by_name(c, &shown.room);
    }
    Ok(rooms::by_id(c, &shown.room_id)?.filter(|room| room.name == shown.room))
}
