"""Sign a token, read it, and refuse a changed and an old one."""

import jwt

KEY = "a secret that is long enough for SHA-256"


def exercise():
    token = jwt.encode({"sub": "ann", "aud": "all"}, KEY, algorithm="HS256")
    refused = []
    for text in (token[:-4] + "AAAA", jwt.encode({"exp": 1}, KEY)):
        try:
            jwt.decode(text, KEY, algorithms=["HS256"])
        except jwt.InvalidTokenError as error:
            refused.append(type(error).__name__)
    return [token, jwt.decode(token, KEY, algorithms=["HS256"], audience="all"), refused]
