//! Passwords: Argon2id on a bounded number of threads, so that a storm of logins cannot eat the machine's memory.

use std::sync::{Arc, OnceLock};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::{auth::guessable, domain::settings::PasswordCost};

/// Why a password could not be looked at. Wrong passwords are not errors.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct PasswordError(String);

/// Hashes and checks passwords. Cloning is cheap.
#[derive(Clone)]
pub struct Passwords {
    shared: Arc<Shared>,
}

struct Shared {
    permits: Arc<Semaphore>,
    argon: Argon2<'static>,
    /// Checked against when there is no account, so that the answer takes as long as with one.
    decoy: OnceLock<String>,
}

impl Passwords {
    /// At most `threads` passwords are hashed at once, each at `cost`.
    ///
    /// # Errors
    /// [`PasswordError`] when the cost is outside what Argon2 allows.
    pub fn new(cost: PasswordCost, threads: usize) -> Result<Self, PasswordError> {
        let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(failed)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let permits = Arc::new(Semaphore::new(threads.max(1)));
        Ok(Self { shared: Arc::new(Shared { permits, argon, decoy: OnceLock::new() }) })
    }

    /// The PHC string of a password.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String, salt: [u8; 16]) -> Result<String, PasswordError> {
        self.run(move |shared| shared.hash(&password, &salt)).await
    }

    /// True when a guesser who knows `about` would soon find the password.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn is_guessable(&self, password: String, about: Vec<String>) -> Result<bool, PasswordError> {
        self.run(move |_| {
            let about: Vec<&str> = about.iter().map(String::as_str).collect();
            Ok(guessable::is_guessable(&password, &about))
        })
        .await
    }

    /// Checks a password against a PHC string. Without one, or with one that is no Argon2 string, the same work is done
    /// and the answer is false.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, PasswordError> {
        self.run(move |shared| {
            let (stored, known) = match stored {
                Some(stored) if stored.starts_with("$argon2") => (stored, true),
                _ => (shared.decoy()?, false),
            };
            let parsed = PasswordHash::new(&stored).map_err(failed)?;
            Ok(shared.argon.verify_password(password.as_bytes(), &parsed).is_ok() && known)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Shared) -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let permit = Arc::clone(&self.shared.permits).acquire_owned().await.map_err(failed)?;
        let shared = Arc::clone(&self.shared);
        let work = move || {
            let result = f(&shared);
            drop(permit);
            result
        };
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}

impl Shared {
    fn hash(&self, password: &str, salt: &[u8; 16]) -> Result<String, PasswordError> {
        Ok(self.argon.hash_password_with_salt(password.as_bytes(), salt).map_err(failed)?.to_string())
    }

    fn decoy(&self) -> Result<String, PasswordError> {
        if let Some(decoy) = self.decoy.get() {
            return Ok(decoy.clone());
        }
        let decoy = self.hash("decoy", &[0; 16])?;
        Ok(self.decoy.get_or_init(|| decoy).clone())
    }
}

fn failed(error: impl std::fmt::Display) -> PasswordError {
    PasswordError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap() -> Passwords {
        Passwords::new(PasswordCost { memory_kib: 8, passes: 1 }, 2).unwrap()
    }

    #[tokio::test]
    async fn the_right_password_opens_and_no_other() {
        let passwords = cheap();
        let stored = passwords.hash("correct horse".into(), [1; 16]).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{stored}");
        assert!(passwords.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("correct horsf".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify(String::new(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn no_password_never_opens() {
        let passwords = cheap();
        for stored in [None, Some(String::new()), Some("$2a$10$abc".into())] {
            assert!(!passwords.verify("decoy".into(), stored).await.unwrap());
        }
    }

    #[tokio::test]
    async fn hashes_of_other_costs_still_verify() {
        let stored = cheap().hash("correct horse".into(), [1; 16]).await.unwrap();
        let dearer = Passwords::new(PasswordCost { memory_kib: 16, passes: 2 }, 1).unwrap();
        assert!(dearer.verify("correct horse".into(), Some(stored)).await.unwrap());
    }

    #[test]
    fn a_cost_outside_the_range_is_refused() {
        assert!(Passwords::new(PasswordCost { memory_kib: 1, passes: 1 }, 1).is_err());
    }
}
