"""Serve a request of an application over a socket of its own."""

import asyncio

import uvicorn


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def exercise():
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", http="h11", ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = (await reader.read()).decode()
    writer.close()
    await server.shutdown()
    return [answer.splitlines()[0], "x-own: 1" in answer, "/path" in answer]
