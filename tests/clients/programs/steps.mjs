// Steps of a program that uses a client package; each prints one line of JSON.
import assert from 'node:assert/strict';

const { CLIENTS_BASE, CLIENTS_KEY, CLIENTS_AGENT, CLIENTS_SLOW, CLIENTS_PROVIDER } = process.env;
export const base = CLIENTS_BASE;
export const key = CLIENTS_KEY;
export const agent = CLIENTS_AGENT;
export const slow = CLIENTS_SLOW;
export const WEATHER = 'CALL:server_weather:{"city":"Rome"}';
export const SUNNY = 'it says: sunny in Rome';
export { assert };

export const look = async () => (await fetch(`${CLIENTS_PROVIDER}/look`)).json();

// Role and text of each message that the provider got last.
export const got = async () => (await look()).last.messages.map(({ role, content }) => [role, content]);

// `raises`: the name of the class that the client has to raise.
export async function step(name, work, raises) {
  const told = { step: name, ok: !raises };
  try {
    await work();
  } catch (error) {
    const names = [error?.name, error?.constructor?.name];
    Object.assign(told, raises && names.includes(raises) ? { ok: true, raised: raises } : { ok: false, error: String(error?.stack ?? error).slice(0, 3000) });
  }
  console.log(JSON.stringify(told));
}

export async function all(source) {
  const found = [];
  for await (const item of source) found.push(item);
  return found;
}
