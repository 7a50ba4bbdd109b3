//! Answers that are read as they come: messages one by one, and a text piece by piece.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use jackfield_client::Poster;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc;

use super::action::{Action, Part};
use super::limit::{Limited, rest};
use crate::codec::{ChangedSince, Command, Fetch, Item, Messages, SequenceSet};
use crate::error::RequestError;

/// Messages, in the server's order; made by [`Client::fetch`](super::Client::fetch).
///
/// They wait here until they are read, up to
/// [`stream_capacity`](super::ClientConfig::stream_capacity); then nothing more is read from the
/// server, for anybody. Dropping this discards what still comes, and stops what was not sent yet.
#[derive(Debug)]
pub struct Fetches {
    parts: mpsc::Receiver<Part>,
    capacity: usize,
    poster: Poster<Action>,
    asked: Asked,
    /// The messages that are asked for now.
    current: Option<Messages>,
    /// Those that are asked for when the command before it is done.
    next: VecDeque<Messages>,
    /// The lowest number or UID that was told of.
    lowest: Option<u32>,
    /// The server has stopped, and where.
    limited: Option<Limited>,
    vanished: Vec<SequenceSet>,
    is_done: bool,
}

/// What is asked for of each part of the messages.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) items: Vec<Item>,
    pub(super) changed_since: Option<ChangedSince>,
}

impl Asked {
    /// The command for these messages.
    pub(super) fn of(&self, messages: Messages) -> Command {
        Command::Fetch {
            messages,
            items: self.items.clone(),
            changed_since: self.changed_since,
        }
    }
}

impl Fetches {
    /// The command for the first messages is on its way.
    pub(super) fn new(
        parts: mpsc::Receiver<Part>,
        capacity: usize,
        poster: Poster<Action>,
        asked: Asked,
        current: Option<Messages>,
        next: VecDeque<Messages>,
    ) -> Self {
        Self {
            parts,
            capacity,
            poster,
            asked,
            current,
            next,
            lowest: None,
            limited: None,
            vanished: Vec::new(),
            is_done: false,
        }
    }

    /// The next message; `None` after the last.
    ///
    /// # Errors
    /// Any [`RequestError`]; nothing comes behind one.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    pub async fn next(&mut self) -> Result<Option<Fetch>, RequestError> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`next`](Self::next), polled.
    ///
    /// # Errors
    /// As there.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Fetch>, RequestError>> {
        loop {
            if self.is_done {
                return Poll::Ready(Ok(None));
            }
            match ready!(self.parts.poll_recv(cx)) {
                Some(Part::Message(fetch)) => {
                    self.is_told(&fetch);
                    return Poll::Ready(Ok(Some(*fetch)));
                }
                Some(Part::Vanished(uids)) => self.vanished.push(uids),
                Some(Part::Limited(at)) => self.limited = Some(at),
                Some(Part::Done(Ok(()))) => {
                    if let Err(error) = self.go_on() {
                        self.is_done = true;
                        return Poll::Ready(Err(error));
                    }
                }
                Some(Part::Done(Err(error))) => {
                    self.is_done = true;
                    return Poll::Ready(Err(error));
                }
                Some(_) => {}
                None => {
                    self.is_done = true;
                    return Poll::Ready(Err(RequestError::Closed));
                }
            }
        }
    }

    fn is_told(&mut self, fetch: &Fetch) {
        let number = match &self.current {
            Some(Messages::Numbers(_)) => fetch.number,
            _ => fetch.uid,
        };
        self.lowest = self.lowest.into_iter().chain(number).min();
    }

    /// Asks for what comes next.
    fn go_on(&mut self) -> Result<(), RequestError> {
        let lowest = self.lowest.take();
        if let (Some(Limited(uid)), Some(messages)) = (self.limited.take(), &self.current) {
            let told = uid.filter(|_| matches!(messages, Messages::Uids(_)));
            if let Some(left) = rest(messages, told.or(lowest))? {
                self.next.push_front(left);
            }
        }
        self.current = self.next.pop_front();
        match self.current.clone() {
            Some(messages) => {
                let command = self.asked.of(messages);
                let (sender, parts) = mpsc::channel(self.capacity);
                self.parts = parts;
                self.poster.post(Action::Fetch(command, sender));
            }
            None => self.is_done = true,
        }
        Ok(())
    }

    /// The UIDs of the messages that are gone, which
    /// [`fetch_changed`](super::Client::fetch_changed) tells of where QRESYNC is enabled: all of
    /// them once the last message was told. Some may not have been known.
    pub fn vanished(&self) -> &[SequenceSet] {
        &self.vanished
    }

    /// All of them, where they are known to be few.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping the future discards them.
    pub async fn all(mut self) -> Result<Vec<Fetch>, RequestError> {
        let mut all = Vec::new();
        while let Some(message) = self.next().await? {
            all.push(message);
        }
        Ok(all)
    }
}

/// The text of a message or of a part of it, to be read; made by
/// [`Client::read`](super::Client::read).
///
/// It need not fit into memory: what waits here unread is at most
/// [`stream_capacity`](super::ClientConfig::stream_capacity) pieces, and then nothing more is read
/// from the server, for anybody. Dropping this discards what still comes.
#[derive(Debug)]
pub struct Body {
    parts: mpsc::Receiver<Part>,
    size: u64,
    piece: Bytes,
    is_done: bool,
}

impl Body {
    /// Waits for the beginning.
    pub(super) async fn begin(mut parts: mpsc::Receiver<Part>) -> Result<Self, RequestError> {
        loop {
            match parts.recv().await {
                Some(Part::Begins(size)) => {
                    return Ok(Self {
                        parts,
                        size,
                        piece: Bytes::new(),
                        is_done: false,
                    });
                }
                Some(Part::Done(Ok(()))) => return Err(RequestError::NoSuchMessage),
                Some(Part::Done(Err(error))) => return Err(error),
                Some(_) => {}
                None => return Err(RequestError::Closed),
            }
        }
    }

    /// How many bytes it has, those that were read included.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl AsyncRead for Body {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() && !self.is_done {
            match ready!(self.parts.poll_recv(cx)) {
                Some(Part::Piece(piece)) => self.piece = piece,
                Some(Part::Done(outcome)) => {
                    self.is_done = true;
                    outcome.map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => {
                    self.is_done = true;
                    return Poll::Ready(Err(io::Error::other(RequestError::Closed)));
                }
            }
        }
        let count = self.piece.len().min(buf.remaining());
        buf.put_slice(&self.piece[..count]);
        self.piece.advance(count);
        Poll::Ready(Ok(()))
    }
}
