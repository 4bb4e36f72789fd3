"""Sign a request, and make and read the addresses of an authorisation."""

from oauthlib.oauth1 import Client
from oauthlib.oauth2 import MissingTokenError, WebApplicationClient


def exercise():
    client = Client("key", client_secret="secret", nonce="1", timestamp="2")
    _, headers, _ = client.sign("http://example.com/a?b=c")
    web = WebApplicationClient("me")
    try:
        web.parse_request_body_response("{}")
    except MissingTokenError as error:
        refused = error.error
    token = web.parse_request_body_response('{"access_token": "t", "token_type": "Bearer"}')
    address = web.prepare_request_uri("https://example.com/authorize", scope=["a", "b"], state="s")
    return [headers["Authorization"], address, dict(token), refused]
