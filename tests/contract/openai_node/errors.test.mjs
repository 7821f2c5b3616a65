// What the openai package for Node raises, and what it leaves behind when it goes.
import assert from "node:assert/strict";
import { test } from "node:test";

import OpenAI from "openai";

import { client, say } from "./client.mjs";

const ask = (values) =>
  client.chat.completions.create({ model: "echo", messages: say("Hi"), ...values });

test("a wrong key", async () => {
  const stranger = new OpenAI({ apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.equal(error.code, "invalid_api_key");
    return true;
  });
});

test("an unknown model, streamed or not", async () => {
  for (const stream of [false, true]) {
    await assert.rejects(ask({ model: "nope", stream }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "model_not_found");
      assert.equal(error.param, "model");
      assert.match(error.requestID, /^req_/);
      return true;
    });
  }
});

test("a parameter that is wrong", async () => {
  await assert.rejects(ask({ temperature: 3 }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.equal(error.param, "temperature");
    return true;
  });
});

test("a form that does not compile", async () => {
  const json_schema = { name: "x", schema: { type: "no such" } };
  await assert.rejects(ask({ response_format: { type: "json_schema", json_schema } }), (error) => {
    assert.ok(error instanceof OpenAI.BadRequestError);
    assert.match(error.param, /^response_format/);
    return true;
  });
});

// pytest looks whether these left work behind.
test("a stream that is aborted", async () => {
  const stream = await ask({ model: "slow", messages: say("abc".repeat(500)), stream: true });
  let chunks = 0;
  for await (const _ of stream) if (++chunks === 3) stream.controller.abort();
  assert.ok(chunks >= 3);
});

test("a request that is aborted", async () => {
  const controller = new AbortController();
  const call = client.chat.completions.create(
    { model: "slow", messages: say("abc".repeat(500)) },
    { signal: controller.signal },
  );
  setTimeout(() => controller.abort(), 500);
  await assert.rejects(call, OpenAI.APIUserAbortError);
});
