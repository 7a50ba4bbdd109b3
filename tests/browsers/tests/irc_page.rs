//! The IRC page, driven with real typing and clicks, against inspircd.

use std::net::SocketAddr;
use std::time::Duration;

use jackfield_browser_tests::relay::{self, HOST, SECRET};
use jackfield_browser_tests::{output, page, picture};
use jackfield_testing::certs::Authority;
use jackfield_testing::chromium::{Chromium, Page, Viewport};
use jackfield_testing::command_line::jackfield;
use jackfield_testing::inspircd::Inspircd;
use jackfield_testing::process::free_addresses;
use jackfield_testing::proxy::Proxy;
use jackfield_testing::site::Site;
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

/// How long whoever talks by hand waits for a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is said, and must not be read on the way.
const SAID: &str = "a sentence that only the two of them know";

/// Everything between a browser and an IRC server.
struct Stage {
    site: Site,
    relay: SocketAddr,
    authority: Authority,
    browser: Chromium,
    /// Between the relay, or the page itself, and the server.
    proxy: Proxy,
    server: Inspircd,
}

impl Stage {
    /// With a server whose certificate is for this name.
    async fn start(certified: &str) -> Self {
        let page = tokio::task::spawn_blocking(|| page("irc")).await;
        let page = page.unwrap().unwrap();
        let authority = Authority::new();
        let server = Inspircd::start(&authority.server(&[certified])).await;
        let server = server.unwrap();
        let proxy = Proxy::start(server.tls()).await.unwrap();
        let port = proxy.address().port();

        let [at] = free_addresses().unwrap();
        let relay = relay::start(at, &[port.to_string()]).await;
        let config = json!({
            "relay": format!("ws://{relay}/"),
            "token": SECRET,
            "roots": authority.pem(),
            "server": HOST,
            "port": port,
            "channels": "#jackfield",
        });
        let site = Site::builder()
            .dir(page)
            .file("/config.json", config.to_string())
            .port(at.port())
            .start()
            .await
            .unwrap();
        let browser = Chromium::launch().await.unwrap();
        Self {
            site,
            relay,
            authority,
            browser,
            proxy,
            server,
        }
    }

    /// Opens the page, types a nickname, and connects.
    async fn connect(&self, nick: &str) -> Page {
        let page = self.browser.open(&self.site.url()).await.unwrap();
        page.set_viewport(Viewport::LAPTOP).await.unwrap();
        connect(&page, nick).await;
        page
    }
}

/// Somebody whose lines are written by hand, without TLS.
struct Talker(BufReader<TcpStream>);

impl Talker {
    /// Connects, and waits until it stands in the channel.
    async fn join(stage: &Stage, nick: &str) -> Self {
        let stream = TcpStream::connect(stage.server.plain()).await.unwrap();
        let mut talker = Self(BufReader::new(stream));
        talker
            .send(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\n"))
            .await;
        talker.wait(" 001 ").await;
        talker.send("JOIN #jackfield\r\n").await;
        talker.wait(" 366 ").await;
        talker
    }

    async fn send(&mut self, lines: &str) {
        self.0.write_all(lines.as_bytes()).await.unwrap();
    }

    /// Reads until a line holds this.
    async fn wait(&mut self, part: &str) {
        let mut line = String::new();
        while !line.contains(part) {
            if let Some(cookie) = line.strip_prefix("PING ") {
                let pong = format!("PONG {cookie}\r\n");
                self.send(&pong).await;
            }
            line.clear();
            let read = timeout(PATIENCE, self.0.read_line(&mut line)).await;
            let read = read
                .unwrap_or_else(|_| panic!("{part:?} did not come"))
                .unwrap();
            assert!(read > 0, "the server ended before {part:?}");
        }
    }
}

async fn connect(page: &Page, nick: &str) {
    page.wait_for_element("#connect-button:enabled")
        .await
        .unwrap();
    page.fill("#nick", nick).await.unwrap();
    page.click("#connect-button").await.unwrap();
}

/// Waits until a page stands in the channel.
async fn joined(page: &Page) {
    page.wait_for_text("#buffer-name", "#jackfield")
        .await
        .unwrap();
    page.wait_for_text("#log", "You joined.").await.unwrap();
}

/// Clicks on "Try now", unless the page was faster, and waits for the connection.
async fn try_now(page: &Page) {
    const CONNECTED: &str = "document.querySelector('#state').hidden";
    page.click_unless("#retry", CONNECTED).await.unwrap();
    page.wait_for(CONNECTED).await.unwrap();
}

async fn say(page: &Page, line: &str) {
    page.fill("#input", line).await.unwrap();
    page.press("Enter").await.unwrap();
}

/// What the composer holds.
async fn written(page: &Page, text: &str) {
    let holds = format!("document.querySelector('#input').value === {text:?}");
    page.wait_for(&holds).await.unwrap();
}

async fn picture(page: &Page, name: &str) {
    picture::picture(page, &format!("irc-page-{name}")).await;
}

/// The page as it looks in the dark, and on a phone in either light.
async fn pictures(page: &Page, name: &str) {
    for (scheme, suffix) in [("light", ""), ("dark", "-dark")] {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        page.call("Emulation.setEmulatedMedia", features)
            .await
            .unwrap();
        for (viewport, device) in [(Viewport::LAPTOP, ""), (Viewport::PHONE, "-phone")] {
            page.set_viewport(viewport).await.unwrap();
            picture(page, &format!("{name}{device}{suffix}")).await;
        }
    }
    page.call("Emulation.setEmulatedMedia", json!({"features": []}))
        .await
        .unwrap();
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_talk_through_a_relay_that_reads_nothing() {
    let stage = Stage::start(HOST).await;
    let ada = stage.connect("ada").await;
    joined(&ada).await;
    ada.wait_for_text("#lock.secure", "TLS to localhost")
        .await
        .unwrap();
    let grace = stage.connect("grace").await;
    joined(&grace).await;
    ada.wait_for_text("#member-list", "grace").await.unwrap();

    say(&ada, SAID).await;
    grace.wait_for_text("#log", SAID).await.unwrap();
    grace.wait_for_text("#log .nick", "ada").await.unwrap();
    say(&grace, "/me waves").await;
    ada.wait_for_text("#log .action", "waves").await.unwrap();
    say(&ada, "/topic First light").await;
    grace.wait_for_text("#topic", "First light").await.unwrap();
    // Markup is text.
    say(&grace, "<b>ada</b>: see https://example.org/.").await;
    ada.wait_for_text("#log .mention", "<b>ada</b>")
        .await
        .unwrap();
    ada.wait_for_element("#log a[href='https://example.org/'][rel~=noopener]")
        .await
        .unwrap();

    say(&ada, "/nick ada_l").await;
    grace
        .wait_for_text("#log", "ada is now ada_l")
        .await
        .unwrap();
    say(&grace, "/msg ada_l a word between us").await;
    ada.wait_for_text("#buffers .mentioned", "grace")
        .await
        .unwrap();
    pictures(&ada, "talk").await;

    ada.click("#lock").await.unwrap();
    ada.wait_for_text("#connection-summary", "ciphertext only")
        .await
        .unwrap();
    ada.wait_for_text("#connection-facts", "TLS 1.3")
        .await
        .unwrap();
    picture(&ada, "connection").await;
    ada.press("Escape").await.unwrap();

    // What left the relay for the server, and what came back: none of it can be read.
    let recordings = stage.proxy.recordings();
    assert_eq!(recordings.len(), 2);
    for recording in recordings {
        for direction in [&recording.to_server, &recording.to_client] {
            assert!(direction.count > 0);
            for plain in [SAID, "PRIVMSG", "#jackfield", "NICK"] {
                let found = direction
                    .bytes
                    .windows(plain.len())
                    .any(|window| window == plain.as_bytes());
                assert!(!found, "{plain:?} passed the relay in the clear");
            }
        }
    }

    // The connection is cut; the page says so, and comes back when it is told to.
    stage.proxy.refuse(true);
    stage.proxy.cut();
    ada.wait_for_text("#state", "Trying again").await.unwrap();
    picture(&ada, "cut").await;
    stage.proxy.refuse(false);
    try_now(&ada).await;
    ada.wait_for_text("#lock.secure", "TLS to localhost")
        .await
        .unwrap();
    stage.browser.close().await.unwrap();
}

/// What a developer reaches for when something doesn't connect takes the page's own way.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_and_a_command_meet_through_one_relay() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;

    let folder = output();
    std::fs::create_dir_all(&folder).unwrap();
    let (root, token) = (
        folder.join("irc-page-root.pem"),
        folder.join("irc-page-token"),
    );
    std::fs::write(&root, stage.authority.pem()).unwrap();
    std::fs::write(&token, SECRET).unwrap();
    let mut command = Command::new(jackfield().await.unwrap())
        .args([
            "nc",
            HOST,
            &stage.proxy.address().port().to_string(),
            "--tls",
        ])
        .args(["--relay", &format!("ws://{}/", stage.relay)])
        .arg("--ca")
        .arg(&root)
        .arg("--token-file")
        .arg(&token)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = command.stdin.take().unwrap();
    let mut lines = BufReader::new(command.stdout.take().unwrap()).lines();
    input
        .write_all(b"NICK nora\r\nUSER nora 0 * :Nora\r\n")
        .await
        .unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some(cookie) = line.strip_prefix("PING ") {
            input
                .write_all(format!("PONG {cookie}\r\n").as_bytes())
                .await
                .unwrap();
        } else if line.contains(" 001 ") {
            break;
        }
    }
    input
        .write_all(b"JOIN #jackfield\r\nPRIVMSG #jackfield :by hand\r\n")
        .await
        .unwrap();
    page.wait_for_text("#log", "by hand").await.unwrap();
    say(&page, SAID).await;
    let heard = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.ends_with(SAID) {
                return true;
            }
        }
        false
    };
    assert!(heard.await, "the command's connection ended first");
    drop(input);
    stage.browser.close().await.unwrap();
}

/// How often the page has laid itself out, as the browser counts.
async fn layouts(page: &Page) -> f64 {
    let metrics = page.call("Performance.getMetrics", json!({})).await;
    let metrics = metrics.unwrap();
    let metrics = metrics["metrics"].as_array().unwrap();
    let count = metrics
        .iter()
        .find(|metric| metric["name"] == "LayoutCount");
    count.unwrap()["value"].as_f64().unwrap()
}

/// However many messages come, the page is laid out for each frame, not for each message.
#[tokio::test(flavor = "multi_thread")]
async fn many_messages_are_drawn_once_a_frame() {
    const MANY: usize = 1000;
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    let page = page.with_deadline(Duration::from_mins(3));
    page.call("Performance.enable", json!({})).await.unwrap();
    let mut talker = Talker::join(&stage, "tessa").await;
    let mut all = async |round: &str| {
        let lines: Vec<_> = (1..=MANY)
            .map(|number| format!("PRIVMSG #jackfield :{round} number {number}\r\n"))
            .collect();
        talker.send(&lines.concat()).await;
        let last = format!("{round} number {MANY}");
        let last = format!(
            "document.querySelector('#log .said:last-child')?.innerText.includes({last:?})"
        );
        page.wait_for(&last).await.unwrap();
    };
    // The log is full, and says that there was more.
    all("first").await;
    all("second").await;
    page.wait_for("document.querySelectorAll('#log .said').length <= 1000")
        .await
        .unwrap();
    let frames = "globalThis.frames = 0;
        (function count() { frames += 1; requestAnimationFrame(count); })();
        true";
    page.evaluate::<bool>(frames).await.unwrap();
    let before = layouts(&page).await;
    all("third").await;
    let drawn = layouts(&page).await - before;
    let frames: f64 = page.evaluate("frames").await.unwrap();
    assert!(
        drawn <= 2.0 * frames + 20.0,
        "{drawn} layouts in {frames} frames"
    );
    stage.browser.close().await.unwrap();
}

/// What one writes is seen at once, tells how it fares, and is there until it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_writes_is_never_lost() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    let mut talker = Talker::join(&stage, "tessa").await;

    stage.proxy.stall(true);
    say(&page, "into the silence").await;
    page.wait_for_text("#log .own.pending", "sending")
        .await
        .unwrap();
    stage.proxy.refuse(true);
    stage.proxy.cut();
    page.wait_for_text("#log .own.failed", "Perhaps not sent")
        .await
        .unwrap();
    say(&page, "written without a connection").await;
    page.wait_for("document.querySelectorAll('#log .failed').length === 2")
        .await
        .unwrap();
    pictures(&page, "not-sent").await;

    stage.proxy.stall(false);
    stage.proxy.refuse(false);
    try_now(&page).await;
    // The channel takes lines from those who are in it only.
    page.wait_for("document.querySelector('#log').innerText.split('You joined.').length === 3")
        .await
        .unwrap();
    // They are still there, and go when one says so, with the keyboard too.
    page.wait_for("document.querySelectorAll('#log .failed').length === 2")
        .await
        .unwrap();
    page.click("#log .failed .again").await.unwrap();
    talker.wait("into the silence").await;
    page.wait_for("document.querySelectorAll('#log .failed').length === 1")
        .await
        .unwrap();
    page.evaluate::<bool>("document.querySelector('#log .failed .again').focus(), true")
        .await
        .unwrap();
    page.press("Enter").await.unwrap();
    talker.wait("written without a connection").await;
    page.wait_for("!document.querySelector('#log :is(.failed, .pending)')")
        .await
        .unwrap();
    for line in ["into the silence", "written without a connection"] {
        let once = format!("document.querySelector('#log').innerText.split({line:?}).length");
        assert_eq!(page.evaluate::<usize>(&once).await.unwrap(), 2, "{line}");
    }
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_and_goes_is_told_in_one_line() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    let mut first = Talker::join(&stage, "grace").await;
    let mut second = Talker::join(&stage, "hedy").await;
    page.wait_for_text("#log .moves summary", "grace and hedy joined.")
        .await
        .unwrap();
    first.send("PART #jackfield :tea\r\n").await;
    second.send("NICK hedwig\r\n").await;
    page.wait_for_text(
        "#log .moves summary",
        "hedy joined; grace came and went; hedy is now hedwig.",
    )
    .await
    .unwrap();
    let mut guests = Vec::new();
    for number in 1..=5 {
        guests.push(Talker::join(&stage, &format!("guest{number}")).await);
    }
    page.wait_for_text(
        "#log .moves summary",
        "hedy, guest1, guest2 and 3 others joined",
    )
    .await
    .unwrap();
    let lines = "document.querySelectorAll('#log .moves').length";
    assert_eq!(page.evaluate::<usize>(lines).await.unwrap(), 1);

    // Whoever wants to know it all opens it, by the keyboard.
    page.evaluate::<bool>("document.querySelector('#log summary').focus(), true")
        .await
        .unwrap();
    page.press("Enter").await.unwrap();
    page.wait_for_text("#log .moves li", "grace left (tea).")
        .await
        .unwrap();
    pictures(&page, "moves").await;
    // It stays open when more come.
    guests.push(Talker::join(&stage, "late").await);
    page.wait_for_text("#log .moves li", "late joined.")
        .await
        .unwrap();
    second.send("PRIVMSG #jackfield :hello\r\n").await;
    page.wait_for_text("#log .said", "hello").await.unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_completes_recalls_and_walks() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    let mut amy = Talker::join(&stage, "amy").await;
    let mut amelia = Talker::join(&stage, "amelia").await;
    let _amos = Talker::join(&stage, "amos").await;
    page.wait_for_text("#member-list", "amos").await.unwrap();
    amelia.send("PRIVMSG #jackfield :first\r\n").await;
    amy.send("PRIVMSG #jackfield :second\r\n").await;
    page.wait_for_text("#log", "second").await.unwrap();

    // Whoever spoke last comes first, and after the last one the first again.
    page.click("#input").await.unwrap();
    page.type_text("am").await.unwrap();
    for nick in ["amy: ", "amelia: ", "amos: ", "amy: "] {
        page.press("Tab").await.unwrap();
        written(&page, nick).await;
        if nick == "amelia: " {
            page.press("Shift+Tab").await.unwrap();
            written(&page, "amy: ").await;
            page.press("Tab").await.unwrap();
            written(&page, nick).await;
        }
    }
    page.press("Escape").await.unwrap();
    written(&page, "am").await;
    // After Escape, Tab goes where it goes on every page.
    page.press("Tab").await.unwrap();
    page.wait_for("document.activeElement.id === 'send'")
        .await
        .unwrap();
    page.fill("#input", "I ask ame").await.unwrap();
    page.press("Tab").await.unwrap();
    written(&page, "I ask amelia ").await;
    page.fill("#input", "/jo").await.unwrap();
    page.press("Tab").await.unwrap();
    written(&page, "/join ").await;
    page.type_text("#second").await.unwrap();
    page.press("Enter").await.unwrap();
    page.wait_for_text("#buffer-name", "#second").await.unwrap();

    // What was written before, and what one had begun.
    say(&page, "one").await;
    say(&page, "two").await;
    page.type_text("begun").await.unwrap();
    for (key, text) in [
        ("ArrowUp", "two"),
        ("ArrowUp", "one"),
        ("ArrowDown", "two"),
        ("ArrowDown", "begun"),
    ] {
        page.press(key).await.unwrap();
        written(&page, text).await;
    }

    // From channel to channel; what was begun stays where it was begun.
    page.press("Alt+ArrowUp").await.unwrap();
    page.wait_for_text("#buffer-name", "#jackfield")
        .await
        .unwrap();
    written(&page, "").await;
    page.press("Alt+ArrowDown").await.unwrap();
    page.wait_for_text("#buffer-name", "#second").await.unwrap();
    written(&page, "begun").await;
    amy.send("PRIVMSG ada :between us\r\n").await;
    page.wait_for_text("#buffers .mentioned", "amy")
        .await
        .unwrap();
    page.press("Alt+Shift+ArrowUp").await.unwrap();
    page.wait_for_text("#buffer-name", "amy").await.unwrap();

    // Through the log, and back to its end.
    let many: Vec<_> = (1..=80)
        .map(|number| format!("PRIVMSG ada :line {number}\r\n"))
        .collect();
    amy.send(&many.concat()).await;
    page.wait_for_text("#log", "line 80").await.unwrap();
    let at_end = "(({ scrollTop, scrollHeight, clientHeight }) =>
        scrollHeight - scrollTop - clientHeight < 2)(document.querySelector('#log'))";
    page.wait_for(at_end).await.unwrap();
    page.press("PageUp").await.unwrap();
    page.wait_for(&format!("!{at_end}")).await.unwrap();
    amy.send("PRIVMSG ada :the newest\r\n").await;
    page.wait_for_element("#to-end:not([hidden])")
        .await
        .unwrap();
    picture(&page, "new-messages").await;
    page.press("Escape").await.unwrap();
    page.wait_for(at_end).await.unwrap();
    page.wait_for_element("#to-end[hidden]").await.unwrap();
    page.press("PageUp").await.unwrap();
    page.press("PageDown").await.unwrap();
    page.wait_for(at_end).await.unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_finds_everything_but_the_password() {
    let stage = Stage::start(HOST).await;
    let page = stage.browser.open(&stage.site.url()).await.unwrap();
    page.set_viewport(Viewport::LAPTOP).await.unwrap();
    page.wait_for_element("#connect-button:enabled")
        .await
        .unwrap();
    pictures(&page, "welcome").await;
    connect(&page, "ada").await;
    joined(&page).await;
    say(&page, "/join #second").await;
    page.wait_for_text("#buffer-name", "#second").await.unwrap();
    say(&page, "/nick countess").await;
    page.wait_for_text("#own-nick", "countess").await.unwrap();

    page.call("Page.reload", json!({})).await.unwrap();
    page.wait_for("document.activeElement?.id === 'connect-button' && !document.querySelector('#welcome').hidden")
        .await
        .unwrap();
    let kept =
        "['nick', 'channels', 'server', 'password'].map(id => document.getElementById(id).value)";
    let kept: Vec<String> = page.evaluate(kept).await.unwrap();
    assert_eq!(kept, ["countess", "#jackfield #second", HOST, ""]);
    page.press("Enter").await.unwrap();
    page.wait_for_text("#own-nick", "countess").await.unwrap();
    page.wait_for_text("#buffers", "#second").await.unwrap();
    page.wait_for_text("#buffers", "#jackfield").await.unwrap();

    // And forgets it when one says so.
    page.click("#disconnect").await.unwrap();
    page.click("#forget").await.unwrap();
    page.wait_for("document.querySelector('#nick').value === '' && localStorage.length === 0")
        .await
        .unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_what_they_say() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    let mut grace = Talker::join(&stage, "grace").await;
    for (line, said) in [
        ("/topic", "#jackfield has no topic."),
        ("/topic Of looms", "set the topic: Of looms"),
        ("/topic", "The topic of #jackfield: Of looms"),
        ("/away at tea", "You are away."),
        ("/back", "You are back."),
        ("/help", "enters a channel"),
        ("/help", "moves the log"),
        ("/help msg", "/msg name text: says something to one person"),
        ("/dance", "There is no command /dance."),
        ("/msg grace", "How it goes: /msg name text"),
    ] {
        say(&page, line).await;
        page.wait_for_text("#log", said).await.unwrap();
    }
    pictures(&page, "help").await;
    for (line, said) in [
        ("/whois grace", "grace is grace."),
        ("/whois nobody-here", "/whois nobody-here: "),
        ("/list", "#jackfield (2)"),
        ("/mode", "The modes of #jackfield: "),
        ("/mode +m", "ada set +m."),
        ("/invite grace #elsewhere", "/invite grace #elsewhere: "),
        ("/kick", "How it goes: /kick name [reason]"),
    ] {
        say(&page, line).await;
        page.wait_for_text("#log", said).await.unwrap();
    }
    pictures(&page, "asked").await;
    say(&page, "/mode -m").await;
    page.wait_for_text("#log", "ada set -m.").await.unwrap();
    say(&page, "/raw PRIVMSG #jackfield :by hand, :with colons").await;
    grace.wait(":by hand, :with colons").await;
    let mut mary = Talker::join(&stage, "mary").await;
    say(&page, "/kick mary enough now").await;
    mary.wait("KICK #jackfield mary :enough now").await;
    page.wait_for_text("#log", "mary was removed by ada (enough now).")
        .await
        .unwrap();
    say(&page, "/clear").await;
    page.wait_for("document.querySelector('#lines').childElementCount === 0")
        .await
        .unwrap();
    say(&page, "//not a command").await;
    grace.wait(":/not a command").await;
    say(&page, "/me bows").await;
    grace.wait("ACTION bows").await;
    say(&page, "/query grace a word").await;
    page.wait_for_text("#buffer-name", "grace").await.unwrap();
    grace.wait("PRIVMSG grace :a word").await;
    page.wait_for_text("#log .own:not(.pending)", "a word")
        .await
        .unwrap();
    say(&page, "/topic").await;
    page.wait_for_text("#log .fault", "for channels, and this is none")
        .await
        .unwrap();
    say(&page, "/close").await;
    page.wait_for("!document.querySelector('#buffers [data-buffer=grace]')")
        .await
        .unwrap();
    page.click("#buffers [data-buffer='#jackfield'] .open")
        .await
        .unwrap();
    // Whoever looks at a conversation means to write there.
    page.wait_for("document.activeElement.id === 'input'")
        .await
        .unwrap();
    say(&page, "/part so long").await;
    grace.wait("PART #jackfield").await;
    page.wait_for_element("#buffers .gone[data-buffer='#jackfield']")
        .await
        .unwrap();
    say(&page, "/quit").await;
    page.wait_for_element("#welcome:not([hidden])")
        .await
        .unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_certificate_is_refused_where_one_sees_it() {
    let stage = Stage::start("irc.elsewhere.example").await;
    let page = stage.connect("ada").await;
    page.wait_for_text("#connect-error", "can't prove who it is")
        .await
        .unwrap();
    page.wait_for_text("#connect-error", "is for another name")
        .await
        .unwrap();
    picture(&page, "wrong-certificate").await;
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_nickname_and_a_wrong_command_are_explained() {
    let stage = Stage::start(HOST).await;
    let page = stage.connect("ada").await;
    joined(&page).await;
    say(&page, "/dance").await;
    page.wait_for_text("#log .fault", "no command /dance")
        .await
        .unwrap();
    say(&page, "/nick #no").await;
    page.wait_for_text("#log .fault", "nick").await.unwrap();
    let second = stage.connect("ada").await;
    joined(&second).await;
    // It took another one by itself, and says which.
    second.wait_for_text("#own-nick", "ada_").await.unwrap();
    stage.browser.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_page_is_an_app_with_sockets_of_its_own() {
    let stage = Stage::start(HOST).await;
    let app = stage.browser.install(&stage.site).await.unwrap();
    let page = stage.browser.launch_app(&app).await.unwrap();
    connect(&page, "ada").await;
    joined(&page).await;
    say(&page, SAID).await;
    page.wait_for_text("#log .own", SAID).await.unwrap();
    page.click("#lock").await.unwrap();
    page.wait_for_text("#connection-summary", "no relay in between")
        .await
        .unwrap();
    page.wait_for_text("#connection-facts", "Direct Sockets")
        .await
        .unwrap();
    picture(&page, "app").await;
    stage.browser.close().await.unwrap();
}
