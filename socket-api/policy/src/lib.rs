//! Who may be reached: rules over names, networks and ports, which need no socket to decide.
//!
//! The relay judges by them what it dials for others.
//!
//! - [`Policy`] has the rules, and decides; what only a machine knows comes in as [`Facts`].
//! - [`Rule`] and [`ListenRule`] are what stands in one.
//! - [`address`] takes addresses out of their disguise, and knows the ranges that are nobody's
//!   public host.

pub mod address;
mod policy;

pub use policy::{Allowed, Facts, ListenRule, Places, Policy, Refusal, Rule, Transport};
