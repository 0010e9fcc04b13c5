"""What a SAML sign-in must refuse (contract security §4; "On Breaking SAML", 2012)."""

import copy
import re
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree  # type: ignore[import-untyped]

CLIENT = "http://localhost:3080"
FAILED = f"{CLIENT}/login?redirect=false&error=auth_failed"

NAMES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
Change = Callable[[str], str]


async def attack(
    found: Any, idp: Any, post: Any, change: Change | None = None, **options: Any
) -> None:
    """Post a response, and demand that nobody is signed in by it."""
    back = await post(found, idp.answer(await found.start("saml"), change=change, **options))
    assert back.status_code == 302
    assert back.headers["location"] == FAILED
    assert "set-cookie" not in back.headers
    assert found.people.identities == []


def parsed(change: Callable[[Any], None]) -> Change:
    """A change of the parsed document."""

    def apply(text: str) -> str:
        document = etree.fromstring(text.encode())
        change(document)
        return str(etree.tostring(document), "utf-8")

    return apply


def one(document: Any, path: str) -> Any:
    return document.xpath(path, namespaces=NAMES)[0]


def forged(document: Any, name: str = "_evil") -> Any:
    """A copy of the assertion, unsigned, about somebody else."""
    evil = copy.deepcopy(one(document, "//saml:Assertion"))
    signature = one(evil, "./ds:Signature")
    evil.remove(signature)
    evil.set("ID", name)
    one(evil, ".//saml:NameID").text = "admin@example.com"
    return evil


# Signatures


def strip(document: Any) -> None:
    signature = one(document, "//ds:Signature")
    signature.getparent().remove(signature)


def other_name(document: Any) -> None:
    one(document, "//saml:NameID").text = "admin@example.com"


def other_attribute(document: Any) -> None:
    one(document, "//saml:AttributeValue").text = "admin@example.com"


def empty_signature(document: Any) -> None:
    one(document, "//ds:SignatureValue").text = ""


def hmac_signature(document: Any) -> None:
    method = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    one(document, "//ds:SignatureMethod").set("Algorithm", method)


def stylesheet(document: Any) -> None:
    """A transform that could do anything."""
    transform = one(document, "//ds:Transform")
    transform.set("Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116")


def reference_to_nothing(document: Any) -> None:
    one(document, "//ds:Reference").set("URI", "")


def second_reference(document: Any) -> None:
    reference = one(document, "//ds:Reference")
    reference.addnext(copy.deepcopy(reference))


# Signature wrapping: the signed assertion stays somewhere, another one is put in its place.


def xsw_before(document: Any) -> None:
    """Both below the response, the forged one first."""
    one(document, "//saml:Assertion").addprevious(forged(document))


def xsw_after(document: Any) -> None:
    one(document, "//saml:Assertion").addnext(forged(document))


def xsw_same_id(document: Any) -> None:
    good = one(document, "//saml:Assertion")
    good.addprevious(forged(document, good.get("ID")))


def xsw_inside(document: Any) -> None:
    """The signed assertion within the forged one."""
    good, evil = one(document, "//saml:Assertion"), forged(document)
    good.getparent().replace(good, evil)
    evil.append(good)


def xsw_in_signature(document: Any) -> None:
    """The forged assertion carries the signature, which holds the signed one."""
    good, evil = one(document, "//saml:Assertion"), forged(document)
    signature = one(good, "./ds:Signature")
    good.getparent().replace(good, evil)
    one(evil, "./saml:Issuer").addnext(signature)
    holder = etree.SubElement(signature, f"{{{NAMES['ds']}}}Object")
    holder.append(good)


def xsw_in_extensions(document: Any) -> None:
    good, evil = one(document, "//saml:Assertion"), forged(document)
    good.getparent().replace(good, evil)
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(good)
    one(document, "./saml:Issuer").addnext(extensions)


def xsw_in_advice(document: Any) -> None:
    good, evil = one(document, "//saml:Assertion"), forged(document)
    good.getparent().replace(good, evil)
    advice = etree.Element(f"{{{NAMES['saml']}}}Advice")
    advice.append(good)
    one(evil, "./saml:Conditions").addnext(advice)


def xsw_response(document: Any) -> None:
    """The whole signed response inside a forged one."""
    whole = copy.deepcopy(document)
    good = one(document, "//saml:Assertion")
    evil = forged(document)
    good.getparent().replace(good, evil)
    document.set("ID", "_evil_response")
    extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
    extensions.append(whole)
    one(document, "./saml:Issuer").addnext(extensions)


TREES = [
    strip,
    other_name,
    other_attribute,
    empty_signature,
    hmac_signature,
    stylesheet,
    reference_to_nothing,
    second_reference,
    xsw_before,
    xsw_after,
    xsw_same_id,
    xsw_inside,
    xsw_in_signature,
    xsw_in_extensions,
    xsw_in_advice,
    xsw_response,
]


@pytest.mark.parametrize("change", TREES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("signed", ["assertion", "response"])
async def test_forged_responses(
    site: Any, idp: Any, post: Any, change: Callable[[Any], None], signed: str
) -> None:
    response = signed == "response"
    settings = idp.settings(SAML_USE_AUTHN_RESPONSE_SIGNED="true" if response else "")
    options = {"sign_assertion": not response, "sign_response": response}
    if response and change.__name__.startswith("xsw") and change is not xsw_response:

        def change_both(document: Any) -> None:
            # In these the assertion has no signature of its own to be moved.
            good = one(document, "//saml:Assertion")
            evil = copy.deepcopy(good)
            evil.set("ID", "_evil")
            one(evil, ".//saml:NameID").text = "admin@example.com"
            good.addprevious(evil)

        async with site(settings) as found:
            await attack(found, idp, post, parsed(change_both), **options)
        return
    if response and change is xsw_response:

        def wrap(document: Any) -> None:
            whole = copy.deepcopy(document)
            strip(document)
            document.set("ID", "_evil_response")
            one(document, "//saml:NameID").text = "admin@example.com"
            extensions = etree.Element(f"{{{NAMES['samlp']}}}Extensions")
            extensions.append(whole)
            one(document, "./saml:Issuer").addnext(extensions)

        change = wrap
    async with site(settings) as found:
        await attack(found, idp, post, parsed(change), **options)


async def test_comment_in_a_name(site: Any, idp: Any, post: Any) -> None:
    """CVE-2017-11427: a comment must not cut a name short. It does not break a signature."""
    async with site(idp.settings()) as found:
        form = idp.answer(
            await found.start("saml"),
            "admin@example.com.evil.example",
            change=lambda text: text.replace(
                "admin@example.com.evil.example", "admin@example.com<!---->.evil.example"
            ),
        )
        await post(found, form)
        (identity,) = found.people.identities
        assert identity.subject == "admin@example.com.evil.example"


async def test_another_key(site: Any, idp: Any, post: Any, make_idp: Any) -> None:
    """With the right name and a certificate of its own in the response."""
    mallory = make_idp("mallory")
    async with site(idp.settings()) as found:
        await attack(found, mallory, post)


async def test_weak_methods(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        await attack(found, idp, post, sign_alg="RSA_SHA1")
        await attack(found, idp, post, digest_alg="SHA1")


# Time, place, purpose


async def test_expired(site: Any, idp: Any, post: Any, make_idp: Any) -> None:
    late = make_idp("late", minutes=-30)
    settings = late.settings()
    async with site(settings) as found:
        await attack(found, late, post)


async def test_not_yet(site: Any, idp: Any, post: Any) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with site(idp.settings()) as found:
        await attack(
            found,
            idp,
            post,
            lambda text: re.sub(r'NotBefore="[^"]+"', f'NotBefore="{later}"', text),
        )


async def test_another_audience(site: Any, idp: Any, post: Any) -> None:
    """An assertion that another service got from the same provider."""
    async with site(idp.settings()) as found:
        await attack(found, idp, post, sp_entity_id="https://other.example.com")


async def test_another_place(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        for destination in (
            "https://other.example.com/acs",
            f"{CLIENT}/oauth/saml/callback/../../evil",
            f"{CLIENT}/oauth/saml/callbackevil",
        ):
            await attack(found, idp, post, destination=destination)


async def test_answer_to_another_request(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        location = await found.start("saml")
        other, _ = idp.request(await found.start("saml"))
        document = idp.respond("ada@example.com", in_response_to=other.get("ID"))
        form = idp.answer(location)
        form["SAMLResponse"] = b64encode(document.encode()).decode()
        assert (await post(found, form)).headers["location"] == FAILED
        assert found.people.identities == []


async def test_answer_to_no_request(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        form["SAMLResponse"] = b64encode(idp.respond("ada@example.com").encode()).decode()
        assert (await post(found, form)).headers["location"] == FAILED


async def test_answer_is_good_once(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        assert (await post(found, form)).headers["location"] == CLIENT
        assert (await post(found, form)).headers["location"] == FAILED
        assert len(found.people.opened) == 1


async def test_assertion_is_good_once(site: Any, idp: Any, post: Any) -> None:
    """Even if the request it answers were under way again."""
    async with site(idp.settings()) as found:
        location = await found.start("saml")
        form = idp.answer(location)
        flow = await found.server.kernel.cache.get("oauth:flow", form["RelayState"])
        assert (await post(found, form)).headers["location"] == CLIENT
        await found.server.kernel.cache.set("oauth:flow", form["RelayState"], flow, 60)
        assert (await post(found, form)).headers["location"] == FAILED


async def test_sign_in_of_another_browser(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        async with found.server.connect() as attacker:
            form = idp.answer(await found.start("saml", attacker), "mallory@example.com")
        assert (await post(found, form)).headers["location"] == FAILED
        assert found.people.identities == []


async def test_account_of_another_kind(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        await found.people.add(email="ada@example.com", provider="local")
        back = await post(found, idp.answer(await found.start("saml")))
        assert back.headers["location"] == FAILED
        assert found.people.opened == []


# Hostile XML


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no xml",
        b"\xff\xfe\x00",
        b"<x/>",
        f"{BOMB}<x>&b;</x>".encode(),
        b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>',
        b"<samlp:Response xmlns:samlp='urn:oasis:names:tc:SAML:2.0:protocol'/>",
        b"<a>" * 5000,
    ],
)
async def test_hostile_documents(site: Any, idp: Any, post: Any, document: bytes) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        form["SAMLResponse"] = b64encode(document).decode()
        assert (await post(found, form)).headers["location"] == FAILED


async def test_response_that_is_too_large(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        form = idp.answer(await found.start("saml"))
        form["SAMLResponse"] = b64encode(b"x" * 500_000).decode()
        assert (await post(found, form)).status_code == 413


async def test_response_that_is_missing(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        for value in (None, "", "%%%"):
            form = idp.answer(await found.start("saml"))
            if value is None:
                del form["SAMLResponse"]
            else:
                form["SAMLResponse"] = value
            assert (await post(found, form)).headers["location"] == FAILED


async def test_entities_in_a_signed_response(site: Any, idp: Any, post: Any) -> None:
    """A document type in front does not change what is signed, and is refused anyway."""
    async with site(idp.settings()) as found:

        def add(text: str) -> str:
            head, _, rest = text.partition("?>") if text.startswith("<?xml") else ("", "", text)
            return f"{head}{'?>' if head else ''}{BOMB.replace('x [', 'Response [')}{rest}"

        await attack(found, idp, post, add)


async def test_status_of_failure(site: Any, idp: Any, post: Any) -> None:
    async with site(idp.settings()) as found:
        await attack(
            found,
            idp,
            post,
            lambda text: text.replace("status:Success", "status:Requester"),
        )
