"""Reads and writes YAML in recordings, as builtin values. It knows no format of recordings.

Recorders in different languages write different YAML: a date, an octal number or a boolean for one is plain text for
another. So everything is text here except what all of them quote when they mean text: null, true, false and numbers in
the notation of JSON. `!binary` becomes text with surrogate escapes, whose bytes `typed_values.body` restores.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from fakellm.base.errors import CassetteError
from fakellm.base.yaml_nodes import Inspection, deep, levels, place

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C where the wheel has it


class _Loader(_Safe):  # type: ignore[misc] # one of two classes, known when imported
    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


_TAGS = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|false", list("tf")),
    "int": (r"0|-?[1-9][0-9]{0,99}", list("-0123456789")),
    "float": (r"-?[0-9]+\.[0-9]*([eE][-+][0-9]+)?", list("-0123456789")),
}
for _tag, (_pattern, _first) in _TAGS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), _first)


def _binary(loader: Any, node: Any) -> str:
    data: bytes = loader.construct_yaml_binary(node)
    return data.decode(errors="surrogateescape")


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _Safe.construct_yaml_str)
for _tag in ("tag:yaml.org,2002:binary", "!binary"):  # Ruby writes the latter
    _Loader.add_constructor(_tag, _binary)


MOST_VALUES = 1_000_000
"""The most values in a file. Each takes a thousand bytes while it is read; a recording is a few large texts."""

MOST_TEXT = 64 * 2**20
"""The most characters in a file after its aliases are expanded: a text of a megabyte can be repeated many times."""


def documents(data: bytes, name: str) -> list[Any]:
    """The documents of a YAML file, usually one. Raises CassetteError with the line and column of each problem."""
    try:
        aliases = _measure(data, name)
        loader = _Loader(data)
        found = []
        while loader.check_node():
            node = loader.get_node()
            inspection = Inspection(node, name)
            if inspection.problems or inspection.integer_keys:
                raise CassetteError([*inspection.problems, *inspection.integer_keys])
            if aliases and (size := _size(node, {})) > MOST_TEXT:
                message = f"aliases expand this to {size:,} characters; at most {MOST_TEXT:,} are allowed"
                raise CassetteError([f"{place(name, node.start_mark)}: {message}"])
            found.append(loader.construct_document(node))
        return found
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CassetteError([f"{place(name, mark)}: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise CassetteError([f"{name}: {' '.join(str(error).split())}"]) from None
    except (ValueError, KeyError) as error:  # PyYAML does not check that a value fits its tag
        raise CassetteError([f"{name}: a value that does not fit its tag: {error}"]) from None
    except RecursionError:
        raise CassetteError([f"{name}: nested too deeply"]) from None


def _measure(data: bytes, name: str) -> bool:
    """Whether there are aliases. Raises CassetteError if there are too many values or levels."""
    aliases = False
    for values, (event, depth) in enumerate(levels(data, _Loader)):
        aliases = aliases or isinstance(event, yaml.AliasEvent)
        if problem := deep(event, depth, name):
            raise CassetteError([problem])
        if values > MOST_VALUES:
            raise CassetteError([f"{place(name, event.start_mark)}: more than {MOST_VALUES:,} values"])
    return aliases


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """The characters of all texts below a node, each as often as aliases repeat it. A text that is repeated is one
    value, but each body that is made of it has bytes of its own."""
    if isinstance(node, yaml.ScalarNode):
        return len(node.value)
    if id(node) not in sizes:
        children = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        sizes[id(node)] = sum(_size(child, sizes) for child in children)
    return sizes[id(node)]


def dump(value: Any) -> bytes:
    """The value as a YAML document that gives the same value in this and other readers."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
    return text.encode()


class _Dumper(yaml.SafeDumper):
    """Writes text so that reading it gives the same text, and writes no aliases."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _write_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # In any other style PyYAML writes these characters unescaped, and reads them as line breaks.
    style = '"' if re.search("[\r\x85\u2028\u2029\ufeff]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _write_text)
