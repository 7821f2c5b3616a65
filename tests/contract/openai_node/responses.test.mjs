// Responses, embeddings and models by the openai package for Node.
import assert from "node:assert/strict";
import { test } from "node:test";

import { client } from "./client.mjs";

test("a whole response", async () => {
  const response = await client.responses.create({ model: "echo", input: "Grüße!" });
  assert.equal(response.status, "completed");
  assert.equal(response.output_text, "Grüße!");
  assert.ok(response.usage.total_tokens > 0);
});

test("a stream of typed events", async () => {
  const stream = await client.responses.create({ model: "slow", input: "Grüße!", stream: true });
  const events = [];
  for await (const event of stream) events.push(event);
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, place) => place),
  );
  const deltas = events.filter((event) => event.type === "response.output_text.delta");
  assert.ok(deltas.length > 3, "as they are generated");
  assert.equal(deltas.map((event) => event.delta).join(""), "Grüße!");
});

test("the stream helper", async () => {
  const stream = client.responses.stream({ model: "echo", input: "Hello" });
  assert.equal((await stream.finalResponse()).output_text, "Hello");
});

test("a response that is kept, gone on from, and deleted", async () => {
  const first = await client.responses.create({ model: "echo", input: "One" });
  assert.equal((await client.responses.retrieve(first.id)).output_text, "One");
  const second = await client.responses.create({
    model: "echo",
    input: "Two",
    previous_response_id: first.id,
  });
  assert.equal(second.output_text, "Two");
  assert.ok(second.usage.input_tokens > first.usage.input_tokens);
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), { status: 404 });
});

test("models", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("echo") && names.includes("slow"));
  assert.equal((await client.models.retrieve("echo")).id, "echo");
});

test("embeddings, which come as base64 unless asked for as numbers", async () => {
  const ask = { model: "embedder", input: ["one", "two"], dimensions: 4 };
  const { data, usage } = await client.embeddings.create(ask);
  assert.deepEqual(
    data.map(({ index, embedding }) => [index, embedding.length]),
    [
      [0, 4],
      [1, 4],
    ],
  );
  for (const { embedding } of data) assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
  assert.ok(usage.total_tokens > 0);
  const numbers = await client.embeddings.create({ ...ask, encoding_format: "float" });
  for (const place of [0, 1]) {
    const pairs = numbers.data[place].embedding.map((value, i) => [value, data[place].embedding[i]]);
    assert.ok(pairs.every(([a, b]) => Math.abs(a - b) < 1e-6));
  }
});
