"""Send requests, synchronous and asynchronous, to a transport of one's own."""

import httpx


def answer(request):
    if request.url.path == "/old":
        return httpx.Response(302, headers={"Location": "/new"})
    return httpx.Response(200, json={"path": request.url.path, "body": request.content.decode()})


async def exercise():
    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://host", follow_redirects=True) as client:
        response = client.get("/old")  # noqa: ASYNC212 - nothing blocks: there is no network
        refused = httpx.Response(404, request=response.request)
        try:
            refused.raise_for_status()
        except httpx.HTTPStatusError as error:
            reason = error.response.status_code
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        later = await client.post("http://host/post", data={"a": "1"})
    return [response.json(), [str(r.url) for r in response.history], later.json(), reason]
