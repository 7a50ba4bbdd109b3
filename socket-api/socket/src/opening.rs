//! A protocol's opening: what is said in plaintext before TLS, in protocols that begin without it
//! (STARTTLS).
//!
//! An [`Opening`] is a small state machine without clock and socket: bytes go in, bytes come out,
//! and at some point the server's go-ahead has come. [`speak`] runs one over a stream; `StartTls`
//! in `jackfield-tls` does that for every stream of a network, and puts TLS over it.
//!
//! Nobody has vouched for a word of what the server says here, so that nothing of it may outlive
//! the go-ahead, and nothing may be taken for an answer that came before its question
//! (CVE-2011-0411 and its many kin; Poddebniak et al., "Why TLS is better without STARTTLS",
//! 2021). [`speak`] sees to both, for every protocol:
//!
//! - What leaves the opening leaves only when all that has arrived was taken in. An answer that was
//!   sent ahead thus reaches the opening before its question has left, and is refused.
//! - What arrived together with the go-ahead and is no part of it ends the dialogue as an error.
//!
//! Most such protocols speak in lines. For them there is [`Lines`], which asks one question at a
//! time and refuses what nobody asked for; the protocol itself is a [`Dialogue`] then:
//!
//! ```
//! use jackfield_socket::opening::{Dialogue, Lines, Turn, refused};
//! use jackfield_socket::{ByteStream, Result, opening};
//!
//! /// POP3 (RFC 2595, section 4).
//! #[derive(Clone, Debug, Default)]
//! struct Pop3 {
//!     greeted: bool,
//! }
//!
//! impl Dialogue for Pop3 {
//!     fn line(&mut self, line: &str) -> Result<Turn> {
//!         match (line.starts_with("+OK"), self.greeted) {
//!             (true, false) => {
//!                 self.greeted = true;
//!                 Ok(Turn::Ask("STLS\r\n".into()))
//!             }
//!             (true, true) => Ok(Turn::GoAhead),
//!             (false, _) => Err(refused("said", line)),
//!         }
//!     }
//! }
//!
//! /// Afterwards TLS can begin on the stream.
//! async fn ask(stream: &mut impl ByteStream) -> Result<()> {
//!     opening::speak(stream, &mut Lines::new(Pop3::default())).await
//! }
//! # fn main() {}
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use crate::{ByteStream, Error, ErrorKind, Result};

/// How many bytes a server may say before its go-ahead: 64 KiB.
pub const MAX_OPENING: usize = 64 * 1024;
/// The longest line of a [`Dialogue`], in bytes: 8 KiB.
pub const MAX_LINE: usize = 8 * 1024;
/// How many bytes one read takes at the most.
const READ_SIZE: usize = 4 * 1024;
/// How much of what a server said an error tells, in characters.
const SHOWN: usize = 200;

/// A protocol's own dialogue in plaintext, up to the server's go-ahead for TLS.
///
/// It keeps nothing that it has not taken: [`speak`] holds what is unread, at most
/// [`MAX_OPENING`] bytes.
pub trait Opening: Send {
    /// Takes from the front of what the server has said: returns how many bytes it took, and 0
    /// where it needs more than there is. It is called again with the rest.
    ///
    /// It takes one message at a time, so that the bytes of the go-ahead are told from those
    /// after it, and must refuse an answer whose question [`transmit`](Self::transmit) has not
    /// given out yet.
    ///
    /// # Errors
    /// [`TlsRefused`](ErrorKind::TlsRefused), where the server doesn't offer TLS or says no;
    /// [`Protocol`](ErrorKind::Protocol), where what it says makes no sense, or comes unasked;
    /// [`LimitExceeded`](ErrorKind::LimitExceeded), where it says too much.
    fn receive(&mut self, input: &[u8]) -> Result<usize>;

    /// Appends what is to be sent now to `out`.
    ///
    /// Called when all that has arrived was taken in, and no part of a message is unread: what is
    /// received after this came after it, as far as this side can tell.
    fn transmit(&mut self, out: &mut Vec<u8>);

    /// Whether the go-ahead has come, and TLS begins with the next byte in each direction.
    fn is_done(&self) -> bool;
}

/// Speaks an opening over a stream. Afterwards TLS begins: the server will say nothing more in
/// plaintext, and nothing that it said is left unread here.
///
/// # Errors
/// The opening's own; [`Protocol`](ErrorKind::Protocol), where something came with the go-ahead
/// that is no part of it; [`LimitExceeded`](ErrorKind::LimitExceeded), where the server said more
/// than [`MAX_OPENING`] bytes; [`UnexpectedEof`](ErrorKind::UnexpectedEof), where it hung up; and
/// the stream's own.
///
/// # Cancel safety
/// Where the future is dropped, the dialogue stands half-way: the stream is of no use any more, and
/// is to be dropped too. It sets no deadline of its own: [`time::timeout`](crate::time::timeout)
/// does.
pub async fn speak<S, O>(stream: &mut S, opening: &mut O) -> Result<()>
where
    S: ByteStream,
    O: Opening + ?Sized,
{
    let mut unread = Vec::new();
    let mut said = Vec::new();
    let mut total = 0;
    let mut chunk = vec![0; READ_SIZE];
    loop {
        take(opening, &mut unread)?;
        if opening.is_done() {
            break;
        }
        let mut count = None;
        if unread.is_empty() {
            // What has arrived and was not read yet came before what is about to be said, too.
            count = read_now(stream, &mut chunk).await?;
            if count.is_none() {
                opening.transmit(&mut said);
                if !said.is_empty() {
                    stream.write_all(&said).await?;
                    stream.flush().await?;
                    said.clear();
                }
                if opening.is_done() {
                    break;
                }
            }
        }
        let count = match count {
            Some(count) => count,
            None => stream.read(&mut chunk).await?,
        };
        if count == 0 {
            return Err(Error::new(
                ErrorKind::UnexpectedEof,
                "the server hung up before its go-ahead for TLS",
            ));
        }
        total += count;
        if total > MAX_OPENING {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the server said more than {MAX_OPENING} bytes and no go-ahead for TLS"),
            ));
        }
        unread.extend_from_slice(&chunk[..count]);
    }
    if unread.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Protocol,
        format!(
            "the server sent {} bytes of plaintext after its go-ahead for TLS",
            unread.len()
        ),
    ))
}

/// Lets the opening take what it can, up to the go-ahead.
fn take<O: Opening + ?Sized>(opening: &mut O, unread: &mut Vec<u8>) -> Result<()> {
    let mut taken = 0;
    while taken < unread.len() && !opening.is_done() {
        match opening.receive(&unread[taken..])? {
            0 => break,
            // One that counts wrong harms nobody but itself.
            count => taken = unread.len().min(taken + count),
        }
    }
    unread.drain(..taken);
    Ok(())
}

/// Reads what has arrived, without waiting for more: `None` where there is nothing.
async fn read_now(stream: &mut impl ByteStream, chunk: &mut [u8]) -> Result<Option<usize>> {
    poll_fn(|cx| {
        let mut buf = ReadBuf::new(chunk);
        match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Some(buf.filled().len()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => Poll::Ready(Ok(None)),
        }
    })
    .await
}

/// An opening in lines, each of which ends with LF or CRLF.
///
/// The protocol decides what a line means. This decides when it may mean something: while a
/// question waits to be sent, a line can be no answer to it, and a go-ahead that nobody has asked
/// for is refused.
#[derive(Clone, Debug)]
pub struct Lines<D> {
    dialogue: D,
    state: State,
    /// What is said in passing, and leaves before the question.
    aside: String,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing has been said or heard.
    New,
    /// The server is to speak first.
    Greeting,
    /// This is to be asked, once all that has arrived was taken in.
    Pending(String),
    /// It has been asked.
    Asked,
    /// The go-ahead has come.
    Done,
}

/// A protocol of lines, up to its go-ahead for TLS; [`Lines`] makes an [`Opening`] of it.
pub trait Dialogue: Send {
    /// The first question, in a protocol whose client speaks first. Default: `None`, the server
    /// does.
    fn begin(&mut self) -> Option<String> {
        None
    }

    /// Hears a line of the server, without its end: the greeting, or a part of the answer to what
    /// was asked last. What is not UTF-8 in it is replaced.
    ///
    /// # Errors
    /// As [`Opening::receive`]; [`refused`] makes the usual one.
    fn line(&mut self, line: &str) -> Result<Turn>;

    /// Whether the server may say this unasked, while a question waits to be sent. It is passed
    /// over. Default: it may say nothing.
    fn is_aside(&self, line: &str) -> bool {
        let _ = line;
        false
    }
}

/// What a [`Dialogue`] does after a line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// Waits for the next line.
    Listen,
    /// Says this in passing, with its line end, and goes on waiting: an answer to a PING.
    Say(String),
    /// Asks this, with its line end. Whatever came before it is no answer.
    Ask(String),
    /// The server is ready for TLS.
    GoAhead,
}

impl<D: Dialogue> Lines<D> {
    /// An opening that speaks this protocol.
    pub fn new(dialogue: D) -> Self {
        Self {
            dialogue,
            state: State::New,
            aside: String::new(),
        }
    }

    /// The protocol, to look at.
    pub fn dialogue(&self) -> &D {
        &self.dialogue
    }

    fn begin(&mut self) {
        if matches!(self.state, State::New) {
            self.state = match self.dialogue.begin() {
                Some(question) => State::Pending(question),
                None => State::Greeting,
            };
        }
    }

    fn hear(&mut self, line: &str) -> Result<()> {
        if matches!(self.state, State::Pending(_)) {
            if self.dialogue.is_aside(line) {
                return Ok(());
            }
            let what = format!("the server said {} before it was asked", shown(line));
            return Err(Error::new(ErrorKind::Protocol, what));
        }
        match self.dialogue.line(line)? {
            Turn::Listen => {}
            Turn::Say(text) => self.aside.push_str(&text),
            Turn::Ask(question) => self.state = State::Pending(question),
            Turn::GoAhead if matches!(self.state, State::Asked) => self.state = State::Done,
            Turn::GoAhead => {
                let what = format!(
                    "the server gave its go-ahead for TLS, {}, before it was asked",
                    shown(line)
                );
                return Err(Error::new(ErrorKind::Protocol, what));
            }
        }
        Ok(())
    }
}

impl<D: Dialogue> Opening for Lines<D> {
    fn receive(&mut self, input: &[u8]) -> Result<usize> {
        self.begin();
        let within = &input[..input.len().min(MAX_LINE)];
        let Some(end) = within.iter().position(|byte| *byte == b'\n') else {
            if input.len() < MAX_LINE {
                return Ok(0);
            }
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("the server sent a line of more than {MAX_LINE} bytes before TLS"),
            ));
        };
        let line = input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]);
        self.hear(&String::from_utf8_lossy(line))?;
        Ok(end + 1)
    }

    fn transmit(&mut self, out: &mut Vec<u8>) {
        self.begin();
        out.extend_from_slice(std::mem::take(&mut self.aside).as_bytes());
        if let State::Pending(question) = &self.state {
            out.extend_from_slice(question.as_bytes());
            self.state = State::Asked;
        }
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

/// The error of a server that won't speak TLS: it `did` (`answered STARTTLS with`) this. At most 200
/// characters of the line are shown, and none that a terminal would act on. Its kind is
/// [`TlsRefused`](ErrorKind::TlsRefused).
pub fn refused(did: &str, line: &str) -> Error {
    Error::new(
        ErrorKind::TlsRefused,
        format!("the server {did} {}", shown(line)),
    )
}

/// The error of a server that can't be asked: it `did` (`greeted with`) this, which may be otherwise
/// another time. As [`refused`], but of kind [`Protocol`](ErrorKind::Protocol).
pub fn unexpected(did: &str, line: &str) -> Error {
    Error::new(
        ErrorKind::Protocol,
        format!("the server {did} {}", shown(line)),
    )
}

/// The error of a server that doesn't offer what leads to TLS.
pub fn not_offered(what: &str) -> Error {
    Error::new(
        ErrorKind::TlsRefused,
        format!("the server does not offer {what}"),
    )
}

fn shown(line: &str) -> String {
    let line: String = line.chars().take(SHOWN).collect();
    format!("{line:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::io::duplex;

    use crate::Io;

    /// A server that greets with `hi`, and answers `HELLO` with `ok` and `TLS` with `go`; `note` it
    /// may say at any time, and it is to answer `ping`.
    #[derive(Clone, Debug, Default)]
    struct Simple {
        heard: Vec<String>,
        client_first: bool,
    }

    impl Dialogue for Simple {
        fn begin(&mut self) -> Option<String> {
            self.client_first.then(|| "TLS\r\n".into())
        }

        fn line(&mut self, line: &str) -> Result<Turn> {
            self.heard.push(line.into());
            match line {
                "hi" => Ok(Turn::Ask("HELLO\r\n".into())),
                "ok" => Ok(Turn::Ask("TLS\r\n".into())),
                "go" => Ok(Turn::GoAhead),
                "note" => Ok(Turn::Listen),
                "ping" => Ok(Turn::Say("PONG\r\n".into())),
                other => Err(refused("said", other)),
            }
        }

        fn is_aside(&self, line: &str) -> bool {
            line == "note"
        }
    }

    /// Each of these is said after one line of the client's, the first at once; with what the
    /// client has said in the end.
    async fn with(dialogue: Simple, script: &[&str]) -> (Result<()>, String) {
        let (ours, mut theirs) = duplex(100_000);
        let mut opening = Lines::new(dialogue);
        let client = async {
            let mut stream = Io::new(ours);
            speak(&mut stream, &mut opening).await
        };
        let server = async {
            let mut heard = Vec::new();
            for (index, said) in script.iter().enumerate() {
                if index > 0 {
                    while let Ok(byte) = theirs.read_u8().await {
                        heard.push(byte);
                        if byte == b'\n' {
                            break;
                        }
                    }
                }
                if theirs.write_all(said.as_bytes()).await.is_err() {
                    break;
                }
            }
            theirs.read_to_end(&mut heard).await.expect("an end");
            String::from_utf8(heard).expect("text")
        };
        // The server's words are there before the client looks.
        let (heard, result) = tokio::join!(biased; server, client);
        (result, heard)
    }

    fn kind_of(result: &Result<()>) -> ErrorKind {
        result.as_ref().expect_err("refused").kind()
    }

    #[tokio::test]
    async fn questions_and_answers_up_to_the_go_ahead() {
        let (result, heard) = with(Simple::default(), &["hi\r\n", "ok\r\n", "go\n"]).await;
        result.expect("the go-ahead");
        assert_eq!(heard, "HELLO\r\nTLS\r\n");

        let client_first = Simple {
            client_first: true,
            ..Simple::default()
        };
        let (result, heard) = with(client_first, &["", "note\r\nping\r\n", "go\r\n"]).await;
        result.expect("the go-ahead");
        assert_eq!(heard, "TLS\r\nPONG\r\n");
    }

    #[tokio::test]
    async fn an_answer_ahead_of_its_question_is_refused() {
        for script in [
            &["hi\r\nok\r\n"][..],
            &["hi\r\nok\r\ngo\r\n"],
            &["hi\r\n", "ok\r\ngo\r\n"],
            &["hi\r\n", "ok\r\nnote\r\ngo\r\n"],
        ] {
            let (result, heard) = with(Simple::default(), script).await;
            assert_eq!(kind_of(&result), ErrorKind::Protocol, "{script:?}");
            assert!(!heard.contains("TLS"), "{script:?}: {heard}");
        }
        let client_first = Simple {
            client_first: true,
            ..Simple::default()
        };
        let (result, heard) = with(client_first, &["go\r\n"]).await;
        assert_eq!(kind_of(&result), ErrorKind::Protocol);
        assert_eq!(heard, "");
        // The server greets with it.
        let (result, _) = with(Simple::default(), &["go\r\n"]).await;
        assert_eq!(kind_of(&result), ErrorKind::Protocol);
    }

    #[tokio::test]
    async fn half_an_answer_ahead_of_its_question_is_refused() {
        let (ours, mut theirs) = duplex(1000);
        let mut opening = Lines::new(Simple::default());
        let client = async { speak(&mut Io::new(ours), &mut opening).await };
        let server = async {
            theirs.write_all(b"hi\r\no").await.expect("written");
            tokio::task::yield_now().await;
            theirs.write_all(b"k\r\n").await.expect("written");
            let mut heard = Vec::new();
            theirs.read_to_end(&mut heard).await.expect("an end");
            heard
        };
        let (result, heard) = tokio::join!(client, server);
        assert_eq!(kind_of(&result), ErrorKind::Protocol);
        assert_eq!(heard, b"");
    }

    #[tokio::test]
    async fn what_comes_with_the_go_ahead_is_refused() {
        let (result, _) = with(Simple::default(), &["hi\r\n", "ok\r\n", "go\r\nnote\r\n"]).await;
        let error = result.expect_err("an injection");
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert_eq!(
            error.to_string(),
            "the server sent 6 bytes of plaintext after its go-ahead for TLS"
        );
    }

    #[tokio::test]
    async fn a_server_that_says_no_or_nothing() {
        let (result, _) = with(Simple::default(), &["hi\r\n", "no \u{1b}[31m\r\n"]).await;
        let error = result.expect_err("it said no");
        assert_eq!(error.kind(), ErrorKind::TlsRefused);
        assert_eq!(error.to_string(), "the server said \"no \\u{1b}[31m\"");

        let mut opening = Lines::new(Simple::default());
        let (ours, theirs) = duplex(1000);
        drop(theirs);
        let result = speak(&mut Io::new(ours), &mut opening).await;
        assert_eq!(kind_of(&result), ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn a_server_that_says_too_much() {
        let endless = "x".repeat(MAX_LINE);
        let (result, _) = with(Simple::default(), &[&endless]).await;
        assert_eq!(kind_of(&result), ErrorKind::LimitExceeded);

        let chatty = "note\r\n".repeat(MAX_OPENING / 6 + 1);
        let (result, _) = with(Simple::default(), &[&chatty]).await;
        assert_eq!(kind_of(&result), ErrorKind::LimitExceeded);
    }
}
