"""Serve an API with a model, a dependency and validation over ASGI; make its OpenAPI document."""

import json
from typing import Annotated

from fastapi import Depends, FastAPI
from pydantic import BaseModel, Field

app = FastAPI()


class Item(BaseModel):
    name: str
    count: Annotated[int, Field(ge=0)] = 1


async def prefix(q: str = "none") -> str:
    return f"q={q}"


@app.post("/items")
async def create(item: Item, prefix: Annotated[str, Depends(prefix)]) -> list[Item | str]:
    return [prefix, item]


async def post(path, query, body):
    """Return the status and the decoded body of one request."""
    sent = []
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query, "http_version": "1.1",
             "headers": [(b"content-type", b"application/json")]}  # fmt: skip

    async def receive():
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message):
        sent.append(message)

    await app({**scope, "root_path": "", "scheme": "http", "server": ("host", 80)}, receive, send)
    return [sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))]


async def exercise():
    good = await post("/items", b"q=x", {"name": "a"})
    bad = await post("/items", b"", {"count": -1})
    return [good, bad[0], [entry["loc"] for entry in bad[1]["detail"]], sorted(app.openapi()["components"]["schemas"])]
