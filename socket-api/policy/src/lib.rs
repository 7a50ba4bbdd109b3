//! Who may be reached: rules over names, networks and ports, shared by the relay and its clients.
//!
//! - [`Policy`] has the rules, and decides, without a socket; what only a machine knows comes in as
//!   [`Facts`]. The relay judges by it what it dials for others.
//! - [`Guarded`] puts a policy over any network of the socket API: for whoever decides, on this side
//!   of the relay or without one, what an application may reach. Who decides for it is a [`Guard`].
//! - [`Rule`] and [`ListenRule`] are what stands in a policy.
//! - [`address`] takes addresses out of their disguise, and knows the ranges that are nobody's
//!   public host.

pub mod address;
mod guard;
mod guarded;
mod policy;

pub use guard::{Guard, Rules};
pub use guarded::{Answer, Guarded, GuardedSocket, Request};
pub use policy::{Allowed, Facts, ListenRule, Places, Policy, Refusal, Rule, Transport};
