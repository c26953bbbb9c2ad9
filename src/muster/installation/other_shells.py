# SPDX-License-Identifier: Apache-2.0
"""A command of pcs in the words of crmsh, or of Pacemaker's own tools, which are on every controller.  Pure.

What is new is one ``cibadmin --modify --allow-create``, by ids that pcs would give it or that name what it is for.

crmsh (4.4) has no words for one fencing level, for an operation of a resource that is there, for an option of the
cluster that is to go, and for a resource together with its rule in one change: there they are Pacemaker's own, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from xml.sax.saxutils import quoteattr

from muster.installation.fencing_topology import Level
from muster.installation.missing import Argv

Words = Sequence[str]


class Shell(str, Enum):
    """Whose words commands are in."""

    PCS = "pcs"
    CRMSH = "crmsh"
    CIBADMIN = "cibadmin"


OPERATIONS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "ocf:muster:ComputeRecovery": (
        ("start", "0s", "90s"),
        ("stop", "0s", "60s"),
        ("monitor", "10s", "20s"),
    ),
    "fence_muster": (("monitor", "60s", "20s"),),
}
"""What pcs takes from an agent's metadata: name, interval, time-out."""


def rephrased(commands: Iterable[Argv], shell: Shell, levels: Iterable[Level] = ()) -> tuple[Argv, ...]:
    """These commands of pcs, in their order; one may become several, and those of one change become one.

    :param levels: that are there: pcs itself takes a device that it deletes out of them.
    """
    return tuple(commands) if shell is Shell.PCS else tuple(_rephrased(iter(commands), shell, tuple(levels)))


def _rephrased(commands: Iterator[Argv], shell: Shell, levels: Sequence[Level]) -> Iterator[Argv]:
    for argv in commands:
        if argv[:3] == ("pcs", "cluster", "cib"):
            yield _add(*_of_one_change(commands))
        elif argv[0] == "pcs":
            if argv[1:3] == ("stonith", "delete"):
                yield from _out_of_levels(argv[3], levels)
            yield from _one(argv[1:], shell)
        else:
            yield argv


def _of_one_change(commands: Iterator[Argv]) -> Iterator[tuple[str, str]]:
    """What is done in the file, up to its removal."""
    for argv in commands:
        if argv[0] == "rm":
            return
        if argv[:2] == ("pcs", "-f"):
            yield from _new(argv[3:])


def _one(words: Words, shell: Shell) -> Iterable[Argv]:
    for table in (CRMSH, PACEMAKER) if shell is Shell.CRMSH else (PACEMAKER,):
        for length in (3, 2):
            told = table.get(tuple(words[:length]))
            if told:
                return told(words[length:])
    added = tuple(_new(words))
    return (_add(*added),) if added else (("pcs", *words),)


# ------------------------------------------------------------------ what is new


def _new(words: Words) -> Iterator[tuple[str, str]]:
    """The elements that a command of pcs adds, each after the section that it belongs into."""
    if tuple(words[1:2]) == ("create",):
        yield "resources", _primitive(*_creation(words))
    elif tuple(words[:3]) == ("stonith", "level", "add"):
        yield "fencing-topology", _level(*words[3:])
    elif tuple(words[:2]) == ("constraint", "location"):
        for constraint in _locations(*words[2:]):
            yield "constraints", constraint


def _creation(words: Words) -> tuple[str, str, list[tuple[str, str]], list[tuple[str, str]]]:
    """Name, agent, parameters, meta attributes."""
    _, _, name, agent, *rest = words
    cut = rest.index("meta") if "meta" in rest else len(rest)
    return name, agent, _pairs(rest[:cut]), _pairs(rest[cut + 1 :])


def _primitive(name: str, agent: str, given: Iterable[tuple[str, str]], meta: Iterable[tuple[str, str]]) -> str:
    kind, provider, of = agent.split(":") if ":" in agent else ("stonith", "", agent)
    sets = [_set(name, "instance_attributes", given), _set(name, "meta_attributes", meta)]
    operations = "".join(_operation(name, *row) for row in OPERATIONS.get(agent, ()))
    inner = "".join(filter(None, (*sets, operations and _xml("operations", operations))))
    return _xml("primitive", inner, ("id", name), ("class", kind), ("provider", provider), ("type", of))


def _set(owner: str, tag: str, pairs: Iterable[tuple[str, str]]) -> str:
    own = f"{owner}-{tag}"
    inner = "".join(_xml("nvpair", "", ("id", f"{own}-{key}"), ("name", key), ("value", value)) for key, value in pairs)
    return inner and _xml(tag, inner, ("id", own))


def _operation(owner: str, name: str, interval: str, timeout: str, *more: tuple[str, str]) -> str:
    own = f"{owner}-{name}-interval-{interval}"
    return _xml("op", "", ("id", own), ("name", name), ("interval", interval), ("timeout", timeout), *more)


def _level(index: str, target: str, *devices: str) -> str:
    named = [*_target(target), ("index", index), ("devices", ",".join(devices))]
    return _xml("fencing-level", "", ("id", _id(f"fl-{target}-{index}")), *named)


def _target(target: str) -> list[tuple[str, str]]:
    """As ``pcs stonith level`` takes it."""
    kind, separator, text = target.partition("%")
    if separator and kind == "regexp":
        return [("target-pattern", text)]
    if separator and kind == "attrib":
        name, _, value = text.partition("=")
        return [("target-attribute", name), ("target-value", value)]
    return [("target", target)]


def _locations(resource: str, kind: str, *words: str) -> Iterator[str]:
    if kind == "avoids":
        for node in words:
            where = (("node", node), ("score", "-INFINITY"))
            yield _xml(
                "rsc_location", "", ("id", _id(f"location-{resource}-{node}--INFINITY")), ("rsc", resource), *where
            )
        return
    given, expression = _rule(words)
    discovery = [(key, value) for key, value in given if key == "resource-discovery"]
    own = _id(f"location-{resource}-{'-'.join(word for pair in expression for word in pair[1:])}")
    inner = _xml("expression", "", ("id", f"{own}-expression"), *expression)
    rule = _xml("rule", inner, ("id", f"{own}-rule"), ("score", dict(given)["score"]))
    yield _xml("rsc_location", rule, ("id", own), ("rsc", resource), *discovery)


def _rule(words: Words) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Its options, and its expression."""
    length = next(number for number, word in enumerate(words) if "=" not in word)
    if words[length] == "defined":
        expression = [("attribute", words[length + 1]), ("operation", "defined")]
    else:
        attribute, operation, value = words[length:]
        expression = [("attribute", attribute), ("operation", operation), ("value", value)]
    return _pairs(words[:length]), expression


def _add(*elements: tuple[str, str]) -> Argv:
    sections = dict.fromkeys(section for section, _ in elements)
    inner = "".join(_xml(one, "".join(xml for section, xml in elements if section == one)) for one in sections)
    change = ("--modify", "--allow-create", "--scope", "configuration")
    return ("cibadmin", *change, "--xml-text", _xml("configuration", inner))


def _remove(xpath: str) -> Argv:
    """All that it finds, which may be nothing."""
    return "cibadmin", "--delete-all", "--force", "--xpath", xpath


# --------------------------------------------------------------- what is changed


def _set_parameters(words: Words) -> Iterable[Argv]:
    return _set_pairs(words[0], (), words[1:])


def _set_meta(words: Words) -> Iterable[Argv]:
    return _set_pairs(words[0], ("--meta",), words[1:])


def _set_pairs(name: str, kind: Argv, words: Words) -> Iterator[Argv]:
    """One whose value is empty is removed."""
    for key, value in _pairs(words):
        if value:
            yield ("crm_resource", "--resource", name, *kind, "--set-parameter", key, "--parameter-value", value)
        else:
            yield _forget(name, "meta_attributes" if kind else "instance_attributes", key)


def _forget(name: str, tag: str, key: str) -> Argv:
    """Not by ``crm_resource --delete-parameter``: in 3.0 that fails where there is none (105)."""
    return _remove(f"//*[@id={_text(name)}]/{tag}/nvpair[@name={_text(key)}]")


def _update(words: Words) -> Iterator[Argv]:
    name, *rest = words
    if rest[0] != "op":
        yield from _set_parameters(words)
        return
    operation, given = rest[1], dict(_pairs(rest[2:]))
    yield _remove(f"//primitive[@id={_text(name)}]/operations/op[@name={_text(operation)}]")
    interval, timeout = given.pop("interval", "0s"), given.pop("timeout")
    inner = _xml("operations", _operation(name, operation, interval, timeout, *given.items()))
    # Alone, cibadmin looks for it in groups and clones, too.
    yield (
        "cibadmin",
        "--modify",
        "--allow-create",
        "--scope",
        "resources",
        "--xml-text",
        _xml("primitive", inner, ("id", name)),
    )


def _forget_meta(key: str) -> Callable[[Words], Iterable[Argv]]:
    return lambda words: [_forget(words[0], "meta_attributes", key)]


def _disable(words: Words) -> Iterable[Argv]:
    return _set_meta((words[0], "target-role=Stopped"))


def _out_of_levels(device: str, levels: Iterable[Level]) -> Iterator[Argv]:
    """Before it goes: a level that names a device which is not there fails (missing.py, devices_gone())."""
    left = []
    for level in levels:
        others = [name for name in level.devices if name != device]
        if others and len(others) < len(level.devices):
            changed = _xml("fencing-level", "", ("id", level.id), ("devices", ",".join(others)))
            left.append(("fencing-topology", changed))
        elif not others:
            yield _remove(f"//fencing-level[@id={_text(level.id)}]")
    if left:
        yield _add(*left)


def _delete(words: Words) -> Iterator[Argv]:
    """With the constraints that refer to it."""
    name = _text(words[0])
    refers = " or ".join(f"@{key}={name}" for key in ("rsc", "with-rsc", "first", "then"))
    yield _remove(f"//constraints/*[{refers}]")
    yield _remove(f"//resources//*[@id={name}]")


def _remove_level(words: Words) -> Iterator[Argv]:
    index, _, target = words
    which = "".join(f"[@{key}={_text(value)}]" for key, value in [("index", index), *_target(target)])
    yield _remove(f"//fencing-level{which}")


def _set_options(words: Words) -> Iterator[Argv]:
    for key, value in _pairs(words):
        yield "crm_attribute", "--type", "crm_config", "--name", key, "--update", value


def _always(*argv: str) -> Callable[[Words], Iterable[Argv]]:
    """The command, with the words that follow behind it."""
    return lambda words: [(*argv, *words)]


PACEMAKER: Mapping[tuple[str, ...], Callable[[Words], Iterable[Argv]]] = {
    ("stonith", "update"): _set_parameters,
    ("stonith", "enable"): _forget_meta("target-role"),
    ("stonith", "delete"): _delete,
    ("stonith", "level", "remove"): _remove_level,
    ("resource", "update"): _update,
    ("resource", "meta"): _set_meta,
    ("resource", "enable"): _forget_meta("target-role"),
    ("resource", "disable"): _disable,
    ("resource", "manage"): _forget_meta("is-managed"),
    ("resource", "delete"): _delete,
    ("resource", "restart"): _always("crm_resource", "--restart", "--resource"),
    ("resource", "cleanup"): _always("crm_resource", "--cleanup", "--resource"),
    ("resource", "debug-start"): _always("crm_resource", "--force-start", "--resource"),
    ("resource", "config"): _always("crm_resource", "--query-xml", "--resource"),
    ("constraint", "delete"): lambda words: [_remove(f"//constraints/*[@id={_text(words[0])}]")],
    ("property", "set"): _set_options,
    ("property", "unset"): lambda words: [("crm_attribute", "--type", "crm_config", "--name", words[0], "--delete")],
    ("property", "config"): _always("cibadmin", "--query", "--scope", "crm_config"),
    ("quorum", "status"): _always("corosync-quorumtool", "-s"),
    ("status", "--full"): _always("crm_mon", "--one-shot", "--inactive", "--show-node-attributes"),
}


# ------------------------------------------------------------------------- crmsh


def _crm_create(words: Words) -> Iterable[Argv]:
    name, agent, *given = words
    operations = [
        word
        for operation, interval, timeout in OPERATIONS.get(agent, ())
        for word in ("op", operation, f"interval={interval}", f"timeout={timeout}")
    ]
    return [("crm", "configure", "primitive", name, f"stonith:{agent}", "params", *given, *operations)]


def _crm_location(words: Words) -> Iterator[Argv]:
    resource, kind, *rest = words
    command = ("crm", "configure", "location")
    if kind == "avoids":
        for node in rest:
            yield (*command, _id(f"location-{resource}-{node}--INFINITY"), resource, "-inf:", node)
        return
    given, expression = _rule(rest)
    told = [f"{key}={value}" for key, value in given if key != "score"]
    own = _id(f"location-{resource}-{'-'.join(word for pair in expression for word in pair[1:])}")
    length = next(number for number, word in enumerate(rest) if "=" not in word)
    yield (*command, own, resource, *told, "rule", "-inf:", *rest[length:])


CRMSH: Mapping[tuple[str, ...], Callable[[Words], Iterable[Argv]]] = {
    ("stonith", "create"): _crm_create,
    ("stonith", "enable"): _always("crm", "resource", "start"),
    ("stonith", "delete"): _always("crm", "configure", "delete", "--force"),  # else it refuses what runs
    ("resource", "enable"): _always("crm", "resource", "start"),
    ("resource", "disable"): _always("crm", "resource", "stop"),
    ("resource", "manage"): _always("crm", "resource", "manage"),
    ("resource", "delete"): _always("crm", "configure", "delete"),
    ("resource", "restart"): _always("crm", "resource", "restart"),
    ("resource", "cleanup"): _always("crm", "resource", "cleanup"),
    ("resource", "config"): _always("crm", "configure", "show"),
    ("constraint", "location"): _crm_location,
    ("constraint", "delete"): _always("crm", "configure", "delete"),
    ("property", "set"): _always("crm", "configure", "property"),
    ("status", "--full"): _always("crm", "status", "full"),
}


# ----------------------------------------------------------------------- details


def _pairs(words: Words) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in (word.partition("=") for word in words)]


def _xml(tag: str, inner: str = "", *attributes: tuple[str, str]) -> str:
    """Without the attributes that are empty."""
    told = "".join(f" {key}={quoteattr(value)}" for key, value in attributes if value)
    return f"<{tag}{told}>{inner}</{tag}>" if inner else f"<{tag}{told}/>"


def _text(value: str) -> str:
    """A string of XPath 1.0, in which nothing is escaped."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _id(text: str) -> str:
    """As a schema's ID has it."""
    return re.sub(r"[^\w.-]", "-", text, flags=re.ASCII)
