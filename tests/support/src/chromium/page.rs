//! A page: scripts, typing, clicking, pictures.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::cdp::{Connection, exception};

/// How long a page may take for anything, unless [`Page::with_deadline`] says otherwise.
const PAGE_DEADLINE: Duration = Duration::from_secs(30);
/// How long to wait before asking a page again that is being replaced by another.
const BETWEEN_PAGES: Duration = Duration::from_millis(30);

/// A page of the browser, or an app's window. Its errors carry what its console said.
#[derive(Clone, Debug)]
pub struct Page {
    connection: Connection,
    session: String,
    deadline: Duration,
}

/// A window's size.
#[derive(Clone, Copy, Debug)]
pub struct Viewport {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Device pixels to a CSS pixel.
    pub scale: f64,
    /// Whether it is a phone: touch, and the page's own viewport settings.
    pub phone: bool,
}

impl Viewport {
    /// A phone held upright.
    pub const PHONE: Self = Self {
        width: 390,
        height: 844,
        scale: 2.0,
        phone: true,
    };
    /// A laptop's window.
    pub const LAPTOP: Self = Self {
        width: 1280,
        height: 800,
        scale: 1.0,
        phone: false,
    };
}

impl Page {
    pub(super) async fn attach(connection: Connection, session: String) -> Result<Self> {
        connection.listen(&session);
        let page = Self {
            connection,
            session,
            deadline: PAGE_DEADLINE,
        };
        page.call("Runtime.enable", json!({})).await?;
        page.call("Log.enable", json!({})).await?;
        page.call("Page.enable", json!({})).await?;
        page.call("Inspector.enable", json!({})).await?;
        // The consoles of a page's workers are heard too.
        page.call(
            "Target.setAutoAttach",
            json!({"autoAttach": true, "waitForDebuggerOnStart": false, "flatten": true}),
        )
        .await?;
        Ok(page)
    }

    /// The same page, with this deadline for each thing that is asked of it.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self {
            deadline,
            ..self.clone()
        }
    }

    /// Goes to an address and waits until it has loaded.
    ///
    /// # Errors
    /// Where it can't be reached, or takes too long.
    pub async fn go_to(&self, url: &str) -> Result<()> {
        let answer = self.call("Page.navigate", json!({"url": url})).await?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("{url}: {error}");
        }
        // The old document is complete as well, so the address is asked for too.
        let url = Value::from(url);
        self.wait_for(&format!(
            "document.readyState === 'complete' && location.href === new URL({url}).href"
        ))
        .await?;
        Ok(())
    }

    /// Evaluates an expression, waits for the promise that it may be, and returns its value.
    ///
    /// # Errors
    /// What the page threw; a value of another type than `T`; a passed deadline.
    pub async fn evaluate<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let value = self.run(expression).await?;
        serde_json::from_value(value.clone())
            .with_context(|| format!("{expression} is {value}"))
            .map_err(|error| self.explain(error))
    }

    /// Calls a function of the page with these arguments, waits for the promise that it may return,
    /// and returns its value.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub async fn invoke<T: DeserializeOwned>(
        &self,
        function: &str,
        arguments: &[Value],
    ) -> Result<T> {
        let arguments: Vec<_> = arguments.iter().map(Value::to_string).collect();
        self.evaluate(&format!("({function})({})", arguments.join(",")))
            .await
    }

    /// Waits until an expression is true (or a promise of it), and returns its value.
    ///
    /// The page looks again at each of its frames, and through its reloads.
    ///
    /// # Errors
    /// Where the deadline passes first, or the expression throws.
    pub async fn wait_for(&self, expression: &str) -> Result<Value> {
        let until = Instant::now() + self.deadline;
        // Each look takes a second at most, so that a page which is replaced is noticed.
        let look = format!(
            "(async () => {{
                const end = performance.now() + 1000;
                for (;;) {{
                    const value = await ({expression});
                    if (value || performance.now() > end) return value;
                    await new Promise(next => setTimeout(next, 16));
                }}
            }})()"
        );
        loop {
            let outcome = self.run(&look).await;
            let failed = match outcome {
                Ok(value) if is_true(&value) => return Ok(value),
                Ok(value) => format!("it is {value}"),
                Err(error) if is_being_replaced(&error) => {
                    sleep(BETWEEN_PAGES).await;
                    format!("{error:#}")
                }
                Err(error) => return Err(error.context(format!("waiting for {expression}"))),
            };
            if Instant::now() > until {
                let error = anyhow::anyhow!(
                    "{expression} did not come true in {:?}; {failed}",
                    self.deadline
                );
                return Err(self.explain(error));
            }
        }
    }

    /// Waits until an element matches.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_element(&self, selector: &str) -> Result<()> {
        let selector = Value::from(selector);
        self.wait_for(&format!("!!document.querySelector({selector})"))
            .await?;
        Ok(())
    }

    /// Waits until an element matches whose text holds this.
    ///
    /// # Errors
    /// As [`wait_for`](Self::wait_for).
    pub async fn wait_for_text(&self, selector: &str, text: &str) -> Result<()> {
        let (selector, text) = (Value::from(selector), Value::from(text));
        self.wait_for(&format!(
            "[...document.querySelectorAll({selector})].some(e => e.innerText.includes({text}))"
        ))
        .await?;
        Ok(())
    }

    /// Clicks in the middle of an element, once it is there, can be seen, and stands still.
    ///
    /// # Errors
    /// Where no such element appears, or another one covers it.
    pub async fn click(&self, selector: &str) -> Result<()> {
        self.click_unless(selector, "false").await
    }

    /// Clicks as [`click`](Self::click) does, unless an expression comes true before.
    ///
    /// For a button that goes away by itself, as "Try now" does where a page tries again anyway.
    ///
    /// # Errors
    /// As [`click`](Self::click), where the expression doesn't come true either.
    pub async fn click_unless(&self, selector: &str, needless: &str) -> Result<()> {
        let quoted = Value::from(selector);
        let place = self
            .wait_for(&format!(
                "(async () => {{
                    if ({needless}) return 'needless';
                    const element = document.querySelector({quoted});
                    if (!element || element.disabled) return false;
                    element.scrollIntoView({{ block: 'center', inline: 'center' }});
                    const before = element.getBoundingClientRect();
                    await new Promise(next => setTimeout(next, 32));
                    const box = element.getBoundingClientRect();
                    if (!box.width || box.x !== before.x || box.y !== before.y) return false;
                    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                    const hit = document.elementFromPoint(x, y);
                    const label = hit && hit.closest('label');
                    const ours = element.contains(hit) || (label && label.control === element);
                    return ours && {{ x, y }};
                }})()"
            ))
            .await
            .with_context(|| format!("nothing to click at {selector}"))?;
        if place == "needless" {
            return Ok(());
        }
        for (kind, buttons) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            self.call(
                "Input.dispatchMouseEvent",
                json!({
                    "type": kind, "x": place["x"], "y": place["y"],
                    "button": button, "buttons": buttons, "clickCount": 1,
                }),
            )
            .await?;
        }
        Ok(())
    }

    /// Types into whatever has the focus, key by key.
    ///
    /// # Errors
    /// Where the browser refuses.
    pub async fn type_text(&self, text: &str) -> Result<()> {
        for key in text.chars() {
            let key = key.to_string();
            for kind in ["keyDown", "keyUp"] {
                let mut event = json!({"type": kind, "key": key});
                if kind == "keyDown" {
                    event["text"] = key.as_str().into();
                }
                self.call("Input.dispatchKeyEvent", event).await?;
            }
        }
        Ok(())
    }

    /// Clicks into a field, empties it, and types.
    ///
    /// # Errors
    /// As [`click`](Self::click).
    pub async fn fill(&self, selector: &str, text: &str) -> Result<()> {
        self.click(selector).await?;
        let select = "document.activeElement.select && document.activeElement.select()";
        self.run(select).await?;
        self.press("Backspace").await?;
        self.type_text(text).await
    }

    /// Presses and releases a key by its name: `Enter`, `Tab`, `Escape`, `Backspace`, an arrow,
    /// `PageUp`, `PageDown`; with others held down, as in `Alt+Shift+ArrowUp`.
    ///
    /// # Errors
    /// Where the key has no name here.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let mut held = 0;
        let mut key = keys;
        while let Some((modifier, rest)) = key.split_once('+') {
            // As Chromium's DevTools count them.
            held |= match modifier {
                "Alt" => 1,
                "Control" => 2,
                "Shift" => 8,
                other => bail!("no key is called {other} here"),
            };
            key = rest;
        }
        let (code, text) = match key {
            "Enter" => (13, Some("\r")),
            "Tab" => (9, None),
            "Escape" => (27, None),
            "Backspace" => (8, None),
            "PageUp" => (33, None),
            "PageDown" => (34, None),
            "ArrowLeft" => (37, None),
            "ArrowUp" => (38, None),
            "ArrowRight" => (39, None),
            "ArrowDown" => (40, None),
            other => bail!("no key is called {other} here"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
                "modifiers": held,
            });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event).await?;
        }
        Ok(())
    }

    /// Gives a field files, as the dialogue would that a page can't see.
    ///
    /// # Errors
    /// Where there is no such field.
    pub async fn choose_files(&self, selector: &str, files: &[&Path]) -> Result<()> {
        let expression = format!("document.querySelector({})", Value::from(selector));
        let found = self
            .call("Runtime.evaluate", json!({"expression": expression}))
            .await?;
        let object = &found["result"]["objectId"];
        self.call(
            "DOM.setFileInputFiles",
            json!({"files": files, "objectId": object}),
        )
        .await
        .with_context(|| format!("no files for {selector}"))?;
        Ok(())
    }

    /// Sets the window's size.
    ///
    /// # Errors
    /// Where the browser refuses.
    pub async fn set_viewport(&self, viewport: Viewport) -> Result<()> {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            json!({
                "width": viewport.width, "height": viewport.height,
                "deviceScaleFactor": viewport.scale, "mobile": viewport.phone,
            }),
        )
        .await?;
        let touch = json!({"enabled": viewport.phone});
        self.call("Emulation.setTouchEmulationEnabled", touch)
            .await?;
        Ok(())
    }

    /// Saves what the window shows as a PNG, and makes the folder where it is missing.
    ///
    /// # Errors
    /// Where the file can't be written.
    pub async fn screenshot(&self, file: impl AsRef<Path>) -> Result<()> {
        let file = file.as_ref();
        let shot = self
            .call("Page.captureScreenshot", json!({"format": "png"}))
            .await?;
        let data = shot["data"].as_str().context("no picture came")?;
        let picture = base64::engine::general_purpose::STANDARD.decode(data)?;
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(file, picture).with_context(|| format!("writing {}", file.display()))
    }

    /// Closes it, as whoever has read enough does.
    ///
    /// # Errors
    /// Where it is gone already.
    pub async fn close(self) -> Result<()> {
        let told = self.call("Target.getTargetInfo", json!({})).await?;
        let target = &told["targetInfo"]["targetId"];
        // `Page.close` fails now and then, as "not attached to an active page".
        self.connection
            .call(
                None,
                "Target.closeTarget",
                &json!({ "targetId": target }),
                self.deadline,
            )
            .await?;
        Ok(())
    }

    /// Ends its process, as a fault of the browser does; it has to be [closed](Self::close) all the
    /// same.
    ///
    /// # Errors
    /// Where it is gone already.
    pub async fn crash(&self) -> Result<()> {
        // What has crashed gives no answer.
        let crashed = self.call("Page.crash", json!({})).await;
        match crashed {
            Err(error) if !format!("{error:#}").contains("ended during") => Err(error),
            _ => Ok(()),
        }
    }

    /// What the page and its workers wrote to the console, and the errors they didn't catch.
    pub fn console(&self) -> Vec<String> {
        self.connection.console(&self.session)
    }

    /// Calls a DevTools method of this page: for what has no function of its own here.
    ///
    /// # Errors
    /// What the browser answers, or a passed deadline.
    pub async fn call(&self, method: &str, parameters: Value) -> Result<Value> {
        self.connection
            .call(Some(&self.session), method, &parameters, self.deadline)
            .await
    }

    async fn run(&self, expression: &str) -> Result<Value> {
        let answer = self
            .call(
                "Runtime.evaluate",
                json!({
                    "expression": expression,
                    "awaitPromise": true,
                    "returnByValue": true,
                    "userGesture": true,
                }),
            )
            .await
            .map_err(|error| self.explain(error))?;
        if let Some(details) = answer.get("exceptionDetails") {
            let thrown = anyhow::anyhow!("the page threw: {}", exception(details));
            return Err(self.explain(thrown));
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Adds what the console said, which is often the reason.
    fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let console = self.console();
        if console.is_empty() {
            return error;
        }
        let last = &console[console.len().saturating_sub(20)..];
        anyhow::anyhow!("{error:#}\nthe page's console:\n  {}", last.join("\n  "))
    }
}

/// As a script has it.
fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// Whether a script failed only since its page was on the way to another.
fn is_being_replaced(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    [
        "context was destroyed",
        "Cannot find default execution context",
        "navigated or closed",
        "Cannot find context",
    ]
    .iter()
    .any(|known| text.contains(known))
}
