"""Read the bundle of certificates from the package's data, by path and by resource."""

import hashlib
from importlib.resources import files
from pathlib import Path

import certifi


def exercise():
    text = certifi.contents()
    by_path = Path(certifi.where()).read_text("ascii")
    resource = files("certifi").joinpath("cacert.pem").read_text("ascii")
    return [text.count("BEGIN CERTIFICATE"), text == by_path == resource, hashlib.sha256(text.encode()).hexdigest()]
