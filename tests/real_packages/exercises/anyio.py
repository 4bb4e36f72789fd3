"""Run tasks in a group with streams, a timeout and a thread."""

import anyio
import anyio.to_thread


async def exercise():
    send, receive = anyio.create_memory_object_stream(10)
    found = []

    async def produce(n):
        await send.send(await anyio.to_thread.run_sync(lambda: n * n))

    async with anyio.create_task_group() as group:
        for n in range(3):
            group.start_soon(produce, n)
    send.close()
    async with receive:
        async for item in receive:
            found.append(item)
    with anyio.move_on_after(0.001) as scope:
        await anyio.sleep(60)
    return [sorted(found), scope.cancelled_caught]
