"""YAML that says what it seems to say, and errors that name file, line and remedy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from nmepkg.errors import UserError

# Far beyond any study, and read within seconds: a wrong file, or one that aliases blow up, ends before it takes the memory.
LIMIT_BYTES = 300_000
LIMIT_VALUES = 50_000
LIMIT_DEPTH = 50
LIMIT_DIGITS, LIMIT_HEX_DIGITS = 18, 15  # of whole numbers, which then fit into 64 bits


class _Loader(yaml.SafeLoader):
    """YAML without its traps: a key twice is an error; of YAML 1.1's plain values only those of YAML 1.2 remain.

    So 1e-3 is a number, 010 is ten and 0o10 eight, and 1:30, no and 2024-01-01 are text. Tags there are none.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._sizes: dict[yaml.Node, tuple[int, int]] = {}  # values that a node stands for, levels below it

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuses what would not end well later: tags, and by aliases values in themselves, too many, or too deep."""
        event = self.peek_event()
        if getattr(event, "tag", None) is not None:
            raise _error(f"the tag {event.tag!r}, which a study does not need; remove it", event)
        self._level += 1
        if self._level > LIMIT_DEPTH:
            raise _error(f"more than {LIMIT_DEPTH} levels deep; close brackets, and write values out", event)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is None:
            return None
        if not isinstance(event, yaml.AliasEvent):
            self._sizes[node] = self._size(node)
        elif node not in self._sizes:
            raise _error(f"the alias {event.anchor!r} is part of what it stands for; write the value out", event)
        size, depth = self._sizes[node]
        if size > LIMIT_VALUES:
            raise _error(
                f"more than {LIMIT_VALUES:,} values from here on, with what aliases stand for; write fewer", event
            )
        if self._level + depth > LIMIT_DEPTH:
            raise _error(f"more than {LIMIT_DEPTH} levels deep by its aliases; write values out", event)
        return node

    def _size(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.ScalarNode):
            return 1 + len(node.value) // 16, 1  # a long text counts as several values
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        sizes = [self._sizes[part] for part in parts]
        return 1 + sum(size for size, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Refuses keys that are not text or appear twice; then merges. Of what is merged several times, the last stays."""
        seen = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                name = shortened(repr(self.construct_object(key, deep=True)))
                raise _error(
                    f"the key {name} is not text; put it in quotes, or if it is the end of a number, write 0.5 for 0,5",
                    key,
                )
            if key.value in seen:
                raise _error(f"the key {shortened(repr(key.value))} appears twice; remove one", key)
            seen.add(key.value)
        super().flatten_mapping(node)
        node.value = list({key.value: (key, value) for key, value in node.value}.values())


_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"^<<$"), ["<"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:[tT]rue|TRUE|[fF]alse|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)


def _error(problem: str, part: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=part.start_mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    loader.flatten_mapping(node)
    return {key.value: loader.construct_object(value, deep=True) for key, value in node.value}


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    base = {"0o": 8, "0x": 16}.get(node.value[:2], 10)
    digits = len(node.value.lstrip("+-0ox"))
    if digits > LIMIT_DIGITS or (base == 16 and digits > LIMIT_HEX_DIGITS):
        raise _error(f"a whole number of {digits} digits is too large to compute with; write a smaller one", node)
    return int(node.value, base)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)

# How PyYAML's messages begin, and what helps.
_REMEDIES = {
    "found undefined alias": "write &name before the value that it stands for, further up",
    "mapping values are not allowed": "put text that holds ': ' in quotes, or mend the indentation",
    "but found another document": "a study is one document, so remove the line '---'",
    "expected ',' or": "close the bracket, or write the comma",
    "expected a mapping or list of mappings for merging": "merge what is a mapping",
}


def shortened(text: str, most: int = 60) -> str:
    """A text, or where it is long its beginning: a message is one line."""
    return text if len(text) <= most else f"{text[: most - 3]}…"


def read(path: Path) -> Mapping[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
      UserError: the file is not readable, not UTF-8, not YAML, no mapping, or larger than any study; one line with file,
        line, problem and remedy.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except (OSError, ValueError) as error:
        problem = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read: {problem}; check the name of the file") from None
    if len(data) > LIMIT_BYTES:
        raise UserError(f"{path}: larger than {LIMIT_BYTES:,} bytes, which no study is; check the name of the file")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    try:
        content = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        problem = " ".join((error.problem or "not YAML").split())
        syntax = isinstance(error, yaml.scanner.ScannerError | yaml.parser.ParserError)
        if syntax and mark and "\t" in "".join(text.split("\n")[mark.line : mark.line + 1]):
            problem = "a tab where YAML wants spaces; put spaces there"
        elif ";" not in problem:
            remedies = (remedy for begin, remedy in _REMEDIES.items() if problem.startswith(begin))
            problem += f"; {next(remedies, 'check brackets, quotes and indentation there')}"
        raise UserError(f"{path}: {line}{problem}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}; save it as plain text") from None
    if not isinstance(content, Mapping):
        found = {type(None): "empty", list: "a list", str: "text"}.get(type(content), "a single value")
        raise UserError(f"{path}: a study is a mapping with 'version', 'name', 'setups' …; this file is {found}")
    return content
