# The same requests by aiocoap: port, number of requests, size of the body.

import asyncio
import sys
import time

from aiocoap import Context, Message, GET, PUT


async def main():
    port, gets, size = map(int, sys.argv[-3:])
    body = bytes(index % 251 for index in range(size))
    context = await Context.create_client_context()
    base = f"coap://127.0.0.1:{port}"

    async def ask(**request):
        response = await context.request(Message(**request)).response
        if not response.code.is_successful():
            raise RuntimeError(f"{request['uri']}: {response.code}")
        return response.payload

    start = time.perf_counter()
    for _ in range(gets):
        assert await ask(code=GET, uri=f"{base}/")
    print(time.perf_counter() - start)
    start = time.perf_counter()
    await ask(code=PUT, uri=f"{base}/aiocoap", payload=body)
    print(time.perf_counter() - start)
    start = time.perf_counter()
    back = await ask(code=GET, uri=f"{base}/aiocoap")
    print(time.perf_counter() - start)
    assert back == body
    await context.shutdown()


asyncio.run(main())
