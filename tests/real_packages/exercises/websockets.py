"""Let a client and a server exchange messages over a socket, and refuse a bad one."""

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosedError


async def echo(connection):
    async for message in connection:
        if message == "bad":
            await connection.close(1008, "refused")
        await connection.send(message * 2)


async def exercise():
    async with serve(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as client:
            await client.send("a")
            answer = await client.recv()
            await client.send("bad")
            try:
                await client.recv()
            except ConnectionClosedError as error:
                refused = [error.rcvd.code, error.rcvd.reason]
    return [answer, refused]
