"""Selection of the plugins that are on among those that are installed."""

import re
from importlib.metadata import EntryPoint, PackageNotFoundError, requires

from locutory.config.configuration import Sources, validate
from locutory.errors import Problem, StartupError
from locutory.plugins import discovery
from locutory.plugins.plugin import Plugin


def load_plugins(sources: Sources, *, safe: bool = False) -> list[Plugin]:
    """The enabled plugins; disabled ones are not imported. With ``safe``, only plugins of
    distributions that the distribution ``locutory`` requires are loaded. Raises `StartupError` with
    all problems."""
    points = discovery.available()
    names, problems = discovery.choose(points, sources.yaml.get("plugins"))
    if safe:
        ours = _bundled()
        names = [name for name in names if _distribution(points[name]) in ours]
    if not problems:
        return discovery.load(points, names)
    try:  # what else is wrong is said as well
        plugins = discovery.load(points, names)
        validate(sources, discovery.order(plugins), points)
    except StartupError as error:
        problems += [problem for problem in error.problems if problem not in problems]
    raise StartupError(problems)


def _distribution(point: EntryPoint) -> str:
    return "" if point.dist is None else _normal(point.dist.name)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _bundled() -> set[str]:
    """The normalised names of the distributions that ``locutory`` requires. A prefix would not do:
    any distribution may be called ``locutory-…``. `StartupError` when ``locutory`` itself is not
    installed as one."""
    try:
        wanted = requires("locutory") or ()
    except PackageNotFoundError:
        text = "the distribution 'locutory', which names the plugins that belong to it, is missing"
        fix = "pip install locutory, or name the plugins to load: plugins.enabled: [...]"
        raise StartupError(Problem("--safe", text, fix)) from None
    return {_normal(re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0]) for line in wanted}
