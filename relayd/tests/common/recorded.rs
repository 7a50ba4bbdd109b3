//! What a relay has recorded, for the test to wait for.

use std::net::SocketAddr;

use jackfield_relayd::record::{Command, Decision, Event, Record, Records, SessionRecord};
use jackfield_socket::Endpoint;
use tokio::sync::mpsc;

use super::within;

/// Gives records to the test.
#[derive(Debug)]
pub struct Told {
    openings: mpsc::UnboundedSender<Record>,
    sessions: mpsc::UnboundedSender<SessionRecord>,
    commands: mpsc::UnboundedSender<Command>,
}

impl Records for Told {
    fn record(&self, record: &Record) {
        let _ = self.openings.send(record.clone());
    }

    fn session(&self, record: &SessionRecord) {
        let _ = self.sessions.send(record.clone());
    }

    fn command(&self, record: &Command) {
        let _ = self.commands.send(record.clone());
    }
}

/// What a relay has recorded, in order.
#[derive(Debug)]
pub struct Recorded {
    openings: mpsc::UnboundedReceiver<Record>,
    sessions: mpsc::UnboundedReceiver<SessionRecord>,
    commands: mpsc::UnboundedReceiver<Command>,
}

impl Recorded {
    pub fn new() -> (Told, Self) {
        let (tell_opening, openings) = mpsc::unbounded_channel();
        let (tell_session, sessions) = mpsc::unbounded_channel();
        let (tell_command, commands) = mpsc::unbounded_channel();
        let told = Told {
            openings: tell_opening,
            sessions: tell_session,
            commands: tell_command,
        };
        let recorded = Self {
            openings,
            sessions,
            commands,
        };
        (told, recorded)
    }

    /// The next record of an opening, or of what is open.
    pub async fn next(&mut self) -> Record {
        within(self.openings.recv()).await.expect("the relay runs")
    }

    /// The next record of a session, or of who isn't let in.
    pub async fn session(&mut self) -> SessionRecord {
        within(self.sessions.recv()).await.expect("the relay runs")
    }

    /// The next record of what an administrator has had it do.
    pub async fn command(&mut self) -> Command {
        within(self.commands.recv()).await.expect("the relay runs")
    }

    /// The next record, of a decision; with the rule, the outcome, and why.
    pub async fn decision(
        &mut self,
        decision: Decision,
        rule: Option<&str>,
        outcome: &str,
    ) -> Record {
        let record = self.next().await;
        assert_eq!(record.event, Event::Open, "{record:?}");
        assert_eq!(record.basis.decision, decision, "{record:?}");
        assert_eq!(record.basis.rule.as_deref(), rule, "{record:?}");
        assert_eq!(record.outcome, outcome, "{record:?}");
        assert_eq!(record.who.token, "tests");
        record
    }

    /// The next record, which has that this was denied, and by which rule, where one did it.
    pub async fn denied(&mut self, asked: &str, rule: Option<&str>) {
        let record = self.decision(Decision::Deny, rule, "denied").await;
        let asked: Endpoint = asked.parse().expect(asked);
        assert_eq!(record.asked, asked.to_string(), "{record:?}");
        assert!(record.why.is_some(), "{record:?}");
    }

    /// The next record, which has whether a bound datagram socket may send there.
    pub async fn datagrams(
        &mut self,
        to: SocketAddr,
        decision: Decision,
        rule: Option<&str>,
    ) -> Record {
        let record = self.next().await;
        assert_eq!(record.event, Event::Datagrams, "{record:?}");
        assert_eq!(record.asked, to.to_string(), "{record:?}");
        assert_eq!(record.basis.decision, decision, "{record:?}");
        assert_eq!(record.basis.rule.as_deref(), rule, "{record:?}");
        let dropped = record.outcome == "dropped";
        assert_eq!(dropped, decision == Decision::Deny, "{record:?}");
        assert_eq!(record.why.is_some(), dropped, "{record:?}");
        record
    }
}
