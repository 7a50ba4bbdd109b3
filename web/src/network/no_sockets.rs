//! A stand-in for `sockets`, where the module was built without them.

use jackfield_socket::{AnyStream, Endpoint, Error, ErrorKind, Result, TcpOptions};
use js_sys::Object;

use crate::convert::Options;
use crate::policy::Policies;

#[derive(Debug)]
pub(super) struct Sockets;

#[expect(
    clippy::unnecessary_wraps,
    clippy::unused_self,
    reason = "as those that are there"
)]
impl Sockets {
    pub(super) fn open(_options: &Options<'_>, _policies: &Policies) -> Result<Self> {
        Ok(Self)
    }

    pub(super) fn kind(&self) -> Option<&'static str> {
        None
    }

    pub(super) fn close(&self) {}

    pub(super) fn streams(&self, _tls: bool) -> Result<Streams> {
        Err(Error::new(
            ErrorKind::Unsupported,
            "this module was built without sockets: it reaches ws:// and wss:// addresses alone",
        ))
    }
}

/// There are none.
#[derive(Clone, Debug)]
pub(super) enum Streams {}

impl Streams {
    #[expect(clippy::unused_async, reason = "as those that are there")]
    pub(super) async fn connect(
        &self,
        _to: &Endpoint,
        _options: &TcpOptions,
    ) -> Result<(AnyStream, Protection)> {
        match *self {}
    }
}

#[derive(Clone, Debug)]
pub(super) enum Protection {}

impl Protection {
    pub(super) fn describe(&self, _security: &Object) {
        match *self {}
    }
}
