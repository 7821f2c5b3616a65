// Chat completions by the openai package for Node; the fake engine says what the user says.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client, say } from "./client.mjs";

const call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Zürich"}}\n</tool_call>';
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "Tells the weather.",
    parameters: { type: "object", properties: { city: { type: "string" } } },
  },
};

test("a whole completion", async () => {
  const completion = await client.chat.completions.create({ model: "echo", messages: say("Grüße!") });
  const [choice] = completion.choices;
  assert.equal(choice.message.content, "Grüße!");
  assert.equal(choice.finish_reason, "stop");
  assert.equal(completion.usage.completion_tokens, new TextEncoder().encode("Grüße!").length + 1);
  assert.match(completion._request_id, /^req_/);
});

test("a stream", async () => {
  const stream = await client.chat.completions.create({
    model: "slow",
    messages: say("Grüße!"),
    stream: true,
    stream_options: { include_usage: true },
  });
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  const deltas = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "");
  assert.ok(deltas.filter(Boolean).length > 3, "as they are generated");
  assert.equal(deltas.join(""), "Grüße!");
  assert.ok(chunks.at(-1).usage.total_tokens > 0);
});

test("the stream helper", async () => {
  const stream = client.chat.completions.stream({ model: "echo", messages: say("Hello") });
  let text = "";
  stream.on("content", (delta) => (text += delta));
  assert.equal(await stream.finalContent(), "Hello");
  assert.equal(text, "Hello");
});

test("a call of a tool, streamed and whole", async () => {
  const ask = { model: "echo", messages: say(call), tools: [weather] };
  const whole = await client.chat.completions.create(ask);
  const streamed = await client.chat.completions.stream(ask).finalChatCompletion();
  for (const { choices } of [whole, streamed]) {
    const [choice] = choices;
    assert.equal(choice.finish_reason, "tool_calls");
    const [made] = choice.message.tool_calls;
    assert.equal(made.type, "function");
    assert.ok(made.id);
    assert.equal(made.function.name, "weather");
    assert.deepEqual(JSON.parse(made.function.arguments), { city: "Zürich" });
  }
});

test("the package's own loop over tools", async () => {
  const asked = [];
  const runner = client.chat.completions.runTools(
    {
      model: "echo",
      messages: say(call),
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: ({ city }) => {
              asked.push(city);
              return "sunny";
            },
          },
        },
      ],
    },
    { maxChatCompletions: 2 },
  );
  await runner.done();
  assert.equal(asked[0], "Zürich");
  const tool = runner.messages.find((message) => message.role === "tool");
  assert.equal(tool.content, "sunny");
});

test("structured output", async () => {
  const completion = await client.chat.completions.parse({
    model: "echo",
    messages: say('{"city": "Köln"}'),
    response_format: {
      type: "json_schema",
      json_schema: {
        name: "capital",
        strict: true,
        schema: {
          type: "object",
          properties: { city: { type: "string" } },
          required: ["city"],
          additionalProperties: false,
        },
      },
    },
  });
  assert.deepEqual(JSON.parse(completion.choices[0].message.content), { city: "Köln" });
});
