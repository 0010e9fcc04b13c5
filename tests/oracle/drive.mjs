// Drives a server with LibreChat's data service and checks every answer with its schemas.
// Usage: node drive.mjs <base url> <endpoint> <model>; prints one JSON line a step.

import axios from 'axios';
import * as provider from 'librechat-data-provider';
import { check, step, turn } from './driver.mjs';

const { dataService, setTokenHeader } = provider;
const [base, endpoint, model] = process.argv.slice(2);
axios.defaults.baseURL = base;

const account = { name: 'Oracle', username: 'oracle', email: 'oracle@example.com', password: 'password123', confirm_password: 'password123' };
// The schema knows built-in endpoints only; a custom one is named as the operator likes.
const conversationSchema = provider.tConversationSchema.omit({ endpoint: true });
let conversationId;
let messages;

const send = (fields) => turn({ endpoint, model, ...fields });

await step('config before login', async () => {
  const config = await dataService.getStartupConfig();
  check(Array.isArray(config.socialLogins), 'socialLogins');
  check(config.registrationEnabled === true && config.emailLoginEnabled === true, 'login flags');
});
await step('register', () => dataService.register(account));
await step('login', async () => {
  const answer = await dataService.login({ email: account.email, password: account.password });
  check(answer.user.email === account.email, 'user');
  setTokenHeader(answer.token);
});
await step('user', async () => {
  const user = await dataService.getUser();
  check(user.id && user.role === 'ADMIN', 'id and role');
});
await step('config', async () => {
  const config = await dataService.getStartupConfig();
  check(typeof config.interface === 'object' && typeof config.balance === 'object', 'interface and balance');
  provider.interfaceSchema.parse(config.interface);
});
await step('roles', async () => {
  for (const role of ['USER', 'ADMIN']) {
    provider.roleSchema.parse(await dataService.getRole(role));
  }
});
await step('endpoints', async () => {
  const endpoints = await dataService.getAIEndpoints();
  check(endpoints[endpoint]?.type === 'custom', 'custom endpoint');
  check(Array.isArray(endpoints.agents?.capabilities), 'agents capabilities');
});
await step('models', async () => {
  const models = await dataService.getModels();
  check(models[endpoint].includes(model), 'model');
});
await step('token config', () => dataService.getTokenConfig());
await step('banner', () => dataService.getBanner());
await step('favorites', async () => {
  await dataService.updateFavorites([{ model, endpoint }]);
  const stored = await dataService.getFavorites();
  check(stored[0].model === model, 'stored favourite');
});
await step('tool favorites', async () => {
  check(Array.isArray(await dataService.getToolFavorites()), 'list');
});
await step('terms', async () => {
  await dataService.acceptTerms();
  check((await dataService.getUserTerms()).termsAccepted === true, 'accepted');
});
await step('first turn', async () => {
  const final = await send({});
  conversationId = final.conversation.conversationId;
  conversationSchema.parse(final.conversation);
});
await step('messages', async () => {
  messages = await dataService.getMessagesByConvoId(conversationId);
  check(messages.length === 2, `two messages, not ${messages.length}`);
  messages.forEach((message) => provider.tMessageSchema.parse(message));
});
await step('second turn', async () => {
  await send({ conversationId, parentMessageId: messages[1].messageId, text: 'ECHO: again' });
});
await step('regenerate', async () => {
  const final = await send({
    conversationId,
    isRegenerate: true,
    overrideParentMessageId: messages[0].messageId,
    responseMessageId: `${messages[1].messageId}_`,
    messageId: messages[0].messageId,
  });
  check(final.responseMessage.parentMessageId === messages[0].messageId, 'sibling');
});
await step('conversation', async () => {
  const conversation = await dataService.getConversationById(conversationId);
  conversationSchema.parse(conversation);
});
await step('conversations', async () => {
  const page = await dataService.listConversations({ sortBy: 'updatedAt', sortDirection: 'desc' });
  check(page.conversations.length === 1 && page.nextCursor === null, 'one conversation');
  page.conversations.forEach((row) => conversationSchema.partial().parse(row));
});
await step('rename', async () => {
  const answer = await dataService.updateConversation({ conversationId, title: 'Named' });
  check(answer.title === 'Named', 'title');
});
await step('archive', async () => {
  const answer = await dataService.archiveConversation({ conversationId, isArchived: true });
  check(answer.isArchived === true, 'archived');
  await dataService.archiveConversation({ conversationId, isArchived: false });
});
await step('pin', async () => {
  check((await dataService.pinConversation({ conversationId, pinned: true })).pinned === true, 'pinned');
});
await step('edit message', () =>
  dataService.updateMessage({ conversationId, messageId: messages[0].messageId, text: 'changed', model }));
await step('edit content', () =>
  dataService.updateMessageContent({ conversationId, messageId: messages[1].messageId, index: 0, text: 'changed', model }));
await step('feedback', async () => {
  const answer = await dataService.updateFeedback(conversationId, messages[1].messageId, {
    feedback: { rating: 'thumbsUp', tag: 'clear_well_written' },
  });
  check(answer.feedback.rating === 'thumbsUp', 'rating');
});
await step('active jobs', async () => {
  const answer = await dataService.getActiveJobs();
  check(Array.isArray(answer.activeJobIds), 'activeJobIds');
});
await step('user key', async () => {
  await dataService.updateUserKey({ name: 'openAI', value: '{"apiKey":"x"}', expiresAt: '' });
  await dataService.revokeUserKey('openAI');
});
for (const name of [
  'getSearchEnabled', 'getPresets', 'getConversationTags', 'getAllPromptGroups', 'getFileConfig', 'getFiles',
  'getCustomConfigSpeech', 'getMCPServers', 'getMCPTools', 'getMCPConnectionStatus', 'getCategories', 'getAgentCategories',
]) {
  await step(name, () => dataService[name]());
}
await step('delete conversation', () =>
  dataService.deleteConversation({ conversationId, source: 'button', endpoint, thread_id: '' }));
await step('logout', () => dataService.logout());
