"""A worker in a process of its own, to be killed: ``agents_worker.py <redis> <prefix> <database>``."""

import asyncio
import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType


def _tests() -> ModuleType:
    path = Path(__file__).with_name("conftest.py")
    spec = importlib.util.spec_from_file_location("agents_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def main(redis_uri: str, prefix: str, address: str) -> None:
    from locutory.config.configuration import Sources
    from locutory.run.kernel import Kernel
    from locutory_agents.plugin import AgentsPlugin
    from locutory_agents.stores.redis import keys as redis_keys
    from locutory_agents.stores.redis import subscriber as redis_subscriber
    from locutory_testing import SignIn
    from locutory_testing.server import SECRETS, listening

    redis_keys.ALIVE_MS = 3000
    redis_subscriber.ALIVE_MS = 3000  # type: ignore[attr-defined]  # its own name for the same
    redis_subscriber.HEARTBEAT_SECONDS = 0.2
    tests = _tests()
    environment = {
        **SECRETS,
        "USE_REDIS": "true",
        "MONGO_URI": address,
        "REDIS_URI": redis_uri,
        "REDIS_KEY_PREFIX": prefix,
        "GENERATION_PROTOCOL_VERSION": "2",
    }
    plugins = [AgentsPlugin(), SignIn(), tests.FakeModels(), tests.FakeHistory()]
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(
            Sources(environment, {}),
            plugins,
            data_dir=Path(folder),
            installed=[],
        )
        await kernel.start()
        async with listening(kernel) as url:
            sys.stdout.write(f"URL {url}\n")
            sys.stdout.flush()
            await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
