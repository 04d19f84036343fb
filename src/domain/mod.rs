//! Pure rules of the platform: accounts, roles, rooms.
