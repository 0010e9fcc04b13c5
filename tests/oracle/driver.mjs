// What the scripts share: steps as JSON lines, accounts, and a turn as the client makes it.

import axios from 'axios';
import * as provider from 'librechat-data-provider';

const { dataService, setTokenHeader } = provider;
axios.defaults.headers.common['User-Agent'] =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

export async function step(name, run) {
  try {
    await run();
    console.log(JSON.stringify({ step: name, ok: true }));
  } catch (error) {
    const answer = error.response ? ` ${error.response.status} ${JSON.stringify(error.response.data)}` : '';
    console.log(JSON.stringify({ step: name, ok: false, reason: `${error.message}${answer}`.slice(0, 2000) }));
  }
}

export function check(condition, text) {
  if (!condition) {
    throw new Error(text);
  }
}

// A new account, signed in; `use()` makes it the caller.
export async function signIn(name) {
  const account = { name, username: name, email: `${name}@example.com`, password: 'password123', confirm_password: 'password123' };
  await dataService.register(account);
  const { token, user } = await dataService.login({ email: account.email, password: account.password });
  setTokenHeader(token);
  return { user, use: () => setTokenHeader(token) };
}

// One turn: start, then follow the stream to its end.
export async function turn({ endpoint, ...fields }) {
  const body = {
    text: 'ECHO: hello oracle',
    sender: 'User',
    clientTimestamp: new Date().toISOString().slice(0, 19),
    isCreatedByUser: true,
    parentMessageId: provider.Constants.NO_PARENT,
    messageId: crypto.randomUUID(),
    error: false,
    endpoint,
    endpointType: 'custom',
    key: 'never',
    isContinued: false,
    generationProtocolVersion: 2,
    ephemeralAgent: {},
    ...fields,
  };
  const started = await axios.post(`/api/agents/chat/${encodeURIComponent(endpoint)}`, body);
  check(Number.isInteger(started.data.generationCreatedAt), 'generationCreatedAt must be an integer');
  check(started.data.streamId === started.data.conversationId, 'streamId must be the conversation id');
  const stream = await axios.get(`/api/agents/chat/stream/${started.data.streamId}`, {
    params: { generationCreatedAt: started.data.generationCreatedAt, generationProtocolVersion: 2 },
    responseType: 'text',
  });
  const events = [];
  for (const block of stream.data.split('\n\n')) {
    const line = block.split('\n').find((text) => text.startsWith('data: '));
    if (line) {
      events.push(JSON.parse(line.slice(6)));
    }
  }
  check(events[0]?.created === true, 'the first event must be created');
  const final = events.at(-1);
  check(final?.final === true, `the last event must be final: ${JSON.stringify(final)}`);
  provider.tMessageSchema.parse(final.requestMessage);
  provider.tMessageSchema.parse(final.responseMessage);
  return final;
}
