//! In the page: in a Chromium without a display, beside what else a page can use.

pub(crate) mod direct;
pub(crate) mod https;
pub(crate) mod load;
pub(crate) mod mqtt;
mod nginx;
pub(crate) mod sockets;
mod stage;
