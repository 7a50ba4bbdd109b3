//! The log-in, step by step: greeting, capabilities, proof of who the user is, capabilities again,
//! ID, ENABLE, and the mailbox that was open.

use jackfield_sasl::{Exchange, Limits, Mechanism, base64, choose};
use jackfield_socket::time::Instant;

use super::config::Security;
use super::event::{Event, Outcome, SessionEvent};
use super::pending::Pending;
use super::session::{Session, Stage, bye};
use crate::codec::{Code, Command, Extension, Literals, Secret, Status, StatusKind, Text};
use crate::error::{Refusal, RequestError, SessionError};

impl Session {
    pub(super) fn greeted(&mut self, now: Instant, status: Status) -> Result<(), SessionError> {
        match status.kind {
            // Where nothing guards the connection, anyone may have said so; and a server that
            // really trusts this user is on this machine.
            StatusKind::PreAuth if self.config.security == Security::StartTls => {
                return Err(SessionError::PreAuth);
            }
            StatusKind::Ok | StatusKind::PreAuth => {}
            StatusKind::Bye => return Err(bye(status)),
            StatusKind::No | StatusKind::Bad => return Err(SessionError::NotImap),
        }
        let is_logged_in = status.kind == StatusKind::PreAuth;
        self.is_told = false;
        self.code(status.code);
        match (is_logged_in, self.is_told) {
            (false, true) => self.log_in(now),
            (false, false) => {
                self.step(now, Stage::Capabilities, Command::Capability);
                Ok(())
            }
            (true, is_told) => {
                self.stage = Stage::Login;
                self.is_told = is_told;
                self.advance(now);
                Ok(())
            }
        }
    }

    fn log_in(&mut self, now: Instant) -> Result<(), SessionError> {
        let mut channel = self.channel.clone();
        channel.encrypted |= self.config.password_in_the_clear;
        let credentials = &self.config.credentials;
        let limits = Limits::default();
        let capabilities = &self.server.capabilities;
        let choice = choose(capabilities.values("AUTH"), credentials, &channel);
        let command = match choice {
            Ok(choice) => {
                let exchange = Exchange::start(choice, credentials, &channel, limits);
                let mut exchange = exchange.map_err(SessionError::Sasl)?;
                let has_initial = capabilities.has("SASL-IR");
                let initial = has_initial.then(|| exchange.initial_response()).flatten();
                let mechanism = exchange.mechanism().name().to_owned();
                self.exchange = Some(exchange);
                Command::Authenticate {
                    mechanism,
                    initial: initial.map(|it| Secret::from(base64::encode_initial(it))),
                }
            }
            // The command is as good, or as bad, as the mechanism.
            Err(_) if !capabilities.has("LOGINDISABLED") => {
                let exchange = Exchange::start(Mechanism::Login, credentials, &channel, limits);
                let mut exchange = exchange.map_err(|_| SessionError::NoLogin)?;
                let mut text = || {
                    let said = exchange.step(b"").map_err(SessionError::Sasl)?;
                    String::from_utf8(said).map_err(|_| SessionError::NoLogin)
                };
                Command::Login {
                    user: text()?,
                    password: Secret::from(text()?),
                }
            }
            Err(_) => return Err(SessionError::NoLogin),
        };
        self.dialect.literals = Literals::of(capabilities);
        self.is_told = false;
        self.step(now, Stage::Login, command);
        Ok(())
    }

    /// The server's challenge.
    pub(super) fn challenged(&mut self, text: &Text) {
        let answer = match &mut self.exchange {
            Some(exchange) => base64::decode(text.as_bytes()).and_then(|it| exchange.step(&it)),
            None => return,
        };
        match answer {
            Ok(answer) => self
                .out
                .extend_from_slice(base64::encode(answer).as_bytes()),
            // The server says no to that, and the session ends with what it was.
            Err(error) => {
                if !error.may_be_binding() {
                    // Without its binding it would be no better.
                    self.exchange = None;
                }
                self.sasl_error = Some(error);
                self.out.push(b'*');
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// A command of the log-in was answered.
    pub(super) fn stepped(
        &mut self,
        now: Instant,
        command: &Command,
        status: Status,
    ) -> Result<(), SessionError> {
        let is_ok = status.kind == StatusKind::Ok;
        match self.stage {
            Stage::Capabilities => return self.log_in(now),
            Stage::Login if !is_ok => {
                if let Some(error) = self.sasl_error.take() {
                    return Err(SessionError::Sasl(error));
                }
                let refusal = Refusal::of(status);
                if !refusal.may_be_binding() {
                    self.exchange = None;
                }
                return Err(SessionError::LoginRefused(Box::new(refusal)));
            }
            Stage::Login => {
                if let Some(mut exchange) = self.exchange.take() {
                    // Whoever did not prove that it knows the password is not the server.
                    exchange.finish(None).map_err(SessionError::Sasl)?;
                }
                self.code(status.code);
            }
            Stage::Notify if !is_ok => self.notifies_no_more(),
            Stage::Reselect => {
                if let Command::Select { .. } = command {
                    self.reselected(is_ok, status);
                }
            }
            _ => {}
        }
        self.advance(now);
        Ok(())
    }

    fn reselected(&mut self, is_ok: bool, status: Status) {
        if is_ok && let Some(mailbox) = &mut self.mailbox {
            mailbox.code(status.code.as_ref());
            let mailbox = Box::new(mailbox.clone());
            return self.tell(SessionEvent::Event(Event::Reselected(mailbox)));
        }
        self.mailbox = None;
        self.remembered = None;
        let error = RequestError::Refused(Box::new(Refusal::of(status)));
        self.tell(SessionEvent::Event(Event::NotReselected(Box::new(error))));
    }

    /// Goes to the next step that there is something to do in.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.stage >= Stage::Leaving {
            return;
        }
        if self.stage < Stage::CapabilitiesAgain && !self.is_told {
            return self.step(now, Stage::CapabilitiesAgain, Command::Capability);
        }
        self.dialect.literals = Literals::of(&self.server.capabilities);
        let has = |name: &str| self.server.capabilities.has(name);
        if self.stage < Stage::Id && has("ID") && !self.config.id.is_empty() {
            let id = self.config.id.clone();
            return self.step(now, Stage::Id, Command::Id(id));
        }
        let extensions = self.extensions();
        if self.stage < Stage::Enable && has("ENABLE") && !extensions.is_empty() {
            return self.step(now, Stage::Enable, Command::Enable(extensions));
        }
        if self.stage < Stage::Notify
            && has("NOTIFY")
            && let Some(notify) = self.notify.clone()
        {
            return self.step(now, Stage::Notify, Command::Notify(notify));
        }
        #[cfg(feature = "compress")]
        if self.stage < Stage::Compress && self.config.compress && has("COMPRESS=DEFLATE") {
            return self.step(now, Stage::Compress, Command::Compress);
        }
        // Where another is to be opened at once, that is enough.
        let selects = |pending: &Pending| matches!(pending.command, Command::Select { .. });
        if self.stage < Stage::Reselect
            && !self.waiting.front().is_some_and(selects)
            && let Some((mailbox, read_only)) = self.remembered.clone()
        {
            let condstore = self.has_condstore();
            let command = Command::Select {
                mailbox,
                read_only,
                condstore,
                qresync: None,
            };
            return self.step(now, Stage::Reselect, command);
        }
        self.stage = Stage::Ready;
        self.server.condstore = self.has_condstore();
        self.is_logged_in();
        self.tell(SessionEvent::Ready(Box::new(self.server.clone())));
        self.pump(now);
    }

    /// Those of the extensions to enable that the server has, and those that it is of no use without.
    fn extensions(&self) -> Vec<Extension> {
        let capabilities = &self.server.capabilities;
        let limit = capabilities.values("MESSAGELIMIT").next();
        let wanted = self.config.extensions.iter().copied();
        let is_distrusted = self.is_icloud() && !self.config.icloud_qresync;
        let mut extensions = Vec::new();
        for extension in wanted.chain(limit.map(|_| Extension::UidOnly)) {
            let is_doubtful = extension == Extension::QResync && is_distrusted;
            if capabilities.has(extension.name())
                && !is_doubtful
                && let Err(at) = extensions.binary_search(&extension)
            {
                extensions.insert(at, extension);
            }
        }
        extensions
    }

    /// Whether the server is iCloud's: no other has both of these, and its name is only sometimes in
    /// its ID.
    fn is_icloud(&self) -> bool {
        let is_named = |(_, value): &(Text, Option<Text>)| {
            let value = value.as_ref().map(Text::as_bytes).unwrap_or_default();
            let mut places = value.windows(6);
            places.any(|place| place.eq_ignore_ascii_case(b"icloud"))
        };
        let capabilities = &self.server.capabilities;
        capabilities.has("XAPPLEPUSHSERVICE") && capabilities.has("X-SUN-IMAP")
            || self.server.id.iter().any(is_named)
    }

    /// Whether mailboxes are opened with their changes counted.
    pub fn has_condstore(&self) -> bool {
        let extensions = &self.config.extensions;
        (extensions.contains(&Extension::CondStore) || extensions.contains(&Extension::QResync))
            && self.server.capabilities.has("CONDSTORE")
    }

    /// Takes what a code says of the server.
    pub(super) fn code(&mut self, code: Option<Code>) {
        if let Some(Code::Capability(capabilities)) = code {
            self.is_told = true;
            self.server.capabilities = capabilities;
        }
    }

    /// The outcome of a command that succeeded.
    pub(super) fn outcome(&self, command: &Command, status: Status) -> Outcome {
        let selected = match command {
            Command::Select { .. } => self.mailbox.clone().map(Box::new),
            _ => None,
        };
        Outcome {
            code: status.code,
            text: status.text,
            selected,
        }
    }
}
