# The same by Python's imaplib, which reads responses and leaves it to the caller to parse them: `PORT USER
# PASSWORD`, and where a copy is brought up to date its MODSEQ and the first UID that is new; prints the
# seconds, and how many messages have other flags, are new, and are gone.

import imaplib
import re
import sys
import time

port, user, password = sys.argv[1:4]
start = time.perf_counter()
client = imaplib.IMAP4("127.0.0.1", int(port))
client.login(user, password)
items = "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)"
if len(sys.argv) == 4:
    client.select()
    _, messages = client.uid("FETCH", "1:*", items)
    print(time.perf_counter() - start, 0, len(messages), 0)
else:
    modseq, first = sys.argv[4:6]
    client.enable("QRESYNC")
    client.select()
    changes = f"(CHANGEDSINCE {modseq} VANISHED)"
    _, messages = client.uid("FETCH", "1:*", f"{items} {changes}")
    _, vanished = client.response("VANISHED")
    uids = [int(re.search(rb"UID (\d+)", message)[1]) for message in messages]
    new = sum(uid >= int(first) for uid in uids)
    gone = 0
    for said in vanished:
        for one in said.split()[-1].split(b","):
            low, _, high = one.partition(b":")
            gone += int(high or low) - int(low) + 1
    print(time.perf_counter() - start, len(uids) - new, new, gone)
client.logout()
