// OpenAI's Agents SDK for JavaScript, over both APIs.
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, run, setTracingDisabled, tool } from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import { SUNNY, WEATHER, agent, all, assert, base, got, key, step } from './steps.mjs';

setTracingDisabled(true);
const client = new OpenAI({ apiKey: key, baseURL: base });
const mine = tool({ name: 'mine', description: 'd', parameters: z.object({ city: z.string() }), execute: async ({ city }) => city });

for (const Model of [OpenAIResponsesModel, OpenAIChatCompletionsModel]) {
  const make = (options) => new Agent({ name: 'a', instructions: 'Be kind.', model: new Model(client, agent), ...options });
  const title = (text) => `${text} ${Model.name}`;
  await step(title('answers'), async () => {
    for (const [text, wanted] of [['ECHO:hi', 'hi'], ['THINK:hm|hi', 'hi'], [WEATHER, SUNNY]]) {
      assert.equal((await run(make({ tools: [mine] }), text)).finalOutput, wanted);
      const streamed = await run(make(), text, { stream: true });
      await all(streamed);
      await streamed.completed;
      assert.equal(streamed.finalOutput, wanted);
    }
    assert.deepEqual((await got())[0], ['system', 'Be brief.\n\nBe kind.']);
  });
  await step(title('shaped'), async () => {
    const result = await run(make({ outputType: z.object({ a: z.number() }) }), 'ECHO:{"a":1}');
    assert.deepEqual(result.finalOutput, { a: 1 });
  });
  await step(title('a second turn'), async () => {
    const first = await run(make(), WEATHER);
    const second = await run(make(), [...first.history, { role: 'user', content: 'ECHO:two' }]);
    assert.equal(second.finalOutput, 'two');
    assert.deepEqual((await got()).slice(1).map(([, text]) => text), [WEATHER, SUNNY, 'ECHO:two']);
  });
  await step(title('a failure'), () => run(make(), 'FAIL:400'), 'BadRequestError');
}
await step('going on', async () => {
  const made = new Agent({ name: 'a', model: new OpenAIResponsesModel(client, agent) });
  const first = await run(made, 'ECHO:one');
  const second = await run(made, 'ECHO:two', { previousResponseId: first.lastResponseId });
  assert.equal(second.finalOutput, 'two');
  assert.deepEqual((await got()).slice(1).map(([, text]) => text), ['ECHO:one', 'one', 'ECHO:two']);
});
