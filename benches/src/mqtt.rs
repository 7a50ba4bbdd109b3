//! MQTT: the codec against others, the client against the others with one broker, and what it takes
//! of memory and of a page's download.

mod clients;
pub(crate) mod codec;
pub(crate) mod download;
pub(crate) mod idle;
pub(crate) mod publish;
