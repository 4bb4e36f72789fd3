"""Sign values, read them, and refuse changed ones."""

from itsdangerous import BadSignature, SignatureExpired, Signer, URLSafeSerializer, URLSafeTimedSerializer


def exercise():
    serializer = URLSafeSerializer("secret", salt="x")
    token = serializer.dumps({"a": [1]})
    refused = []
    for attempt in (
        lambda: serializer.loads(token + "x"),
        lambda: URLSafeTimedSerializer("s").loads(URLSafeTimedSerializer("s").dumps(1), max_age=-1),
    ):
        try:
            attempt()
        except (BadSignature, SignatureExpired) as error:
            refused.append(type(error).__name__)
    return [token, serializer.loads(token), Signer("k").sign("v").decode(), refused]
