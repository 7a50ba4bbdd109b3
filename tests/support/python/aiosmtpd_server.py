"""A server of aiosmtpd that writes each message into a folder. It knows ada's password, and nobody@.

Its arguments are the folder, a certificate and its key. It says `listening PORT PORT PORT`: for STARTTLS, for TLS,
and for STARTTLS where nobody has to log in.
"""

import asyncio
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

folder, certificate, key = sys.argv[1:]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(certificate, key)
count = 0


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        global count
        count += 1
        path = os.path.join(folder, "%06d" % count)
        with open(path + ".tmp", "wb") as file:
            file.write(envelope.original_content)
        os.rename(path + ".tmp", path)
        return "250 2.0.0 Taken"


def authenticate(server, session, envelope, mechanism, data):
    good = data.login == b"ada" and data.password == b"correct horse"
    # Not handled: the server says no by itself.
    return AuthResult(success=good, handled=False)


def server(context, auth_required=True):
    return SMTP(
        Handler(),
        enable_SMTPUTF8=True,
        data_size_limit=1_000_000,
        authenticator=authenticate,
        auth_required=auth_required,
        # Where TLS is there from the start, it does not know of it.
        auth_require_tls=context is not None,
        tls_context=context,
        hostname="mail.jackfield.test",
    )


async def main():
    loop = asyncio.get_running_loop()
    plain = await loop.create_server(lambda: server(tls), "127.0.0.1", 0)
    secure = await loop.create_server(lambda: server(None), "127.0.0.1", 0, ssl=tls)
    free = await loop.create_server(lambda: server(tls, auth_required=False), "127.0.0.1", 0)
    ports = [it.sockets[0].getsockname()[1] for it in (plain, secure, free)]
    print("listening", *ports, flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
