//! Who may enter a room: one rule for every way in.

use crate::db::{participants::Participant, rooms::Room};

/// Why somebody stays outside. Clients match words of these texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The room is over: somebody ended it.
    #[error("room is no longer active")]
    Inactive,
    /// The room was left long ago and has closed by itself. Its creator can open it again.
    #[error("room is not open yet")]
    NotOpen,
    /// A moderator threw them out.
    #[error("you are banned from this room")]
    Banned,
    /// Only for its creator and those who were inside.
    #[error("This room is private")]
    Private,
    /// As private, for rooms that want approval.
    #[error("This room requires approval to join")]
    NeedsApproval,
    /// No place left.
    #[error("room is full")]
    Full,
}

impl Refusal {
    /// Names the case to programs, whatever becomes of the texts.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Inactive => "room_over",
            Self::NotOpen => "room_not_open",
            Self::Banned => "room_banned",
            Self::Private => "room_private",
            Self::NeedsApproval => "room_needs_approval",
            Self::Full => "room_full",
        }
    }
}

impl Room {
    /// Whether anybody can be in it at all.
    ///
    /// # Errors
    /// It is over, or not open.
    pub fn check_open(&self) -> Result<(), Refusal> {
        match (self.is_active, self.deleted_at) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err(Refusal::Inactive),
            (false, None) => Err(Refusal::NotOpen),
        }
    }
}

/// Decides over a user who has `row` in the room, while `taken` places belong to others.
///
/// # Errors
/// The first rule that keeps them outside.
pub fn admit(room: &Room, user_id: &str, row: Option<&Participant>, taken: i64) -> Result<(), Refusal> {
    room.check_open()?;
    if row.is_some_and(|row| row.is_banned) {
        return Err(Refusal::Banned);
    }
    let runs_it = room.created_by == user_id || room.admin_id == user_id;
    if !runs_it && !row.is_some_and(|row| row.is_approved || row.is_moderator) {
        by_link(room)?;
    }
    if is_full(room, taken) {
        return Err(Refusal::Full);
    }
    Ok(())
}

/// Whether the link alone opens the room.
pub(super) fn by_link(room: &Room) -> Result<(), Refusal> {
    if room.settings_require_approval {
        Err(Refusal::NeedsApproval)
    } else if room.is_public {
        Ok(())
    } else {
        Err(Refusal::Private)
    }
}

/// True when `taken` leaves no place. A capacity of 0 has no bound.
#[must_use]
pub(super) fn is_full(room: &Room, taken: i64) -> bool {
    room.max_participants > 0 && taken >= room.max_participants
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{participants::tests::sample as row, rooms::tests::sample as room};
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    struct Case {
        active: bool,
        public: bool,
        approval: bool,
        creator: bool,
        row: Option<(bool, bool)>,
        capacity: i64,
        taken: i64,
    }

    prop_compose! {
        fn case()(
            active in any::<bool>(),
            public in any::<bool>(),
            approval in any::<bool>(),
            creator in any::<bool>(),
            row in any::<Option<(bool, bool)>>(),
            capacity in 0i64..4,
            taken in 0i64..4,
        ) -> Case {
            Case { active, public, approval, creator, row, capacity, taken }
        }
    }

    fn decide(case: &Case) -> Result<(), Refusal> {
        let room = Room {
            is_active: case.active,
            is_public: case.public,
            settings_require_approval: case.approval,
            max_participants: case.capacity,
            ..room("r", "den", if case.creator { "me" } else { "other" })
        };
        let row = case.row.map(|(is_approved, is_banned)| Participant {
            is_approved,
            is_banned,
            ..row("p", "r", "me")
        });
        admit(&room, "me", row.as_ref(), case.taken)
    }

    proptest! {
        #[test]
        fn nobody_enters_against_a_rule(case in case()) {
            let banned = case.row.is_some_and(|(_, banned)| banned);
            let approved = case.row.is_some_and(|(approved, _)| approved);
            let full = case.capacity > 0 && case.taken >= case.capacity;
            let link = case.public && !case.approval;
            let allowed = case.active && !banned && (link || case.creator || approved) && !full;
            prop_assert_eq!(decide(&case).is_ok(), allowed);
        }

        #[test]
        fn the_ban_of_somebody_is_never_hidden_in_an_active_room(case in case()) {
            let case = Case { active: true, row: Some((true, true)), ..case };
            prop_assert_eq!(decide(&case), Err(Refusal::Banned));
        }
    }
}
