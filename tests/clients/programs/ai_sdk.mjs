// Vercel's AI SDK: its providers for OpenAI (both APIs) and for what is compatible with it.
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { Output, generateText, isStepCount, streamText, tool } from 'ai';
import { z } from 'zod';
import { SUNNY, WEATHER, agent, all, assert, base, got, key, look, step } from './steps.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;
const openai = createOpenAI({ apiKey: key, baseURL: base });
const compatible = createOpenAICompatible({ name: 'mine', apiKey: key, baseURL: base, includeUsage: true });
const models = { responses: openai(agent), chat: openai.chat(agent), compatible: compatible(agent) };
const mine = tool({ description: 'd', inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => city });

for (const [name, model] of Object.entries(models)) {
  const title = (text) => `${text} ${name}`;
  await step(title('answers'), async () => {
    for (const [text, wanted] of [['ECHO:hi', 'hi'], ['THINK:hm|hi', 'hi'], [WEATHER, SUNNY]]) {
      const before = (await look()).requests;
      const whole = await generateText({ model, prompt: text, tools: { mine }, stopWhen: isStepCount(3) });
      assert.equal(whole.text, wanted);
      assert.equal(whole.steps.length, 1);
      assert.deepEqual(whole.toolCalls, []);
      assert.ok(whole.usage.totalTokens > 0);
      assert.equal((await look()).requests - before, text === WEATHER ? 2 : 1);
      const streamed = streamText({ model, prompt: text });
      assert.equal((await all(streamed.textStream)).join(''), wanted);
      assert.equal(await streamed.finishReason, 'stop');
    }
  });
  await step(title('a second turn'), async () => {
    const messages = [{ role: 'user', content: WEATHER }];
    const first = await generateText({ model, instructions: 'Be kind.', messages });
    messages.push(...first.response.messages, { role: 'user', content: 'ECHO:two' });
    assert.equal((await generateText({ model, instructions: 'Be kind.', messages })).text, 'two');
    assert.deepEqual(await got(), [['system', 'Be brief.\n\nBe kind.'], ['user', WEATHER], ['assistant', SUNNY], ['user', 'ECHO:two']]);
  });
  await step(title('shaped'), async () => {
    const output = Output.object({ schema: z.object({ a: z.number() }) });
    assert.deepEqual((await generateText({ model, prompt: 'ECHO:{"a":1}', output })).output, { a: 1 });
  });
  await step(title('a cut answer'), async () => {
    assert.equal((await generateText({ model, prompt: 'CUT:half' })).finishReason, 'length');
  });
  await step(title('a failure'), () => generateText({ model, prompt: 'FAIL:400', maxRetries: 0 }), 'AI_APICallError');
}
await step('reasoning that is asked for', async () => {
  const options = { openai: { forceReasoning: true, reasoningSummary: 'auto' } };
  const whole = await generateText({ model: openai(agent), prompt: 'THINK:hm|hi', providerOptions: options });
  assert.equal(whole.reasoningText, 'hm');
  const streamed = streamText({ model: openai(agent), prompt: 'THINK:hm|hi', providerOptions: options });
  assert.equal(await streamed.reasoningText, 'hm');
});
await step('a developer', async () => {
  await generateText({ model: openai.chat(agent), instructions: 'Be kind.', prompt: 'ECHO:x', providerOptions: { openai: { systemMessageMode: 'developer' } } });
  assert.deepEqual((await got())[0], ['system', 'Be brief.\n\nBe kind.']);
});
await step('going on', async () => {
  const first = await generateText({ model: openai(agent), prompt: 'ECHO:one' });
  const previousResponseId = first.providerMetadata.openai.responseId;
  const second = await generateText({ model: openai(agent), prompt: 'ECHO:two', providerOptions: { openai: { previousResponseId } } });
  assert.equal(second.text, 'two');
  assert.deepEqual((await got()).slice(1).map(([, text]) => text), ['ECHO:one', 'one', 'ECHO:two']);
});
