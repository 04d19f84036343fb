//! Who is in a meeting and may be there no longer: the sign-in ended, the account was switched off or removed, somebody was
//! banned, or the room is over. Whatever ended it, and in whatever process, the database knows.

use std::collections::HashSet;

use bedrud_media::Present;

use crate::{
    db::{Db, DbResult, alive},
    domain::Platform,
};

/// Whom the media server has to part with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intruders {
    /// Participants to be removed.
    pub people: Vec<Present>,
    /// Ids of rooms to be closed.
    pub rooms: Vec<String>,
}

/// Looks through everybody who is in a room of the platform.
///
/// # Errors
/// The database's.
pub async fn intruders(platform: &Platform, mut present: Vec<Present>) -> DbResult<Intruders> {
    present.retain(|person| !person.room_id.is_empty());
    if present.is_empty() {
        return Ok(Intruders::default());
    }
    platform.store.read(move |c| find(c, present)).await
}

fn find(c: &mut Db, present: Vec<Present>) -> DbResult<Intruders> {
    let distinct = |of: fn(&Present) -> &str| -> Vec<String> {
        let all: HashSet<&str> = present.iter().map(of).filter(|id| !id.is_empty()).collect();
        all.into_iter().map(str::to_owned).collect()
    };
    let room_ids = distinct(|person| &person.room_id);
    let sessions = alive::sessions(c, &distinct(|person| &person.session_id))?;
    let deactivated = alive::deactivated(c, &distinct(user_of))?;
    let open = alive::rooms(c, &room_ids)?;
    let banned = alive::banned(c, &room_ids)?;
    let is_out = |person: &Present| {
        let user = user_of(person);
        !person.session_id.is_empty() && !sessions.contains(&person.session_id)
            || deactivated.contains(user)
            || banned.contains(&(person.room_id.clone(), user.to_owned()))
    };
    let rooms = room_ids.into_iter().filter(|id| !open.contains(id)).collect();
    // Who is in a room that ends hears that it ended.
    let people = present.into_iter().filter(|person| open.contains(&person.room_id) && is_out(person));
    Ok(Intruders { people: people.collect(), rooms })
}

/// The account behind an identity. A secondary connection has a suffix.
fn user_of(person: &Present) -> &str {
    person.identity.split('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{
        Moment,
        participants::{self, Participant, tests::sample as row},
        rooms::{self, tests::sample as room},
        sessions::{self, Session},
        testing::with_db,
        users::{self, User, tests::sample as user},
    };

    fn person(identity: &str, room: &str, session: &str) -> Present {
        Present {
            room_id: room.into(),
            room: "den".into(),
            identity: identity.into(),
            sid: format!("PA_{identity}"),
            session_id: session.into(),
            active: true,
        }
    }

    #[test]
    fn whoever_lost_the_right_is_found_and_nobody_else() {
        with_db(|c| {
            for id in ["ann", "bob", "eve"] {
                users::insert(c, &user(id)).unwrap();
            }
            users::insert(c, &User { is_active: false, ..user("off") }).unwrap();
            rooms::insert(c, &room("r", "den", "ann")).unwrap();
            rooms::insert(c, &rooms::Room { is_active: false, ..room("over", "hall", "ann") }).unwrap();
            participants::let_in(c, &Participant { is_banned: true, ..row("p", "r", "eve") }).unwrap();
            let at = Moment::from_secs(1000);
            for (id, user) in [("s-ann", "ann"), ("s-eve", "eve"), ("s-off", "off")] {
                let session = Session {
                    id: id.into(),
                    user_id: user.into(),
                    token_hash: id.into(),
                    created_at: at,
                    rotated_at: at,
                    expires_at: Moment::from_secs(9000),
                };
                sessions::insert(c, &session).unwrap();
            }
            let stay =
                [person("ann", "r", "s-ann"), person("ann#screen", "r", "s-ann"), person("agent", "r", "")];
            let leave = [
                person("bob", "r", "s-gone"),
                person("bob#screen", "r", "s-gone"),
                person("eve", "r", "s-eve"),
                person("off", "r", "s-off"),
                person("off", "r", ""),
            ];
            let over = person("ann", "over", "s-ann");
            let all = stay.iter().chain(&leave).chain([&over]).cloned().collect();
            let found = find(c, all).unwrap();
            assert_eq!(found, Intruders { people: leave.to_vec(), rooms: vec!["over".into()] });
        });
    }
}
