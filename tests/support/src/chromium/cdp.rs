//! The DevTools protocol over a pipe: JSON, each message ended by a NUL.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How many lines of a page's console are kept; beyond it, the oldest go.
const CONSOLE_LINES: usize = 400;

/// One browser's pipe; clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    outgoing: mpsc::UnboundedSender<Vec<u8>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    last_call: u64,
    /// Calls whose answer hasn't come. `None` once the pipe is closed.
    waiting: Option<HashMap<u64, Waiting>>,
    /// What each session's page has said.
    consoles: HashMap<String, VecDeque<String>>,
    /// A worker's session, and the page's that it belongs to.
    parents: HashMap<String, String>,
}

/// A call whose answer hasn't come.
struct Waiting {
    session: Option<String>,
    answer: oneshot::Sender<Value>,
}

impl Connection {
    pub(super) fn new(mut commands: pipe::Sender, answers: pipe::Receiver) -> Self {
        let (outgoing, mut to_send) = mpsc::unbounded_channel::<Vec<u8>>();
        let state = Arc::new(Mutex::new(State {
            waiting: Some(HashMap::new()),
            ..State::default()
        }));
        tokio::spawn(async move {
            while let Some(message) = to_send.recv().await {
                if commands.write_all(&message).await.is_err() {
                    break;
                }
            }
        });
        let connection = Self { outgoing, state };
        let reader = connection.clone();
        tokio::spawn(async move {
            let mut answers = BufReader::new(answers);
            let mut message = Vec::new();
            while matches!(answers.read_until(0, &mut message).await, Ok(1..)) {
                message.pop();
                if let Ok(message) = serde_json::from_slice(&message) {
                    reader.receive(message);
                }
                message.clear();
            }
            // Whoever waits for an answer now learns that none will come.
            reader.state().waiting = None;
        });
        connection
    }

    /// Calls a method of the browser, or of one session, and waits for its result.
    pub(super) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
        deadline: Duration,
    ) -> Result<Value> {
        let answer = self.send(session, method, parameters)?;
        let answer = timeout(deadline, answer)
            .await
            .map_err(|_| anyhow!("{method} took longer than {deadline:?}"))?
            .map_err(|_| anyhow!("the browser or its page ended during {method}"))?;
        if let Some(error) = answer.get("error") {
            bail!(
                "{method}: {} {}",
                error["message"].as_str().unwrap_or("failed"),
                error["data"].as_str().unwrap_or_default(),
            );
        }
        Ok(answer["result"].clone())
    }

    /// Collects what this session's page writes to its console, and the errors that it doesn't
    /// catch.
    pub(super) fn listen(&self, session: &str) {
        self.state()
            .consoles
            .insert(session.to_owned(), VecDeque::new());
    }

    /// What the page has said.
    pub(super) fn console(&self, session: &str) -> Vec<String> {
        let state = self.state();
        let lines = state.consoles.get(session);
        lines.into_iter().flatten().cloned().collect()
    }

    fn send(
        &self,
        session: Option<&str>,
        method: &str,
        parameters: &Value,
    ) -> Result<oneshot::Receiver<Value>> {
        let (sender, answer) = oneshot::channel();
        let waiting = Waiting {
            session: session.map(str::to_owned),
            answer: sender,
        };
        let mut state = self.state();
        state.last_call += 1;
        let id = state.last_call;
        state
            .waiting
            .as_mut()
            .with_context(|| format!("the browser has ended; {method} was not called"))?
            .insert(id, waiting);
        let mut call = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        let mut message = call.to_string().into_bytes();
        message.push(0);
        // Where the writer has ended, the reader has too, and the call fails there.
        let _ = self.outgoing.send(message);
        Ok(answer)
    }

    fn receive(&self, mut message: Value) {
        let mut state = self.state();
        if let Some(id) = message["id"].as_u64() {
            let waiting = state.waiting.as_mut().and_then(|all| all.remove(&id));
            if let Some(waiting) = waiting {
                // The caller may have given up.
                let _ = waiting.answer.send(message);
            }
            return;
        }
        let session = message["sessionId"].as_str().unwrap_or_default();
        let page = state.parents.get(session).map_or(session, String::as_str);
        let page = page.to_owned();
        let parameters = message["params"].take();
        let line = match message["method"].as_str().unwrap_or_default() {
            "Runtime.consoleAPICalled" => {
                let said: Vec<_> = parameters["args"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(show)
                    .collect();
                let level = parameters["type"].as_str().unwrap_or("log");
                format!("{level}: {}", said.join(" "))
            }
            "Runtime.exceptionThrown" => {
                format!("uncaught: {}", exception(&parameters["exceptionDetails"]))
            }
            "Log.entryAdded" => {
                let entry = &parameters["entry"];
                format!(
                    "{}: {} ({})",
                    entry["level"].as_str().unwrap_or("log"),
                    entry["text"].as_str().unwrap_or_default(),
                    entry["url"].as_str().unwrap_or_default(),
                )
            }
            "Inspector.targetCrashed" => {
                // It answers nothing any more, and whoever waits for it learns that.
                if let Some(waiting) = &mut state.waiting {
                    waiting.retain(|_, call| call.session.as_ref() != Some(&page));
                }
                "the page crashed".to_owned()
            }
            "Target.attachedToTarget" if !page.is_empty() => {
                let worker = parameters["sessionId"].as_str().unwrap_or_default();
                let worker = worker.to_owned();
                state.parents.insert(worker.clone(), page);
                drop(state);
                let _ = self.send(Some(&worker), "Runtime.enable", &json!({}));
                return;
            }
            _ => return,
        };
        if let Some(lines) = state.consoles.get_mut(&page) {
            if lines.len() == CONSOLE_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it is held is a failed test already.
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// The text of an error that a page threw.
pub(super) fn exception(details: &Value) -> String {
    let thrown = &details["exception"];
    if thrown.is_object() {
        show(thrown)
    } else {
        details["text"]
            .as_str()
            .unwrap_or("an exception")
            .to_owned()
    }
}

/// A script's value, as its console would show it.
fn show(value: &Value) -> String {
    match (&value["description"], &value["value"]) {
        (_, Value::String(text)) | (Value::String(text), _) => text.clone(),
        (_, Value::Null) => value["type"].as_str().unwrap_or("null").to_owned(),
        (_, other) => other.to_string(),
    }
}
