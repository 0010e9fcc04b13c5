"""Which plugins of an installation are on."""

from importlib.metadata import EntryPoint

from locutory import discovery
from locutory.configuration import Sources
from locutory.errors import StartupError
from locutory.plugin import Plugin


def load_plugins(sources: Sources, *, safe: bool = False) -> list[Plugin]:
    """The enabled plugins; disabled ones are not imported. ``safe`` ignores third parties:
    only plugins of distributions named ``locutory-*`` are loaded."""
    points = discovery.available()
    names, problems = discovery.choose(points, sources.yaml.get("plugins"))
    if problems:
        raise StartupError(problems)
    if safe:
        names = [name for name in names if _is_ours(points[name])]
    return discovery.load(points, names)


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name.lower().startswith("locutory-")
