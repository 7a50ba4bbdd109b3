//! Arguments of `jackfield mqtt`, in the words of `mosquitto_pub` and `mosquitto_sub`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, ArgGroup, Args as ClapArgs, Subcommand, ValueEnum};
use jackfield_mqtt::client::{Address, Scheme};
use jackfield_mqtt::codec::{QoS, Text, TopicFilter, TopicName, Version};
use jackfield_socket::{Endpoint, Error, ErrorKind, Host, Result};

use super::format::Format;
use jackfield_tls::Pin;

use crate::args::{BackendArgs, IdentityArgs, seconds};

#[derive(Debug, Subcommand)]
pub(crate) enum MqttCommand {
    /// Publishes messages, and says when the broker has taken them
    #[command(disable_help_flag = true)]
    Pub(PubArgs),
    /// Subscribes, and writes a line for each message
    #[command(disable_help_flag = true)]
    Sub(SubArgs),
}

#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("payload").required(true))]
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
pub(crate) struct PubArgs {
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    /// The topic
    #[arg(short, long)]
    pub(crate) topic: TopicName,
    /// The message
    #[arg(short, long, group = "payload")]
    pub(crate) message: Option<String>,
    /// The message is what is in this file
    #[arg(short, long, value_name = "FILE", group = "payload")]
    pub(crate) file: Option<PathBuf>,
    /// Each line of standard input is a message
    #[arg(short = 'l', long, group = "payload")]
    pub(crate) stdin_line: bool,
    /// All of standard input is a message
    #[arg(short = 's', long, group = "payload")]
    pub(crate) stdin_file: bool,
    /// A message without content; with --retain, it removes the one that is kept
    #[arg(short, long, group = "payload")]
    pub(crate) null_message: bool,
    /// The broker keeps it for those who subscribe later
    #[arg(short, long)]
    pub(crate) retain: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SubArgs {
    #[command(flatten)]
    pub(crate) broker: BrokerArgs,
    /// A filter; may be given several times
    #[arg(short, long, value_name = "FILTER", required = true)]
    pub(crate) topic: Vec<TopicFilter>,
    /// Writes the topic before the message
    #[arg(short, long, conflicts_with = "format")]
    pub(crate) verbose: bool,
    /// How each message is written: %t topic, %p payload, %x payload in hexadecimal, %l its length,
    /// %q quality of service, %r 1 if it was kept, %% a percent sign
    #[arg(short = 'F', long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Ends after so many messages
    #[arg(short = 'C', long, value_name = "COUNT")]
    pub(crate) count: Option<u64>,
    /// Ends after so many seconds
    #[arg(short = 'W', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) wait: Option<Duration>,
    /// Writes no line feed after each message
    #[arg(short = 'N', long)]
    pub(crate) no_newline: bool,
}

/// Which broker, and how to connect to it.
#[derive(Debug, ClapArgs)]
pub(crate) struct BrokerArgs {
    /// The broker in one: mqtt://HOST, mqtts://HOST, ws://HOST/PATH or wss://HOST/PATH, each with
    /// :PORT where it is not the usual one
    #[arg(long, value_name = "URL", group = "secure", conflicts_with_all = ["host", "port", "tls", "websocket"])]
    pub(crate) url: Option<Address>,
    /// The broker
    #[arg(short, long, default_value = "localhost")]
    pub(crate) host: Host,
    /// Its port; default: 1883, 8883 with --tls, 80 with --websocket, 443 with both
    #[arg(short, long)]
    pub(crate) port: Option<u16>,
    /// Quality of service: 0, 1 or 2
    #[arg(short, long, default_value = "0", value_parser = qos)]
    pub(crate) qos: QoS,
    /// The client's name; default: the broker gives one
    #[arg(
        short,
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) id: Text,
    /// The user's name, with the password in JACKFIELD_PASSWORD, if any
    #[arg(short, long, value_name = "NAME")]
    pub(crate) username: Option<Text>,
    /// The file with the password, in the place of JACKFIELD_PASSWORD
    #[arg(short = 'P', long, value_name = "FILE", requires = "username")]
    pub(crate) password_file: Option<PathBuf>,
    /// The version of MQTT
    #[arg(short = 'V', long, value_name = "VERSION", default_value = "5")]
    pub(crate) mqtt_version: VersionArg,
    /// Speaks 3.1.1 where the broker knows no other
    #[arg(long)]
    pub(crate) fall_back: bool,
    /// After so many seconds in which nothing is said, the broker is asked for a sign of life; 0 for
    /// never
    #[arg(short, long, value_name = "SECONDS", default_value = "60")]
    pub(crate) keepalive: u16,
    /// How long the broker keeps the session (the subscriptions, and what comes meanwhile) when this
    /// command has ended, in seconds; needs --id
    #[arg(
        short = 'x',
        long,
        value_name = "SECONDS",
        default_value = "0",
        requires = "id"
    )]
    pub(crate) session_expiry: u32,
    /// Keeps this side of the session in a file: what was not finished is finished the next time;
    /// needs --session-expiry
    #[arg(long, value_name = "FILE", requires = "session_expiry")]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) will: WillArgs,
    /// Speaks TLS
    #[arg(long, group = "secure")]
    pub(crate) tls: bool,
    /// The roots to trust, as PEM; default: the system's
    #[arg(long, alias = "cafile", value_name = "FILE", requires = "secure")]
    pub(crate) ca: Option<PathBuf>,
    /// The server's certificate or key by its SHA-256, in place of roots and name: certificate:HEX,
    /// key:BASE64, or a fingerprint as openssl prints it; may be given several times
    #[arg(long, value_name = "PIN", requires = "secure", conflicts_with = "ca")]
    pub(crate) pin: Vec<Pin>,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
    /// Speaks MQTT over WebSocket, at this path, or at /mqtt
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = "/mqtt")]
    pub(crate) websocket: Option<String>,
    #[command(flatten)]
    pub(crate) backend: BackendArgs,
    /// Says on standard error what is being done
    #[arg(short, long)]
    pub(crate) debug: bool,
    /// Prints help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

impl BrokerArgs {
    /// Where the broker is, and how to get there.
    pub(crate) fn address(&self) -> Result<Address> {
        if let Some(url) = &self.url {
            let trusts = self.ca.is_some() || !self.pin.is_empty();
            if trusts && !url.scheme().is_secure() {
                let text = "--ca and --pin are for mqtts:// and wss://";
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            return Ok(url.clone());
        }
        let scheme = match (self.tls, &self.websocket) {
            (false, None) => Scheme::Mqtt,
            (true, None) => Scheme::Mqtts,
            (false, Some(_)) => Scheme::Ws,
            (true, Some(_)) => Scheme::Wss,
        };
        let port = self.port.unwrap_or(scheme.default_port());
        let address = Address::new(scheme, Endpoint::new(self.host.clone(), port));
        match &self.websocket {
            Some(path) => address.with_path(path),
            None => Ok(address),
        }
    }
}

/// What the broker publishes when this command is gone without a good-bye.
#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_field_names, reason = "the switches have these names")]
pub(crate) struct WillArgs {
    /// The topic of the will: what the broker publishes when this command is gone without a good-bye
    #[arg(long, value_name = "TOPIC")]
    pub(crate) will_topic: Option<TopicName>,
    /// The will's message; default: empty
    #[arg(
        long,
        value_name = "MESSAGE",
        default_value = "",
        hide_default_value = true,
        requires = "will_topic"
    )]
    pub(crate) will_payload: String,
    /// The will's quality of service: 0, 1 or 2
    #[arg(long, value_name = "QOS", default_value = "0", value_parser = qos, requires = "will_topic")]
    pub(crate) will_qos: QoS,
    /// The broker keeps it for those who subscribe later
    #[arg(long, requires = "will_topic")]
    pub(crate) will_retain: bool,
}

/// A version of MQTT, as it is written on a command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum VersionArg {
    #[value(name = "311", alias = "mqttv311", alias = "3.1.1")]
    V311,
    #[value(name = "5", alias = "mqttv5")]
    V5,
}

impl From<VersionArg> for Version {
    fn from(version: VersionArg) -> Self {
        match version {
            VersionArg::V311 => Self::V311,
            VersionArg::V5 => Self::V5,
        }
    }
}

fn qos(text: &str) -> Result<QoS, String> {
    let number = text.parse().ok().and_then(QoS::from_u8);
    number.ok_or_else(|| "expected 0, 1 or 2".into())
}
