// Drives the features beside the chat with LibreChat's data service: bookmarks, presets, projects,
// prompts, memories, agents, sharing with people, shared links, copies, search, API keys.
// Usage: node features.mjs <base url> <endpoint> <model>; prints one JSON line a step.

import axios from 'axios';
import * as provider from 'librechat-data-provider';
import { check, signIn, step, turn } from './driver.mjs';

const { dataService, ResourceType } = provider;
const [base, endpoint, model] = process.argv.slice(2);
axios.defaults.baseURL = base;

const owner = await signIn('owner');
const friend = await signIn('friend');
owner.use();
let conversationId;
let messages;

await step('a chat to work with', async () => {
  conversationId = (await turn({ endpoint, model, text: 'ECHO: hello quokka' })).conversation.conversationId;
  messages = await dataService.getMessagesByConvoId(conversationId);
  check(messages.length === 2, 'two messages');
});

// ---------------------------------------------------------------- bookmarks

await step('bookmarks', async () => {
  const made = await dataService.createConversationTag({ tag: 'a/b 100%', description: 'd', addToConversation: true, conversationId });
  provider.tConversationTagSchema.parse(made);
  check(made.count === 1, `count ${made.count}`);
  const renamed = await dataService.updateConversationTag('a/b 100%', { tag: 'read later', position: 1 });
  check(renamed.tag === 'read later' && renamed.count === 1, 'renamed');
  const tags = await dataService.addTagToConversation(conversationId, { tags: [] });
  check(Array.isArray(tags) && tags.length === 0, 'taken off');
  check((await dataService.getConversationTags()).every((tag) => tag.count === 0), 'nothing marked');
  check((await dataService.deleteConversationTag('read later')).tag === 'read later', 'deleted');
});

// ---------------------------------------------------------------- presets

await step('presets', async () => {
  const made = await dataService.createPreset({ title: 'Mine', endpoint, endpointType: 'custom', model, presetId: null, defaultPreset: true });
  check(made.presetId && made.defaultPreset === true, 'made');
  const changed = await dataService.updatePreset({ ...made, title: 'Ours' });
  check(changed.presetId === made.presetId && changed.title === 'Ours', 'changed');
  const listed = await dataService.getPresets();
  check(listed.length === 1 && listed[0].title === 'Ours', 'listed');
  provider.tPresetSchema.omit({ endpoint: true }).parse(listed[0]);
  check((await dataService.deletePreset(made)).deletedCount === 1, 'deleted');
});

// ---------------------------------------------------------------- projects

await step('projects', async () => {
  const made = await dataService.createProject({ name: 'Garden', description: 'Soil' });
  check(made._id && made.conversationCount === 0, 'made');
  const changed = await dataService.updateProject({ projectId: made._id, name: 'Gardens' });
  check(changed.name === 'Gardens' && changed.description === 'Soil', 'changed');
  const moved = await dataService.assignConversationToProject({ conversationId, projectId: made._id });
  check(moved.conversation.chatProjectId === made._id, 'moved in');
  const page = await dataService.listProjects({ sortBy: 'lastConversationAt', sortDirection: 'desc', limit: 25 });
  check(page.projects.length === 1 && page.projects[0].conversationCount === 1, 'counted');
  const inside = await dataService.listConversations({ chatProjectId: made._id });
  check(inside.conversations.length === 1, 'listed by project');
  check((await dataService.deleteProject(made._id)).modifiedCount === 1, 'chats stay');
});

// ---------------------------------------------------------------- prompts

let group;
await step('prompts', async () => {
  const made = await dataService.createPrompt({
    prompt: { prompt: 'Say {{what}}', type: 'text' },
    group: { name: 'Speech', category: 'write', oneliner: 'Speaks', command: 'say' },
  });
  group = made.group;
  check(group._id && made.prompt.groupId === group._id && group.productionId === made.prompt._id, 'made');
  const second = await dataService.addPromptToGroup(group._id, { prompt: { prompt: 'Shout {{what}}', type: 'text', groupId: group._id } });
  check((await dataService.getPrompts({ groupId: group._id })).length === 2, 'two versions');
  await dataService.makePromptProduction(second.prompt._id);
  check((await dataService.getPromptGroup(group._id)).productionId === second.prompt._id, 'in production');
  const used = await dataService.recordPromptGroupUsage(group._id);
  check(used.numberOfGenerations === 1, 'used');
  await dataService.updatePromptGroup({ id: group._id, payload: { name: 'Speeches' } });
  const page = await dataService.getPromptGroups({ pageNumber: '1', pageSize: '10', limit: '10' });
  check(page.promptGroups.some((one) => one.name === 'Speeches'), 'in the page');
  check((await dataService.getAllPromptGroups()).some((one) => one._id === group._id), 'in the menu');
  await dataService.deletePrompt({ _id: made.prompt._id, groupId: group._id });
  check((await dataService.getPrompts({ groupId: group._id })).length === 1, 'one version');
});

// ---------------------------------------------------------------- memories

await step('memories', async () => {
  const made = await dataService.createMemory({ key: 'town', value: 'Ulm' });
  check(made.created === true && made.memory.key === 'town', 'made');
  await dataService.updateMemory('city', 'Bonn', 'town');
  const page = await dataService.getMemories();
  check(page.memories.length === 1 && page.memories[0].key === 'city' && page.memories[0].value === 'Bonn', 'renamed');
  check(Number.isInteger(page.totalTokens), 'tokens');
  check((await dataService.updateMemoryPreferences({ memories: false })).preferences.memories === false, 'switched off');
  await dataService.updateMemoryPreferences({ memories: true });
  await dataService.deleteMemory('city');
  check((await dataService.getMemories()).memories.length === 0, 'deleted');
});

// ---------------------------------------------------------------- agents, and people they are shared with

let agent;
await step('agents', async () => {
  agent = await dataService.createAgent({ name: 'Gardener', description: 'Plants', instructions: 'Grow.', provider: endpoint, model, tools: [], model_parameters: {}, category: 'general' });
  check(/^agent_/.test(agent.id), 'id');
  const changed = await dataService.updateAgent({ agent_id: agent.id, data: { instructions: 'Grow more.' } });
  check(changed.version === 2, `version ${changed.version}`);
  check((await dataService.getExpandedAgentById({ agent_id: agent.id })).instructions === 'Grow more.', 'expanded');
  check((await dataService.revertAgentVersion({ agent_id: agent.id, version_index: 0 })).instructions === 'Grow.', 'reverted');
  check((await dataService.listAgents({ requiredPermission: 1 })).data.some((one) => one.id === agent.id), 'listed');
  const copy = await dataService.duplicateAgent({ agent_id: agent.id });
  await dataService.deleteAgent({ agent_id: copy.agent.id });
  check(Array.isArray(await dataService.getAvailableAgentTools()), 'tools');
});
await step('an answer of the agent', async () => {
  const final = await turn({ endpoint: 'agents', model: undefined, agent_id: agent.id, endpointType: undefined });
  check(final.responseMessage.model === agent.id, `model ${final.responseMessage.model}`);
});

async function share(kind, id) {
  const roles = await dataService.getAccessRoles(kind);
  roles.forEach((role) => provider.accessRoleSchema.omit({ createdAt: true, updatedAt: true }).partial({ _id: true }).parse(role));
  const found = await dataService.searchPrincipals({ q: 'friend', limit: 20, types: ['user'] });
  const person = found.results.find((one) => one.email === friend.user.email);
  check(person, 'the picker finds people');
  await dataService.updateResourcePermissions(kind, id, {
    updated: [{ ...person, accessRoleId: `${kind}_viewer` }],
    removed: [],
  });
  const permissions = await dataService.getResourcePermissions(kind, id);
  // The schema takes ids of resources for names of roles, and knows no absent picture; LibreChat
  // sends null for one.
  const principals = permissions.principals.map(({ avatar, ...rest }) => (avatar === null ? rest : { avatar, ...rest }));
  provider.getResourcePermissionsResponseSchema.omit({ resourceId: true }).parse({ ...permissions, principals });
  check(permissions.principals.length === 2, 'two people');
  friend.use();
  try {
    const right = await dataService.getEffectivePermissions(kind, id);
    provider.effectivePermissionsResponseSchema.parse(right);
    check(right.permissionBits === 1, 'may look');
  } finally {
    owner.use();
  }
}
await step('an agent for a friend', () => share(ResourceType.AGENT, agent._id));
await step('a prompt for a friend', () => share(ResourceType.PROMPTGROUP, group._id));
await step('what the friend sees', async () => {
  friend.use();
  try {
    check((await dataService.getMarketplaceAgents({ requiredPermission: 1, limit: 6 })).data.some((one) => one.id === agent.id), 'agent');
    check((await dataService.getAllPromptGroups()).some((one) => one._id === group._id), 'prompt');
    check((await dataService.getAgentById({ agent_id: agent.id })).instructions === undefined, 'no instructions');
  } finally {
    owner.use();
  }
});
await step('cleared away', async () => {
  await dataService.deletePromptGroup(group._id);
  await dataService.deleteAgent({ agent_id: agent.id });
});

// ---------------------------------------------------------------- shared links

let link;
await step('a shared link', async () => {
  check((await dataService.getSharedLink(conversationId)).success === false, 'none yet');
  link = await dataService.createSharedLink(conversationId, undefined, false);
  check(link.shareId.length === 21, 'id');
  check((await dataService.getSharedLink(conversationId)).shareId === link.shareId, 'found');
  check((await dataService.updateSharedLink(link.shareId, messages[1].messageId)).shareId === link.shareId, 'same address');
  const page = await dataService.listSharedLinks({ pageSize: 25, sortBy: 'title', sortDirection: 'asc', search: '', cursor: '' });
  check(page.links.length === 1 && page.hasNextPage === false, 'listed');
});
await step('a reader of the link', async () => {
  friend.use();
  try {
    const shared = await dataService.getSharedMessages(link.shareId);
    shared.messages.forEach((message) => provider.tMessageSchema.parse(message));
    check((await dataService.getSharedStartupConfig(link.shareId)).appTitle, 'page');
    const forked = await dataService.forkSharedConversation(link.shareId, 1, shared.updatedAt);
    check(forked.messages.length === 2, 'continued');
  } finally {
    owner.use();
  }
});
await step('the link deleted', async () => {
  check((await dataService.deleteSharedLink(link.shareId)).success === true, 'deleted');
});

// ---------------------------------------------------------------- copies, search, keys

await step('copies', async () => {
  const twin = await dataService.duplicateConversation({ conversationId, title: 'Twin' });
  check(twin.messages.length === 2 && twin.conversation.title === 'Twin', 'duplicate');
  const fork = await dataService.forkConversation({ conversationId, messageId: messages[0].messageId, option: 'directPath', splitAtTarget: false, latestMessageId: messages[1].messageId });
  check(fork.messages.length === 1, 'fork');
});
await step('search', async () => {
  await dataService.updateConversation({ conversationId, title: 'About quokkas' });
  const found = async (ask) => {
    for (let tries = 0; tries < 50; tries++) {
      if ((await ask()).length) {
        return true;
      }
      await new Promise((done) => setTimeout(done, 100));
    }
    return false;
  };
  check(await found(async () => (await dataService.listMessages({ search: 'quok' })).messages), 'messages');
  check(await found(async () => (await dataService.listConversations({ search: 'about quokkas' })).conversations), 'chats');
});
await step('API keys', async () => {
  const made = await dataService.createAgentApiKey({ name: 'robot', expiresAt: null });
  check(/^sk-/.test(made.key), 'key');
  check((await dataService.getAgentApiKeys()).keys.length === 1, 'listed');
  await dataService.deleteAgentApiKey(made.id);
  check((await dataService.getAgentApiKeys()).keys.length === 0, 'deleted');
});
await step('roles', async () => {
  check((await dataService.listRoles()).roles.some((role) => role.name === 'USER'), 'USER');
});
