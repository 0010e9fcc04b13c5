"""Finding, choosing and ordering plugins."""

import random
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locutory import Extension, Plugin, Service, StartupError
from locutory.config.configuration import Sources
from locutory.config.selection import load_plugins
from locutory.plugins import discovery
from locutory_testing import Serve

A: Service[Any] = Service("test.a", "a")
B: Service[Any] = Service("test.b", "b")
C: Service[Any] = Service("test.c", "c")
MANY: Extension[Any] = Extension("test.many", "many")

SOURCE = """
from locutory import Plugin
class Made(Plugin):
    name = "{name}"
    summary = "Grows a {name}"
"""


def names(*plugins: Plugin) -> list[str]:
    return [plugin.name for plugin in discovery.order(plugins)]


def test_providers_come_first_and_ties_go_by_name(make_plugin: Any) -> None:
    plugins = [
        make_plugin("a", needs=(A,)),
        make_plugin("z", provides=(A,)),
        make_plugin("m"),
        make_plugin("b", wants=(B,)),
        make_plugin("y", provides=(B,), needs=(A,)),
    ]
    expected = ["m", "z", "a", "y", "b"]
    for seed in range(10):
        random.Random(seed).shuffle(plugins)
        assert names(*plugins) == expected


def test_a_missing_provider_is_named(make_plugin: Any) -> None:
    with pytest.raises(StartupError) as raised:
        discovery.order([make_plugin("a", needs=(A, B))])
    assert [problem.where for problem in raised.value.problems] == [
        "service test.a",
        "service test.b",
    ]
    assert "plugins.disabled: [a]" in raised.value.problems[0].fix


def test_a_want_may_be_absent(make_plugin: Any) -> None:
    assert names(make_plugin("a", wants=(A,))) == ["a"]


def test_two_providers_of_a_service_but_any_number_of_an_extension(make_plugin: Any) -> None:
    with pytest.raises(StartupError, match="both 'a' and 'b'"):
        names(make_plugin("a", provides=(A,)), make_plugin("b", provides=(A,)))
    assert names(
        make_plugin("a", needs=(MANY,)),
        make_plugin("b", provides=(MANY,)),
        make_plugin("c", provides=(MANY,)),
    ) == ["b", "c", "a"]


def test_a_cycle_of_needs_names_its_members(make_plugin: Any) -> None:
    with pytest.raises(StartupError, match="need each other: ") as raised:
        names(
            make_plugin("a", provides=(A,), needs=(B,)),
            make_plugin("b", provides=(B,), needs=(C,)),
            make_plugin("c", provides=(C,), needs=(A,)),
            make_plugin("bystander"),
        )
    text = raised.value.problems[0].text
    assert all(name in text for name in "abc")
    assert "bystander" not in text


def test_a_cycle_of_wants_is_tolerated(make_plugin: Any) -> None:
    both = (
        make_plugin("a", provides=(A,), wants=(B,)),
        make_plugin("b", provides=(B,), wants=(A,)),
    )
    assert names(*both) == names(*reversed(both)) == ["b", "a"]
    # A need is stronger than a want.
    assert names(
        make_plugin("a", provides=(A,), wants=(B,)),
        make_plugin("b", provides=(B,), needs=(A,)),
    ) == ["a", "b"]


def test_a_plugin_may_want_what_it_provides(make_plugin: Any) -> None:
    assert names(make_plugin("a", provides=(A,), wants=(A,))) == ["a"]


def test_a_plugin_is_there_once(make_plugin: Any) -> None:
    with pytest.raises(StartupError, match="is there twice"):
        names(make_plugin("a"), make_plugin("a"))


KEYS = [Service[Any](f"test.k{i}", "") for i in range(6)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=6, max_size=6),
    st.lists(st.sets(st.integers(0, 5), max_size=3), min_size=6, max_size=6),
    st.randoms(),
)
def test_every_order_is_stable_and_right(
    needs: list[set[int]], wants: list[set[int]], chance: random.Random
) -> None:
    def plugins() -> list[Plugin]:
        return [
            type(
                f"P{i}",
                (Plugin,),
                {
                    "name": f"p{i}",
                    "summary": "",
                    "provides": (KEYS[i],),
                    "needs": tuple(KEYS[n] for n in needs[i] if n < i),
                    "wants": tuple(KEYS[n] for n in wants[i]),
                },
            )()
            for i in range(6)
        ]

    ordered = names(*plugins())
    shuffled = plugins()
    chance.shuffle(shuffled)
    assert names(*shuffled) == ordered
    for i in range(6):
        for n in needs[i]:
            if n < i:
                assert ordered.index(f"p{n}") < ordered.index(f"p{i}")


@pytest.mark.parametrize(
    ("section", "chosen"),
    [
        (None, ["a", "b", "c"]),
        ({}, ["a", "b", "c"]),
        ({"disabled": ["b"]}, ["a", "c"]),
        ({"enabled": ["c", "a"]}, ["a", "c"]),
        ({"enabled": []}, []),
        ({"a": {"setting": 1}, "disabled": None}, ["a", "b", "c"]),
    ],
)
def test_choosing(section: Any, chosen: list[str]) -> None:
    assert discovery.choose(["c", "a", "b"], section) == (chosen, [])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("all", "must be a mapping"),
        ({"disabled": "memories"}, "must be a list"),
        ({"disabled": [1]}, "must be a list"),
        ({"disabled": ["memorys"]}, "did you mean 'memories'?"),
        ({"enabled": ["memories"], "disabled": ["tags"]}, "keep one of the two"),
    ],
)
def test_wrong_choices_are_explained(section: Any, message: str) -> None:
    _, problems = discovery.choose(["memories", "tags"], section)
    assert message in "\n".join(map(str, problems))


def test_a_disabled_plugin_is_not_imported(install: Any) -> None:
    install("rose", SOURCE.format(name="rose"))
    install("thorn", "raise RuntimeError('ouch')")
    on = Sources({}, {"plugins": {"enabled": ["rose"]}})
    assert [plugin.name for plugin in load_plugins(on)] == ["rose"]
    assert "installed_locutory_rose" in sys.modules
    assert "installed_locutory_thorn" not in sys.modules
    with pytest.raises(StartupError, match="ouch") as raised:
        load_plugins(Sources({}, {"plugins": {"enabled": ["thorn", "rose"]}}))
    assert "plugins.disabled: [thorn]" in raised.value.problems[0].fix


@pytest.mark.parametrize(
    ("source", "attribute", "message"),
    [
        (SOURCE.format(name="tulip"), "Made", "calls itself 'tulip'"),
        ("class Made: name = 'rose'", "Made", "is no locutory.Plugin"),
        ("from locutory import Plugin as Made", "Made", "calls itself None"),
        ("", "Missing", "cannot be imported: AttributeError"),
        (SOURCE.format(name="rose").replace("summary", "about"), "Made", "has no 'summary'"),
    ],
)
def test_an_unusable_package_is_named(
    install: Any, source: str, attribute: str, message: str
) -> None:
    install("rose", source, attribute=attribute)
    with pytest.raises(StartupError, match=message):
        load_plugins(Sources({}, {"plugins": {"enabled": ["rose"]}}))


def test_two_packages_with_one_plugin_are_refused(install: Any) -> None:
    install("rose", SOURCE.format(name="rose"))
    install("rose", SOURCE.format(name="rose"), distribution="other-roses")
    with pytest.raises(StartupError, match="locutory-rose, other-roses"):
        discovery.available()


def test_safe_mode_leaves_third_parties_out(install: Any) -> None:
    """Anybody may call a package ``locutory-…``."""
    others = sorted({*discovery.available()} - {"tags", "ldap"})
    install("rose", SOURCE.format(name="rose"), distribution="locutory-rose")
    install("weed", SOURCE.format(name="weed"), distribution="wild-weed")
    sources = Sources({}, {"plugins": {"disabled": others}})
    on = [plugin.name for plugin in load_plugins(sources)]
    assert on == ["ldap", "rose", "tags", "weed"]
    assert [plugin.name for plugin in load_plugins(sources, safe=True)] == ["ldap", "tags"]
    only = Sources({}, {"plugins": {"enabled": ["rose", "tags"]}})
    assert [plugin.name for plugin in load_plugins(only, safe=True)] == ["tags"]


async def test_the_kernel_orders_by_itself(serve: Serve, make_plugin: Any) -> None:
    from locutory import Provide

    user = make_plugin("a", needs=(A,))
    source = make_plugin("z", provides=(A,), services=[Provide(A, 1)])
    async with serve(user, source) as server:
        assert [plugin.name for plugin in server.kernel.plugins] == ["z", "a"]
