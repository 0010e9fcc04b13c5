#!/usr/bin/env bash
# Authlib's client_secret_basic puts client id and secret into the header as they are.
# RFC 6749 §2.3.1 wants both form-encoded first, and providers that decode them (npm's
# oidc-provider, for one) answer invalid_client to every secret with "+" or "%" in it. Base64
# secrets hold "+". Exits 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Authlib==1.9.9 httpx==0.28.1
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, base64, importlib.metadata, sys
import httpx
from authlib.integrations.httpx_client import AsyncOAuth2Client

SENT = []


def answer(request):
    SENT.append(base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode())
    return httpx.Response(200, json={"access_token": "x", "token_type": "Bearer"})


async def main():
    client = AsyncOAuth2Client(
        "client", "q7+Zr%20", token_endpoint_auth_method="client_secret_basic",
        transport=httpx.MockTransport(answer),
    )
    await client.fetch_token("https://id.example/token", grant_type="client_credentials")
    await client.aclose()

asyncio.run(main())
print("Authlib", importlib.metadata.version("authlib"))
print("sent:    ", SENT[0])
print("standard:", "client:q7%2BZr%2520")
sys.exit(SENT[0] != "client:q7+Zr%20")
PYTHON
