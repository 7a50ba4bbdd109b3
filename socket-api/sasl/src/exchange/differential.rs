//! Against rsasl, whose cryptography is of another generation: ours with its servers, and its clients
//! with ours of the oracle.

use std::io::Cursor;
use std::sync::Arc;

use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::login::LOGIN;
use rsasl::mechanisms::oauthbearer::OAUTHBEARER;
use rsasl::mechanisms::oauthbearer::properties::{OAuthBearerError, OAuthBearerValidate};
use rsasl::mechanisms::plain::PLAIN;
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechanisms::scram::{SCRAM_SHA1, SCRAM_SHA1_PLUS, SCRAM_SHA256, SCRAM_SHA256_PLUS};
use rsasl::mechanisms::xoauth2::XOAUTH2;
use rsasl::mechanisms::xoauth2::properties::XOAuth2Validate;
use rsasl::mechname::Mechname;
use rsasl::prelude::{Registry, SASLClient, SASLConfig, SASLServer, SessionError, State};
use rsasl::property::{AuthId, AuthzId, ChannelBindings, OAuthBearerToken, Password};
use rsasl::validate::{Validate, Validation, ValidationError};

use super::*;
use crate::oracle::Server;
use crate::scram::{Hash, Keys};

const SALT: &[u8] = b"a salt";
const ROUNDS: u32 = 4096;

/// What their server knows.
struct Known {
    mechanism: Mechanism,
    keys: Keys,
    binding: [u8; 32],
    token: &'static str,
}

/// Who has logged in, in the server's eyes.
struct Told;

impl Validation for Told {
    type Value = String;
}

impl SessionCallback for Known {
    fn callback(
        &self,
        _session: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let (stored, server) = self.keys.stored();
        let password = ScramStoredPassword::new(ROUNDS, SALT, stored, server);
        if context.get_ref::<AuthId>() == Some("ada") {
            request.satisfy::<ScramStoredPassword<'_>>(&password)?;
        }
        request.satisfy::<ChannelBindings>(&self.binding)?;
        // One of their two gives it with its scheme.
        let token = context.get_ref::<OAuthBearerToken>();
        let token = token.map(|token| token.trim_start_matches("Bearer "));
        let right = token == Some(self.token);
        let error = OAuthBearerError::new("invalid_token", Some("mail"), None);
        request.satisfy::<OAuthBearerValidate>(&if right { Ok(()) } else { Err(error) })?;
        let error = r#"{"status":"401","schemes":"bearer","scope":"mail"}"#;
        request.satisfy::<XOAuth2Validate>(&if right { Ok(()) } else { Err(error) })?;
        Ok(())
    }

    fn validate(
        &self,
        _session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let password = context.get_ref::<Password>();
        let password = password.map(|it| String::from_utf8_lossy(it).into_owned());
        let told = format!(
            "{:?} {:?} {:?} {:?}",
            context.get_ref::<AuthId>(),
            context.get_ref::<AuthzId>().filter(|it| !it.is_empty()),
            password,
            context.get_ref::<OAuthBearerToken>(),
        );
        validate.with::<Told, _>(|| Ok(told))?;
        Ok(())
    }

    fn enable_channel_binding(&self) -> bool {
        self.mechanism.is_bound()
    }
}

/// A login of ours on their server: whom that has let in, or why ours has failed.
fn login(credentials: &Credentials, known: Known, channel: &Channel) -> Result<String, String> {
    let mechanism = known.mechanism;
    let server = SASLServer::<Told>::new(config(known));
    let name = Mechname::parse(mechanism.name().as_bytes()).expect("a name");
    let mut server = server.start_suggested(name).expect("they know it");
    let client = Exchange::start(mechanism, credentials, channel, Limits::default());
    let mut client = client.map_err(|error| error.to_string())?;

    let mut message = client.initial_response();
    loop {
        let mut challenge = Cursor::new(Vec::new());
        let state = server.step(message.as_deref(), &mut challenge);
        let state = state.map_err(|error| format!("they: {error}"))?;
        let challenge = challenge.into_inner();
        let finished = matches!(state, State::Finished(_));
        if finished && challenge.is_empty() {
            break;
        }
        let answer = client.step(&challenge);
        message = Some(answer.map_err(|error| error.to_string())?);
        if finished {
            break;
        }
    }
    client.finish(None).map_err(|error| error.to_string())?;
    Ok(server.validation().unwrap_or_default())
}

/// A server of theirs with one mechanism: those that are bound are not in their default set.
fn config(known: Known) -> Arc<SASLConfig> {
    let theirs = match known.mechanism {
        Mechanism::Login => LOGIN,
        Mechanism::Plain => PLAIN,
        Mechanism::XOAuth2 => XOAUTH2,
        Mechanism::OAuthBearer => OAUTHBEARER,
        Mechanism::ScramSha1 => SCRAM_SHA1,
        Mechanism::ScramSha256 => SCRAM_SHA256,
        Mechanism::ScramSha1Plus => SCRAM_SHA1_PLUS,
        Mechanism::ScramSha256Plus => SCRAM_SHA256_PLUS,
        Mechanism::External => unreachable!("it proves nothing of its own"),
    };
    let registry = Registry::with_mechanisms(Box::leak(Box::new([theirs])));
    let builder = SASLConfig::builder().with_registry(registry);
    builder.with_callback(known).expect("a configuration")
}

fn known(mechanism: Mechanism, password: &str) -> Known {
    let hash = Hash::of(mechanism);
    let prepared = crate::prepare::saslprep(password).expect("it can be prepared");
    Known {
        mechanism,
        keys: Keys::new(hash, prepared.as_bytes(), SALT, ROUNDS),
        binding: [7; 32],
        token: "dG9rZW4",
    }
}

fn channel(binding: u8) -> Channel {
    Channel::encrypted().with_binding(ChannelBinding::tls_exporter([binding; 32]))
}

#[test]
fn scram_on_their_server() {
    for mechanism in Mechanism::ALL.into_iter().filter(|it| it.is_scram()) {
        for password in ["pencil", "I\u{ad}X", "e\u{301}\u{a0}日本語", "a,=b"] {
            let ada = Credentials::password("ada", password).expect("a password");
            let outcome = login(&ada, known(mechanism, password), &channel(7));
            let expected = r#"Some("ada") None None None"#;
            assert_eq!(outcome.as_deref(), Ok(expected), "{mechanism} {password}");
        }
        let wrong = Credentials::password("ada", "guess").expect("a password");
        let outcome = login(&wrong, known(mechanism, "pencil"), &channel(7));
        let expected = "the server refuses: invalid-proof";
        assert_eq!(outcome, Err(expected.to_owned()), "{mechanism}");
    }
}

#[test]
fn a_connection_that_has_someone_in_its_middle() {
    let ada = Credentials::password("ada", "pencil").expect("a password");
    for mechanism in [Mechanism::ScramSha1Plus, Mechanism::ScramSha256Plus] {
        let outcome = login(&ada, known(mechanism, "pencil"), &channel(8));
        let expected = "the server refuses: channel-bindings-dont-match";
        assert_eq!(outcome, Err(expected.to_owned()), "{mechanism}");
    }
}

#[test]
fn the_other_mechanisms_on_their_server() {
    let ada = Credentials::password("ada", "e\u{301} x").expect("a password");
    let eve = ada.clone().acting_as("eve").expect("a name");
    let token = Credentials::token("ada", "dG9rZW4").expect("a token");
    let server = token.clone().with_server("mail.example", 993);
    let server = server.expect("a server");
    let expired = Credentials::token("ada", "expired").expect("a token");
    for (mechanism, credentials, expected) in [
        (
            Mechanism::Plain,
            &ada,
            Ok(r#"Some("ada") None Some("é x") None"#),
        ),
        (
            Mechanism::Plain,
            &eve,
            Ok(r#"Some("ada") Some("eve") Some("é x") None"#),
        ),
        (
            Mechanism::Login,
            &ada,
            Ok(r#"Some("ada") None Some("e\u{301} x") None"#),
        ),
        (
            Mechanism::OAuthBearer,
            &token,
            Ok(r#"None Some("ada") None Some("Bearer dG9rZW4")"#),
        ),
        (
            Mechanism::OAuthBearer,
            &server,
            Ok(r#"None Some("ada") None Some("Bearer dG9rZW4")"#),
        ),
        (
            Mechanism::OAuthBearer,
            &expired,
            Err("the server refuses: invalid_token (scope mail)"),
        ),
        (
            Mechanism::XOAuth2,
            &token,
            Ok(r#"Some("ada") None None Some("dG9rZW4")"#),
        ),
        (
            Mechanism::XOAuth2,
            &expired,
            Err("the server refuses: 401 (scope mail)"),
        ),
    ] {
        let outcome = login(credentials, known(mechanism, "pencil"), &channel(7));
        let outcome = outcome.as_deref().map_err(String::as_str);
        assert_eq!(outcome, expected, "{mechanism}");
    }
}

/// Their client believes our oracle's server, and so it is an honest one.
#[test]
fn their_client_on_the_server_of_the_oracle() {
    for mechanism in [Mechanism::ScramSha1, Mechanism::ScramSha256] {
        for (password, right) in [("correct horse", true), ("guess", false)] {
            let name = Mechname::parse(mechanism.name().as_bytes()).expect("a name");
            let config = SASLConfig::with_credentials(None, "ada".into(), password.into());
            let client = SASLClient::new(config.expect("a configuration"));
            let mut client = client.start_suggested(&[name]).expect("they know it");
            let mut said = |challenge: Option<&[u8]>| {
                let mut message = Cursor::new(Vec::new());
                let state = client.step(challenge, &mut message);
                state.map(|_| message.into_inner())
            };
            let server = Server::new(mechanism, "correct horse");
            let first = said(None).expect("a message");
            let challenge = Server::first(&first);
            let last = said(Some(&challenge)).expect("a message");
            let verified = said(Some(&server.last(&first, &challenge, &last)));
            assert_eq!(verified.is_ok(), right, "{mechanism} {password}");
        }
    }
}
