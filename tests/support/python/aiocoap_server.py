"""aiocoap with a few resources: `aiocoap_server.py ADDRESS PORT [OSCORE-DIRECTORY]`.

UDP and TCP on PORT, WebSocket on PORT + 3000. With a directory of a security context, requests
that this context protects are answered too, as are unprotected ones.
"""

import asyncio
import sys

import aiocoap
from aiocoap import CHANGED, DELETED, FORBIDDEN, Code, Message
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.resource import ObservableResource, Resource, Site, WKCResource

LARGE = bytes(index % 251 for index in range(100_000))
# Longer than aiocoap waits (0.1 s) until it acknowledges without an answer.
SLOW = 0.5
TICK = 0.1
TRANSPORTS = ["oscore", "tcpserver", "tcpclient", "ws", "udp6"]


class Hello(Resource):
    rt = "greeting"
    ct = 0

    async def render_get(self, request):
        return Message(payload=b"hello", content_format=0)


class Value(ObservableResource):
    """Holds what was put; observers hear of it."""

    def __init__(self):
        super().__init__()
        self.value = b"initial"

    async def render_get(self, request):
        return Message(payload=self.value)

    async def render_put(self, request):
        self.value = request.payload
        self.updated_state()
        return Message(code=CHANGED)

    async def render_delete(self, request):
        self.value = b""
        self.updated_state()
        return Message(code=DELETED)


class Ticks(ObservableResource):
    """Counts while it is observed."""

    def __init__(self):
        super().__init__()
        self.tick = 0
        self.task = None

    def update_observation_count(self, newcount):
        if newcount and self.task is None:
            self.task = asyncio.create_task(self.count())
        elif not newcount and self.task is not None:
            self.task.cancel()
            self.task = None

    async def count(self):
        while True:
            await asyncio.sleep(TICK)
            self.tick += 1
            self.updated_state()

    async def render_get(self, request):
        return Message(payload=str(self.tick).encode())


class Echo(Resource):
    """Says which method came with which payload."""

    async def answer(self, request):
        text = f"{Code(request.code).name} ".encode()
        return Message(code=CHANGED, payload=text + request.payload)

    render_post = render_fetch = render_patch = render_ipatch = answer


class Slow(Resource):
    async def render_get(self, request):
        await asyncio.sleep(SLOW)
        return Message(payload=b"at last")


class Large(Resource):
    def __init__(self):
        super().__init__()
        self.value = LARGE

    async def render_get(self, request):
        return Message(payload=self.value)

    async def render_put(self, request):
        self.value = request.payload
        return Message(code=CHANGED)


class Forbidden(Resource):
    async def render_get(self, request):
        return Message(code=FORBIDDEN, payload=b"not for you")


async def main(address, port, oscore=None):
    site = Site()
    site.add_resource(
        [".well-known", "core"],
        WKCResource(site.get_resources_as_linkheader, impl_info=None),
    )
    site.add_resource(["hello"], Hello())
    site.add_resource(["value"], Value())
    site.add_resource(["ticks"], Ticks())
    site.add_resource(["echo"], Echo())
    site.add_resource(["slow"], Slow())
    site.add_resource(["large"], Large())
    site.add_resource(["forbidden"], Forbidden())

    credentials = CredentialsMap()
    if oscore is not None:
        credentials.load_from_dict({":client": {"oscore": {"basedir": oscore}}})
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, credentials),
        bind=(address, int(port)),
        server_credentials=credentials,
        transports=TRANSPORTS,
    )
    print("listening", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main(*sys.argv[1:]))
