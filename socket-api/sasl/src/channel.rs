//! What is known of the connection under an exchange.

use std::fmt;

use zeroize::Zeroizing;

/// What is known of the connection that an exchange goes over. By itself: nothing is encrypted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Channel {
    /// Whether only the server can read along: TLS, with its certificate verified. Passwords and
    /// tokens are sent over nothing else.
    pub encrypted: bool,
    /// What ties the exchange to this very connection, where TLS gives it.
    pub binding: Option<ChannelBinding>,
}

impl Channel {
    /// A connection of which this is known: whether nobody else can read it, and what TLS's exporter
    /// gave, if anything. `StreamInfo` of the socket API has both.
    ///
    /// ```
    /// use jackfield_sasl::Channel;
    ///
    /// let channel = Channel::new(true, Some([7; 32]));
    /// assert!(channel.encrypted && channel.binding.is_some());
    /// ```
    pub fn new(encrypted: bool, tls_exporter: Option<[u8; ChannelBinding::LENGTH]>) -> Self {
        Self {
            encrypted,
            binding: tls_exporter.map(ChannelBinding::tls_exporter),
        }
    }

    /// A connection that anyone on the way may read.
    pub fn plaintext() -> Self {
        Self::default()
    }

    /// A connection over TLS whose server was verified.
    pub fn encrypted() -> Self {
        Self {
            encrypted: true,
            binding: None,
        }
    }

    /// The same, with this to bind to.
    #[must_use]
    pub fn with_binding(mut self, binding: ChannelBinding) -> Self {
        self.binding = Some(binding);
        self
    }

    /// The same, with nothing to bind to.
    ///
    /// For the attempt after one with a -PLUS mechanism that the server refused or cut off, over a
    /// new connection: a server may offer these and not be able to, such as one behind a proxy that
    /// ends TLS. Then plain SCRAM is chosen and says that this client can't bind (`n`); saying that
    /// it could (`y`) would make the server refuse again (RFC 5802, section 6). What binding protects
    /// from is then unprotected: say so in a log.
    #[must_use]
    pub fn without_binding(mut self) -> Self {
        self.binding = None;
        self
    }
}

/// What ties an exchange to one TLS connection: `tls-exporter` (RFC 9266), 32 bytes that both its
/// ends can compute and nobody between them.
///
/// Only TLS 1.3 gives it: in TLS 1.2 the exporter is unique only with an extension that can't be
/// relied on (RFC 9266, section 4).
#[derive(Clone, PartialEq, Eq)]
pub struct ChannelBinding(Zeroizing<[u8; Self::LENGTH]>);

impl ChannelBinding {
    /// The label of TLS's exporter; its context is empty (RFC 9266, section 2).
    pub const EXPORTER_LABEL: &'static str = "EXPORTER-Channel-Binding";
    /// How many bytes the exporter is asked for.
    pub const LENGTH: usize = 32;

    /// What TLS's exporter gave, with [`EXPORTER_LABEL`](Self::EXPORTER_LABEL) and an empty context.
    pub fn tls_exporter(value: [u8; Self::LENGTH]) -> Self {
        Self(Zeroizing::new(value))
    }

    pub(crate) fn data(&self) -> &[u8] {
        &self.0[..]
    }
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChannelBinding(tls-exporter)")
    }
}
