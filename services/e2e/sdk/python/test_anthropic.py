"""Messages, token counts and models through the official SDK, unchanged."""

import asyncio
import json
import unittest

from anthropic import (
    Anthropic, APIError, AsyncAnthropic, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, RateLimitError,
)
from server import (
    BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
    Fake, broken, call, failure, gate, reply, scripted, text, thought,
)

WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def user(content):
    return {"role": "user", "content": content}


def words(event):
    return event.delta.text if event.type == "content_block_delta" and event.delta.type == "text_delta" else ""


class Messages(unittest.TestCase):
    def setUp(self):
        self.client = Anthropic(base_url=BASE_URL, api_key=TOKEN, **OPTIONS)
        self.addCleanup(self.client.close)
        self.fake = Fake()

    def body(self, content=None, **others):
        return {"model": MODEL, "max_tokens": 256, "messages": [user(content or self.fake.question)], **others}

    def ask(self, content=None, **others):
        return self.client.messages.create(**self.body(content, **others))

    def whole(self, content=None, **others):
        """The answer as the SDK collects it from a stream."""
        with self.client.messages.stream(**self.body(content, **others)) as stream:
            return stream.get_final_message()

    def test_an_answer_in_one_piece(self):
        answer = self.ask("Say hello.")
        self.assertEqual((answer.type, answer.role, answer.content[0].type), ("message", "assistant", "text"))
        self.assertTrue(answer.id and answer.model and answer.content[0].text)
        self.assertIn(answer.stop_reason, ["end_turn", "max_tokens"])
        self.assertGreater(answer.usage.input_tokens, 0)
        self.assertGreater(answer.usage.output_tokens, 0)

    def test_a_streamed_answer_event_by_event(self):
        events = list(self.ask("Say hello to the world.", stream=True))
        kinds = [event.type for event in events]
        self.assertEqual((kinds[0], kinds[-2], kinds[-1]), ("message_start", "message_delta", "message_stop"))
        self.assertTrue("".join(map(words, events)))
        self.assertIn(events[-2].delta.stop_reason, ["end_turn", "max_tokens"])
        self.assertGreater(events[-2].usage.output_tokens, 0)

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
        message = self.whole()
        self.assertEqual([block.text for block in message.content], ["All of it."])
        self.assertEqual(message.stop_reason, "end_turn")

    @scripted
    def test_instructions_and_a_conversation_reach_the_model(self):
        self.fake.answers(reply(text("Three.")), reply(text("Three.")))
        messages = [user("Count: one."), {"role": "assistant", "content": "Two."}, user([{"type": "text", "text": self.fake.question}])]
        blocks = [{"type": "text", "text": "Talk like a pirate.", "cache_control": {"type": "ephemeral"}}]
        for system in ["Talk like a pirate.", blocks]:
            answer = self.ask(messages=messages, system=system)
            self.assertEqual(answer.content[0].text, "Three.")
        for request in self.fake.asked():
            for said in ["Talk like a pirate.", "Count: one.", "Two."]:
                self.assertIn(said, json.dumps(request["body"]))

    @scripted
    def test_where_to_stop_reaches_the_model_or_is_refused_never_passed_over(self):
        self.fake.answers(reply(text("Fine.")))
        try:
            self.ask(stop_sequences=["END OF TEXT"])
        except BadRequestError as refused:
            self.assertIn("stop_sequences", refused.message)
            self.assertEqual(self.fake.asked(), [])
        else:
            self.assertIn("END OF TEXT", json.dumps(self.fake.asked()[0]["body"]))

    @scripted
    def test_tools_called_and_answered(self):
        self.fake.answers(reply(text("Let me look."), call("get_weather", city="Graz")), reply(text("It rains in Graz.")))
        messages = [user(self.fake.question)]
        first = self.ask(messages=messages, tools=[WEATHER], tool_choice={"type": "auto"})
        self.assertEqual(first.stop_reason, "tool_use")
        said, use = first.content
        self.assertEqual((said.text, use.name, use.input), ("Let me look.", "get_weather", {"city": "Graz"}))
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain, 12 degrees"}
        messages += [{"role": "assistant", "content": first.content}, user([result])]
        self.assertEqual(self.ask(messages=messages, tools=[WEATHER]).content[0].text, "It rains in Graz.")
        self.assertIn("rain, 12 degrees", json.dumps(self.fake.asked()[1]["body"]))

    @scripted
    def test_two_tools_in_one_streamed_answer(self):
        self.fake.answers(
            reply(call("get_weather", city="Graz"), call("get_weather", city="Linz")), reply(text("Both wet.")),
        )
        messages = [user(self.fake.question)]
        first = self.whole(messages=messages, tools=[WEATHER])
        self.assertEqual([block.input for block in first.content], [{"city": "Graz"}, {"city": "Linz"}])
        results = [{"type": "tool_result", "tool_use_id": block.id, "content": "rain"} for block in first.content]
        messages += [{"role": "assistant", "content": first.content}, user(results)]
        self.assertEqual(self.whole(messages=messages, tools=[WEATHER]).content[0].text, "Both wet.")

    @scripted
    def test_a_picture_reaches_the_model(self):
        self.fake.answers(reply(text("One pixel.")))
        picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        answer = self.ask([picture, {"type": "text", "text": self.fake.question}])
        self.assertEqual(answer.content[0].text, "One pixel.")
        self.assertIn(PNG, json.dumps(self.fake.asked()[0]["body"]))

    @scripted
    def test_thoughts_come_with_a_proof_which_is_taken_back(self):
        self.fake.answers(
            reply(thought("Hmm, two and two."), call("get_weather", city="Graz")), reply(thought("Wet."), text("Rain.")),
        )
        thinking = {"type": "enabled", "budget_tokens": 1024}
        others = {"model": REASONING_MODEL, "max_tokens": 4096, "thinking": thinking, "tools": [WEATHER]}
        messages = [user(self.fake.question)]
        first = self.ask(messages=messages, **others)
        thinking, use = first.content
        self.assertEqual((thinking.type, thinking.thinking), ("thinking", "Hmm, two and two."))
        result = {"type": "tool_result", "tool_use_id": use.id, "content": "rain"}
        messages += [{"role": "assistant", "content": first.content}, user([result])]
        thinking, said = self.whole(messages=messages, **others).content
        self.assertEqual((thinking.thinking, said.text), ("Wet.", "Rain."))

    def test_a_wrong_key_is_an_authentication_error(self):
        with Anthropic(base_url=BASE_URL, api_key="not-a-token", **OPTIONS) as stranger:
            with self.assertRaises(AuthenticationError) as raised:
                stranger.messages.create(**self.body("Hello?"))
        self.assertEqual(raised.exception.body["error"]["type"], "authentication_error")

    def test_an_unknown_model_is_not_found(self):
        with self.assertRaises(NotFoundError) as raised:
            self.ask("Hello?", model="no-such-model-anywhere")
        self.assertEqual(raised.exception.body["error"]["type"], "not_found_error")

    def test_a_conversation_without_messages_is_a_bad_request(self):
        with self.assertRaises(BadRequestError) as raised:
            self.ask(messages=[])
        self.assertEqual(raised.exception.body["error"]["type"], "invalid_request_error")

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
        self.assertIn(raised.exception.status_code, [503, 529])

    @scripted
    def test_an_error_in_the_middle_of_a_stream_ends_it_with_that_error(self):
        self.fake.answers(broken())
        said = ""
        with self.assertRaises(APIError):
            for event in self.ask(model=FAILING_MODEL, stream=True):
                said += words(event)
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
            async with AsyncAnthropic(base_url=BASE_URL, api_key=TOKEN, **OPTIONS) as client:
                asking = asyncio.create_task(client.messages.create(**self.body()))
                await asyncio.to_thread(self.fake.until, "the model was asked", lambda asked: len(asked) == 1)
                asking.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await asking

        asyncio.run(cancel())
        self.fake.until_gone()

    def test_tokens_are_counted(self):
        short = self.client.messages.count_tokens(model=MODEL, messages=[user("Hello.")])
        self.assertGreater(short.input_tokens, 0)
        long = self.client.messages.count_tokens(
            model=MODEL, system="Talk like a pirate.", tools=[WEATHER], messages=[user("Hello. " * 100)],
        )
        self.assertGreater(long.input_tokens, short.input_tokens)

    def test_models_are_listed_and_looked_up(self):
        self.assertIn(MODEL, [model.id for model in self.client.models.list()])
        model = self.client.models.retrieve(MODEL)
        self.assertEqual((model.id, model.type), (MODEL, "model"))
        with self.assertRaises(NotFoundError):
            self.client.models.retrieve("no-such-model-anywhere")
