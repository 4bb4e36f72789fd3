"""Build an application with a blueprint, a session and a template; use its test client."""

from flask import Blueprint, Flask, jsonify, render_template_string, session

pages = Blueprint("pages", __name__)


@pages.get("/hello/<name>")
def hello(name):
    session["name"] = name
    return render_template_string("hello {{ name }}", name=name)


@pages.get("/again")
def again():
    return jsonify(name=session.get("name"))


def exercise():
    app = Flask("wrapped")
    app.secret_key = "secret"
    app.register_blueprint(pages)
    with app.test_client() as client:
        return [client.get("/hello/<ann>").text, client.get("/again").json, client.get("/none").status_code]
