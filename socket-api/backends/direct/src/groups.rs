//! The multicast groups of an open socket.

use std::fmt;

use jackfield_socket::{MulticastGroup, Result};
use js_sys::Promise;
use send_wrapper::SendWrapper;
use wasm_bindgen_futures::JsFuture;

use crate::bindings::{MulticastController, Options};
use crate::error::{Doing, opening};

/// The multicast groups of a [`DirectDatagramSocket`](crate::DirectDatagramSocket). Cheap to clone; it doesn't
/// keep the socket open.
///
/// Chromium 156 takes no notice of a group's source: whoever sends to the group is heard.
#[derive(Clone)]
pub struct Groups(SendWrapper<MulticastController>);

impl Groups {
    pub(crate) fn new(controller: MulticastController) -> Self {
        Self(SendWrapper::new(controller))
    }

    /// Joins a group.
    ///
    /// # Errors
    /// [`Closed`](jackfield_socket::ErrorKind::Closed) where the socket is closed, or belongs to the group
    /// already; another kind where the system refuses.
    ///
    /// # Cancel safety
    /// Dropping the future doesn't take the request back.
    pub async fn join(&self, group: &MulticastGroup) -> Result<()> {
        let options = options(group);
        let (address, controller) = (group.address.to_string(), &self.0);
        let joined = controller.join_group(&address, &options.0);
        changed(joined, &format!("joining the group {address}")).await
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// [`Closed`](jackfield_socket::ErrorKind::Closed) where the socket is closed, or doesn't belong to the
    /// group; another kind where the system refuses.
    ///
    /// # Cancel safety
    /// As [`join`](Self::join).
    pub async fn leave(&self, group: &MulticastGroup) -> Result<()> {
        let options = options(group);
        let (address, controller) = (group.address.to_string(), &self.0);
        let left = controller.leave_group(&address, &options.0);
        changed(left, &format!("leaving the group {address}")).await
    }
}

fn options(group: &MulticastGroup) -> Options {
    let source = group.source.map(|source| source.to_string());
    Options::default().set("sourceAddress", source)
}

async fn changed(promise: Promise, what: &str) -> Result<()> {
    let changed = JsFuture::from(promise).await;
    changed.map_err(|thrown| opening(Doing::Binding, what, &thrown))?;
    Ok(())
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Groups").finish_non_exhaustive()
    }
}
