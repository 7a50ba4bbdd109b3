//! The clients, as they are run: ours and rumqttc in this process or as a role of it, the others as
//! scripts.

use std::process::{Command, Stdio};

use crate::Peers;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Jackfield,
    Rumqttc,
    Paho,
    MqttJs,
}

impl Client {
    /// Ours first: the tables' ratios count on it.
    pub(super) const ALL: [Self; 4] = [Self::Jackfield, Self::Rumqttc, Self::Paho, Self::MqttJs];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jackfield => "jackfield-mqtt",
            Self::Rumqttc => "rumqttc 0.25.1",
            Self::Paho => "paho-mqtt 2.1.0",
            Self::MqttJs => "MQTT.js 5.16.0",
        }
    }

    /// A command that runs the client's script with these arguments; `None` for those without one.
    pub(super) fn script(self, peers: &Peers, arguments: &[String]) -> Option<Command> {
        let mut command = match self {
            Self::Jackfield | Self::Rumqttc => return None,
            Self::Paho => {
                let mut command = Command::new(peers.python.join("bin/python"));
                command.args(["-c", include_str!("paho.py")]);
                command
            }
            Self::MqttJs => {
                let mut command = Command::new("node");
                // A source given this way finds its packages from the current folder.
                command
                    .args(["--expose-gc", "--input-type=module", "--eval"])
                    .arg(include_str!("mqtt-js.mjs"))
                    .current_dir(&peers.npm);
                command
            }
        };
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        Some(command)
    }
}
