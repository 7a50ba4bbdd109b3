//! A client that speaks to the relay under test in frames of its own making, wrong ones too.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use jackfield_relay_wire::{Capabilities, Code, Frame, Id, Reason, Settings, UdpTarget, auth};
use jackfield_socket::{Endpoint, ListenOptions, TcpOptions, UdpOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;
use tokio_websockets::{ClientBuilder, Limits, Message, WebSocketStream};

use super::{Step as _, Stop, Suite, ensure};

/// The longest answer to a request, in bytes.
const MAX_ANSWER: usize = 16 * 1024;
/// A relay bounds openings by the second: how often to ask again for one that it counts.
const ATTEMPTS: usize = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// A connection to the relay.
pub(crate) type Carrier = Box<dyn Io>;

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A request, to be spoiled.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What ends each line.
    pub(crate) line_end: &'static str,
}

impl Request {
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn encode(&self) -> String {
        let end = self.line_end;
        let mut text = format!("{} {} HTTP/1.1{end}", self.method, self.path);
        for (name, value) in &self.headers {
            text.extend([name, ": ", value, end]);
        }
        text + end
    }
}

/// What the relay answers to a request.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
}

impl Answer {
    /// The value of a header that stands there once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().filter_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
}

impl Suite {
    /// The request that should let the suite in.
    pub(crate) fn request(&self) -> Request {
        self.request_with(self.token.as_deref())
    }

    /// The same with this token.
    pub(crate) fn request_with(&self, token: Option<&str>) -> Request {
        let mut protocols = auth::SUBPROTOCOL.to_owned();
        if let Some(token) = token {
            protocols = format!("{protocols}, {}", auth::token_subprotocol(token));
        }
        let port = if self.relay.is_secure() { 443 } else { 80 };
        let mut headers = vec![
            ("Host", self.relay.endpoint().to_authority(port)),
            ("Connection", "Upgrade".into()),
            ("Upgrade", "websocket".into()),
            ("Sec-WebSocket-Version", "13".into()),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==".into()),
            ("Sec-WebSocket-Protocol", protocols),
        ];
        if let Some(origin) = &self.origin {
            headers.push(("Origin", origin.clone()));
        }
        Request {
            method: "GET",
            path: self.relay.path().into(),
            headers,
            line_end: "\r\n",
        }
    }

    /// Sends a request, and reads the answer's head.
    pub(crate) async fn ask(&self, request: &Request) -> Result<(Carrier, Answer), Stop> {
        let mut stream = self.dial().await?;
        // The relay may have answered, and closed, by now.
        let _ = stream.write_all(request.encode().as_bytes()).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(error) if head.is_empty() => {
                    return Err(error).step("the relay closed without an answer");
                }
                Err(_) => break,
            }
            ensure!(head.len() <= MAX_ANSWER, "the answer has no end");
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let Some(status) = status else {
            return Err(Stop::Failed(format!("{head:?} is no answer in HTTP")));
        };
        Ok((stream, Answer { status, head }))
    }

    /// Goes through the handshake, and says nothing yet.
    pub(crate) async fn upgrade(&self, request: &Request) -> Result<Client, Stop> {
        let (stream, answer) = self.ask(request).await?;
        let status = answer.status;
        ensure!(
            status == 101,
            "the handshake is answered with {status}, not 101"
        );
        Ok(Client::over(stream))
    }

    /// A client that is let in, and has exchanged HELLO.
    pub(crate) async fn client(&self) -> Result<Client, Stop> {
        let mut client = self.upgrade(&self.request()).await?;
        client.send(&Frame::Hello(Settings::default())).await?;
        match client.frame().await? {
            Frame::Hello(settings) => client.settings = settings,
            other => return unexpected(&other, "HELLO"),
        }
        Ok(client)
    }

    /// A client that was granted this.
    pub(crate) async fn client_with(
        &self,
        needed: Capabilities,
        without: &'static str,
    ) -> Result<Client, Stop> {
        let client = self.client().await?;
        if client.settings.capabilities.contains(needed) {
            return Ok(client);
        }
        Err(Stop::Skipped(without))
    }
}

/// One client, frame by frame.
pub(crate) struct Client {
    socket: WebSocketStream<Carrier>,
    /// What the relay has said in its HELLO.
    pub(crate) settings: Settings,
    next: u32,
    fences: u64,
}

impl Client {
    /// Where the handshake is done.
    pub(crate) fn over(stream: Carrier) -> Self {
        Self {
            socket: ClientBuilder::new()
                .limits(Limits::unlimited())
                .take_over(stream),
            settings: Settings::default(),
            next: 1,
            fences: 0,
        }
    }

    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), Stop> {
        self.send_raw(&frame.encode()).await
    }

    /// Sends a message that may be no frame.
    pub(crate) async fn send_raw(&mut self, message: &[u8]) -> Result<(), Stop> {
        let message = Message::binary(Bytes::copy_from_slice(message));
        self.socket.send(message).await.step("sending to the relay")
    }

    pub(crate) async fn send_text(&mut self, text: &'static str) -> Result<(), Stop> {
        let sent = self.socket.send(Message::text(text)).await;
        sent.step("sending to the relay")
    }

    /// The next frame, but for PING, which is answered.
    pub(crate) async fn frame(&mut self) -> Result<Frame, Stop> {
        match self.message().await? {
            Received::Frame(frame) => Ok(frame),
            Received::End(code) => Err(Stop::Failed(format!(
                "the relay ended the WebSocket (close code {code:?})"
            ))),
        }
    }

    async fn message(&mut self) -> Result<Received, Stop> {
        loop {
            let Some(message) = self.socket.next().await else {
                return Ok(Received::End(None));
            };
            let message = message.step("reading from the relay")?;
            if let Some((code, _)) = message.as_close() {
                return Ok(Received::End(Some(code.into())));
            }
            ensure!(!message.is_text(), "the relay sent a text message");
            if !message.is_binary() {
                continue;
            }
            let frame = Frame::decode(message.into_payload().into());
            match frame.step("the relay sent what is no frame")? {
                Frame::Ping(bytes) => self.send(&Frame::Pong(bytes)).await?,
                frame => return Ok(Received::Frame(frame)),
            }
        }
    }

    /// Everything that the relay sent before it saw this: its answer to a PING is next, or comes
    /// after it.
    pub(crate) async fn before_now(&mut self) -> Result<Vec<Frame>, Stop> {
        self.fences += 1;
        let bytes = self.fences.to_be_bytes();
        self.send(&Frame::Ping(bytes)).await?;
        let mut before = Vec::new();
        loop {
            match self.frame().await? {
                Frame::Pong(back) if back == bytes => return Ok(before),
                frame => before.push(frame),
            }
        }
    }

    /// That the relay is as content as before, and has nothing to say.
    pub(crate) async fn is_quiet(&mut self) -> Result<(), Stop> {
        let before = self.before_now().await?;
        ensure!(before.is_empty(), "the relay sent {before:?}");
        Ok(())
    }

    /// That the relay ends the connection for this reason, by GOAWAY and by its close code.
    pub(crate) async fn ends_with(self, why: Code) -> Result<(), Stop> {
        self.ends(why, &[4000 + u16::from(why.0)]).await
    }

    /// The same for what breaks the rules of WebSocket, which has a close code for it.
    pub(crate) async fn ends_below_frames(self) -> Result<(), Stop> {
        let why = Code::PROTOCOL_ERROR;
        self.ends(why, &[4000 + u16::from(why.0), 1002, 1009]).await
    }

    async fn ends(mut self, why: Code, codes: &[u16]) -> Result<(), Stop> {
        loop {
            match self.message().await? {
                Received::Frame(Frame::GoAway(reason)) => {
                    let code = reason.code();
                    ensure!(code == why, "GOAWAY says {code:?} ({reason}), not {why:?}");
                    break;
                }
                // What was on its way before.
                Received::Frame(_) => {}
                Received::End(code) => {
                    return Err(Stop::Failed(format!(
                        "the WebSocket ended (close code {code:?}) without GOAWAY"
                    )));
                }
            }
        }
        match self.message().await? {
            Received::End(Some(code)) if codes.contains(&code) => Ok(()),
            Received::End(code) => Err(Stop::Failed(format!(
                "the close code is {code:?}, none of {codes:?}"
            ))),
            Received::Frame(frame) => unexpected(&frame, "the end, behind GOAWAY"),
        }
    }

    /// That the relay ends the WebSocket, for no fault of the client's.
    pub(crate) async fn ends_in_order(mut self) -> Result<(), Stop> {
        loop {
            match self.message().await? {
                Received::Frame(Frame::GoAway(_)) => {}
                Received::Frame(frame) => return unexpected(&frame, "the end"),
                Received::End(None | Some(1000)) => return Ok(()),
                Received::End(code) => {
                    return Err(Stop::Failed(format!("the close code is {code:?}")));
                }
            }
        }
    }

    /// An identifier that was not used yet.
    pub(crate) fn new_id(&mut self) -> Result<Id, Stop> {
        let id = Id::new(self.next);
        self.next += 2;
        id.ok_or_else(|| Stop::Failed("there are no identifiers left".into()))
    }

    /// Asks for a connection, with so much credit.
    pub(crate) async fn ask_to_connect(
        &mut self,
        to: impl Into<Endpoint>,
        credit: u32,
    ) -> Result<Id, Stop> {
        let id = self.new_id()?;
        self.send(&connecting(id, to.into(), credit)).await?;
        Ok(id)
    }

    /// The answer to what was asked for.
    pub(crate) async fn answer(&mut self, asked: Id) -> Result<Result<Opened, Reason>, Stop> {
        match self.frame().await? {
            Frame::Opened {
                id,
                credit,
                local,
                remote,
            } if id == asked => Ok(Ok(Opened {
                id,
                credit,
                local,
                remote,
            })),
            Frame::Refused { id, reason } if id == asked => Ok(Err(reason)),
            other => unexpected(&other, "OPENED or REFUSED"),
        }
    }

    /// Asks with this frame for a new identifier, and some times more where the relay's limits refuse it.
    async fn open(&mut self, frame: impl Fn(Id) -> Frame) -> Result<Result<Opened, Reason>, Stop> {
        let mut attempts = 1..ATTEMPTS;
        loop {
            let id = self.new_id()?;
            self.send(&frame(id)).await?;
            let answer = self.answer(id).await?;
            let is_limit = |reason: &Reason| reason.code() == Code::LIMIT_EXCEEDED;
            if !answer.as_ref().is_err_and(is_limit) || attempts.next().is_none() {
                return Ok(answer);
            }
            sleep(BETWEEN_ATTEMPTS).await;
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&mut self, to: SocketAddr, credit: u32) -> Result<Opened, Stop> {
        let answer = self.open(|id| connecting(id, to.into(), credit)).await?;
        let why = "the relay's limits let the suite open nothing";
        opened(answer, &[Code::LIMIT_EXCEEDED], why)
    }

    /// Listens at the suite's address, with credit for so many connections and for the bytes of each.
    pub(crate) async fn listen(
        &mut self,
        suite: &Suite,
        (connections, stream): (u32, u32),
    ) -> Result<(Id, SocketAddr), Stop> {
        let at = SocketAddr::new(suite.target, 0);
        let frame = |id| Frame::Listen {
            id,
            credit: connections,
            stream_credit: stream,
            at,
            options: ListenOptions::default(),
        };
        let answer = self.open(frame).await?;
        let why = "the relay doesn't let the suite listen at its target's address";
        let Opened {
            id, local, credit, ..
        } = opened(answer, &[Code::LIMIT_EXCEEDED, Code::DENIED], why)?;
        ensure!(
            credit == 0,
            "OPENED of a listener has credit {credit}, not 0"
        );
        let local = local.filter(|local| local.port() != 0);
        ensure!(local.is_some(), "OPENED of a listener has no address");
        Ok((id, local.unwrap_or(at)))
    }

    /// Opens a datagram socket, with so much credit.
    pub(crate) async fn udp(&mut self, target: UdpTarget, credit: u32) -> Result<Opened, Stop> {
        let frame = |id| Frame::Udp {
            id,
            credit,
            target: target.clone(),
            options: UdpOptions::default(),
        };
        let answer = self.open(frame).await?;
        let why = "the relay doesn't let the suite send datagrams to its target's address";
        opened(answer, &[Code::LIMIT_EXCEEDED, Code::DENIED], why)
    }

    /// The next frame that is no credit for this.
    pub(crate) async fn frame_but_credit(&mut self, of: Id) -> Result<Frame, Stop> {
        loop {
            match self.frame().await? {
                Frame::Credit { id, .. } if id == of => {}
                frame => return Ok(frame),
            }
        }
    }

    /// What a stream brings, up to so many bytes. Credit that comes meanwhile is left out.
    pub(crate) async fn read(&mut self, stream: Id, count: usize) -> Result<BytesMut, Stop> {
        let mut all = BytesMut::new();
        while all.len() < count {
            match self.frame_but_credit(stream).await? {
                Frame::Data { id, data } if id == stream => all.put_slice(&data),
                other => return unexpected(&other, "DATA"),
            }
        }
        Ok(all)
    }
}

enum Received {
    Frame(Frame),
    /// The WebSocket's end, and its close code.
    End(Option<u16>),
}

/// Something that is open.
pub(crate) struct Opened {
    pub(crate) id: Id,
    /// What may be sent at first.
    pub(crate) credit: u32,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: Option<SocketAddr>,
}

fn connecting(id: Id, to: Endpoint, credit: u32) -> Frame {
    Frame::Connect {
        id,
        credit,
        to,
        options: TcpOptions::default(),
    }
}

/// What was opened. Refused for such reasons, it isn't for the suite to have, and the case is skipped.
fn opened(
    answer: Result<Opened, Reason>,
    not_granted: &[Code],
    why: &'static str,
) -> Result<Opened, Stop> {
    match answer {
        Err(reason) if not_granted.contains(&reason.code()) => Err(Stop::Skipped(why)),
        answer => answer.step("the relay refuses what the suite needs"),
    }
}

/// The case fails by a frame that is another one.
pub(crate) fn unexpected<T>(frame: &Frame, expected: &str) -> Result<T, Stop> {
    Err(Stop::Failed(format!("{frame:?} came, not {expected}")))
}

/// A message of this type, identifier and body, right or wrong.
pub(crate) fn raw(kind: u8, id: u32, body: &[u8]) -> BytesMut {
    let mut message = BytesMut::new();
    message.put_u8(kind);
    message.put_u32(id);
    message.put_slice(body);
    message
}
