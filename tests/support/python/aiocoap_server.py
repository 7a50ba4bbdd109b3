"""aiocoap with a few resources: `aiocoap_server.py ADDRESS PORT [OSCORE-DIRECTORY]...`.

UDP and TCP on PORT, WebSocket on PORT + 3000. Requests that are protected by the security context
in one of these directories are answered too, as are unprotected ones.
"""

import asyncio
import sys

import aiocoap
from aiocoap import CHANGED, DELETED, FORBIDDEN, Code, Message
from aiocoap.credentials import CredentialsMap
from aiocoap.oscore_sitewrapper import OscoreSiteWrapper
from aiocoap.resource import (
    ObservableResource,
    Resource,
    Site,
    WKCResource,
    hashing_etag,
)

LARGE = bytes(index % 251 for index in range(1 << 20))
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
        self.observers = 0

    def update_observation_count(self, newcount):
        self.observers = newcount
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


class Observers(Resource):
    """How many observe the ticks."""

    def __init__(self, ticks):
        super().__init__()
        self.ticks = ticks

    async def render_get(self, request):
        return Message(payload=str(self.ticks.observers).encode(), max_age=0)


class Fading(ObservableResource):
    """Never changes, but says so for a second only; counts how often it was asked."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def render_get(self, request):
        self.asked += 1
        return Message(payload=str(self.asked).encode(), max_age=1)


class Counted(Resource):
    """Is another each time, and fresh for a minute."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    async def render_get(self, request):
        self.asked += 1
        return Message(payload=str(self.asked).encode(), max_age=60)


class Steady(Resource):
    """Is always the same, which is to be asked about each time."""

    async def render_get(self, request):
        response = Message(payload=b"steady", max_age=0)
        hashing_etag(request, response)
        return response


class Echo(Resource):
    """Says which method came with which payload."""

    async def answer(self, request):
        text = f"{Code(request.code).name} ".encode()
        return Message(code=CHANGED, payload=text + request.payload)

    render_post = render_put = render_fetch = render_patch = render_ipatch = answer


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
        return Message(code=CHANGED, payload=str(request.opt.size1).encode())


class Forbidden(Resource):
    async def render_get(self, request):
        return Message(code=FORBIDDEN, payload=b"not for you")


async def main(address, port, *contexts):
    site = Site()
    site.add_resource(
        [".well-known", "core"],
        WKCResource(site.get_resources_as_linkheader, impl_info=None),
    )
    site.add_resource(["hello"], Hello())
    site.add_resource(["value"], Value())
    ticks = Ticks()
    site.add_resource(["ticks"], ticks)
    site.add_resource(["observers"], Observers(ticks))
    site.add_resource(["fading"], Fading())
    site.add_resource(["counted"], Counted())
    site.add_resource(["steady"], Steady())
    site.add_resource(["echo"], Echo())
    site.add_resource(["slow"], Slow())
    site.add_resource(["large"], Large())
    site.add_resource(["forbidden"], Forbidden())

    credentials = CredentialsMap()
    for number, directory in enumerate(contexts):
        context = {"oscore": {"basedir": directory}}
        credentials.load_from_dict({f":client-{number}": context})
    await aiocoap.Context.create_server_context(
        OscoreSiteWrapper(site, credentials),
        bind=(address, int(port)),
        server_credentials=credentials,
        transports=TRANSPORTS,
    )
    print("listening", flush=True)
    await asyncio.get_running_loop().create_future()


asyncio.run(main(*sys.argv[1:]))
