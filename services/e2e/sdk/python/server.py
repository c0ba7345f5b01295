"""Which server the tests talk to, and what they know of the model behind it.

BASE_URL, TOKEN and MODEL name any server. With FAKE_LLM (the address of a fake LLM server, the one asked or the one behind the server
asked) the tests also say what the model answers and look at what it was asked; without it, tests that need this are skipped. So are,
without IS_TRANSLATED (the model's vendor speaks another dialect), those about what the fake has no words for.
"""

import json
import os
import time
import unittest
import urllib.request
import uuid

# For anything a server does by itself, on a busy machine.
LIMIT_S = 30
LOOK_INTERVAL_S = 0.02

BASE_URL = os.environ["BASE_URL"]
TOKEN = os.environ["TOKEN"]
MODEL = os.environ["MODEL"]
# A model whose key may come to rest: no other test asks it.
LIMITED_MODEL = os.environ.get("LIMITED_MODEL", MODEL)
# A model that may fail so often that it is left alone for a while.
FAILING_MODEL = os.environ.get("FAILING_MODEL", MODEL)
# A model that reasons when asked to.
REASONING_MODEL = os.environ.get("REASONING_MODEL", MODEL)
FAKE_LLM = os.environ.get("FAKE_LLM")

# One pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
# What every client is made with. A retry would hide what a test is about.
OPTIONS = {"max_retries": 0, "timeout": LIMIT_S}

scripted = unittest.skipUnless(FAKE_LLM, "FAKE_LLM is not set")
# Of what only the server asked has words for, not the vendor behind it.
translated = unittest.skipUnless(FAKE_LLM and os.environ.get("IS_TRANSLATED"), "IS_TRANSLATED is not set")


class Fake:
    """The fake LLM server, as far as one question is concerned."""

    def __init__(self):
        self.question = f"What about {uuid.uuid4()}?"
        # A gate of this question's own.
        self.gate = str(uuid.uuid4())

    def answers(self, *replies):
        """Answers the question with these replies, one after another."""
        self._control("POST", "scripts", {"matcher": {"last_user_contains": self.question}, "replies": replies})

    def open_gate(self):
        self._control("POST", f"gates/{self.gate}/open")

    def asked(self):
        """What the model was asked with this question, oldest first."""
        requests = self._control("GET", "requests")["requests"]
        return [request for request in requests if self.question in json.dumps(request["body"])]

    def until(self, what, is_met):
        """Waits until what the model was asked is as expected."""
        deadline = time.monotonic() + LIMIT_S
        while not is_met(asked := self.asked()):
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {LIMIT_S} s: {what}; asked was {asked}")
            time.sleep(LOOK_INTERVAL_S)

    def until_gone(self):
        self.until("the model noticed", lambda asked: asked and asked[0]["outcome"] == "disconnected")

    def _control(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{FAKE_LLM}/__control/{path}", data=data, method=method)
        # No proxy of the environment stands between this machine and itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=LIMIT_S) as answer:
            return json.load(answer)


def reply(*items):
    """One reply made of pieces."""
    return {"items": items}


def text(words):
    return {"text": {"text": words}}


def thought(words):
    return {"reasoning": {"text": words}}


def gate(name):
    return {"gate": name}


def call(name, **arguments):
    return {"tool_call": {"name": name, "arguments": json.dumps(arguments)}}


def failure(status, code, **headers):
    """The vendor's refusal."""
    return {"failure": {"status": status, "code": code, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}}


def broken():
    """An answer that breaks off after its first words, in all dialects."""
    return {**reply(text("one two three four five six seven eight nine ten")), "error_event": {"after_chunks": 6, "code": "server_error"}}
