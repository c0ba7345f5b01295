// Chat Completions and models through the official SDK, unchanged.
import assert from "node:assert/strict";
import OpenAI, { APIError, APIUserAbortError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError, RateLimitError } from "openai";
import {
  BASE_URL, FAILING_MODEL, LIMITED_MODEL, MODEL, OPTIONS, PNG, REASONING_MODEL, TOKEN,
  anywhere, broken, call, collect, failure, gate, reply, scripted, text, thought, translated, turns,
} from "./server.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: TOKEN, ...OPTIONS });
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather of a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
};

const user = (content) => ({ role: "user", content });
const words = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

anywhere("an answer in one piece", async () => {
  const answer = await client.chat.completions.create({ model: MODEL, messages: [user("Say hello.")], max_completion_tokens: 64 });
  assert.equal(answer.object, "chat.completion");
  assert.ok(answer.id && answer.model && answer.created > 0);
  const [choice] = answer.choices;
  assert.equal(choice.message.role, "assistant");
  assert.ok(choice.message.content.length > 0);
  assert.ok(["stop", "length"].includes(choice.finish_reason));
  assert.ok(answer.usage.prompt_tokens > 0 && answer.usage.completion_tokens > 0);
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

anywhere("a streamed answer with usage", async () => {
  const stream = await client.chat.completions.create({
    model: MODEL, messages: [user("Say hello to the world.")], max_completion_tokens: 64, stream: true, stream_options: { include_usage: true },
  });
  const chunks = await collect(stream);
  assert.ok(words(chunks).length > 0);
  assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  assert.equal(chunks.flatMap((chunk) => chunk.choices.map((choice) => choice.finish_reason).filter(Boolean)).length, 1);
  const last = chunks.at(-1);
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.completion_tokens > 0);
});

scripted("words arrive as the model says them", async (fake) => {
  await fake.answers(reply(text("Here "), gate(fake.gate), text("it is.")));
  const stream = await client.chat.completions.create({ model: MODEL, messages: [user(fake.question)], stream: true });
  const iterator = stream[Symbol.asyncIterator]();
  let said = "";
  while (said !== "Here ") said += (await iterator.next()).value.choices[0]?.delta.content ?? "";
  await fake.openGate();
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    said += next.value.choices[0]?.delta.content ?? "";
    assert.equal(next.value.usage ?? null, null, "usage was not asked for");
  }
  assert.equal(said, "Here it is.");
});

scripted("the SDK's own collector gives the whole answer", async (fake) => {
  await fake.answers(reply(text("All of it.")));
  const runner = client.chat.completions.stream({ model: MODEL, messages: [user(fake.question)] });
  assert.equal(await runner.finalContent(), "All of it.");
});

scripted("instructions of the system and of the developer reach the model", async (fake) => {
  await fake.answers(reply(text("Aye.")), reply(text("Aye.")));
  for (const role of ["system", "developer"]) {
    const messages = [{ role, content: "Talk like a pirate." }, user(fake.question)];
    const answer = await client.chat.completions.create({ model: MODEL, messages });
    assert.equal(answer.choices[0].message.content, "Aye.");
  }
  const asked = await fake.asked();
  assert.equal(asked.length, 2);
  for (const { body } of asked) assert.ok(JSON.stringify(body).includes("Talk like a pirate."));
});

scripted("a conversation keeps its turns", async (fake) => {
  await fake.answers(reply(text("Three.")));
  const messages = [user("Count: one."), { role: "assistant", content: "Two." }, user(fake.question)];
  const answer = await client.chat.completions.create({ model: MODEL, messages, temperature: 0.5, top_p: 0.9, stop: ["never"], max_tokens: 50 });
  assert.equal(answer.choices[0].message.content, "Three.");
  const [{ body }] = await fake.asked();
  assert.deepEqual(turns(body), ["user", "assistant", "user"]);
});

scripted("tools, called and answered", async (fake) => {
  await fake.answers(reply(text("Let me look."), call("get_weather", { city: "Graz" })), reply(text("It rains in Graz.")));
  const messages = [user(fake.question)];
  const first = await client.chat.completions.create({ model: MODEL, messages, tools: [WEATHER], tool_choice: "auto" });
  const { message, finish_reason } = first.choices[0];
  assert.equal(finish_reason, "tool_calls");
  assert.equal(message.content, "Let me look.");
  const [toolCall] = message.tool_calls;
  assert.equal(toolCall.type, "function");
  assert.equal(toolCall.function.name, "get_weather");
  assert.deepEqual(JSON.parse(toolCall.function.arguments), { city: "Graz" });
  messages.push(message, { role: "tool", tool_call_id: toolCall.id, content: "rain, 12 degrees" });
  const second = await client.chat.completions.create({ model: MODEL, messages, tools: [WEATHER] });
  assert.equal(second.choices[0].message.content, "It rains in Graz.");
  const asked = await fake.asked();
  assert.ok(JSON.stringify(asked[1].body).includes("rain, 12 degrees"));
});

scripted("two tools in one streamed answer", async (fake) => {
  await fake.answers(reply(call("get_weather", { city: "Graz" }), call("get_weather", { city: "Linz" })), reply(text("Both wet.")));
  const messages = [user(fake.question)];
  const stream = await client.chat.completions.create({ model: MODEL, messages, tools: [WEATHER], stream: true });
  const calls = [];
  let finish = null;
  for await (const { choices: [choice] } of stream) {
    for (const delta of choice?.delta.tool_calls ?? []) {
      calls[delta.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } };
      calls[delta.index].id += delta.id ?? "";
      calls[delta.index].function.name += delta.function?.name ?? "";
      calls[delta.index].function.arguments += delta.function?.arguments ?? "";
    }
    finish ??= choice?.finish_reason;
  }
  assert.equal(finish, "tool_calls");
  assert.deepEqual(calls.map((called) => JSON.parse(called.function.arguments).city), ["Graz", "Linz"]);
  assert.notEqual(calls[0].id, calls[1].id);
  messages.push({ role: "assistant", content: null, tool_calls: calls });
  for (const { id } of calls) messages.push({ role: "tool", tool_call_id: id, content: "rain" });
  const runner = client.chat.completions.stream({ model: MODEL, messages, tools: [WEATHER] });
  assert.equal(await runner.finalContent(), "Both wet.");
});

translated("a tool of a free form, whole and streamed", async (fake) => {
  const input = "*** Begin Patch\n+say \"hi\" 😀\n*** End Patch";
  await fake.answers(reply(call("apply_patch", { input })), reply(text("Changed.")), reply(call("apply_patch", { input })));
  const body = { model: MODEL, messages: [user(fake.question)], tools: [{ type: "custom", custom: { name: "apply_patch" } }] };
  const { message, finish_reason } = (await client.chat.completions.create(body)).choices[0];
  assert.equal(finish_reason, "tool_calls");
  const [called] = message.tool_calls;
  assert.deepEqual([called.type, called.custom], ["custom", { name: "apply_patch", input }]);
  const messages = [...body.messages, message, { role: "tool", tool_call_id: called.id, content: "Done: a.txt" }];
  const second = await client.chat.completions.create({ ...body, messages });
  assert.equal(second.choices[0].message.content, "Changed.");
  const chunks = await collect(await client.chat.completions.create({ ...body, stream: true }));
  const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
  assert.deepEqual([deltas[0].type, deltas[0].custom.name], ["custom", "apply_patch"]);
  assert.equal(deltas.map((delta) => delta.custom.input ?? "").join(""), input);
});

scripted("a picture reaches the model", async (fake) => {
  await fake.answers(reply(text("One pixel.")));
  const picture = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
  const answer = await client.chat.completions.create({ model: MODEL, messages: [user([{ type: "text", text: fake.question }, picture])] });
  assert.equal(answer.choices[0].message.content, "One pixel.");
  const [{ body }] = await fake.asked();
  assert.ok(JSON.stringify(body).includes(PNG));
});

scripted("reasoning comes beside the answer", async (fake) => {
  const replies = [reply(thought("Hmm, two and two."), text("Four.")), reply(thought("Hmm, two and two."), text("Four."))];
  await fake.answers(...replies);
  const body = { model: REASONING_MODEL, messages: [user(fake.question)], reasoning_effort: "low" };
  const whole = await client.chat.completions.create(body);
  assert.equal(whole.choices[0].message.content, "Four.");
  assert.equal(whole.choices[0].message.reasoning_content, "Hmm, two and two.");
  const chunks = await collect(await client.chat.completions.create({ ...body, stream: true }));
  const thoughts = chunks.map((chunk) => chunk.choices[0]?.delta.reasoning_content ?? "").join("");
  assert.equal(thoughts, "Hmm, two and two.");
  assert.equal(words(chunks), "Four.");
});

anywhere("a wrong token is an authentication error", async () => {
  const stranger = new OpenAI({ baseURL: BASE_URL, apiKey: "not-a-token", ...OPTIONS });
  const asking = stranger.chat.completions.create({ model: MODEL, messages: [user("Hello?")] });
  await assert.rejects(asking, (error) => error instanceof AuthenticationError && error.status === 401 && error.message.length > 4);
});

anywhere("an unknown model is not found", async () => {
  const asking = client.chat.completions.create({ model: "no-such-model-anywhere", messages: [user("Hello?")] });
  await assert.rejects(asking, (error) => error instanceof NotFoundError && error.code === "model_not_found");
});

anywhere("a conversation without messages is a bad request", async () => {
  const asking = client.chat.completions.create({ model: MODEL, messages: [] });
  await assert.rejects(asking, (error) => error instanceof BadRequestError && error.type === "invalid_request_error");
});

scripted("a rate limit says when to come back", async (fake) => {
  await fake.answers(failure(429, "rate_limit_exceeded", { "retry-after": "7" }));
  const asking = client.chat.completions.create({ model: LIMITED_MODEL, messages: [user(fake.question)] });
  await assert.rejects(asking, (error) => {
    const wait = Number(error.headers.get("retry-after"));
    return error instanceof RateLimitError && wait >= 1 && wait <= 7;
  });
});

scripted("an overloaded vendor is a server error", async (fake) => {
  await fake.answers(failure(503, "overloaded"));
  const asking = client.chat.completions.create({ model: FAILING_MODEL, messages: [user(fake.question)] });
  await assert.rejects(asking, (error) => error instanceof InternalServerError && error.status === 503);
});

scripted("an error in the middle of a stream ends it with that error", async (fake) => {
  await fake.answers(broken());
  const stream = await client.chat.completions.create({ model: FAILING_MODEL, messages: [user(fake.question)], stream: true });
  let said = "";
  const reading = async () => {
    for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? "";
  };
  await assert.rejects(reading(), (error) => error instanceof APIError && error.message.length > 0);
  assert.ok(said.startsWith("one"), said);
});

scripted("whoever stops listening stops the model", async (fake) => {
  await fake.answers(reply(text("So "), gate(fake.gate), text("long.")));
  const stream = await client.chat.completions.create({ model: MODEL, messages: [user(fake.question)], stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  await fake.until("the model noticed", ([request]) => request?.outcome === "disconnected");
});

scripted("an aborted request is the client's own doing", async (fake) => {
  await fake.answers({ ...reply(text("Late.")), pace: { headers_gate: fake.gate } });
  const controller = new AbortController();
  const asking = client.chat.completions.create({ model: MODEL, messages: [user(fake.question)] }, { signal: controller.signal });
  asking.catch(() => {});
  await fake.until("the model was asked", (asked) => asked.length === 1);
  controller.abort();
  await assert.rejects(asking, APIUserAbortError);
  await fake.until("the model noticed", ([request]) => request.outcome === "disconnected");
});

anywhere("models are listed and looked up", async () => {
  const models = await collect(client.models.list());
  assert.ok(models.some(({ id }) => id === MODEL), `${MODEL} in ${models.map(({ id }) => id).join(", ")}`);
  const model = await client.models.retrieve(MODEL);
  assert.equal(model.id, MODEL);
  assert.equal(model.object, "model");
  await assert.rejects(client.models.retrieve("no-such-model-anywhere"), NotFoundError);
});
