"""Sign-in with a SAML identity provider (contract oauth §6)."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from locutory import StartupError

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"
OURS = "https://chat.example.com"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"


async def test_request(site: Any, idp: Any) -> None:
    async with site(idp.settings()) as found:
        request, relay_state = idp.request(await found.start("saml"))
        assert request.tag == f"{SAMLP}AuthnRequest"
        assert request.get("AssertionConsumerServiceURL") == f"{CLIENT}/oauth/saml/callback"
        assert request.get("Destination") == "https://idp.example.com/sso?realm=a&b=c"
        assert request.findtext(f"{SAML}Issuer") == OURS
        policy = request.find(f"{SAMLP}NameIDPolicy")
        assert policy is not None
        assert str(policy.get("Format")).endswith("emailAddress")
        assert len(relay_state) == 43
        again, _ = idp.request(await found.start("saml"))
        assert again.get("ID") != request.get("ID")


async def test_sign_in(site: Any, idp: Any, post: Any) -> None:
    identity = {
        "email": "ada@example.com",
        "username": "ada",
        "given_name": "Ada",
        "family_name": "Lovelace",
        "picture": "https://cdn.example.com/ada.png",
    }
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"), "name-id-1", identity=identity)
        back = await post(found, form)
        assert back.status_code == 302
        assert back.headers["location"] == CLIENT
        assert back.headers.get_list("set-cookie")[0].startswith("refreshToken=")
        account = await found.people.only()
        assert account["provider"] == "saml"
        assert account["samlId"] == "name-id-1"
        assert account["email"] == "ada@example.com"
        assert account["emailVerified"] is True
        assert account["username"] == "ada"
        assert account["name"] == "Ada Lovelace"
        assert account["avatar"] == "https://cdn.example.com/ada.png"
        assert account["role"] == "USER"


async def test_same_site_post_needs_no_second_request(site: Any, idp: Any) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        back = await found.browser.post("/oauth/saml/callback", data=form)
        assert back.status_code == 302
        assert back.headers["location"] == CLIENT


async def test_registration_needs_no_switch(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings(ALLOW_SOCIAL_REGISTRATION="false")) as found:
        back = await post(found, idp.answer(await found.start("saml")))
        assert back.headers["location"] == CLIENT


async def test_configured_attributes(site: Any, idp: Any, post: Any) -> None:
    settings = idp.settings(
        SAML_EMAIL_CLAIM="urn:oid:mail",
        SAML_USERNAME_CLAIM="absent",
        SAML_NAME_CLAIM="display",
        ALLOW_SOCIAL_REGISTRATION="false",
    )
    identity = {"urn:oid:mail": "a@x.org", "username": ["ada", "l"], "display": "A. Lovelace"}
    async with site(settings) as found:
        await post(found, idp.answer(await found.start("saml"), identity=identity))
        account = await found.people.only()
        assert account["email"] == "a@x.org"
        assert account["username"] == "ada_l"
        assert account["name"] == "A. Lovelace"


@pytest.mark.parametrize(
    ("identity", "username", "name"),
    [
        ({"email": "a@x.org", "given_name": "Ada"}, "Ada", "Ada"),
        ({"email": "a@x.org", "username": "ada"}, "ada", "ada"),
        ({"email": "a@x.org"}, "a@x.org", "a@x.org"),
        ({"email": "a@x.org", "cn": "Ada L.", "username": "ada"}, "ada", "Ada L."),
        ({"email": "a@x.org", "cn": "no", "displayName": "Ada", "given_name": "A"}, "A", "Ada"),
        (
            {"mail": "a@x.org", "given_name": ["Mul", "Ti"], "family_name": "Plex", "cn": "no"},
            "Mul",
            "Mul Plex",
        ),
        ({"email": "a@x.org", "username": ["ada", " ", "l"]}, "ada_l", "ada_l"),
    ],
)
async def test_what_replaces_missing_attributes(
    site: Any, idp: Any, post: Any, identity: dict[str, str], username: str, name: str
) -> None:
    async with site(idp.settings()) as found:
        await post(found, idp.answer(await found.start("saml"), identity=identity))
        account = await found.people.only()
        assert (account["username"], account["name"]) == (username, name)


@pytest.mark.parametrize(
    ("identity", "address"),
    [
        ({"mail": ["multi@x.example", "multi.alias@x.example"]}, "multi@x.example"),
        ({"mail": ["", "none", "b@x.example", "c@x.example"]}, "b@x.example"),
        ({"mail": "none", "email": "b@x.example"}, "b@x.example"),
        ({"urn:oid:0.9.2342.19200300.100.1.3": "b@x.example"}, "b@x.example"),
        ({"mail": ["none"], "username": "c@x.example"}, None),
        ({"username": "ada"}, None),
        ({"mail": "ada@localhost"}, None),
    ],
)
async def test_address_is_the_first_that_is_one(
    site: Any, idp: Any, post: Any, logged: Any, identity: dict[str, Any], address: str | None
) -> None:
    async with site(idp.settings(SAML_EMAIL_CLAIM="mail")) as found:
        for name_id in ("one", "two"):
            back = await post(
                found, idp.answer(await found.start("saml"), name_id, identity=identity)
            )
            assert back.headers["location"] == (FAILED if address is None else CLIENT)
        if address is not None:
            assert (await found.people.only())["email"] == address
    if address is None:
        assert set(logged.codes()) == {"no_address"}
        assert "set SAML_EMAIL_CLAIM" in logged.text()
        assert f"it told: {next(iter(identity))}" in logged.text()


async def test_name_that_is_new_at_each_sign_in(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        for name_id in ("_random1", "_random2", "_random3"):
            form = idp.answer(await found.start("saml"), name_id, name_format=TRANSIENT)
            assert (await post(found, form)).headers["location"] == CLIENT
            assert "samlId" not in await found.people.only()
        other = {"identity": {"email": "bob@example.com"}}
        form = idp.answer(await found.start("saml"), "_random4", name_format=TRANSIENT, **other)
        assert (await post(found, form)).headers["location"] == CLIENT
        assert await found.people.count() == 2


async def test_name_that_changed(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        for name_id in ("old@example.com", "new@example.com"):
            back = await post(found, idp.answer(await found.start("saml"), name_id))
            assert back.headers["location"] == CLIENT
            assert (await found.people.only())["samlId"] == name_id


async def test_signed_response(site: Any, idp: Any, post: Any) -> None:
    settings = idp.settings(SAML_USE_AUTHN_RESPONSE_SIGNED="true")
    async with site(settings) as found:
        options = {"sign_assertion": False, "sign_response": True}
        back = await post(found, idp.answer(await found.start("saml"), **options))
        assert back.headers["location"] == CLIENT
        back = await post(found, idp.answer(await found.start("saml")))
        assert back.headers["location"] == FAILED
    async with site(idp.settings()) as found:
        back = await post(found, idp.answer(await found.start("saml"), **options))
        assert back.headers["location"] == FAILED
        options = {"sign_assertion": True, "sign_response": True}
        back = await post(found, idp.answer(await found.start("saml"), **options))
        assert back.headers["location"] == CLIENT


async def test_certificate_as_text(site: Any, idp: Any, post: Any, make_idp: Any) -> None:
    pem = idp.certificate.read_text()
    bare = "".join(pem.splitlines()[1:-1])
    both = make_idp("old").certificate.read_text() + pem
    for text in (pem, pem.replace("\n", "\\n"), bare, both):
        async with site(idp.settings(SAML_CERT=text)) as found:
            back = await post(found, idp.answer(await found.start("saml")))
            assert back.headers["location"] == CLIENT


@pytest.mark.parametrize("text", ["missing.pem", "!!", b64encode(b"no certificate").decode()])
async def test_certificate_that_is_none(site: Any, idp: Any, text: str) -> None:
    with pytest.raises(StartupError, match="SAML_CERT"):
        async with site(idp.settings(SAML_CERT=text)):
            pass


async def test_certificate_file_that_is_none(site: Any, idp: Any, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(StartupError, match="SAML_CERT"):
        async with site(idp.settings(SAML_CERT=str(path))):
            pass


async def test_name_of_the_provider(site: Any, idp: Any, post: Any) -> None:
    for name, location in (
        ("https://idp.example.com/metadata", CLIENT),
        ("https://other.example.com", FAILED),
    ):
        async with site(idp.settings(LOCUTORY_SAML_IDP_ENTITY_ID=name)) as found:
            back = await post(found, idp.answer(await found.start("saml")))
            assert back.headers["location"] == location


async def test_begun_at_the_provider_is_begun_again_here(site: Any, idp: Any) -> None:
    document = b64encode(idp.respond("ada@example.com").encode()).decode()
    async with site(idp.settings()) as found:
        for more in ({}, {"RelayState": "https://chat.example.com/"}):
            form = {"SAMLResponse": document, **more}
            back = await found.browser.post("/oauth/saml/callback", data=form)
            assert back.status_code == 303
            assert back.headers["location"] == "/oauth/saml"
        assert found.people.identities == []
