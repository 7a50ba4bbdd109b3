//! `jackfield mqtt`: publishes and subscribes, in the manner of `mosquitto_pub` and `mosquitto_sub`.

pub(crate) mod args;
mod format;
mod publish;
mod subscribe;

use std::env;

use jackfield_mqtt::client::{
    self, Acknowledge, Address, Client, ClientConfig, ClientEvent, Connection, ConnectionError,
    Events, Status,
};
use jackfield_mqtt::codec::{Password, ReasonCode, Will};
use jackfield_mqtt::core::{ConnectOptions, Event};
use jackfield_mqtt::{RequestError, SessionError};
use jackfield_socket::{AnyNetwork, Endpoint, Error, ErrorKind, Result};
use jackfield_store::FileStore;
use jackfield_tls::Tls;
use tokio::task::JoinHandle;

use self::args::{BrokerArgs, MqttCommand};
use crate::args::BackendArgs;
use crate::backend::read;
use crate::failure::{Failure, Step};
use crate::leave::{self, Leave};
use crate::output::tell;
use crate::secure::connector_with;

/// Where the user's password is, unless a file is named: not on the command line, which everyone
/// here can read.
const PASSWORD_VARIABLE: &str = "JACKFIELD_PASSWORD";

impl MqttCommand {
    pub(crate) fn backend(&self) -> &BackendArgs {
        match self {
            Self::Pub(args) => &args.broker.backend,
            Self::Sub(args) => &args.broker.backend,
        }
    }
}

pub(crate) async fn run(
    command: &MqttCommand,
    network: &AnyNetwork,
    leave: &Leave,
) -> Result<(), Failure> {
    match command {
        MqttCommand::Pub(args) => publish::run(args, network, leave).await,
        MqttCommand::Sub(args) => subscribe::run(args, network, leave).await,
    }
}

/// A client that is connecting, and what is known of it.
struct Broker {
    client: Client,
    events: Events,
    connection: JoinHandle<Result<(), ConnectionError>>,
    server: Endpoint,
    debug: bool,
    /// Whether the broker has ever let us in.
    stood: bool,
}

impl Broker {
    async fn open(
        args: &BrokerArgs,
        network: &AnyNetwork,
        acknowledge: Acknowledge,
    ) -> Result<Self, Failure> {
        let mut config = config(args).await.step("preparing to connect")?;
        config.acknowledge = acknowledge;
        let address = args.address().step("setting up the connection")?;
        let server = address.endpoint().clone();
        let (client, events, connection) =
            connect(args, network, &address, config).step("setting up the connection")?;
        Ok(Self {
            client,
            events,
            connection: tokio::spawn(connection),
            server,
            debug: args.debug,
            stood: false,
        })
    }

    /// The next event; `None` when the client has ended in order. What goes wrong before the broker
    /// has ever let us in is an error; what goes wrong later is told, and tried again.
    async fn next(&mut self) -> Result<Option<ClientEvent>, Failure> {
        let Some(event) = self.events.next().await else {
            return Ok(None);
        };
        match &event {
            ClientEvent::Status(Status::Ready(server)) => {
                self.stood = true;
                self.say(&format!("connected as {}", server.client_id));
            }
            ClientEvent::Status(Status::Disconnected {
                error: ConnectionError::Session(SessionError::OlderServer { falls_back: true }),
                ..
            }) => self.say("the broker speaks MQTT 3.1.1 only; so does this, then"),
            ClientEvent::Status(Status::Disconnected { error, retry_in }) => match retry_in {
                Some(delay) if self.stood || delay.is_zero() => {
                    let seconds = delay.as_secs();
                    tell(format_args!(
                        "jackfield: {error}; trying again in {seconds} s"
                    ));
                }
                _ => return Err(self.failure(error)),
            },
            ClientEvent::Event(Event::ResubscribeFailed { filter, reason }) => {
                tell(format_args!(
                    "jackfield: {filter} was not subscribed again: {reason:?}"
                ));
            }
            ClientEvent::Status(Status::Connecting { attempt }) => {
                self.say(&format!("connecting to {}, attempt {attempt}", self.server));
            }
            _ => {}
        }
        Ok(Some(event))
    }

    fn say(&self, text: &str) {
        if self.debug {
            tell(format_args!("jackfield: {text}"));
        }
    }

    /// Why a request was not done: where the client has ended before, why that was.
    async fn not_done(&mut self, step: &str, error: &RequestError) -> Failure {
        if *error == RequestError::Closed {
            loop {
                match self.next().await {
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(failure) => return failure,
                }
            }
            if let Ok(Err(error)) = (&mut self.connection).await {
                return self.failure(&error);
            }
        }
        Failure::new(step, not_done(error))
    }

    fn failure(&self, error: &ConnectionError) -> Failure {
        Failure::connection(&self.server, error, kind)
    }

    /// Takes leave, whatever became of the work: the broker does not publish the will then. What
    /// was lost in this is of interest only if the work was not.
    async fn close(self, worked: Result<(), Failure>) -> Result<(), Failure> {
        if worked.is_err() && self.connection.is_finished() {
            return worked;
        }
        let Self {
            client,
            events,
            connection,
            server,
            ..
        } = self;
        drop(events);
        let ended = async {
            client.close().await;
            connection.await
        };
        let ended = match &worked {
            // As long as the client itself waits: what is unfinished gets its chance.
            Ok(()) => Some(ended.await),
            Err(_) => leave::farewell(ended).await,
        };
        worked?;
        match ended {
            Some(Ok(Err(error))) => Err(Failure::connection(server, &error, kind)),
            _ => Ok(()),
        }
    }
}

fn connect(
    args: &BrokerArgs,
    network: &AnyNetwork,
    address: &Address,
    config: ClientConfig,
) -> Result<(Client, Events, Connection)> {
    let network = network.clone();
    let server = address.endpoint().clone();
    if !address.scheme().is_secure() {
        return Ok(client::connect(address.over(network), server, config));
    }
    let tls = connector_with(args.ca.as_deref(), &args.pin, &args.identity)?;
    let network = Tls::new(network, tls);
    Ok(client::connect(address.over(network), server, config))
}

async fn config(args: &BrokerArgs) -> Result<ClientConfig> {
    let mut connect = ConnectOptions::new(args.id.clone());
    connect.keep_alive = args.keepalive;
    connect.session_expiry = Some(args.session_expiry);
    connect.username.clone_from(&args.username);
    if args.username.is_some() {
        connect.password = password(args)?;
    }
    if let Some(topic) = &args.will.will_topic {
        let mut will = Will::new(topic.clone(), args.will.will_payload.clone());
        will.qos = args.will.will_qos;
        will.retain = args.will.will_retain;
        connect.will = Some(will);
    }
    let mut config = ClientConfig::new(connect);
    config.session.version = args.mqtt_version.into();
    config.session.fall_back_to_v311 = args.fall_back;
    if let Some(path) = &args.store {
        let store = FileStore::open(path).await.map_err(|error| {
            Error::new(ErrorKind::InvalidInput, error.to_string()).with_source(error)
        })?;
        config = config.with_store(store);
    }
    Ok(config)
}

fn password(args: &BrokerArgs) -> Result<Option<Password>> {
    let password = match &args.password_file {
        Some(path) => {
            let mut password = read(path)?;
            password.truncate(password.trim_ascii_end().len());
            password
        }
        None => match env::var(PASSWORD_VARIABLE) {
            Ok(password) => password.into_bytes(),
            Err(_) => return Ok(None),
        },
    };
    let password = Password::new(password);
    password
        .map(Some)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))
}

fn kind(error: &SessionError) -> ErrorKind {
    match error {
        SessionError::Refused(refusal) | SessionError::DisconnectedByServer(refusal) => {
            refused(refusal.reason)
        }
        SessionError::OlderServer { .. } => ErrorKind::Unsupported,
        SessionError::Protocol { .. } => ErrorKind::Protocol,
        SessionError::ConnectTimedOut | SessionError::PingTimedOut => ErrorKind::TimedOut,
        SessionError::Ended | SessionError::Truncated => ErrorKind::UnexpectedEof,
        SessionError::Options(_) => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    }
}

/// A request that failed.
fn not_done(error: &RequestError) -> Error {
    let kind = match error {
        RequestError::Refused(refusal) => refused(refusal.reason),
        RequestError::Unsupported(_) => ErrorKind::Unsupported,
        RequestError::Invalid(_) | RequestError::TooLarge { .. } => ErrorKind::InvalidInput,
        _ => ErrorKind::Other,
    };
    Error::new(kind, error.to_string())
}

fn refused(reason: ReasonCode) -> ErrorKind {
    match reason {
        ReasonCode::NotAuthorized
        | ReasonCode::BadUserNameOrPassword
        | ReasonCode::Banned
        | ReasonCode::BadAuthenticationMethod
        | ReasonCode::ClientIdentifierNotValid => ErrorKind::Denied,
        _ => ErrorKind::Other,
    }
}
