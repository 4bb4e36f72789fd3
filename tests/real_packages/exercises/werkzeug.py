"""Route requests to handlers and talk to the application through the test client."""

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

ROUTES = Map([Rule("/item/<int:number>", endpoint="item")])


@Request.application
def application(request):
    try:
        endpoint, values = ROUTES.bind_to_environ(request.environ).match()
    except HTTPException as error:
        return error
    return Response(f"{endpoint} {values['number'] + 1} {request.args.get('q')}")


def exercise():
    client = Client(application)
    good, bad = client.get("/item/4?q=x"), client.get("/none")
    return [good.text, good.status, bad.status_code]
