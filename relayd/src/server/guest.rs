//! A client on its way in: from its connection to its session, or to the word why it has none.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jackfield_relay_wire::{Code, Reason};
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::Shared;
use super::door::Handshaking;
use crate::admission::{Fault, Turned};
use crate::ending::Ending;
use crate::handshake::{self, Admitted, Denied, Headers, Outcome, Refused, Upgrade};
use crate::identity::{Grant, Signed};
use crate::limits::{LimitReached, Slot, Whose};
use crate::metrics::Handshake;
use crate::proxy::{self, ProxiesConfig, ToldBy};
use crate::record::Stranger;
use crate::session::{self, CLOSE_DEADLINE, Signals};

/// Who has knocked, and isn't let in yet.
pub(super) struct Guest {
    /// Where it comes from: the proxy's address as long as that is all that is known.
    pub(super) peer: SocketAddr,
    /// Who is believed when it speaks for others.
    pub(super) proxies: Arc<ProxiesConfig>,
    /// How a proxy is yet to tell where it comes from.
    pub(super) untold: Option<ToldBy>,
    /// When TLS and the request shall have come, together.
    pub(super) deadline: Instant,
    pub(super) handshaking: Handshaking,
    pub(super) ending: Ending,
}

impl Guest {
    /// Takes what its proxy has told.
    fn comes_from(&mut self, client: Option<SocketAddr>) -> Result<(), Turned> {
        self.untold = None;
        let Some(client) = client else {
            return Ok(());
        };
        debug!(proxy = %self.peer, peer = %client, "a proxy speaks for a client");
        self.peer = client;
        self.handshaking.comes_from(client.ip())
    }

    /// Where it comes from, by its request at the latest; or why that is refused.
    fn identify(&mut self, headers: &Headers<'_>, shared: &Shared) -> Result<IpAddr, Refused> {
        if self.untold == Some(ToldBy::XForwardedFor) {
            let told = headers.list("x-forwarded-for");
            let client = self.proxies.forwarded_for(told);
            let client = client.map_err(|_| Refused::untold())?;
            self.comes_from(client).map_err(|turned| {
                shared.turned_away(self.peer, turned);
                Refused::turned_away(turned)
            })?;
        }
        Ok(self.peer.ip())
    }
}

pub(super) async fn connection(mut stream: TcpStream, mut guest: Guest, shared: &Shared) {
    let metrics = shared.context.metrics();
    let peer = guest.peer;
    if let Err(error) = session::prepare_carrier(&stream) {
        debug!(%peer, %error, "can't set the connection's options");
    }
    if guest.untold == Some(ToldBy::Proxy) {
        let client = match timeout_at(guest.deadline, proxy::receive(&mut stream)).await {
            Ok(Ok(client)) => client,
            Ok(Err(error)) => {
                metrics.handshake(Handshake::Proxy);
                return warn!(%peer, %error, "a trusted proxy sends no PROXY header");
            }
            Err(_) => {
                metrics.handshake(Handshake::Proxy);
                return warn!(%peer, "the PROXY header of a trusted proxy took too long");
            }
        };
        if let Err(reason) = guest.comes_from(client) {
            return shared.turned_away(guest.peer, reason);
        }
    }
    let peer = guest.peer;
    let Some(tls) = &shared.tls else {
        return shake_hands(stream, guest, Vec::new(), shared).await;
    };
    // So that whoever says nothing can be told from whoever does not come to an end.
    if timeout_at(guest.deadline, stream.peek(&mut [0]))
        .await
        .is_err()
    {
        metrics.handshake(Handshake::Late);
        info!(%peer, "nothing came in time");
        return guest.handshaking.penalise(Fault::Silent, peer);
    }
    let accepted = timeout_at(guest.deadline, tls.accept(stream)).await;
    match accepted {
        Ok(Ok(Some(stream))) => {
            let chain = stream.get_ref().1.peer_certificates();
            let chain = chain.unwrap_or_default().iter();
            let chain = chain.map(|it| it.clone().into_owned()).collect();
            shake_hands(stream, guest, chain, shared).await;
        }
        Ok(Ok(None)) => {
            metrics.handshake(Handshake::Challenge);
            debug!(%peer, "a certificate authority has seen a challenge's certificate");
        }
        Ok(Err(error)) => {
            metrics.handshake(Handshake::Tls);
            info!(%peer, %error, "TLS failed");
        }
        Err(_) => {
            metrics.handshake(Handshake::Late);
            info!(%peer, "TLS took too long");
            guest.handshaking.penalise(Fault::Late, peer);
        }
    }
}

async fn shake_hands<S>(
    mut stream: S,
    mut guest: Guest,
    chain: Vec<CertificateDer<'static>>,
    shared: &Shared,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let ending = guest.ending.clone();
    // Before they are looked at, so that no change goes unseen.
    let rules = shared.rules.subscribe();
    let gate = Arc::clone(&rules.borrow());
    let deadline = guest.deadline;
    let from = |headers: &Headers<'_>| guest.identify(headers, shared);
    let mut heard = false;
    let received = handshake::receive(&mut stream, from, chain, &gate, &ending, &mut heard);
    let received = timeout_at(deadline, received).await;
    let Guest {
        peer, handshaking, ..
    } = guest;
    let metrics = shared.context.metrics();
    match &received {
        // It is not known yet what becomes of it.
        Ok(Ok(_)) => {}
        Ok(Err(Outcome::Probed)) => metrics.handshake(Handshake::Probe),
        Ok(Err(Outcome::Refused(_))) => metrics.handshake(Handshake::Refused),
        Ok(Err(Outcome::Denied(denied))) => {
            metrics.handshake(Handshake::Denied(denied.reason.code()));
        }
        Ok(Err(Outcome::Failed(_))) => metrics.handshake(Handshake::Gone),
        Err(_) => metrics.handshake(Handshake::Late),
    }
    let admitted = match received {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(Outcome::Probed)) => return debug!(%peer, "asked for health"),
        Ok(Err(Outcome::Refused(refused))) => {
            info!(%peer, reason = %refused, "refused a client");
            if refused.is_malformed() {
                handshaking.penalise(Fault::Request, peer);
            }
            return;
        }
        Ok(Err(Outcome::Denied(denied))) => {
            let Denied {
                upgrade,
                origin,
                of,
                reason,
            } = denied;
            let (token, bearer) =
                (of.as_ref()).map_or((None, None), |of| (Some(&*of.token), of.bearer.as_deref()));
            info!(%peer, token, bearer, %reason, "denied a client");
            let stranger = Stranger {
                peer,
                origin: origin.as_deref(),
                of,
            };
            (shared.strangers).denied(&**shared.context.records(), stranger, &reason);
            if reason.code() == Code::TOKEN_UNKNOWN {
                handshaking.penalise(Fault::Token, peer);
            } else {
                drop(handshaking);
            }
            return deny(stream, shared, &upgrade, reason).await;
        }
        Ok(Err(Outcome::Failed(error))) => {
            return debug!(%peer, %error, "went away during the handshake");
        }
        Err(_) if !heard => {
            info!(%peer, "no request came in time");
            return handshaking.penalise(Fault::Silent, peer);
        }
        Err(_) => {
            info!(%peer, "the handshake took too long");
            return handshaking.penalise(Fault::Late, peer);
        }
    };

    let slots = if ending.is_leaving() {
        Err(Reason::new(Code::GOING_AWAY, session::GOING))
    } else {
        slots(shared, &admitted).await
    };
    let slots = match slots {
        Ok(slots) => slots,
        Err(reason) => {
            metrics.handshake(Handshake::Denied(reason.code()));
            let Grant { token, bearer, .. } = &*admitted.grant;
            info!(%peer, token = token.name, bearer, %reason, "denied a client");
            let stranger = Stranger {
                peer,
                origin: admitted.origin.as_deref(),
                of: Some(Signed::from(&*admitted.grant)),
            };
            (shared.strangers).denied(&**shared.context.records(), stranger, &reason);
            drop(handshaking);
            return deny(stream, shared, &admitted.upgrade, reason).await;
        }
    };
    match timeout_at(deadline, admitted.upgrade.send(&mut stream)).await {
        Ok(Ok(())) => metrics.handshake(Handshake::Admitted),
        Ok(Err(error)) => {
            metrics.handshake(Handshake::Gone);
            return debug!(%peer, %error, "went away during the handshake");
        }
        Err(_) => {
            metrics.handshake(Handshake::Late);
            info!(%peer, "the handshake took too long");
            return handshaking.penalise(Fault::Late, peer);
        }
    }
    if !handshaking.finish() {
        return shared.turned_away(peer, Turned::Early);
    }
    let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
    let context = &shared.context;
    let signals = Signals { ending, rules };
    session::run(stream, peer, number, admitted, context, signals, slots).await;
}

/// Tells a client why it isn't let in. Where many stay whom that was told, it isn't waited for: whoever
/// wants nobody to know why has many that stay.
async fn deny<S>(stream: S, shared: &Shared, upgrade: &Upgrade, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let place = shared.denials.try_acquire();
    let patience = place.as_ref().map_or(Duration::ZERO, |_| CLOSE_DEADLINE);
    session::deny(stream, upgrade, reason, patience).await;
}

/// A place for a session: one of the relay's, and one of its token's and its bearer's.
async fn slots<'a>(
    shared: &'a Shared,
    admitted: &Admitted,
) -> Result<(SemaphorePermit<'a>, Slot), Reason> {
    let fleet = shared.context.fleet();
    if let Some(reason) = fleet.and_then(|fleet| fleet.refuses(&admitted.grant)) {
        return Err(reason);
    }
    let relay = shared.sessions.try_acquire().map_err(|_| {
        let text = "the relay's limit max_sessions is reached";
        Reason::new(Code::RELAY_FULL, text)
    })?;
    let full = |limit: LimitReached| {
        let code = match limit.whose {
            Whose::Source | Whose::Relay | Whose::Fleet => Code::RELAY_FULL,
            Whose::Bearer | Whose::Token => Code::TOKEN_FULL,
        };
        Reason::new(code, &limit.to_string())
    };
    let Grant { token, usage, .. } = &*admitted.grant;
    usage
        .check_refusals(&token.limits, Instant::now())
        .map_err(full)?;
    let claim = usage.session().map_err(full)?;
    Ok((relay, claim.slot().await.map_err(full)?))
}
