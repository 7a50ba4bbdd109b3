//! Admin: what an administrator asks a running relay, at a Unix socket.
//!
//! A line of JSON comes in, lines of JSON go out, and the connection is over; `docs/operating.md` has the
//! requests. An answer's last line has `done` or `error`, so that one that was cut can be told. The file is
//! its owner's alone, and the system says who has connected: the relay's own user and root may ask, and
//! nobody else. At a socket of its own, an application's back end has tokens minted, and asks nothing else;
//! whom its file is for may.

use std::fmt::Display;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jackfield_relay_wire::{Code, Reason};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::json;
use socket2::{Domain, SockAddr, Type};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter,
};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::config::point_in_time;
use crate::ending::Stopper;
use crate::lane::ACCEPT_PAUSE;
use crate::mint::{Minted, Wanted, mint};
use crate::record::{Command, Commanded, Records, Shown, Who, milliseconds};
use crate::registry::{Live, MAX_ADMINS, Order, Registry};
use crate::reload::{Lasts, NotTaken, Reloader};
use crate::token::Revocation;

/// The longest request, in bytes.
const MAX_REQUEST: u64 = 4096;
/// How long one may take, until the last line of the answer is read.
const DEADLINE: Duration = Duration::from_secs(30);
/// How many connections wait in the system's queue, until they are accepted; others are told that it is full.
const BACKLOG: i32 = 128;
/// How many streams a session shows at a time, so that what waits for a slow reader is bounded.
const PAGE: usize = 256;

/// The socket. Dropping it takes its file away.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    asker: Asker,
    /// Device and inode of the file, as long as it is this socket's.
    file: (u64, u64),
}

/// Who asks at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// The relay's own user, or root.
    Administrator,
    /// Whoever is in its file's group: he has tokens minted.
    BackEnd,
}

/// What answers.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) registry: Arc<Registry>,
    pub(crate) records: Arc<dyn Records>,
    pub(crate) reloader: Reloader,
    pub(crate) stopper: Stopper,
    pub(crate) since: Instant,
}

/// What is asked.
#[derive(Debug, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    /// How the relay is.
    Status {},
    /// Its sessions.
    List {},
    /// What is open in one of them.
    Streams { session: u64 },
    /// To end one session, or all of a token, of a bearer, or of both.
    Kill {
        session: Option<u64>,
        token: Option<String>,
        bearer: Option<String>,
    },
    /// To mint a token.
    Mint(Wanted),
    /// To revoke tokens, at this relay or all that share a Redis with it: those to which all applies that is given.
    Revoke {
        token: Option<String>,
        jti: Option<String>,
        sub: Option<String>,
        /// A date and time with its offset from UTC.
        issued_before: Option<String>,
        /// For how many seconds it matters; a Redis keeps it for so long.
        ttl: u32,
    },
    /// To take the configuration file again.
    Reload {},
    /// To end in order, as SIGTERM does.
    Drain {},
}

/// A session, as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    session: u64,
    #[serde(flatten)]
    who: &'a Who,
    open_ms: u64,
    /// Streams, datagram sockets, listeners, and openings.
    streams: u64,
    bytes_up: u64,
    bytes_down: u64,
    /// Its client is gone, and has left something to be delivered.
    draining: bool,
}

impl Socket {
    /// Listens there. A file that a relay has left which was killed is replaced.
    ///
    /// # Errors
    /// Where it can't be had, or somebody answers there; the text names the file.
    pub(crate) fn bind(path: &Path, asker: Asker) -> io::Result<Self> {
        let mode = match asker {
            Asker::Administrator => 0o600,
            Asker::BackEnd => 0o660,
        };
        let bound = match bound(path, mode) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path).and_then(|()| bound(path, mode))
            }
            bound => bound,
        };
        let own = |bound: socket2::Socket| {
            bound.listen(BACKLOG)?;
            bound.set_nonblocking(true)?;
            Ok(Self {
                listener: UnixListener::from_std(bound.into())?,
                path: path.into(),
                asker,
                file: identity(path)?,
            })
        };
        bound.and_then(own).map_err(|error| {
            let text = format!("can't listen at {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Another relay may have put its own in its place.
        if identity(&self.path).is_ok_and(|file| file == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A socket whose file is there, with its mode. Nobody can connect before it listens: by the mode that it is made
/// with (the umask's, which is the whole process's) others could.
fn bound(path: &Path, mode: u32) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    std::fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(socket)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = std::fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Takes a socket's file away at which nobody listens.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        let text = "a file is there that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // It would wait for as long as the other's queue is full.
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => {
            let text = "another process answers there; is the relay running already?";
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
    }
}

/// Answers until it is dropped.
pub(crate) async fn serve(socket: Socket, admin: Arc<Admin>) {
    let mut answering = JoinSet::new();
    loop {
        match socket.listener.accept().await {
            Ok((stream, _)) => {
                while answering.try_join_next().is_some() {}
                let asker = socket.asker;
                if let Err(why) = authorise(&stream, asker) {
                    warn!(why, "turned away who is no administrator");
                    // It has room for a line. Whoever may not ask takes nobody's place.
                    let _ = stream.try_write(&line(&json!({ "error": why })));
                } else if answering.len() < MAX_ADMINS {
                    let admin = Arc::clone(&admin);
                    answering.spawn(timeout(DEADLINE, async move {
                        // It fails where the other has gone.
                        let _ = admin.answer(stream, asker).await;
                    }));
                }
            }
            Err(error) => {
                warn!(%error, "can't accept an administrator's connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether this is the relay's own user, or root; why not, else. For others the file's mode has decided.
fn authorise(stream: &UnixStream, asker: Asker) -> Result<(), String> {
    if asker == Asker::BackEnd {
        return Ok(());
    }
    let peer = (stream.peer_cred()).map_err(|error| format!("who asks is not known: {error}"))?;
    let own = geteuid().as_raw();
    if [own, 0].contains(&peer.uid()) {
        Ok(())
    } else {
        let peer = peer.uid();
        Err(format!(
            "user {own} and root may ask here, and this is {peer}"
        ))
    }
}

/// Where an answer goes.
type Out<'a> = BufWriter<&'a mut UnixStream>;

/// Why something can't be, as the last line of an answer.
type Complaint = serde_json::Value;

impl Admin {
    async fn answer(&self, mut stream: UnixStream, asker: Asker) -> io::Result<()> {
        let mut request = Vec::new();
        let read = BufReader::new(&mut stream).take(MAX_REQUEST);
        { read }.read_until(b'\n', &mut request).await?;
        let mut out = BufWriter::new(&mut stream);
        let last = if request.ends_with(b"\n") {
            match serde_json::from_slice(&request) {
                Ok(request) if !asker.may(&request) => Err(complaint(
                    "here tokens are minted, and nothing else is done",
                )),
                Ok(request) => self.act(request, &mut out).await?,
                Err(error) => Err(complaint(&format!("that is no request: {error}"))),
            }
        } else {
            let text = format!("a request is one line of {MAX_REQUEST} bytes at most");
            Err(complaint(&text))
        };
        let last = last.unwrap_or_else(|complaint| complaint);
        out.write_all(&line(&last)).await?;
        out.flush().await?;
        stream.shutdown().await
    }

    /// Does what is asked, and gives the answer's last line.
    async fn act(
        &self,
        request: Request,
        out: &mut Out<'_>,
    ) -> io::Result<Result<serde_json::Value, Complaint>> {
        Ok(match request {
            Request::Status {} => Ok(self.status()),
            Request::List {} => Ok(self.list(out).await?),
            Request::Streams { session } => self.streams(session, out).await?,
            Request::Kill {
                session,
                token,
                bearer,
            } => self.kill(session, token.as_deref(), bearer.as_deref()),
            Request::Mint(wanted) => self.mint(wanted),
            Request::Revoke {
                token,
                jti,
                sub,
                issued_before,
                ttl,
            } => {
                let before = issued_before.as_deref();
                match revocation(token, jti, sub, before) {
                    Ok(one) => self.revoke(&one, issued_before, ttl).await,
                    Err(text) => Err(complaint(text)),
                }
            }
            Request::Reload {} => self.reload().await,
            Request::Drain {} => {
                info!("an administrator has the relay end");
                self.stopper.drain();
                Ok(json!({ "done": true }))
            }
        })
    }

    fn status(&self) -> serde_json::Value {
        let (total, of_token) = self.registry.totals();
        json!({
            "done": true,
            "version": env!("CARGO_PKG_VERSION"),
            "process": std::process::id(),
            "config": self.reloader.started.file,
            "listen": self.reloader.addresses,
            "running_ms": milliseconds(self.since),
            "draining": self.stopper.is_draining(),
            "sessions": of_token.values().sum::<u64>(),
            "streams": total.open,
            "bytes_up": total.bytes_up,
            "bytes_down": total.bytes_down,
        })
    }

    async fn list(&self, out: &mut Out<'_>) -> io::Result<serde_json::Value> {
        let all = self.registry.all();
        for live in &all {
            let tally = live.tally();
            let listed = Listed {
                session: live.number,
                who: &live.who,
                open_ms: milliseconds(live.since),
                streams: tally.open,
                bytes_up: tally.bytes_up,
                bytes_down: tally.bytes_down,
                draining: live.is_draining(),
            };
            out.write_all(&line(&listed)).await?;
        }
        Ok(json!({ "done": true, "sessions": all.len() }))
    }

    async fn streams(
        &self,
        session: u64,
        out: &mut Out<'_>,
    ) -> io::Result<Result<serde_json::Value, Complaint>> {
        let Some(live) = self.registry.get(session) else {
            return Ok(Err(no_session(session)));
        };
        let (mut after, mut count) = (0, 0);
        loop {
            let Some(page) = show(&live, after).await else {
                return Ok(Err(complaint(&format!("the session {session} has ended"))));
            };
            for shown in &page {
                out.write_all(&line(shown)).await?;
                (after, count) = (shown.id, count + 1);
            }
            if page.len() < PAGE {
                return Ok(Ok(json!({ "done": true, "streams": count })));
            }
        }
    }

    fn kill(
        &self,
        session: Option<u64>,
        token: Option<&str>,
        bearer: Option<&str>,
    ) -> Result<serde_json::Value, Complaint> {
        let mut chosen = match (session, token, bearer) {
            (Some(session), None, None) => {
                vec![
                    self.registry
                        .get(session)
                        .ok_or_else(|| no_session(session))?,
                ]
            }
            (None, None, None) | (Some(_), ..) => {
                let text = "to kill takes a session, or else a token, a bearer, or both";
                return Err(complaint(text));
            }
            (None, ..) => self.registry.all(),
        };
        chosen.retain(|live| {
            token.is_none_or(|token| live.who.token == token)
                && (bearer.is_none() || live.who.bearer.as_deref() == bearer)
        });
        let text = "the relay's administrator has ended it";
        let reason = Reason::new(Code::GOING_AWAY, text);
        // Ahead of what comes of it.
        self.records.command(&Command {
            session,
            token: token.map(Into::into),
            bearer: bearer.map(Into::into),
            ..Command::now(Commanded::Kill, None)
        });
        // One that takes no order is over, or has one to end already.
        chosen.retain(|live| live.give(Order::End(reason.clone())));
        let sessions = chosen.len();
        info!(
            session,
            token, bearer, sessions, "an administrator ends sessions"
        );
        Ok(json!({ "done": true, "sessions": sessions }))
    }

    fn mint(&self, wanted: Wanted) -> Result<serde_json::Value, Complaint> {
        let gate = Arc::clone(&self.reloader.rules.borrow());
        let minted = mint(&gate, &*self.records, wanted, SystemTime::now());
        let minted = minted.map_err(|error| complaint(&error))?;
        let Minted { jwt, jti, exp } = minted;
        Ok(json!({ "done": true, "jwt": jwt, "jti": jti, "exp": exp }))
    }

    /// Revokes; the time is the one in `one`, as it was asked for.
    async fn revoke(
        &self,
        one: &Revocation,
        issued_before: Option<String>,
        ttl: u32,
    ) -> Result<serde_json::Value, Complaint> {
        if let Some(name) = &one.token {
            let gate = Arc::clone(&self.reloader.rules.borrow());
            gate.identity().can_revoke(name).map_err(complaint)?;
        }
        let matters = Duration::from_secs(ttl.into());
        let revoked = self.reloader.revoke(one, matters).await;
        let Revocation {
            token, id, subject, ..
        } = one;
        let failed = revoked.as_ref().err().map(|text| text as &dyn Display);
        let command = Command::now(Commanded::Revoke, failed);
        let ends = match &revoked {
            Ok(Lasts::UntilTheEnd(why)) => Some(format!("until the relay ends: {why}")),
            _ => None,
        };
        self.records.command(&Command {
            token: token.clone(),
            bearer: subject.clone(),
            jti: id.clone(),
            issued_before: issued_before.clone(),
            why: command.why.or(ends),
            ..command
        });
        let lasts = revoked.map_err(|text| complaint(&text))?;
        info!(
            token,
            jti = id,
            sub = subject,
            issued_before,
            ?lasts,
            "an administrator revokes"
        );
        Ok(match lasts {
            Lasts::InRedis => json!({ "done": true, "lasts": true, "in": "redis" }),
            Lasts::InFile(file) => json!({ "done": true, "lasts": true, "in": file }),
            Lasts::UntilTheEnd(why) => json!({ "done": true, "lasts": false, "why": why }),
        })
    }

    async fn reload(&self) -> Result<serde_json::Value, Complaint> {
        let Some(path) = &self.reloader.started.file else {
            let text = "the configuration in use is of no file";
            return Err(complaint(text));
        };
        match self.reloader.take_from(path).await {
            Ok(needs_start) => Ok(json!({ "done": true, "needs_start": needs_start })),
            Err(NotTaken::File(error)) => Err(json!({
                "error": error.to_string(),
                "line": error.line(),
                "key": error.key(),
            })),
            Err(error) => Err(complaint(&error.to_string())),
        }
    }
}

impl Asker {
    fn may(self, request: &Request) -> bool {
        self == Self::Administrator || matches!(request, Request::Mint(_))
    }
}

/// What an administrator would revoke.
fn revocation(
    token: Option<String>,
    id: Option<String>,
    subject: Option<String>,
    issued_before: Option<&str>,
) -> Result<Revocation, &'static str> {
    if id.is_none() && subject.is_none() && issued_before.is_none() {
        return Err("to revoke takes a jti, a sub or issued_before, or several of them");
    }
    let time = "issued_before is a date and time with its offset from UTC, \
                for example 2030-01-31T12:00:00Z";
    let issued_before = match issued_before {
        Some(text) => Some(point_in_time(text).ok_or(time)?),
        None => None,
    };
    Ok(Revocation {
        token,
        id,
        subject,
        issued_before,
    })
}

/// What is open in a session beyond this identifier; `None` where it is over.
async fn show(live: &Live, after: u32) -> Option<Vec<Shown>> {
    let (reply, shown) = oneshot::channel();
    let most = PAGE;
    live.give(Order::Show { after, most, reply });
    // Where the order was not taken, the reply was dropped.
    shown.await.ok()
}

fn no_session(number: u64) -> Complaint {
    complaint(&format!("there is no session {number}"))
}

fn complaint(text: &str) -> Complaint {
    json!({ "error": text })
}

/// A line, with its end. Nothing that is sent here can't be written as JSON.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A mode that came after it listens would be too late for whoever was quick.
    #[tokio::test]
    async fn nobody_can_connect_before_the_file_is_for_him() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.sock");
        let mode = |path: &Path| {
            let known = path.metadata().expect("it is there");
            known.permissions().mode() & 0o777
        };
        let socket = bound(&path, 0o660).expect("bound");
        assert_eq!(mode(&path), 0o660);
        let error = UnixStream::connect(&path).expect_err("it doesn't listen yet");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        drop(socket);
        // What such a one has left is replaced.
        for (asker, expected) in [(Asker::BackEnd, 0o660), (Asker::Administrator, 0o600)] {
            let socket = Socket::bind(&path, asker).expect("replaced");
            assert_eq!(mode(&path), expected);
            UnixStream::connect(&path).expect("it listens");
            drop(socket);
            assert!(!path.exists(), "it is taken away");
        }
    }
}
