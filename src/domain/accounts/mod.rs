//! Accounts: making them, signing in and out.

mod form;
mod guest;
mod login;
mod profile;
mod refresh;
mod register;
mod sign_in;

pub use form::{FormError, PASSWORD_BYTES, check_password};
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
