"""Serve an application with routes, middleware and an error handler over ASGI, by hand."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request):
    return JSONResponse({"number": request.path_params["number"] + 1, "q": request.query_params.get("q")})


async def fail(request):
    raise KeyError("x")


async def on_error(request, error):
    return JSONResponse({"error": type(error).__name__}, 400)


app = Starlette(
    routes=[Route("/item/{number:int}", item), Route("/fail", fail)],
    middleware=[Middleware(GZipMiddleware, minimum_size=10_000)],
    exception_handlers={KeyError: on_error},
)


async def get(app, path, query=b""):
    """Return the status and the body of one request."""
    sent = []
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [], "http_version": "1.1"}

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    await app({**scope, "root_path": "", "scheme": "http", "server": ("host", 80)}, receive, send)
    return [sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:]).decode()]


async def exercise():
    return [await get(app, "/item/4", b"q=x"), await get(app, "/none"), await get(app, "/fail")]
