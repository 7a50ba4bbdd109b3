//! Credentials that don't last: they are asked for before each attempt to connect.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use crate::Credentials;

/// What comes of asking.
type Renewed =
    Pin<Box<dyn Future<Output = Result<Credentials, Box<dyn Error + Send + Sync>>> + Send>>;

/// A function that gives the credentials for an attempt to connect, such as a token that is still good.
/// Its clones share the function.
#[derive(Clone)]
pub struct Renewal(Arc<Mutex<dyn FnMut(u32) -> Renewed + Send>>);

impl Renewal {
    /// By this function, which is given the attempt's number in a row, from 1.
    pub fn new<F, R>(mut renew: F) -> Self
    where
        F: FnMut(u32) -> R + Send + 'static,
        R: Future<Output = Result<Credentials, Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        Self(Arc::new(Mutex::new(move |attempt| {
            Box::pin(renew(attempt)) as Renewed
        })))
    }

    /// Asks for the credentials of this attempt.
    pub fn ask(
        &self,
        attempt: u32,
    ) -> impl Future<Output = Result<Credentials, Box<dyn Error + Send + Sync>>> + Send + 'static + use<>
    {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)(attempt)
    }
}

impl fmt::Debug for Renewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewal").finish_non_exhaustive()
    }
}
