//! What tests share. Nothing here ships.

pub mod chromium;
pub mod site;
