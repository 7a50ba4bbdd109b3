//! The core against `tests/vectors/finger/transcripts`, with time in the test's hand.

use jackfield_finger::core::{Config, Session, SessionEvent};
use jackfield_play::{Protocol, Stream, Transcripts};
use jackfield_socket::time::Instant;

#[test]
fn every_transcript_holds_wherever_its_bytes_are_cut() {
    Transcripts::of("finger/transcripts").play_in_pieces(Finger::default);
}

#[derive(Default)]
struct Finger {
    config: Config,
    completed: usize,
}

impl Protocol for Finger {
    type Core = Session;
    type Carrier = Stream;

    fn config(&mut self, name: &str, value: &str) {
        assert_eq!(name, "query-capacity", "the one setting");
        self.config.query_capacity = value.parse().expect("a number");
    }

    fn begin(&mut self, _now: Instant) -> Session {
        Session::new(self.config.clone())
    }

    fn ask(&mut self, session: &mut Session, now: Instant, line: &str) -> Result<(), String> {
        match line.split_once(' ').unwrap_or((line, "")) {
            ("connect", _) => session.opened(),
            ("close", _) => session.close(),
            (_, query) => {
                let asked = session.request(now, query.parse().expect("a query"));
                return asked.map_err(|error| error.to_string());
            }
        }
        Ok(())
    }

    fn lost(&mut self, session: &mut Session, _now: Instant) {
        session.lost();
    }

    fn told(&mut self, event: SessionEvent) -> Option<String> {
        Some(match event {
            SessionEvent::Line(line) => format!("{}: {}", line.query, line.text),
            SessionEvent::Completed(outcome) => {
                self.completed += 1;
                let outcome =
                    outcome.map_or_else(|e| format!("error: {e}"), |()| "answered".into());
                format!("#{} {outcome}", self.completed)
            }
            SessionEvent::Closed => "closed".to_owned(),
            other => format!("{other:?}"),
        })
    }
}
