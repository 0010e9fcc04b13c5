"""Pictures of a link come with the cookie of a real session (contract share §2)."""

from dataclasses import dataclass
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n" + b"picture" * 10
ENVIRONMENT = {"ALLOW_UNVERIFIED_EMAIL_LOGIN": "true", "ALLOW_REGISTRATION": "true"}


@dataclass
class Reader:
    """Somebody with a session: what his browser sends with a header, and without."""

    client: Any
    id: str
    token: str
    cookie: str

    @property
    def page(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    @property
    def image(self) -> dict[str, str]:
        return {"cookie": f"refreshToken={self.cookie}; token_provider=librechat"}

    async def refresh(self) -> None:
        answer = await self.client.post("/api/auth/refresh", headers=self.image)
        assert answer.status_code == 200
        self.cookie = answer.cookies["refreshToken"]
        self.client.cookies.clear()


async def signed_in(client: Any, name: str) -> Reader:
    account = {"email": f"{name}@example.com", "password": "password123"}
    given = {**account, "name": name, "username": name, "confirm_password": "password123"}
    assert (await client.post("/api/auth/register", json=given)).status_code == 200
    answer = await client.post("/api/auth/login", json=account)
    assert answer.status_code == 200, answer.text
    client.cookies.clear()
    found = answer.json()
    return Reader(client, found["user"]["id"], found["token"], answer.cookies["refreshToken"])


async def test_a_session_lets_images_in_where_the_link_does(make_world: Any) -> None:
    async with make_world("auth", without={"signin"}, environment=ENVIRONMENT) as world:
        client = world.server.client
        owner = await signed_in(client, "owner")
        guest = await signed_in(client, "guest")
        file_id = await world.files.put(owner.id, PNG)
        chat = await world.chat(owner.id, "Look", files=[{"file_id": file_id}])
        await world.collection("messages").update_one(
            {"conversationId": chat},
            {"$set": {"files": [{"file_id": file_id, "type": "image/png"}]}},
        )
        made = (await client.post(f"/api/share/{chat}", json={}, headers=owner.page)).json()
        path = f"/api/share/{made['shareId']}/files/{file_id}"

        async def status(headers: dict[str, str]) -> int:
            return int((await client.get(path, headers=headers)).status_code)

        assert await status({}) == 401
        answer = await client.get(path, headers=guest.image)
        assert (answer.status_code, answer.content) == (200, PNG)
        assert "set-cookie" not in answer.headers, "reading does not renew a session"
        await world.make_private(made["_id"])
        assert await status(owner.image) == 200
        assert await status(guest.image) == 403
        assert await status({"cookie": "refreshToken=junk"}) == 401
        link = f"/api/share/{made['shareId']}"
        assert (await client.get(link, headers=owner.image)).status_code == 401, "files only"

        old = owner.image
        await owner.refresh()
        assert await status(owner.image) == 200
        assert await status(old) == 200, "another tab may still be at the token before"
        answer = await client.post("/api/auth/logout", headers={**owner.page, **owner.image})
        assert answer.status_code == 200
        client.cookies.clear()
        assert await status(owner.image) == 401
        assert await status(old) == 401
