//! Mail in a page of one's own: the embedded server and Dovecot, through a relay, with TLS in the page.

use jackfield_browser_suite::mail::{ADDRESS, PASSWORD, USER};
use jackfield_browser_tests::mail::MailServer;
use jackfield_browser_tests::stage::{GAVE_UP, Stage};
use jackfield_testing::certs::Authority;
use jackfield_testing::dovecot::{self, Dovecot};
use jackfield_testing::proxy::Proxy;
use serde_json::{Value, json};

/// A page and the embedded server; what `open()`, `imap()` and `smtp()` take.
async fn stage() -> (Stage, MailServer, Vec<Value>) {
    let server = MailServer::start().await;
    let stage = Stage::reaching(&[server.imap, server.submission]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(server.root);
    let arguments = vec![
        options,
        json!(format!("imaps://{}", server.imap)),
        json!(format!("smtps://{}", server.submission)),
        json!({ "username": USER, "password": PASSWORD }),
    ];
    (stage, server, arguments)
}

/// The ten lines: folders, a message that is sent to oneself, news of it, and its text.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_and_shown() {
    const PLAY: &str = "async (options, imaps, smtps, login, address) => {
        const network = await open(options);
        const imap = await network.imap(imaps, login);
        await imap.connected;
        const smtp = await network.smtp(smtps, login);
        const folders = (await imap.list({ status: ['messages'] })).map(
            ({ name, specialUse, status }) => [name, specialUse, status?.messages]);
        const inbox = await imap.select('INBOX');
        const letter = await smtp.compose({
            from: `Ad\\u00e0 <${address}>`, to: address, subject: 'gr\\u00fcn', text: 'At one.\\n.\\nBye\\n',
            html: '<p>At <b>one</b>', bcc: address,
            attachments: [new File(['soup'], 'menu.txt', { type: 'text/plain' })].map(content => ({ content })),
        });
        const done = [];
        const sent = await smtp.send(letter, { progress: (bytes, total) => done.push(bytes / total) });
        for await (const { type, count } of imap) if (type === 'exists' && count === 1) break;
        const told = [];
        for await (const message of inbox.fetch('1:*', ['envelope', 'flags', 'parts', 'size'])) {
            const { uid, envelope, flags, parts } = message;
            const [part] = parts.attachments;
            const body = await inbox.body(uid, part);
            const blob = await body.blob();
            told.push({
                uid, flags, subject: envelope.subject, from: envelope.from, name: part.name, type: blob.type,
                soup: await blob.text(), html: await (await inbox.body(uid, parts.html[0])).text(),
                text: await (await inbox.body(uid, parts.text[0])).text(),
            });
        }
        const parsed = await inbox.message(told[0].uid);
        const { security } = await new Promise(async done => {
            const other = await network.imap(imaps, login);
            for await (const event of other) if (event.type === 'connected') { await other.close(); done(event); }
        });
        await Promise.all([imap.close(), smtp.close()]);
        await imap.closed;
        return {
            folders, sent: sent.recipients.map(({ outcome, code }) => [outcome, code]), done: done.at(-1), told,
            parsed: [parsed.subject, parsed.to, parsed.text, parsed.attachments.map(({ name }) => name)],
            tls: security.tls.version, exists: inbox.exists, state: imap.state,
        };
    }";
    let (stage, _server, mut arguments) = stage().await;
    arguments.push(json!(ADDRESS));
    let played = stage.run(PLAY, &arguments).await;
    let folders = played["folders"].as_array().unwrap();
    assert!(folders.contains(&json!(["INBOX", null, 0])), "{folders:?}");
    assert!(
        folders.iter().any(|it| it[1] == "drafts") && folders.iter().any(|it| it[1] == "trash"),
        "{folders:?}"
    );
    assert_eq!(played["sent"], json!([["accepted", 250]]));
    assert_eq!(played["done"], json!(1));
    assert_eq!(
        played["told"],
        json!([{
            "uid": 1,
            "flags": [],
            "subject": "gr\u{fc}n",
            "from": [{ "name": "Ad\u{e0}", "address": ADDRESS }],
            "name": "menu.txt",
            "type": "text/plain",
            "soup": "soup",
            "html": "<p>At <b>one</b>",
            "text": "At one.\n.\nBye\n",
        }])
    );
    assert_eq!(
        played["parsed"],
        json!(["gr\u{fc}n", [{ "name": null, "address": ADDRESS }], "At one.\n.\nBye\n", ["menu.txt"]])
    );
    assert_eq!(played["tls"], "TLS 1.3");
    assert_eq!(played["exists"], 1);
    assert_eq!(played["state"], "closed");
    stage.browser.close().await.unwrap();
}

/// What a web mail does all day, with a server that has QRESYNC and MOVE.
#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_worked_in() {
    const PLAY: &str = r"async (options, imaps, smtps, login) => {
        const imap = await (await open(options)).imap(imaps, login);
        const told = {};
        const progress = [];
        const large = new Blob(['Subject: large\r\n\r\n', 'x'.repeat(998) + '\r\n'.repeat(1), 'y'.repeat(300000)]);
        told.large = await imap.append('INBOX', large, {
            flags: ['\\Seen'], date: new Date(Date.UTC(2026, 0, 2)),
            progress: (done, total) => progress.push([done, total]),
        });
        told.progress = [progress.length > 3, progress.at(-1)[0] === large.size, progress.at(-1)[1] === large.size];
        for (const subject of ['one', 'two', 'three', 'four']) await imap.append('INBOX', `Subject: ${subject}\n\n${subject}\n`);
        const inbox = await imap.select('inbox');
        told.selected = [inbox.name, inbox.exists, inbox.readOnly];
        const all = async (...what) => (await Array.fromAsync(inbox.fetch(...what))).map(({ uid, envelope }) => [uid, envelope?.subject]);
        told.newest = await all('1:*', ['envelope'], { newest: 2 });
        told.list = await all([4, 99, 2], ['envelope']);
        told.none = await all([]);
        told.search = [
            await inbox.search({ subject: 'O', withoutFlags: ['\\Seen'] }),
            await inbox.search({ or: [{ subject: 'one' }, { text: 'three' }], not: { uids: 4 } }),
            await inbox.search({ before: new Date(2026, 0, 5), larger: 1000 }),
            (await inbox.search()).length,
        ];
        await inbox.addFlags('2:3', ['\\Flagged', '$Later']);
        await inbox.removeFlags(3, ['\\Flagged']);
        await inbox.setFlags([4], ['\\Answered']);
        await inbox.addFlags([], ['\\Deleted']);
        told.flags = (await Array.fromAsync(inbox.fetch('2:4', ['flags', 'modseq']))).map(
            ({ flags, modseq }) => [flags.filter(flag => flag !== '\\Recent').sort(), typeof modseq]);
        // Work in another mailbox meanwhile: each is done where it belongs.
        await imap.create('Elsewhere/gr\u00fcn');
        const [copied, sizes, text] = await Promise.all([
            inbox.copy('2:3', 'Elsewhere/gr\u00fcn'),
            imap.select('Elsewhere/gr\u00fcn').then(async other => [other.name, (await other.search()).length]),
            inbox.body(4).then(body => body.text()),
        ]);
        told.copied = [copied.uids, sizes, text];
        const moved = await inbox.move(5, 'Elsewhere/gr\u00fcn');
        await inbox.delete(4);
        told.moved = [moved.uids, moved.isLeftBehind, await inbox.search(), inbox.exists];
        const other = await imap.select('Elsewhere/gr\u00fcn', { readOnly: true });
        told.other = [other.exists, other.readOnly, await other.addFlags(1, ['\\Seen']).catch(({ kind }) => kind)];
        // In the loop over messages others are read, and other mailboxes worked in.
        told.nested = [];
        for await (const { uid } of inbox.fetch()) {
            const body = await inbox.body(uid);
            told.nested.push([uid, (await body.bytes()).length === body.size, (await other.search()).length]);
        }
        told.header = await (await inbox.body(2, 'header')).text();
        told.missing = await inbox.body(77).catch(({ kind }) => kind);
        told.part = await inbox.body(2, '9').catch(({ kind }) => kind);
        told.status = (({ messages, unseen }) => [messages, unseen])(await imap.status('Elsewhere/gr\u00fcn'));
        await imap.rename('Elsewhere/gr\u00fcn', 'There');
        await imap.unsubscribe('There');
        await imap.subscribe('There');
        await imap.delete('There');
        told.gone = await imap.select('There').catch(({ kind }) => kind);
        told.lacking = await inbox.sort('-date').then(() => 'sorted', ({ kind }) => kind);
        told.namespaces = (await imap.namespaces()).personal.length;
        told.capabilities = imap.server.capabilities.includes('MOVE');
        // Drafts: the first, the next in its place, and back to where one was.
        const draft = { from: 'ada@example.org', bcc: 'eve@example.org', keepBcc: true };
        const first = await imap.saveDraft('Drafts', (await imap.compose({ ...draft, text: 'a' })).message);
        const second = await imap.saveDraft('Drafts', (await imap.compose({ ...draft, text: 'b' })).message, first.uid);
        const drafts = await imap.select('Drafts');
        told.drafts = [first.uid, first.former, second.former, await drafts.search(), (await drafts.message(second.uid)).text];
        await imap.close();
        told.closed = await inbox.search().catch(({ kind }) => kind);
        return told;
    }";
    let (stage, _server, arguments) = stage().await;
    let told = stage.run(PLAY, &arguments).await;
    let subjects = |list: &[(u32, &str)]| json!(list);
    assert_eq!(told["large"]["uid"], 1);
    assert_eq!(told["progress"], json!([true, true, true]));
    assert_eq!(told["selected"], json!(["INBOX", 5, false]));
    assert_eq!(told["newest"], subjects(&[(5, "four"), (4, "three")]));
    assert_eq!(told["list"], subjects(&[(4, "three"), (2, "one")]));
    assert_eq!(told["none"], json!([]));
    assert_eq!(told["search"], json!([[2, 3, 5], [2], [1], 5]));
    assert_eq!(
        told["flags"],
        json!([
            [["$Later", "\\Flagged"], "bigint"],
            [["$Later"], "bigint"],
            [["\\Answered"], "bigint"],
        ])
    );
    assert_eq!(
        told["copied"],
        json!([
            [[2, 1], [3, 2]],
            ["Elsewhere/gr\u{fc}n", 2],
            "Subject: three\r\n\r\nthree\r\n"
        ])
    );
    assert_eq!(told["moved"], json!([[[5, 3]], false, [1, 2, 3], 3]));
    assert_eq!(told["other"], json!([3, true, "refused"]));
    assert_eq!(
        told["nested"],
        json!([[1, true, 3], [2, true, 3], [3, true, 3]])
    );
    assert_eq!(told["header"], "Subject: one\r\n\r\n");
    assert_eq!(told["missing"], "not-found");
    assert_eq!(told["part"], "not-found");
    assert_eq!(told["status"], json!([3, 3]));
    assert_eq!(told["gone"], "refused");
    assert_eq!(told["lacking"], "unsupported");
    assert_eq!(told["namespaces"], 1);
    assert_eq!(told["capabilities"], true);
    let drafts = told["drafts"].as_array().unwrap();
    assert_eq!(drafts[1..3], [json!(null), json!("gone")]);
    assert_eq!(drafts[3], json!([2]));
    assert_eq!(drafts[4], "b\n");
    assert_eq!(told["closed"], "closed");
    stage.browser.close().await.unwrap();
}

/// A copy in IndexedDB is kept in step, outlives the client, and goes on from where it was left.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_kept_in_step() {
    const PLAY: &str = r"async (options, imaps, smtps, login) => {
        const connect = async () => (await open(options)).imap(imaps, login);
        const told = {};
        let imap = await connect();
        for (let count = 1; count <= 5; count += 1) await imap.append('INBOX', `Subject: ${count}\n\nx\n`);
        told.first = await imap.sync('INBOX', { store: 'mail' }).done();
        told.again = await imap.sync('INBOX', { store: 'mail' }).done();
        await imap.close();
        const copy = await openMailCopy('mail');
        const shown = async () => (await copy.messages('INBOX')).map(({ uid, envelope, flags }) =>
            [uid, envelope.subject, flags.filter(flag => flag !== '\\Recent')]);
        told.mailboxes = await copy.mailboxes();
        told.page = (await copy.messages('INBOX', { newest: 2, before: 5 })).map(({ uid }) => uid);
        told.get = [(await copy.get('INBOX', 3)).envelope.subject, await copy.get('INBOX', 9)];
        // Somebody else works in it meanwhile.
        const other = await connect();
        const inbox = await other.select('INBOX');
        await inbox.addFlags(2, ['\\Seen']);
        await inbox.delete([1, 4]);
        await other.append('INBOX', 'Subject: 6\n\nx\n');
        await other.close();
        imap = await connect();
        const changes = [];
        for await (const change of imap.sync('INBOX', { store: copy })) changes.push(change.type);
        told.changes = changes.sort();
        told.shown = await shown();
        // A page that keeps its own, and leaves it in the middle.
        const sync = imap.sync('INBOX');
        let seen = 0;
        for await (const change of sync) { seen += 1; if (seen === 2) break; }
        const rest = imap.sync('INBOX', { state: sync.state });
        told.rest = [sync.state.length > 0, (await rest.done()).new];
        // Two at a time, and work in another mailbox in the loop.
        const [one, two] = await Promise.all([
            imap.sync('INBOX', { store: copy }).done(), imap.sync('Trash', { store: 'mail' }).done()]);
        for await (const change of imap.sync('INBOX')) await imap.select('Trash').then(trash => trash.search());
        told.both = [one.new, two.new];
        const aborted = new AbortController();
        aborted.abort(new Error('enough'));
        told.aborted = await imap.sync('INBOX', { signal: aborted.signal }).done().catch(({ message }) => message);
        await copy.forget('INBOX');
        told.forgotten = [await copy.state('INBOX'), (await copy.messages('INBOX')).length];
        copy.close();
        told.closed = await copy.messages('INBOX').catch(({ kind }) => kind);
        await imap.close();
        await deleteMailCopy('mail');
        return told;
    }";
    let (stage, _server, arguments) = stage().await;
    let told = stage.run(PLAY, &arguments).await;
    let synced = |new: u32| json!({ "new": new, "flags": 0, "gone": 0, "isReset": false });
    assert_eq!(told["first"], synced(5));
    assert_eq!(told["again"], synced(0));
    assert_eq!(told["mailboxes"], json!([{ "name": "INBOX", "count": 5 }]));
    assert_eq!(told["page"], json!([4, 3]));
    assert_eq!(told["get"], json!(["3", null]));
    assert_eq!(told["changes"], json!(["flags", "gone", "new"]));
    assert_eq!(
        told["shown"],
        json!([
            [6, "6", []],
            [5, "5", []],
            [3, "3", []],
            [2, "2", ["\\Seen"]]
        ])
    );
    assert_eq!(told["rest"], json!([true, 2]));
    assert_eq!(told["both"], json!([0, 0]));
    assert_eq!(told["aborted"], "enough");
    assert_eq!(told["forgotten"], json!([null, 0]));
    assert_eq!(told["closed"], "storage");
    stage.browser.close().await.unwrap();
}

/// What a page passes never becomes a command: it is refused by name, before anything is sent, or it arrives as
/// what it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_passes_is_no_command() {
    const MISUSES: &[(&str, &str)] = &[
        ("network.imap(imaps)", "the options of imap() are missing"),
        (
            "network.imap(5, login)",
            "the address is a number, not a string",
        ),
        (
            "network.imap('https://a', login)",
            "https:// is no address of an IMAP server: imaps and imap are",
        ),
        (
            "network.imap('imaps://a/INBOX', login)",
            "the address of an IMAP server has no path",
        ),
        (
            "network.imap(imaps, { username: 'ada' })",
            "the option password is missing, and so is token",
        ),
        (
            "network.imap(imaps, { password: 'x' })",
            "the option username is missing",
        ),
        ("network.imap(imaps, {})", "the option username is missing"),
        (
            "network.imap(imaps, { ...login, token: 'x' })",
            "the option token is given beside a password",
        ),
        (
            "network.imap(imaps, { username: 'a', token: 5 })",
            "the option token is neither a string nor a function",
        ),
        (
            "network.imap(imaps, { username: 'a', token: 'a b' })",
            "the option token can't log in",
        ),
        (
            "network.imap(imaps, { username: 'a\\r\\nb', password: 'x' })",
            "the option username can't log in",
        ),
        (
            "network.imap(imaps, { username: 'a', pasword: 'x' })",
            "imap() has no option pasword; is password meant?",
        ),
        ("imap.select()", "the mailbox is missing, not a string"),
        (
            "imap.select('a\\r\\nX LOGOUT')",
            "the option mailbox is not one",
        ),
        ("imap.select('')", "the option mailbox is missing"),
        (
            "network.imap('imaps://mail.example.org', { username: 'ada', password: 'x', reconnect: true })",
            "the option reconnect is a boolean, neither false nor an object",
        ),
        (
            "network.smtp('smtps://mail.example.org', { reconnect: { first: 0 } })",
            "the option reconnect.first is no whole number from 1",
        ),
        ("imap.select('a\\0b')", "the option mailbox is not one"),
        (
            "imap.select('INBOX', { readonly: true })",
            "select() has no option readonly; is readOnly meant?",
        ),
        (
            "imap.select('INBOX', { readOnly: 1 })",
            "the option readOnly is a number, not true or false",
        ),
        (
            "imap.select('INBOX', { signal: 1 })",
            "the option signal is a number, not an AbortSignal",
        ),
        (
            "imap.select('INBOX', { timeout: 'soon' })",
            "the option timeout is no number from 0 to 2147483647",
        ),
        ("imap.create('a\\nb')", "the option mailbox is not one"),
        ("imap.rename('a', 'b\\r')", "the option to is not one"),
        (
            "imap.status('INBOX', ['size)'])",
            "the option items has size)",
        ),
        (
            "imap.list({ status: 'unseen' })",
            "the option status is no array",
        ),
        ("imap.append('INBOX')", "the message is missing"),
        (
            "imap.append('INBOX', { a: 1 })",
            "the payload is a Object, not",
        ),
        (
            "imap.append('INBOX', 'x', { flags: ['\\\\Seen) X'] })",
            "the option flags is not one",
        ),
        (
            "imap.append('INBOX', 'x', { date: 5 })",
            "the option date is a number, not a Date",
        ),
        (
            "imap.saveDraft('Drafts', 'x', '1')",
            "the option uid is no number",
        ),
        ("imap.watch()", "the mailboxes are missing"),
        (
            "imap.sync('INBOX', { state: 'x' }).done()",
            "the option state is a string, not a Uint8Array",
        ),
        (
            "imap.sync('INBOX', { state: new Uint8Array([9]) }).done()",
            "the option state can't be read",
        ),
        (
            "imap.sync('INBOX', { store: {} }).done()",
            "the option store is a Object, not a name or a copy",
        ),
        (
            "imap.sync('INBOX', { items: ['all'] }).done()",
            "the option items has all",
        ),
        ("imap.parse()", "the message is missing"),
        ("imap.compose()", "the draft of compose() is missing"),
        (
            "imap.compose({ from: 'a@b', text: 5 })",
            "the option text is no string",
        ),
        (
            "imap.compose({ text: 'x' })",
            "the option from has to be one address",
        ),
        (
            "imap.compose({ from: 'a@b', subject: 'x\\r\\nBcc: c@d' })",
            "the option draft can't be sent: the subject",
        ),
        (
            "imap.compose({ from: 'a@b', to: { name: 'x' } })",
            "the address in to is missing, not a string",
        ),
        (
            "imap.compose({ from: 'a@b', attachments: [{}] })",
            "an attachment has no content",
        ),
        ("inbox.body()", "the UID is missing, not a number"),
        ("inbox.body(0)", "the UID is 0, which is none"),
        ("inbox.body(1.5)", "the UID is 1.5, which is none"),
        (
            "inbox.body(1, '1] X')",
            "the option part is no part's number",
        ),
        ("inbox.body(1, 5)", "the part is a number, not"),
        (
            "inbox.body(1, '1', { progress: 1 })",
            "the option progress is a number, not a function",
        ),
        ("inbox.fetch({}).next()", "the UIDs are a Object, not"),
        ("inbox.fetch('1:x').next()", "the option uids is neither"),
        (
            "inbox.fetch(1, 'flags')",
            "the items are a string, not an array",
        ),
        (
            "inbox.fetch(1, ['flags', 'body']).next()",
            "the option items has body",
        ),
        (
            "inbox.search('unseen')",
            "the options of the query are a string, not an object",
        ),
        (
            "inbox.search({ form: 'x' })",
            "the query has no option form",
        ),
        (
            "inbox.search({ or: { from: 'x' } })",
            "the option or is no array",
        ),
        (
            "inbox.search({ since: '2026-01-01' })",
            "the option since is no Date",
        ),
        (
            "inbox.search({ larger: -1 })",
            "the option larger is no whole number",
        ),
        (
            "inbox.search({ flags: ['a b'] })",
            "the option flags is not one",
        ),
        ("inbox.search({ from: 'a\\0b' })", "a text holds no NUL"),
        (
            "inbox.search({ changedSince: 5 })",
            "the option changedSince is no bigint",
        ),
        ("inbox.sort('age')", "the option by is not one of the keys"),
        (
            "inbox.threads({}, { by: 'date' })",
            "the option by is neither references nor subject",
        ),
        (
            "inbox.addFlags(1, '\\\\Seen')",
            "the flags are a string, not an array",
        ),
        ("inbox.addFlags(undefined, [])", "the UIDs are missing, not"),
        (
            "inbox.addFlags(1, ['a\\r\\nX LOGOUT'])",
            "the option flags is not one",
        ),
        ("inbox.copy(1, 'a\\r\\nb')", "the option to is not one"),
        (
            "network.smtp('smtps://a/b')",
            "the address of an SMTP server has no path",
        ),
        (
            "network.smtp(smtps, { name: 'a b' })",
            "the option name is none",
        ),
        ("smtp.send()", "the message is missing"),
        (
            "smtp.send({ from: 'a@b', to: 'c@d' })",
            "the message is missing",
        ),
        (
            "smtp.send({ from: 'a@b', message: 'x' })",
            "the option to is missing",
        ),
        (
            "smtp.send({ from: 'a@b', to: 'c@d>\\r\\nRCPT TO:<e@f', message: 'x' })",
            "the option to has",
        ),
        (
            "smtp.send({ from: 'a@b\\r\\nDATA', to: 'c@d', message: 'x' })",
            "the option from has",
        ),
        (
            "smtp.send({ from: 'a@b', to: [], message: 'x' })",
            "the envelope has no recipient",
        ),
        (
            "smtp.send({ from: 'a@b', to: 'c@d', message: 'x' }, { timout: 1 })",
            "send() has no option timout; is timeout meant?",
        ),
    ];
    const PLAY: &str = r#"async (options, imaps, smtps, login, calls) => {
        const network = await open(options);
        const imap = await network.imap(imaps, login);
        const smtp = await network.smtp(smtps, login);
        await imap.append('INBOX', 'Subject: x\n\nx\n');
        const inbox = await imap.select('INBOX');
        const names = ['network', 'imaps', 'smtps', 'login', 'imap', 'smtp', 'inbox'];
        const told = [];
        for (const call of calls) {
            const run = new Function(...names, `return (async () => ${call})()`);
            const within = new Promise(done => setTimeout(done, 5000, 'nothing'));
            const refused = run(network, imaps, smtps, login, imap, smtp, inbox).then(
                () => 'it was taken',
                error => error instanceof JackfieldError ? `${error.kind}: ${error.message}` : `another error: ${error}`);
            told.push(await Promise.race([refused, within]));
        }
        // Names and texts of any kind arrive as they are.
        const odd = ['a\\"b', '{3}', '(x)', 'a&b', '\u65e5\u672c', '\ud83d\ude00', ' lead', 'NIL', 'x]'];
        const before = (await imap.list()).length;
        for (const name of odd) await imap.create(name);
        const listed = (await imap.list()).map(({ name }) => name);
        const lost = odd.filter(name => !listed.includes(name));
        for (const name of odd) {
            const { uid } = await imap.append('INBOX', `Subject: x${name}!\n\nx\n`);
            const found = await inbox.search({ subject: `x${name}!` });
            if (!found.includes(uid) && !/[^ -~]/.test(name)) lost.push(`search ${name}`);
        }
        const there = await imap.select(odd[0]);
        const late = await inbox.search({}, { timeout: 0 }).then(() => 'done', ({ kind }) => kind);
        const aborted = new AbortController();
        const given = inbox.search({}, { signal: aborted.signal }).catch(error => error);
        aborted.abort('enough');
        const result = { told, lost, grown: listed.length - before, name: there.name, late, given: await given };
        await Promise.all([imap.close(), smtp.close()]);
        return result;
    }"#;
    let (stage, _server, mut arguments) = stage().await;
    let calls: Vec<&str> = MISUSES.iter().map(|(call, _)| *call).collect();
    arguments.push(json!(calls));
    let played = stage.run(PLAY, &arguments).await;
    let mut wrong = Vec::new();
    for ((call, expected), told) in MISUSES.iter().zip(played["told"].as_array().unwrap()) {
        let told = told.as_str().unwrap();
        if !told.starts_with(&format!("invalid-input: {expected}")) {
            wrong.push(format!("{call}: {told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(played["lost"], json!([]));
    assert_eq!(played["grown"], 9);
    assert_eq!(played["name"], "a\\\"b");
    assert_eq!(played["late"], "timed-out");
    assert_eq!(played["given"], "enough");
    stage.browser.close().await.unwrap();
}

/// A token is asked for before each log-in; wrong ones, and a wrong password, end the client with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_come_in_is_told() {
    const PLAY: &str = r"async (options, imaps, smtps, login) => {
        const network = await open(options);
        const told = [];
        const wrong = await network.imap(imaps, { ...login, password: 'babbage' });
        const why = error => [error.kind, error instanceof JackfieldError];
        told.push(await wrong.connected.catch(why), await wrong.closed.catch(why));
        told.push(await wrong.select('INBOX').catch(why), await wrong.next().then(({ type }) => type));
        try { for await (const _ of wrong); told.push('ended'); } catch (error) { told.push(why(error)); }
        const smtp = await network.smtp(smtps, { ...login, password: 'babbage' });
        told.push(await smtp.verify().catch(why));
        let asked = 0;
        const failing = await network.imap(imaps, { username: 'ada', token: async () => { asked += 1; throw new Error('no more'); } });
        for await (const event of failing) {
            if (event.type === 'disconnected') { told.push([event.error.message.includes('no more'), asked]); break; }
        }
        await failing.close();
        const fine = await network.smtp(smtps, login);
        await fine.verify();
        told.push(fine.state);
        const refused = await fine.send({ from: 'ada@jackfield.example', to: ['nobody@jackfield.example'], message: 'x' }).catch(
            ({ kind, code, recipients }) => [kind, code >= 500, recipients?.length]);
        told.push(refused);
        await fine.close();
        await fine.closed;
        return told;
    }";
    let (stage, _server, arguments) = stage().await;
    let told = stage.run(PLAY, &arguments).await;
    let denied = json!(["authentication", true]);
    let told = told.as_array().unwrap();
    assert_eq!(told[..3], [denied.clone(), denied.clone(), denied.clone()]);
    assert_eq!(told[3], "connecting");
    assert_eq!(told[4..6], [denied.clone(), denied]);
    assert_eq!(told[6], json!([true, 1]));
    assert_eq!(told[7], "connected");
    assert_eq!(told[8], json!(["refused", true, 1]));
    stage.browser.close().await.unwrap();
}

/// STARTTLS, and what the embedded server has not: sorting, conversations, quotas. What a mailbox's other users do
/// is told.
#[tokio::test(flavor = "multi_thread")]
async fn dovecot_sorts_and_threads() {
    const PLAY: &str = r"async (options, imaps, login) => {
        const imap = await (await open(options)).imap(imaps, login);
        const told = {};
        const letter = (id, subject, date, answers = '') => imap.append('INBOX',
            `Message-ID: <${id}@x>\nSubject: ${subject}\nDate: ${date} Jan 2026 10:00:00 +0000\n${answers}\nx\n`);
        await letter('a', 'plans', 3);
        await letter('b', 'apples', 5);
        await letter('c', 'Re: plans', 4, 'In-Reply-To: <a@x>\nReferences: <a@x>\n');
        const inbox = await imap.select('INBOX');
        told.sorted = [await inbox.sort('-date'), await inbox.sort(['subject', 'date'])];
        told.threads = await inbox.threads();
        told.quotas = (await imap.quotas('INBOX')).map(({ resource }) => resource);
        // Another client's work comes as news.
        const other = await (await open(options)).imap(imaps, login);
        const theirs = await other.select('INBOX');
        await theirs.addFlags(2, ['\\Seen']);
        await theirs.delete(1);
        const news = {};
        for await (const event of imap) {
            if (event.type === 'message') news.flags = [event.message.uid, event.message.flags.includes('\\Seen')];
            if (event.type === 'expunged') { news.gone = event.uids; break; }
        }
        told.news = news;
        await Promise.all([imap.close(), other.close()]);
        return told;
    }";
    let authority = Authority::new();
    let certificate = authority.server(&["127.0.0.1"]);
    let server = Dovecot::start(&certificate, "plain scram-sha-256").await;
    let server = server.unwrap();
    let stage = Stage::reaching(&[server.plain()]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(authority.pem());
    let login = json!({ "username": "ada", "password": dovecot::PASSWORD });
    let url = json!(format!("imap://{}", server.plain()));
    let told = stage.run(PLAY, &[options, url, login]).await;
    assert_eq!(told["sorted"], json!([[2, 3, 1], [2, 1, 3]]));
    let none: [u32; 0] = [];
    assert_eq!(
        told["threads"],
        json!([{ "uids": [1, 3], "branches": none }, { "uids": [2], "branches": none }])
    );
    assert_eq!(told["quotas"], json!(["STORAGE"]));
    assert_eq!(told["news"], json!({ "flags": [2, true], "gone": [1] }));
    stage.browser.close().await.unwrap();
}

/// A page and the embedded server, with something between the relay and the server that can be stalled and cut.
async fn between() -> (Stage, MailServer, [Proxy; 2], Vec<Value>) {
    let server = MailServer::start().await;
    let imap = Proxy::start(server.imap).await.unwrap();
    let smtp = Proxy::start(server.submission).await.unwrap();
    let stage = Stage::reaching(&[imap.address(), smtp.address()]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(server.root);
    let arguments = vec![
        options,
        json!(format!("imaps://{}", imap.address())),
        json!(format!("smtps://{}", smtp.address())),
        json!({ "username": USER, "password": PASSWORD }),
    ];
    (stage, server, [imap, smtp], arguments)
}

/// Each method of mail's clients gives up what never comes.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_mail_can_give_up() {
    const OPEN: &str = "async (options, imaps, smtps, login) => {
        globalThis.network = await open(options);
        globalThis.imap = await network.imap(imaps, login);
        globalThis.smtp = await network.smtp(smtps, login);
        await imap.append('INBOX', 'Subject: one\\n\\none\\n');
        globalThis.inbox = await imap.select('INBOX');
        await smtp.verify();
        while (await imap.next({ timeout: 200 }).catch(() => null));
        while (await smtp.next({ timeout: 200 }).catch(() => null));
        return inbox.exists;
    }";
    // What the server lacks is refused at once; the rest waits.
    const GIVE_UP: &str = "async (address) => {
        const first = async all => { for await (const it of all) return it; };
        const flags = ['\\\\Seen'];
        const told = [];
        told.push(...await gaveUp(inbox, {
            fetch: [how => first(inbox.fetch([1], ['flags'], how)), true],
            body: [how => inbox.body(1, undefined, how), true],
            message: [how => inbox.message(1, how), true],
            search: [how => inbox.search({ subject: 'one' }, how), true],
            sort: [how => inbox.sort('date', {}, how), false],
            threads: [how => inbox.threads({}, how), false],
            addFlags: [how => inbox.addFlags(1, flags, how), true],
            removeFlags: [how => inbox.removeFlags(1, flags, how), true],
            setFlags: [how => inbox.setFlags(1, flags, how), true],
            copy: [how => inbox.copy(1, 'Sent', how), true],
            move: [how => inbox.move(1, 'Sent', how), true],
            expunge: [how => inbox.expunge(1, how), true],
            delete: [how => inbox.delete(1, how), true],
        }, []));
        told.push(...await gaveUp(imap, {
            next: [how => imap.next(how), true],
            list: [how => imap.list(how), true],
            status: [how => imap.status('INBOX', undefined, how), true],
            namespaces: [how => imap.namespaces(how), false],
            quotas: [how => imap.quotas('INBOX', how), false],
            create: [how => imap.create('New', how), true],
            delete: [how => imap.delete('New', how), true],
            rename: [how => imap.rename('New', 'Old', how), true],
            subscribe: [how => imap.subscribe('INBOX', how), true],
            unsubscribe: [how => imap.unsubscribe('INBOX', how), true],
            watch: [how => imap.watch(['Sent'], how), false],
            select: [how => imap.select('Sent', how), true],
            append: [how => imap.append('INBOX', 'Subject: two\\n\\n', how), true],
            saveDraft: [how => imap.saveDraft('Drafts', 'Subject: two\\n\\n', null, how), true],
            close: [how => imap.close(how), false],
        }, ['reconnectNow', 'sync', 'parse', 'compose']));
        told.push(...await gaveUp(smtp, {
            next: [how => smtp.next(how), true],
            send: [how => smtp.send({ from: address, to: [address], message: 'x' }, how), true],
            verify: [how => smtp.verify(how), true],
            close: [how => smtp.close(how), false],
        }, ['reconnectNow', 'compose']));
        return told;
    }";
    let (stage, _server, proxies, arguments) = between().await;
    assert_eq!(stage.run(OPEN, &arguments).await, 1);
    for proxy in &proxies {
        proxy.stall(true);
    }
    let page = stage.page.evaluate::<bool>(GAVE_UP).await;
    assert!(page.unwrap());
    let wrong = stage.run(GIVE_UP, &[json!(ADDRESS)]).await;
    assert_eq!(wrong, json!([]));
    stage.browser.close().await.unwrap();
}

/// What happens elsewhere is told by NOTIFY; what comes after a lost connection needn't be waited for.
#[tokio::test(flavor = "multi_thread")]
async fn other_mailboxes_are_watched() {
    const WATCH: &str = "async (options, imaps, login) => {
        const network = await open(options);
        const an_hour = { reconnect: { first: 3_600_000, longest: 3_600_000 } };
        globalThis.imap = await network.imap(imaps, { ...login, ...an_hour });
        globalThis.other = await network.imap(imaps, login);
        await imap.create('Watched');
        await imap.select('INBOX');
        await imap.watch(['Watched']);
        globalThis.news = async () => {
            for await (const event of imap) {
                if (event.type === 'status' && event.status.name === 'Watched' && event.status.messages > 0) {
                    return event.status.messages;
                }
            }
        };
        const told = news();
        await other.append('Watched', 'Subject: one\\n\\none\\n');
        return told;
    }";
    const AGAIN: &str = "async () => {
        const before = imap.state;
        imap.reconnectNow();
        for await (const { type } of imap) if (type === 'reselected') break;
        await Promise.all([imap.close(), other.close()]);
        return before;
    }";
    let authority = Authority::new();
    let server = Dovecot::start(&authority.server(&["127.0.0.1"]), "plain").await;
    let server = server.unwrap();
    let proxy = Proxy::start(server.tls()).await.unwrap();
    let stage = Stage::reaching(&[proxy.address()]).await;
    let mut options = stage.options.clone();
    options["roots"] = json!(authority.pem());
    let login = json!({ "username": "ada", "password": dovecot::PASSWORD });
    let url = json!(format!("imaps://{}", proxy.address()));
    assert_eq!(stage.run(WATCH, &[options, url, login]).await, 1);
    proxy.cut();
    let page = &stage.page;
    page.wait_for("imap.state === 'waiting'").await.unwrap();
    page.wait_for("other.state === 'connected'").await.unwrap();
    assert_eq!(stage.run(AGAIN, &[]).await, "waiting");
    stage.browser.close().await.unwrap();
}
