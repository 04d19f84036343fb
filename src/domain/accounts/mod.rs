//! Accounts: making them, signing in and out.

mod client;
mod form;
mod guest;
mod login;
mod profile;
mod refresh;
mod register;
mod sign_in;
mod throttle;

pub use client::Client;
pub(crate) use client::Device;
pub use form::{FormError, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, check_length};
pub use guest::{GuestError, guest_login};
pub use login::{LoginError, login};
pub use profile::{
    PasswordChangeError, PreferencesError, change_name, change_password, preferences, set_preferences,
};
pub use refresh::{RefreshError, logout, refresh};
pub(crate) use register::{Prepared, prepare};
pub use register::{RegisterError, Registered, Registration, register};
pub(crate) use sign_in::NewSession;
pub use sign_in::{AccountError, SignedIn, authenticate};
pub use throttle::{Throttle, Wait};
