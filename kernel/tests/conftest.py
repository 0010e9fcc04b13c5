"""Plugins made on the spot, a Redis server, and HTTP without a client library."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from locutory import NoConfig, Plugin, hook, installed
from locutory_testing import Serve
from locutory_testing.database import Databases
from locutory_testing.programs import redis_server
from locutory_testing.waiting import PATIENCE

MakePlugin = Callable[..., Plugin]
RawHTTP = Callable[..., Any]


def _contribution(name: str, value: Any) -> Any:
    def contribute(self: Plugin, ctx: Any) -> Any:
        return value(ctx) if callable(value) else value

    contribute.__name__ = name
    return hook(contribute)


def _make(
    name: str,
    *,
    provides: tuple[Any, ...] = (),
    needs: tuple[Any, ...] = (),
    wants: tuple[Any, ...] = (),
    config: type[Any] = NoConfig,
    sections: dict[str, Any] | None = None,
    **hooks: Any,
) -> Plugin:
    namespace: dict[str, Any] = {
        "name": name,
        "summary": f"The plugin {name} of a test",
        "Config": config,
        "sections": sections or {},
        "provides": provides,
        "needs": needs,
        "wants": wants,
        **{hook_name: _contribution(hook_name, value) for hook_name, value in hooks.items()},
    }
    made: Plugin = type(name.capitalize(), (Plugin,), namespace)()
    return made


@pytest.fixture(scope="session")
def make_plugin() -> MakePlugin:
    """``make_plugin("a", needs=(KEY,), routes=[…])``: a plugin whose hooks return what is
    given, or what a given function of the context returns."""
    return _make


@pytest.fixture(scope="module")
def serve_module(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """`serve` for a fixture that lives as long as its module."""
    return Serve(databases, tmp_path_factory.mktemp("module"))


@pytest.fixture
def raw_http() -> RawHTTP:
    """``await raw_http(url, b"GET / …")``: what the server sends until it closes, or until
    ``enough`` is in it; then the connection is closed."""

    async def talk(url: str, data: bytes, enough: bytes = b"") -> bytes:
        host, _, port = url.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        received = b""
        try:
            async with asyncio.timeout(PATIENCE):
                writer.write(data)
                while chunk := await reader.read(65536):
                    received += chunk
                    if enough and enough in received:
                        break
        except ConnectionError:
            pass
        finally:
            writer.close()
        return received

    return talk


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Redis or Valkey server of this session."""
    with redis_server(tmp_path_factory.mktemp("redis"), "pw") as (url, _):
        yield url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The address and process of a Redis that the test may stop."""
    with redis_server(tmp_path, "pw") as started:
        yield started


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """``install("rose", source)``: a package `locutory-<name>` with a plugin of that name."""

    def forget() -> None:
        installed.entry_points.cache_clear()
        installed._all.cache_clear()

    site = tmp_path / "site"
    site.mkdir()

    def put(name: str, source: str, *, distribution: str = "", attribute: str = "Made") -> Path:
        package = distribution or f"locutory-{name}"
        module = f"installed_{package.replace('-', '_')}"
        (site / f"{module}.py").write_text(source, "utf-8")
        info = site / f"{package.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\nSummary: Grows a {name}\n",
            "utf-8",
        )
        (info / "entry_points.txt").write_text(
            f"[locutory.plugins]\n{name} = {module}:{attribute}\n", "utf-8"
        )
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(str(site))
        forget()
        return site

    yield put
    forget()
