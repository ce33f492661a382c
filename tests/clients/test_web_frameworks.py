"""Applications under the test clients of Django and Flask: their views reach the session of the test."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.filterwarnings("ignore")  # their warnings are not ours to fix

VIEW = """
import openai

def answer(question):
    with openai.OpenAI(max_retries=0) as client:  # its URL and key are those of the environment
        reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": question}])
        return reply.choices[0].message.content
"""

DJANGO = (
    VIEW
    + """
import django
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x", DATABASES={})
django.setup()
urlpatterns = [path("ask", lambda request: HttpResponse(answer(request.GET["q"])))]

def test_a_view(fakellm):
    fakellm.on(user="weather").reply("Sunny")
    assert Client().get("/ask", {"q": "weather?"}).content == b"Sunny"

def test_what_the_view_swallows(fakellm):
    fakellm.on(user="weather").reply("Sunny")
    client = Client(raise_request_exception=False)
    assert client.get("/ask", {"q": "time?"}).status_code == 500
"""
)

FLASK = (
    VIEW
    + """
import flask

app = flask.Flask(__name__)

@app.get("/ask")
def ask():
    return answer(flask.request.args["q"])

def test_a_view(fakellm):
    fakellm.on(user="weather").reply("Sunny")
    assert app.test_client().get("/ask?q=weather").text == "Sunny"

def test_what_the_view_swallows(fakellm):
    fakellm.on(user="weather").reply("Sunny")
    assert app.test_client().get("/ask?q=time").status_code == 500
"""
)


@pytest.mark.parametrize(("framework", "code"), [("django", DJANGO), ("flask", FLASK)])
def test_its_test_client_reaches_the_session(framework: str, code: str, pytester: pytest.Pytester) -> None:
    pytest.importorskip(framework)
    pytest.importorskip("openai")
    pytester.makepyfile(code)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:django")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["request 1, *: No rule matches this request. The nearest is *user: *"])
