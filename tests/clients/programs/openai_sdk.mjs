// OpenAI's SDK for JavaScript.
import OpenAI from 'openai';
import { SUNNY, WEATHER, agent, all, assert, base, got, key, look, slow, step } from './steps.mjs';

const client = new OpenAI({ apiKey: key, baseURL: base });
const said = (content) => [{ role: 'user', content }];
const chat = (content, options) => client.chat.completions.create({ model: agent, messages: said(content), ...options });
const respond = (input, options) => client.responses.create({ model: agent, input, ...options });
const mine = { type: 'function', function: { name: 'mine', parse: JSON.parse, function: async () => 'x', parameters: { type: 'object', properties: {} } } };

await step('models', async () => {
  assert.equal((await all(client.models.list())).length, 2);
  assert.equal((await client.models.retrieve(agent)).id, agent);
  assert.equal((await all(new OpenAI({ apiKey: key, baseURL: `${base}/` }).models.list())).length, 2);
});
await step('plain', async () => {
  const answer = await chat('ECHO:hi');
  assert.equal(answer.choices[0].message.content, 'hi');
  assert.ok(answer.usage.total_tokens > 0 && answer._request_id);
});
await step('stream', async () => {
  const chunks = await all(await chat('ECHO:hi', { stream: true, stream_options: { include_usage: true } }));
  assert.equal(chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? '').join(''), 'hi');
  assert.ok(chunks.some((chunk) => chunk.usage?.total_tokens > 0));
});
await step('stream helper', async () => {
  for (const [text, wanted] of [['THINK:hm|hi', 'hi'], [WEATHER, SUNNY]]) {
    const final = await client.chat.completions.stream({ model: agent, messages: said(text) }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, wanted);
    assert.equal(final.choices[0].message.tool_calls, undefined);
  }
});
await step('runTools', async () => {
  const before = (await look()).requests;
  for (const stream of [false, true]) {
    const run = client.chat.completions.runTools({ model: agent, stream, messages: said(WEATHER), tools: [mine] });
    assert.equal(await run.finalContent(), SUNNY);
  }
  assert.equal((await look()).requests - before, 4);
});
await step('second turn after a tool of the server', async () => {
  const first = (await chat(WEATHER)).choices[0].message;
  const answer = await client.chat.completions.create({ model: agent, messages: [...said('weather?'), first, ...said('ECHO:thanks')] });
  assert.equal(answer.choices[0].message.content, 'thanks');
});
await step('parse', async () => {
  const schema = { type: 'object', properties: { a: { type: 'number' } }, required: ['a'], additionalProperties: false };
  const format = { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } };
  const parsed = await client.chat.completions.parse({ model: agent, messages: said('ECHO:{"a":1}'), response_format: format });
  assert.deepEqual(parsed.choices[0].message.parsed, { a: 1 });
});
await step('roles and pictures', async () => {
  await client.chat.completions.create({ model: agent, messages: [{ role: 'developer', content: 'two' }, ...said('ECHO:x')] });
  assert.deepEqual((await got())[0], ['system', 'Be brief.\n\ntwo']);
  const parts = [{ type: 'text', text: 'ECHO:look' }, { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } }];
  assert.equal((await chat(parts)).choices[0].message.content, 'look');
});
await step('responses', async () => {
  assert.equal((await respond('ECHO:hi')).output_text, 'hi');
  assert.equal((await respond(WEATHER)).output_text, SUNNY);
});
await step('response helper', async () => {
  for (const [text, wanted, kinds] of [['ECHO:hi', 'hi', ['message']], ['THINK:hm|hi', 'hi', ['reasoning', 'message']], [WEATHER, SUNNY, ['message']]]) {
    const stream = client.responses.stream({ model: agent, input: text });
    const types = (await all(stream)).map((event) => event.type);
    const final = await stream.finalResponse();
    assert.equal(types.at(-1), 'response.completed');
    assert.equal(final.output_text, wanted);
    assert.deepEqual(final.output.map((item) => item.type), kinds);
  }
});
await step('response helper of a cut answer and of a failure', async () => {
  const cut = await client.responses.stream({ model: agent, input: 'CUT:half' }).finalResponse();
  assert.equal(cut.status, 'incomplete');
  const failed = await client.responses.stream({ model: agent, input: 'BREAK:half' }).finalResponse();
  assert.equal(failed.status, 'failed');
  assert.equal(failed.error.message, 'the line went dead');
});
await step('summaries of reasoning', async () => {
  const final = await client.responses.stream({ model: agent, input: 'THINK:hm|hi', reasoning: { summary: 'auto' } }).finalResponse();
  assert.equal(final.output[0].summary[0].text, 'hm');
});
await step('going on', async () => {
  for (const store of [{}, { store: true }]) {
    const first = await respond('ECHO:one', store);
    const second = await respond('ECHO:two', { ...store, previous_response_id: first.id });
    assert.equal(second.previous_response_id, first.id);
    assert.deepEqual((await got()).slice(1).map(([, text]) => text), ['ECHO:one', 'one', 'ECHO:two']);
    assert.equal((await client.responses.retrieve(second.id)).output_text, 'two');
    assert.equal((await all(client.responses.inputItems.list(second.id))).length, 1);
  }
});
await step('unknown response', () => respond('x', { previous_response_id: 'resp_none' }), 'NotFoundError');
await step('unknown model', () => chat('x', { model: 'gpt-9' }), 'NotFoundError');
await step('wrong key', () => new OpenAI({ apiKey: 'sk-wrong', baseURL: base }).models.list(), 'AuthenticationError');
await step('failures are not tried again', async () => {
  for (const [status, name] of [[429, RegExp('RateLimitError')], [401, RegExp('InternalServerError')]]) {
    const before = (await look()).requests;
    await assert.rejects(chat(`FAIL:${status}`), (error) => name.test(error.constructor.name) && Boolean(error.requestID));
    assert.equal((await look()).requests - before, status === 429 ? 4 : 1);
  }
});
await step('a chat that breaks off', async () => all(await chat('BREAK:half', { stream: true })), 'APIError');
await step('no patience', () => new OpenAI({ apiKey: key, baseURL: base, timeout: 300, maxRetries: 0 }).chat.completions.create({ model: slow, messages: said('x') }), 'APIConnectionTimeoutError');
await step('giving up ends the run', async () => {
  const abort = new AbortController();
  for await (const chunk of await client.chat.completions.create({ model: slow, stream: true, messages: said('x') }, { signal: abort.signal })) {
    if (chunk.choices[0].delta.content) abort.abort();
  }
  for (let turn = 0; turn < 200 && (await look()).running; turn += 1) await new Promise((done) => setTimeout(done, 50));
  assert.equal((await look()).running, 0);
});
