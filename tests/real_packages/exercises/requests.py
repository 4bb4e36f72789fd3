"""Send a prepared request, with cookies and authentication, through an adapter of one's own."""

import io
import json

import requests
from requests.adapters import BaseAdapter


class Echo(BaseAdapter):
    def send(self, request, **kwargs):
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        answer = {"body": request.body, "auth": request.headers["Authorization"]}
        response.raw = io.BytesIO(json.dumps(answer).encode())
        return response

    def close(self):
        pass


def exercise():
    with requests.Session() as session:
        session.mount("echo://", Echo())
        session.auth = ("ann", "secret")
        response = session.post("echo://host/path", params={"q": "ü"}, data={"a": "1"}, cookies={"c": "2"})
        return [response.json(), response.url, response.ok, dict(response.request.headers)["Content-Type"]]
