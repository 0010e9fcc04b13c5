"""A database as LibreChat v0.8.8-rc1 leaves it (collections.md), for tests.

Everything secret was made outside of this project with the keys of the test kit, by the
primitives that LibreChat uses: bcryptjs' ``$2a$10$``, WebCrypto's AES-CBC, Node's AES-256-CTR.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64, ObjectId

EMAIL = "olga@example.com"
PASSWORD = "librechat-password"
TOTP_SECRET = "JBSWY3DPEHPK3PXP"
BACKUP_CODE = "deadbeef"
OPENAI_KEY = "sk-librechat-key"

BCRYPT = "$2a$10$4wsBJXNjLZkOuXp3ocTdxuYoAeyKBA/B5uR7hik9u6MxhLyZrLdqu"
TOTP_V3 = "v3:a0a1a2a3a4a5a6a7a8a9aaabacadaeaf:96dd52aa2f8b385d4a03b8ce385bb4b0"
OPENAI_V1 = "1593830e1d11a16a7a06a4ddd5e59c2e89299beb6ddd2f37f664ed648a22aea0"
PLUGIN_V1 = "b5ac8688e3e2d12330c8c9631505a3e1"
BACKUP_HASH = "2baf1f40105d9501fe319a8ec463fdf4325a2a5df445adf3f572f626253678c9"

OLGA, ADMIN = ObjectId("65a1b2c3d4e5f60718293a4b"), ObjectId("65a1b2c3d4e5f60718293a4c")
CHAT = "5f0c8f6e-6d0a-4b43-9c55-0c2f5b2d7a11"
OLD_CHAT = "0b9d2f64-2f0e-4f8e-8a35-d1b3f2f0a922"
ASKED, ANSWERED = (
    "a3c1c0de-0000-4000-8000-000000000001",
    "a3c1c0de-0000-4000-8000-000000000002",
)
NO_PARENT = "00000000-0000-0000-0000-000000000000"
PRESET = "7e57ab1e-0000-4000-8000-000000000003"
SHARE, OLD_SHARE = "V1StGXR8_Z5jdHi6B-myT", "Uakgb_J5m9g-0JDMbcJqL"

_START = datetime(2026, 5, 4, 12, 30, 15, 123000, tzinfo=UTC)


def _at(minutes: int) -> datetime:
    return _START + timedelta(minutes=minutes)


def _stamps(minutes: int = 0) -> dict[str, Any]:
    return {"createdAt": _at(minutes), "updatedAt": _at(minutes), "__v": 0}


def _id(number: int) -> ObjectId:
    return ObjectId(f"65b0000000000000{number:08x}")


MESSAGES = (_id(1), _id(2))
PROJECT, GROUP, FIRST_VERSION, SECOND_VERSION = _id(10), _id(20), _id(21), _id(22)
LINK, OLD_LINK = _id(30), _id(31)
MEMORY = _id(40)
_ROLE_IDS = {
    "promptGroup_viewer": (_id(50), 1, "promptGroup"),
    "promptGroup_editor": (_id(51), 3, "promptGroup"),
    "promptGroup_owner": (_id(52), 15, "promptGroup"),
    "sharedLink_viewer": (_id(53), 1, "sharedLink"),
    "sharedLink_owner": (_id(54), 15, "sharedLink"),
}


def _user(key: ObjectId, email: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "_id": key,
        "name": email.partition("@")[0].title(),
        "username": email.partition("@")[0],
        "email": email,
        "emailVerified": True,
        "password": BCRYPT,
        "avatar": None,
        "provider": "local",
        "role": role,
        "plugins": [],
        "twoFactorEnabled": False,
        "backupCodes": [],
        "refreshToken": [],
        "termsAccepted": False,
        "termsAcceptedAt": None,
        "personalization": {
            "memories": True,
            "statefulCodeEnvironment": "user",
            "_id": ObjectId(),
        },
        "favorites": [],
        "skillStates": {},
        **_stamps(),
        **more,
    }


def _entry(kind: str, resource: ObjectId, role: str, user: ObjectId | None) -> dict[str, Any]:
    named = (
        {"principalType": "public"}
        if user is None
        else {"principalType": "user", "principalId": user, "principalModel": "User"}
    )
    key, bits, _ = _ROLE_IDS[role]
    return {
        "_id": ObjectId(),
        **named,
        "resourceType": kind,
        "resourceId": resource,
        "permBits": bits,
        "roleId": key,
        "grantedBy": OLGA if user is None else user,
        "grantedAt": _at(1),
        **_stamps(1),
    }


def _message(key: ObjectId, message_id: str, parent: str, minutes: int, **more: Any) -> Any:
    return {
        "_id": key,
        "messageId": message_id,
        "conversationId": CHAT,
        "user": str(OLGA),
        "parentMessageId": parent,
        "endpoint": "Fake",
        "model": "fake",
        "unfinished": False,
        "error": False,
        "isTemporary": False,
        "expiredAt": None,
        "_meiliIndex": False,
        "tokenCount": 7,
        **_stamps(minutes),
        **more,
    }


def documents() -> dict[str, list[dict[str, Any]]]:
    """Collection → documents."""
    olga = str(OLGA)
    settings = {"endpoint": "Fake", "endpointType": "custom", "model": "fake"}
    return {
        "users": [
            _user(ADMIN, "boss@example.com", "ADMIN"),
            _user(
                OLGA,
                EMAIL,
                "USER",
                twoFactorEnabled=True,
                totpSecret=TOTP_V3,
                backupCodes=[{"codeHash": BACKUP_HASH, "used": False, "usedAt": None}],
                favorites=[{"model": "fake", "endpoint": "Fake", "_id": ObjectId()}],
                plugins=["google"],
            ),
        ],
        "keys": [
            {"_id": _id(60), "userId": OLGA, "name": "openAI", "value": OPENAI_V1, "__v": 0},
            {
                "_id": _id(61),
                "userId": OLGA,
                "name": "anthropic",
                "value": OPENAI_V1,
                "expiresAt": datetime(2099, 1, 1, tzinfo=UTC),
                "__v": 0,
            },
        ],
        "pluginauths": [
            {
                "_id": _id(62),
                "authField": "GOOGLE_API_KEY",
                "value": PLUGIN_V1,
                "userId": olga,
                "pluginKey": "google",
                **_stamps(),
            }
        ],
        "conversations": [
            {
                "_id": _id(5),
                "conversationId": CHAT,
                "user": olga,
                "title": "About databases",
                "messages": list(MESSAGES),
                **settings,
                "temperature": 0.5,
                "maxContextTokens": Int64(8000),
                "isArchived": False,
                "isTemporary": False,
                "expiredAt": None,
                "tags": ["Saved"],
                "files": [],
                "chatProjectId": str(PROJECT),
                "_meiliIndex": False,
                **_stamps(3),
            },
            {  # of a version that did not know isTemporary, projects and pins
                "_id": _id(6),
                "conversationId": OLD_CHAT,
                "user": olga,
                "title": "Older",
                "messages": [],
                **settings,
                "isArchived": False,
                "tags": [],
                **_stamps(-100),
            },
        ],
        "messages": [
            _message(
                MESSAGES[0],
                ASKED,
                NO_PARENT,
                2,
                sender="User",
                text="What is a database?",
                isCreatedByUser=True,
            ),
            _message(
                MESSAGES[1],
                ANSWERED,
                ASKED,
                3,
                sender="Fake",
                text="",
                isCreatedByUser=False,
                content=[{"type": "text", "text": "A place for data."}],
                feedback={"rating": "thumbsUp", "tag": "other", "_id": ObjectId()},
            ),
        ],
        "conversationtags": [
            {
                "_id": _id(7),
                "tag": "Saved",
                "user": olga,
                "description": "kept",
                "count": 1,
                "position": 1,
                **_stamps(),
            }
        ],
        "presets": [
            {
                "_id": _id(8),
                "presetId": PRESET,
                "user": olga,
                "title": "Precise",
                **settings,
                "temperature": 0,
                "isArchived": False,
                "tags": [],
                "defaultPreset": True,
                "order": 0,
                **_stamps(),
            }
        ],
        "chatprojects": [
            {
                "_id": PROJECT,
                "name": "Research",
                "description": "",
                "user": olga,
                "conversationCount": 1,
                "lastConversationAt": _at(3),
                "lastConversationId": CHAT,
                **_stamps(),
            }
        ],
        "promptgroups": [
            {
                "_id": GROUP,
                "name": "Greeter",
                "numberOfGenerations": 4,
                "oneliner": "greets",
                "category": "write",
                "productionId": SECOND_VERSION,
                "author": OLGA,
                "authorName": "Olga",
                "command": "greet",
                "projectIds": [],
                **_stamps(),
            }
        ],
        "prompts": [
            {
                "_id": key,
                "groupId": GROUP,
                "author": OLGA,
                "prompt": text,
                "type": "text",
                **_stamps(minutes),
            }
            for minutes, (key, text) in enumerate(
                ((FIRST_VERSION, "Say hi"), (SECOND_VERSION, "Say hi to {{name}}"))
            )
        ],
        "memoryentries": [
            {
                "_id": MEMORY,
                "userId": OLGA,
                "key": "likes",
                "value": "Olga likes databases.",
                "tokenCount": 5,
                "updated_at": _at(1),
                "__v": 0,
            }
        ],
        "sharedlinks": [
            {
                "_id": LINK,
                "conversationId": CHAT,
                "title": "About databases",
                "user": olga,
                "messages": list(MESSAGES),
                "shareId": SHARE,
                "snapshotFiles": True,
                **_stamps(4),
            },
            {  # from before shared links had entries
                "_id": OLD_LINK,
                "conversationId": OLD_CHAT,
                "title": "Older",
                "user": olga,
                "messages": [],
                "shareId": OLD_SHARE,
                "isPublic": True,
                **_stamps(-90),
            },
        ],
        "aclentries": [
            _entry("promptGroup", GROUP, "promptGroup_owner", OLGA),
            _entry("promptGroup", GROUP, "promptGroup_viewer", None),
            _entry("sharedLink", LINK, "sharedLink_owner", OLGA),
            _entry("sharedLink", LINK, "sharedLink_viewer", None),
        ],
        "accessroles": [
            {
                "_id": key,
                "accessRoleId": name,
                "resourceType": kind,
                "name": f"com_ui_role_{name.partition('_')[2]}",
                "description": f"com_ui_role_{name.partition('_')[2]}_desc",
                "permBits": bits,
                **_stamps(),
            }
            for name, (key, bits, kind) in _ROLE_IDS.items()
        ],
        "toolfavorites": [
            {
                "_id": _id(70),
                "user": OLGA,
                "itemType": "builtin",
                "itemId": "calculator",
                **_stamps(),
            }
        ],
    }
