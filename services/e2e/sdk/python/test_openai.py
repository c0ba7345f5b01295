"""Chat Completions and models through the official SDK, unchanged."""

import asyncio
import json
import unittest

from openai import (
    APIError, AsyncOpenAI, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, OpenAI, RateLimitError,
)
from server import (
    BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
    Fake, broken, call, failure, gate, reply, scripted, text, thought,
)

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
        },
    },
}


def user(content):
    return {"role": "user", "content": content}


def words(chunk):
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


class ChatCompletions(unittest.TestCase):
    def setUp(self):
        self.client = OpenAI(base_url=BASE_URL, api_key=TOKEN, **OPTIONS)
        self.addCleanup(self.client.close)
        self.fake = Fake()

    def ask(self, content=None, **others):
        body = {"model": MODEL, "messages": [user(content or self.fake.question)], **others}
        return self.client.chat.completions.create(**body)

    def test_an_answer_in_one_piece(self):
        answer = self.ask("Say hello.", max_completion_tokens=64)
        self.assertEqual(answer.object, "chat.completion")
        self.assertTrue(answer.id and answer.model and answer.created > 0)
        choice = answer.choices[0]
        self.assertEqual(choice.message.role, "assistant")
        self.assertTrue(choice.message.content)
        self.assertIn(choice.finish_reason, ["stop", "length"])
        self.assertEqual(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)

    def test_a_streamed_answer_with_usage(self):
        stream = self.ask("Say hello.", max_completion_tokens=64, stream=True, stream_options={"include_usage": True})
        chunks = list(stream)
        self.assertTrue("".join(map(words, chunks)))
        self.assertEqual(len({chunk.id for chunk in chunks}), 1)
        self.assertEqual(chunks[-1].choices, [])
        self.assertGreater(chunks[-1].usage.completion_tokens, 0)

    @scripted
    def test_words_arrive_as_the_model_says_them(self):
        self.fake.answers(reply(text("Here "), gate(self.fake.gate), text("it is.")))
        stream = self.ask(stream=True)
        said = ""
        while said != "Here ":
            said += words(next(stream))
        self.fake.open_gate()
        said += "".join(map(words, stream))
        self.assertEqual(said, "Here it is.")

    @scripted
    def test_the_sdks_own_collector_gives_the_whole_answer(self):
        self.fake.answers(reply(text("All of it.")))
        with self.client.chat.completions.stream(model=MODEL, messages=[user(self.fake.question)]) as stream:
            self.assertEqual(stream.get_final_completion().choices[0].message.content, "All of it.")

    @scripted
    def test_instructions_and_a_conversation_reach_the_model(self):
        self.fake.answers(reply(text("Three.")))
        messages = [
            {"role": "system", "content": "Talk like a pirate."}, user("Count: one."), {"role": "assistant", "content": "Two."},
            user(self.fake.question),
        ]
        answer = self.ask(messages=messages, temperature=0.5, stop=["never"], max_tokens=50)
        self.assertEqual(answer.choices[0].message.content, "Three.")
        asked = json.dumps(self.fake.asked()[0]["body"])
        for said in ["Talk like a pirate.", "Count: one.", "Two."]:
            self.assertIn(said, asked)

    @scripted
    def test_tools_called_and_answered(self):
        self.fake.answers(reply(text("Let me look."), call("get_weather", city="Graz")), reply(text("It rains in Graz.")))
        messages = [user(self.fake.question)]
        choice = self.ask(messages=messages, tools=[WEATHER]).choices[0]
        self.assertEqual(choice.finish_reason, "tool_calls")
        (called,) = choice.message.tool_calls
        self.assertEqual(called.function.name, "get_weather")
        self.assertEqual(json.loads(called.function.arguments), {"city": "Graz"})
        messages += [choice.message, {"role": "tool", "tool_call_id": called.id, "content": "rain, 12 degrees"}]
        self.assertEqual(self.ask(messages=messages, tools=[WEATHER]).choices[0].message.content, "It rains in Graz.")
        self.assertIn("rain, 12 degrees", json.dumps(self.fake.asked()[1]["body"]))

    @scripted
    def test_two_tools_in_one_streamed_answer(self):
        self.fake.answers(
            reply(call("get_weather", city="Graz"), call("get_weather", city="Linz")), reply(text("Both wet.")),
        )
        messages = [user(self.fake.question)]
        with self.client.chat.completions.stream(model=MODEL, messages=messages, tools=[WEATHER]) as stream:
            message = stream.get_final_completion().choices[0].message
        cities = [json.loads(called.function.arguments)["city"] for called in message.tool_calls]
        self.assertEqual(cities, ["Graz", "Linz"])
        calls = [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls
        ]
        messages.append({"role": "assistant", "tool_calls": calls})
        messages += [{"role": "tool", "tool_call_id": called["id"], "content": "rain"} for called in calls]
        said = "".join(map(words, self.ask(messages=messages, tools=[WEATHER], stream=True)))
        self.assertEqual(said, "Both wet.")

    @scripted
    def test_a_picture_reaches_the_model(self):
        self.fake.answers(reply(text("One pixel.")))
        picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
        answer = self.ask([{"type": "text", "text": self.fake.question}, picture])
        self.assertEqual(answer.choices[0].message.content, "One pixel.")
        self.assertIn(PNG, json.dumps(self.fake.asked()[0]["body"]))

    @scripted
    def test_reasoning_comes_beside_the_answer(self):
        self.fake.answers(*[reply(thought("Hmm, two and two."), text("Four."))] * 2)
        others = {"model": REASONING_MODEL, "reasoning_effort": "low"}
        message = self.ask(**others).choices[0].message
        self.assertEqual((message.reasoning_content, message.content), ("Hmm, two and two.", "Four."))
        deltas = [chunk.choices[0].delta for chunk in self.ask(**others, stream=True) if chunk.choices]
        thoughts = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        self.assertEqual(thoughts, "Hmm, two and two.")

    def test_a_wrong_token_is_an_authentication_error(self):
        with OpenAI(base_url=BASE_URL, api_key="not-a-token", **OPTIONS) as stranger, self.assertRaises(AuthenticationError):
            stranger.chat.completions.create(model=MODEL, messages=[user("Hello?")])

    def test_an_unknown_model_is_not_found(self):
        with self.assertRaises(NotFoundError) as raised:
            self.ask("Hello?", model="no-such-model-anywhere")
        self.assertEqual(raised.exception.code, "model_not_found")

    def test_a_conversation_without_messages_is_a_bad_request(self):
        with self.assertRaises(BadRequestError) as raised:
            self.ask(messages=[])
        self.assertEqual(raised.exception.type, "invalid_request_error")

    @scripted
    def test_a_rate_limit_says_when_to_come_back(self):
        self.fake.answers(failure(429, "rate_limit_exceeded", retry_after="7"))
        with self.assertRaises(RateLimitError) as raised:
            self.ask(model=LIMITED_MODEL)
        self.assertIn(int(raised.exception.response.headers["retry-after"]), range(1, 8))

    @scripted
    def test_an_overloaded_vendor_is_a_server_error(self):
        self.fake.answers(failure(503, "overloaded"))
        with self.assertRaises(InternalServerError) as raised:
            self.ask(model=FAILING_MODEL)
        self.assertEqual(raised.exception.status_code, 503)

    @scripted
    def test_an_error_in_the_middle_of_a_stream_ends_it_with_that_error(self):
        self.fake.answers(broken())
        said = ""
        with self.assertRaises(APIError) as raised:
            for chunk in self.ask(model=FAILING_MODEL, stream=True):
                said += words(chunk)
        self.assertTrue(raised.exception.message)
        self.assertTrue(said.startswith("one"), said)

    @scripted
    def test_whoever_stops_listening_stops_the_model(self):
        self.fake.answers(reply(text("So "), gate(self.fake.gate), text("long.")))
        with self.ask(stream=True) as stream:
            while not words(next(stream)):
                pass
        self.fake.until_gone()

    @scripted
    def test_a_cancelled_request_reaches_the_model_as_an_end(self):
        self.fake.answers({**reply(text("Late.")), "pace": {"headers_gate": self.fake.gate}})

        async def cancel():
            async with AsyncOpenAI(base_url=BASE_URL, api_key=TOKEN, **OPTIONS) as client:
                messages = [user(self.fake.question)]
                asking = asyncio.create_task(client.chat.completions.create(model=MODEL, messages=messages))
                await asyncio.to_thread(self.fake.until, "the model was asked", lambda asked: len(asked) == 1)
                asking.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await asking

        asyncio.run(cancel())
        self.fake.until_gone()

    def test_models_are_listed_and_looked_up(self):
        self.assertIn(MODEL, [model.id for model in self.client.models.list()])
        self.assertEqual(self.client.models.retrieve(MODEL).id, MODEL)
        with self.assertRaises(NotFoundError):
            self.client.models.retrieve("no-such-model-anywhere")
