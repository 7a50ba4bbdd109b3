"""Python's imaplib and smtplib against a mail server with ada and grace: says "done" in the end."""

import email
import email.policy
import imaplib
import smtplib
import sys
import threading
from email.message import EmailMessage

imap_port, submission_port = int(sys.argv[1]), int(sys.argv[2])
HOST = "127.0.0.1"


def ok(answer):
    kind, data = answer
    assert kind == "OK", answer
    return data


def letter(subject):
    message = EmailMessage()
    message["From"] = "ada@jackfield.example"
    message["To"] = "grace@jackfield.example"
    message["Subject"] = subject
    message.set_content("Grüße\n.\nvon Ada\n")
    message.add_alternative("<p>Grüße</p>", subtype="html")
    message.add_attachment(b"\x00\x01" * 500, maintype="image", subtype="png", filename="ü.png")
    return message


# Submission: what is refused, and what arrives.
with smtplib.SMTP(HOST, submission_port) as sender:
    sender.ehlo()
    for name in ("size", "8bitmime", "smtputf8", "pipelining", "chunking", "dsn"):
        assert sender.has_extn(name), name
    try:
        sender.sendmail("ada@jackfield.example", ["grace@jackfield.example"], "a: b\r\n\r\nc\r\n")
        raise AssertionError("nobody is logged in")
    except smtplib.SMTPSenderRefused as refused:
        assert refused.smtp_code == 530, refused
    try:
        sender.login("ada", "wrong")
        raise AssertionError("the password is wrong")
    except smtplib.SMTPAuthenticationError as refused:
        assert refused.smtp_code == 535, refused
    sender.user, sender.password = "ada", "lovelace"
    sender.auth("LOGIN", sender.auth_login)
    refused = sender.sendmail(
        "ada@jackfield.example",
        ["grace@jackfield.example", "eve@jackfield.example", "eve@elsewhere.example"],
        letter("first").as_bytes(policy=email.policy.SMTP),
        mail_options=["BODY=8BITMIME", "RET=HDRS"],
        rcpt_options=["NOTIFY=FAILURE"],
    )
    assert [code for code, _ in refused.values()] == [550, 550], refused

# IMAP: everything that imaplib has a name for.
try:
    imaplib.IMAP4(HOST, imap_port).login("grace", "wrong")
    raise AssertionError("the password is wrong")
except imaplib.IMAP4.error:
    pass
client = imaplib.IMAP4(HOST, imap_port)
ok(client.authenticate("PLAIN", lambda _: b"\0grace\0hopper"))
assert b"NIL NIL" in ok(client.namespace())[0]
names = b" ".join(ok(client.list()))
assert b"\\Sent" in names and b"INBOX" in names, names
ok(client.create('"Entw&APw-rfe"'))
assert any(b"Entw&APw-rfe" in line for line in ok(client.list()))
ok(client.subscribe('"Entw&APw-rfe"'))
assert any(b"Entw&APw-rfe" in line for line in ok(client.lsub()))
assert client.status("nowhere", "(MESSAGES)")[0] == "NO"
assert b"MESSAGES 1" in ok(client.status("INBOX", "(MESSAGES UNSEEN UIDNEXT)"))[0]
assert ok(client.select("INBOX")) == [b"1"]
for search in ('SUBJECT "first"', 'FROM "ADA" UNSEEN', "OR SEEN BODY von", 'HEADER To ""', "NOT DELETED 1:*"):
    assert ok(client.search(None, search)) == [b"1"], search
client.literal = "Grüße".encode()
assert ok(client.search("UTF-8", "TEXT")) == [b"1"]
assert ok(client.uid("SEARCH", None, "LARGER 100000")) == [b""]
data = ok(client.fetch("1", "(FLAGS RFC822.SIZE INTERNALDATE ENVELOPE BODYSTRUCTURE RFC822)"))
head, raw = data[0]
assert f"RFC822.SIZE {len(raw)} ".encode() in head, (head, len(raw))
assert imaplib.Internaldate2tuple(head), head
parsed = email.message_from_bytes(raw, policy=email.policy.default)
assert parsed["Subject"] == "first" and parsed["Return-Path"] == "<ada@jackfield.example>"
parts = [part for part in parsed.walk()]
text = parts[2].get_content().replace("\r\n", "\n")
assert text == "Grüße\n.\nvon Ada\n", repr(text)

# What the server finds under a number is what Python's parser finds there.
def body(section):
    data = ok(client.fetch("1", f"(BODY.PEEK[{section}])"))
    return data[0][1]


assert parsed.is_multipart()
alternative, picture = parsed.iter_parts()
raw_parts = email.message_from_bytes(raw).get_payload()


def flat(part):
    """A part's body as it came; of the texts, nothing is encoded."""
    is_text = part.get_content_maintype() == "text"
    text = part.get_payload(decode=True) if is_text else part.get_payload().encode()
    return text.replace(b"\r\n", b"\n")


assert raw_parts[0].get_payload()[0]["Content-Transfer-Encoding"] == "8bit"
assert body("1.1").replace(b"\r\n", b"\n") == flat(raw_parts[0].get_payload()[0])
assert body("1.2").replace(b"\r\n", b"\n") == flat(raw_parts[0].get_payload()[1])
assert body("2").replace(b"\r\n", b"\n") == flat(raw_parts[1])
assert picture.get_content() == b"\x00\x01" * 500
assert email.message_from_bytes(body("2.MIME"))["Content-Type"] == raw_parts[1]["Content-Type"]
assert body("HEADER") + body("TEXT") == raw
assert body("HEADER.FIELDS (SUBJECT)") == b"Subject: first\r\n\r\n"
partial = ok(client.fetch("1", "(BODY.PEEK[]<10.20>)"))
assert partial[0][1] == raw[10:30] and b"<10>" in partial[0][0], partial
assert b"\\Seen" in ok(client.fetch("1", "(FLAGS)"))[0], "RFC822 marks it"

stored = ok(client.store("1", "+FLAGS", r"(\Flagged $Work)"))
assert b"$Work" in stored[0], stored
ok(client.store("1", "-FLAGS.SILENT", r"(\Flagged)"))
ok(client.append('"Entw&APw-rfe"', r"(\Draft)", imaplib.Time2Internaldate(1e9), b"a: b\r\n\r\nc\r\n"))
ok(client.copy("1", "Archive"))
ok(client.uid("MOVE", "1", "Trash"))
assert ok(client.search(None, "ALL")) == [b""]
ok(client.select("Trash"))
ok(client.store("1:*", "+FLAGS", r"(\Deleted)"))
assert ok(client.expunge()) == [b"1"]
ok(client.close())
ok(client.rename('"Entw&APw-rfe"', "Drafts/old"))
assert ok(client.select("Drafts/old", readonly=True)) == [b"1"]
assert client.store("1", "+FLAGS", r"(\Seen)")[0] == "NO"
ok(client.unselect())
ok(client.delete("Drafts/old"))
assert client.delete("INBOX")[0] == "NO"

# A message that is sent while one waits arrives. (imaplib has no IDLE before Python 3.14.)
ok(client.select("INBOX"))
client.send(b"x1 IDLE\r\n")
assert client.readline().startswith(b"+ "), "it waits"


def send():
    with smtplib.SMTP(HOST, submission_port) as sender:
        sender.login("grace", "hopper")
        sender.send_message(letter("second"))


thread = threading.Thread(target=send)
thread.start()
assert client.readline() == b"* 1 EXISTS\r\n"
thread.join()
client.send(b"DONE\r\n")
assert client.readline().startswith(b"x1 OK"), "it no longer waits"
assert client.logout()[0] == "BYE"
print("done")
