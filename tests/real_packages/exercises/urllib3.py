"""Parse addresses, encode a form, and ask a retry policy."""

from urllib3 import Retry, filepost, make_headers
from urllib3.exceptions import MaxRetryError, ProtocolError
from urllib3.util import parse_url


def exercise():
    url = parse_url("http://ann@Example.com:8080/a/../b?q=1#f")
    retry = Retry(total=1, backoff_factor=2).increment("GET", "/", error=ProtocolError("gone"))
    try:
        retry.increment("GET", "/", error=ProtocolError("gone"))
    except MaxRetryError as error:
        reason = type(error.reason).__name__
    body, kind = filepost.encode_multipart_formdata({"a": "1", "f": ("x.txt", "data")}, boundary="mark")
    return [list(url), url.url, reason, body.decode(), kind, make_headers(basic_auth="a:b", user_agent="x")]
