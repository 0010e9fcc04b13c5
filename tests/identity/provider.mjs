// An OpenID provider with the npm package oidc-provider, on a free port of 127.0.0.1.
// Reads its people and clients as JSON from standard input, and prints its issuer.
import http from "node:http";
import { text } from "node:stream/consumers";
import Provider from "oidc-provider";

const { people, clients } = JSON.parse(await text(process.stdin));
const server = http.createServer();
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.map(({ always_refresh, ...client }) => client),
  claims: {
    openid: ["sub"],
    email: ["email", "email_verified"],
    profile: ["name", "given_name", "family_name", "preferred_username", "team"],
  },
  cookies: { keys: ["secret-of-the-cookies"] },
  features: { jwtUserinfo: { enabled: true }, revocation: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  issueRefreshToken: async (_, client, code) =>
    clients.some((each) => each.client_id === client.clientId && each.always_refresh) ||
    code.scopes.has("offline_access"),
  rotateRefreshToken: true,
});
server.on("request", provider.callback());
console.log(issuer);
