//! Configuration of a client.

use jackfield_client::Options;

use crate::core::Config;

/// How to ask, and how to connect.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How queries wait.
    pub session: Config,
    /// How to connect.
    pub connection: Options,
}
