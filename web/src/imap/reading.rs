//! Answers that are read as they come: messages, a text, changes.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use jackfield_imap::RequestError;
use jackfield_imap::client::{Body, Fetches, Sync};
use jackfield_mail::message::{Decoded, ReadOptions, TransferEncoding};
use js_sys::Uint8Array;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::sync::{Mutex, Notify};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use super::{Failure, Result, value};

/// How much of a text is given at once, in bytes.
const PIECE: usize = 16 * 1024;

/// An answer that is read as it comes.
#[derive(Debug)]
#[wasm_bindgen]
pub struct ImapReading {
    /// None once cancelled.
    source: Mutex<Option<Source>>,
    /// Whoever waits for the next needs wait no longer.
    over: Notify,
    /// How many bytes of a text there are, and were read, as they are encoded.
    size: f64,
    received: Rc<Cell<f64>>,
}

#[derive(Debug)]
pub(super) enum Source {
    Messages(Fetches, ReadOptions),
    Text(Box<Decoded<Counted>>),
    Changes(Box<Sync>, ReadOptions),
}

impl ImapReading {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source: Mutex::new(Some(source)),
            over: Notify::new(),
            size: 0.0,
            received: Rc::default(),
        }
    }

    /// Of a text, decoded as it is read.
    pub(super) fn text(body: Body, encoding: TransferEncoding) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "no message has 2^53 bytes")]
        let size = body.size() as f64;
        let received = Rc::<Cell<f64>>::default();
        let body = Counted {
            body,
            received: received.clone(),
        };
        let text = Source::Text(Box::new(Decoded::new(body, encoding)));
        Self {
            size,
            received,
            ..Self::new(text)
        }
    }
}

#[wasm_bindgen(wasm_bindgen_futures = crate::promise)]
impl ImapReading {
    /// The next message, piece or change, or null after the end.
    ///
    /// # Errors
    /// A `JackfieldError`.
    pub async fn next(&self) -> Result<JsValue> {
        let mut source = self.source.lock().await;
        let Some(source) = source.as_mut() else {
            return Ok(JsValue::NULL);
        };
        tokio::select! {
            next = source.next() => next.map_err(|failure| failure.0),
            () = self.over.notified() => Ok(JsValue::NULL),
        }
    }

    /// Ends it.
    pub async fn cancel(&self) {
        self.over.notify_one();
        self.source.lock().await.take();
    }

    /// How many bytes a text has, as it is encoded.
    #[wasm_bindgen(getter)]
    pub fn size(&self) -> f64 {
        self.size
    }

    /// How many of them were read.
    #[wasm_bindgen(getter)]
    pub fn received(&self) -> f64 {
        self.received.get()
    }

    /// What is known with all changes that were told; undefined while the next one is waited for.
    pub fn state(&self) -> Option<Vec<u8>> {
        let source = self.source.try_lock().ok()?;
        match source.as_ref()? {
            Source::Changes(sync, _) => Some(sync.state().to_bytes()),
            _ => None,
        }
    }

    /// The mailbox as it was opened, of changes; null before.
    pub fn selected(&self) -> JsValue {
        let Ok(source) = self.source.try_lock() else {
            return JsValue::NULL;
        };
        match source.as_ref() {
            Some(Source::Changes(sync, _)) => sync
                .selected()
                .map_or(JsValue::NULL, |it| value::selected(it).into()),
            _ => JsValue::NULL,
        }
    }
}

impl Source {
    async fn next(&mut self) -> Result<JsValue, Failure> {
        let next = match self {
            Self::Messages(fetches, options) => {
                let next = fetches.next().await?;
                next.map(|message| value::message(&message, options).into())
            }
            Self::Changes(sync, options) => {
                let next = sync.next().await?;
                next.map(|change| value::change(&change, options).into())
            }
            Self::Text(body) => {
                let mut piece = vec![0; PIECE];
                let count = body.read(&mut piece).await.map_err(failed)?;
                let piece = &piece[..count];
                (count > 0).then(|| Uint8Array::from(piece).into())
            }
        };
        Ok(next.unwrap_or(JsValue::NULL))
    }
}

/// Why a text can't be read on.
fn failed(error: io::Error) -> Failure {
    match error.downcast::<RequestError>() {
        Ok(error) => error.into(),
        Err(error) => jackfield_socket::Error::from(error).into(),
    }
}

/// Counts what is read of a text.
#[derive(Debug)]
pub(super) struct Counted {
    body: Body,
    received: Rc<Cell<f64>>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.body).poll_read(cx, buf))?;
        let count = buf.filled().len() - before;
        #[expect(clippy::cast_precision_loss, reason = "no message has 2^53 bytes")]
        self.received.set(self.received.get() + count as f64);
        Poll::Ready(Ok(()))
    }
}
