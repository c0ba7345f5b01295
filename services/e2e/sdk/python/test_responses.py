"""The Responses API through the official SDK, unchanged."""

import json
import unittest

from openai import APIError, APIStatusError, AuthenticationError, InternalServerError, OpenAI, RateLimitError
from openai.types.responses import ResponseCustomToolCall
from server import (
    BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
    Fake, broken, call, failure, gate, reply, scripted, text, thought, translated,
)

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather of a city.",
    "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
    },
    "strict": True,
}
PATCH = '*** Begin Patch\n+say "hi" \\ 😀\n*** End Patch'
APPLY_PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": r'start: "*** Begin Patch" /(.|\n)+/ "*** End Patch"'},
}


class Responses(unittest.TestCase):
    def setUp(self):
        self.client = OpenAI(base_url=BASE_URL, api_key=TOKEN, **OPTIONS)
        self.addCleanup(self.client.close)
        self.fake = Fake()

    def ask(self, content=None, **others):
        return self.client.responses.create(**{"model": MODEL, "input": content or self.fake.question, **others})

    def deltas(self, events, kind):
        return "".join(event.delta for event in events if event.type == f"response.{kind}.delta")

    def test_an_answer_in_one_piece(self):
        answer = self.ask("Say hello.", max_output_tokens=64)
        self.assertEqual(answer.object, "response")
        self.assertIn(answer.status, ["completed", "incomplete"])
        self.assertTrue(answer.output_text)
        self.assertEqual(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens)

    @scripted
    def test_a_streamed_answer_event_by_event(self):
        self.fake.answers(reply(text("Word for word.")))
        events = list(self.ask(stream=True))
        self.assertEqual(events[0].type, "response.created")
        self.assertEqual([event.sequence_number for event in events], list(range(len(events))))
        self.assertEqual(self.deltas(events, "output_text"), "Word for word.")
        self.assertEqual(events[-1].type, "response.completed")
        self.assertEqual(events[-1].response.output_text, "Word for word.")

    @scripted
    def test_the_sdks_own_collector_gives_the_whole_answer(self):
        self.fake.answers(reply(text("All of it.")))
        with self.client.responses.stream(model=MODEL, input=self.fake.question) as stream:
            self.assertEqual(stream.get_final_response().output_text, "All of it.")

    @scripted
    def test_instructions_and_a_conversation_reach_the_model(self):
        self.fake.answers(reply(text("Three.")))
        conversation = [
            {"role": "user", "content": "Count: one."},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": [{"type": "input_text", "text": self.fake.question}]},
        ]
        self.assertEqual(self.ask(conversation, instructions="Talk like a pirate.").output_text, "Three.")
        asked = json.dumps(self.fake.asked()[0]["body"])
        for said in ["Talk like a pirate.", "Count: one.", "Two."]:
            self.assertIn(said, asked)

    @scripted
    def test_tools_called_and_answered(self):
        self.fake.answers(reply(call("get_weather", city="Graz")), reply(text("It rains in Graz.")))
        conversation = [{"role": "user", "content": self.fake.question}]
        first = self.ask(conversation, tools=[WEATHER])
        (called,) = [item for item in first.output if item.type == "function_call"]
        self.assertEqual((called.name, json.loads(called.arguments)), ("get_weather", {"city": "Graz"}))
        conversation += [called, {"type": "function_call_output", "call_id": called.call_id, "output": "rain, 12 degrees"}]
        self.assertEqual(self.ask(conversation, tools=[WEATHER]).output_text, "It rains in Graz.")
        self.assertIn("rain, 12 degrees", json.dumps(self.fake.asked()[1]["body"]))

    @scripted
    def test_a_tool_in_a_streamed_answer(self):
        self.fake.answers(reply(call("get_weather", city="Linz")))
        events = list(self.ask(tools=[WEATHER], stream=True))
        self.assertEqual(json.loads(self.deltas(events, "function_call_arguments")), {"city": "Linz"})

    @translated
    def test_a_tool_of_a_free_form_streamed_and_answered(self):
        self.fake.answers(reply(call("apply_patch", input=PATCH)), reply(text("Changed.")))
        conversation = [{"role": "user", "content": self.fake.question}]
        with self.client.responses.stream(model=MODEL, input=conversation, tools=[APPLY_PATCH]) as stream:
            events = list(stream)
            (called,) = stream.get_final_response().output
        self.assertEqual(self.deltas(events, "custom_tool_call_input"), PATCH)
        (done,) = [event for event in events if event.type == "response.custom_tool_call_input.done"]
        self.assertEqual(done.input, PATCH)
        self.assertIsInstance(called, ResponseCustomToolCall)
        self.assertEqual((called.name, called.input), ("apply_patch", PATCH))
        conversation += [called, {"type": "custom_tool_call_output", "call_id": called.call_id, "output": "Done: a.txt"}]
        self.assertEqual(self.ask(conversation, tools=[APPLY_PATCH]).output_text, "Changed.")
        self.assertIn("Done: a.txt", json.dumps(self.fake.asked()[1]["body"]))

    @scripted
    def test_a_picture_reaches_the_model(self):
        self.fake.answers(reply(text("One pixel.")))
        picture = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
        content = [{"type": "input_text", "text": self.fake.question}, picture]
        self.assertEqual(self.ask([{"role": "user", "content": content}]).output_text, "One pixel.")
        self.assertIn(PNG, json.dumps(self.fake.asked()[0]["body"]))

    @scripted
    def test_reasoning_is_summed_up(self):
        self.fake.answers(*[reply(thought("Hmm, two and two."), text("Four."))] * 2)
        others = {"model": REASONING_MODEL, "reasoning": {"effort": "low", "summary": "auto"}}
        whole = self.ask(**others)
        self.assertEqual(whole.output_text, "Four.")
        (reasoning,) = [item for item in whole.output if item.type == "reasoning"]
        self.assertEqual("".join(part.text for part in reasoning.summary), "Hmm, two and two.")
        events = list(self.ask(**others, stream=True))
        self.assertEqual(self.deltas(events, "reasoning_summary_text"), "Hmm, two and two.")

    def test_a_wrong_token_is_an_authentication_error(self):
        with OpenAI(base_url=BASE_URL, api_key="not-a-token", **OPTIONS) as stranger, self.assertRaises(AuthenticationError):
            stranger.responses.create(model=MODEL, input="Hello?")

    def test_an_unknown_model_is_refused_by_its_name(self):
        with self.assertRaises(APIStatusError) as raised:
            self.ask("Hello?", model="no-such-model-anywhere")
        self.assertIn(raised.exception.status_code, [400, 404])
        self.assertEqual(raised.exception.code, "model_not_found")

    @scripted
    def test_a_rate_limit_says_when_to_come_back(self):
        self.fake.answers(failure(429, "rate_limit_exceeded", retry_after="7"))
        with self.assertRaises(RateLimitError) as raised:
            self.ask(model=LIMITED_MODEL)
        self.assertGreaterEqual(int(raised.exception.response.headers["retry-after"]), 1)

    @scripted
    def test_an_overloaded_vendor_is_a_server_error(self):
        self.fake.answers(failure(503, "overloaded"))
        with self.assertRaises(InternalServerError):
            self.ask(model=FAILING_MODEL)

    @scripted
    def test_an_error_in_the_middle_of_a_stream_ends_it_with_that_error(self):
        self.fake.answers(broken())
        kinds = []
        thrown = None
        try:
            for event in self.ask(model=FAILING_MODEL, stream=True):
                kinds.append(event.type)
        except APIError as error:
            thrown = error
        self.assertIn("response.output_text.delta", kinds)
        # The SDK hands one form of the event on and throws the other.
        self.assertTrue(thrown or kinds[-1] in ["error", "response.failed"], kinds)
        self.assertNotIn("response.completed", kinds)

    @scripted
    def test_whoever_stops_listening_stops_the_model(self):
        self.fake.answers(reply(text("So "), gate(self.fake.gate), text("long.")))
        with self.ask(stream=True) as stream:
            while next(stream).type != "response.output_text.delta":
                pass
        self.fake.until_gone()
