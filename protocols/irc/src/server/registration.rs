//! Becoming a client: capabilities, SASL, NICK and USER, and the welcome.

use jackfield_sasl::base64;

use crate::codec::{Command, Nickname, Numeric, Text, Word};

use super::reply::{Reply, cut};
use super::state::{CASE, Capability, ClientId, State};

/// The longest nickname, in bytes.
pub(super) const MAX_NICK: usize = 30;
/// The longest user name, in bytes, with the `~` that says that nobody has checked it.
const MAX_USER: usize = 11;
/// The longest real name, in bytes.
const MAX_REAL_NAME: usize = 128;
/// A SASL response comes in pieces of this length; a shorter one is the last (IRCv3 sasl).
const SASL_PIECE: usize = 400;
/// The longest SASL response, in base64.
const MAX_SASL: usize = 4 * SASL_PIECE;
/// How often a client may fail to log in.
const MAX_SASL_FAILURES: u8 = 3;

impl State {
    pub(super) fn cap(&mut self, id: ClientId, params: &[&str]) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let subcommand = params.first().copied().unwrap_or_default();
        let reply = Reply::new(&self.config.name, Command::Cap);
        match subcommand.to_ascii_uppercase().as_str() {
            "LS" => {
                client.negotiating |= !client.registered;
                // Values came with version 302.
                let version: u32 = params.get(1).and_then(|it| it.parse().ok()).unwrap_or(0);
                let offered = Capability::ALL
                    .map(|capability| match capability {
                        Capability::Sasl if version >= 302 => "sasl=PLAIN",
                        other => other.name(),
                    })
                    .join(" ");
                let reply = reply.word(&self.nick_of(id)).word("LS").text(&offered);
                self.send(id, reply);
            }
            "LIST" => {
                let names: Vec<_> = client.capabilities.iter().map(|it| it.name()).collect();
                let reply = reply.word(&self.nick_of(id)).word("LIST");
                self.send(id, reply.text(&names.join(" ")));
            }
            "REQ" => {
                client.negotiating |= !client.registered;
                let asked = params.get(1).copied().unwrap_or_default();
                // All or nothing.
                let mut wanted = client.capabilities.clone();
                let known = asked.split_ascii_whitespace().all(|name| {
                    let (add, name) = match name.strip_prefix('-') {
                        Some(name) => (false, name),
                        None => (true, name),
                    };
                    let found = Capability::ALL.into_iter().find(|it| it.name() == name);
                    match found {
                        Some(capability) if add => wanted.insert(capability),
                        Some(capability) => wanted.remove(&capability),
                        None => return false,
                    };
                    true
                });
                if known {
                    client.capabilities = wanted;
                }
                let answer = if known { "ACK" } else { "NAK" };
                let reply = reply.word(&self.nick_of(id)).word(answer);
                self.send(id, reply.text(asked));
            }
            "END" => {
                client.negotiating = false;
                self.welcome_if_complete(id);
            }
            _ => {
                let numeric = Numeric::ERR_INVALIDCAPCMD;
                self.tell_about(id, numeric, subcommand, "Invalid CAP command");
            }
        }
    }

    /// SASL, with the one mechanism PLAIN (RFC 4616).
    pub(super) fn authenticate(&mut self, id: ClientId, params: &[&str]) {
        if !self.can(id, Capability::Sasl) {
            return self.tell(id, Numeric::ERR_SASLFAIL, "SASL was not negotiated");
        }
        let Some(&piece) = params.first() else {
            return self.need_more_params(id, "AUTHENTICATE");
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.account.is_some() {
            return self.tell(id, Numeric::ERR_SASLALREADY, "You are logged in already");
        }
        let Some(mut response) = client.sasl.take() else {
            if piece.eq_ignore_ascii_case("PLAIN") {
                client.sasl = Some(String::new());
                let go_ahead = Reply::new(&self.config.name, Command::Authenticate);
                return self.send(id, go_ahead.word("+"));
            }
            let numeric = Numeric::RPL_SASLMECHS;
            self.tell_about(id, numeric, "PLAIN", "are the mechanisms there are");
            return self.tell(id, Numeric::ERR_SASLFAIL, "SASL authentication failed");
        };
        if piece == "*" {
            return self.tell(id, Numeric::ERR_SASLABORTED, "SASL authentication aborted");
        }
        if piece.len() > SASL_PIECE || response.len() + piece.len() > MAX_SASL {
            return self.tell(id, Numeric::ERR_SASLTOOLONG, "SASL message too long");
        }
        if piece != "+" {
            response.push_str(piece);
        }
        if piece.len() == SASL_PIECE {
            client.sasl = Some(response);
            return;
        }
        match self.check_plain(&response) {
            Some(account) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.account = Some(account.clone());
                }
                if let Some(mask) = self.mask(id) {
                    let reply = self.numeric(id, Numeric::RPL_LOGGEDIN);
                    let text = format!("You are now logged in as {account}");
                    self.send(id, reply.word(&mask).word(&account).text(&text));
                }
                self.tell(
                    id,
                    Numeric::RPL_SASLSUCCESS,
                    "SASL authentication successful",
                );
            }
            None => self.sasl_failed(id),
        }
    }

    /// The account that a response of SASL PLAIN proves: `authzid NUL authcid NUL password`.
    fn check_plain(&self, response: &str) -> Option<Word> {
        let decoded = String::from_utf8(base64::decode(response).ok()?).ok()?;
        let mut parts = decoded.splitn(3, '\0');
        let (acts_for, name, password) = (parts.next()?, parts.next()?, parts.next()?);
        let for_itself = acts_for.is_empty() || acts_for == name;
        let right = for_itself && self.config.has_account(name, password);
        right.then(|| Word::new(name).ok()).flatten()
    }

    fn sasl_failed(&mut self, id: ClientId) {
        self.tell(id, Numeric::ERR_SASLFAIL, "SASL authentication failed");
        if let Some(client) = self.clients.get_mut(&id) {
            client.sasl_failures += 1;
            if client.sasl_failures >= MAX_SASL_FAILURES {
                self.quit(id, "Too many failures to log in");
            }
        }
    }

    pub(super) fn nick(&mut self, id: ClientId, params: &[&str]) {
        let Some(&wanted) = params.first().filter(|wanted| !wanted.is_empty()) else {
            return self.tell(id, Numeric::ERR_NONICKNAMEGIVEN, "No nickname given");
        };
        let Some(nick) = valid_nick(wanted) else {
            let numeric = Numeric::ERR_ERRONEUSNICKNAME;
            return self.tell_about(id, numeric, wanted, "Erroneous nickname");
        };
        let folded = CASE.fold(&nick);
        if self.nicks.get(&folded).is_some_and(|owner| *owner != id) {
            let numeric = Numeric::ERR_NICKNAMEINUSE;
            return self.tell_about(id, numeric, wanted, "Nickname is already in use");
        }
        let before = self.mask(id);
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.nick.as_ref() == Some(&nick) {
            return;
        }
        let old = client.nick.replace(nick.clone());
        let registered = client.registered;
        if let Some(old) = old {
            self.nicks.remove(&CASE.fold(&old));
        }
        self.nicks.insert(folded, id);
        match before {
            Some(mask) if registered => {
                let told = Reply::new(mask, Command::Nick).text(&nick);
                let peers = self.peers(id);
                self.send(id, told.clone());
                self.send_to(peers, &told);
            }
            _ => self.welcome_if_complete(id),
        }
    }

    pub(super) fn user(&mut self, id: ClientId, params: &[&str]) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if client.user.is_some() {
            return self.tell(id, Numeric::ERR_ALREADYREGISTERED, "Already registered");
        }
        let [user, _, _, real_name, ..] = params else {
            return self.need_more_params(id, "USER");
        };
        let user: String = std::iter::once('~')
            .chain(user.chars().filter(char::is_ascii_alphanumeric))
            .take(MAX_USER)
            .collect();
        client.user = Word::new(user).ok();
        client.real_name = Text::new(cut(real_name, MAX_REAL_NAME)).unwrap_or(Text::empty());
        self.welcome_if_complete(id);
    }

    fn welcome_if_complete(&mut self, id: ClientId) {
        let now = self.now;
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let complete = client.nick.is_some() && client.user.is_some() && !client.negotiating;
        if client.registered || !complete {
            return;
        }
        client.registered = true;
        client.signed_on = now;
        client.last_message = now;
        self.welcome(id);
    }

    fn welcome(&mut self, id: ClientId) {
        use super::channels::{MAX_CHANNEL_NAME, MAX_CHANNELS, MAX_KICK, MAX_TOPIC};
        use super::messages::{MAX_AWAY, MAX_TARGETS};

        let (name, network) = (self.config.name.clone(), self.config.network.clone());
        let mask = self.mask(id).unwrap_or_else(super::reply::star);
        let version = concat!("jackfield-", env!("CARGO_PKG_VERSION"));
        for (numeric, text) in [
            (
                Numeric::RPL_WELCOME,
                format!("Welcome to the {network} IRC network, {mask}"),
            ),
            (
                Numeric::RPL_YOURHOST,
                format!("Your host is {name}, running version {version}"),
            ),
            (
                Numeric::RPL_CREATED,
                "This server is for demos and tests, not for production".to_owned(),
            ),
        ] {
            self.tell(id, numeric, &text);
        }
        let reply = self.numeric(id, Numeric::RPL_MYINFO);
        let reply = reply.word(&name).word(version).word("i").word("klmnostv");
        self.send(id, reply);
        let tokens = [
            format!("AWAYLEN={MAX_AWAY}"),
            "CASEMAPPING=ascii".to_owned(),
            format!("CHANLIMIT=#:{MAX_CHANNELS}"),
            "CHANMODES=,k,l,mnst".to_owned(),
            format!("CHANNELLEN={MAX_CHANNEL_NAME}"),
            "CHANTYPES=#".to_owned(),
            format!("KICKLEN={MAX_KICK}"),
            format!("NETWORK={network}"),
            format!("NICKLEN={MAX_NICK}"),
            "PREFIX=(ov)@+".to_owned(),
            format!("TARGMAX=PRIVMSG:{MAX_TARGETS},NOTICE:{MAX_TARGETS}"),
            format!("TOPICLEN={MAX_TOPIC}"),
            "UTF8ONLY".to_owned(),
        ];
        let reply = self.numeric(id, Numeric::RPL_ISUPPORT);
        let reply = tokens.iter().fold(reply, |reply, token| reply.word(token));
        self.send(id, reply.text("are supported by this server"));
        self.motd(id);
    }

    pub(super) fn motd(&mut self, id: ClientId) {
        if self.config.motd.is_empty() {
            return self.tell(id, Numeric::ERR_NOMOTD, "There is no message of the day");
        }
        let start = format!("- {} message of the day -", self.config.name);
        self.tell(id, Numeric::RPL_MOTDSTART, &start);
        for line in self.config.motd.clone() {
            self.tell(id, Numeric::RPL_MOTD, &format!("- {line}"));
        }
        self.tell(id, Numeric::RPL_ENDOFMOTD, "End of message of the day");
    }

    pub(super) fn ping(&mut self, id: ClientId, params: &[&str]) {
        let Some(token) = params.first() else {
            return self.tell(id, Numeric::ERR_NOORIGIN, "No origin specified");
        };
        let name = &self.config.name;
        let pong = Reply::new(name, Command::Pong).word(name).text(token);
        self.send(id, pong);
    }
}

/// A nickname as RFC 2812, section 2.3.1, allows it.
fn valid_nick(nick: &str) -> Option<Nickname> {
    let special = |c: char| "[]\\`_^{|}".contains(c);
    let first = nick.chars().next()?;
    let valid = nick.len() <= MAX_NICK
        && (first.is_ascii_alphabetic() || special(first))
        && nick
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || special(c) || c == '-');
    valid.then(|| Nickname::new(nick).ok()).flatten()
}
