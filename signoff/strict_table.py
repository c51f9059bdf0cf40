"""TOML tables read strictly: every key known, every value of its type, one line for what is not."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from goldgate.errors import GoldgateError

T = TypeVar("T")

_WORDS = {
    str: "a text",
    int: "a whole number from 0 on",
    float: "a number from 0 on",
    bool: "true or false",
}


class PolicyError(GoldgateError):
    """A policy that cannot be used."""


def read_table(kind: type[T], table: object, where: str) -> T:
    """Return a frozen dataclass made of a TOML table.

    Its fields are texts, whole numbers, numbers, true or false, tuples of texts or whole numbers,
    further dataclasses and tuples of them. A field without a default has to be there.

    Args:
        kind: the dataclass.
        table: what TOML gave.
        where: the file and the table's name, for messages.

    Raises:
        PolicyError: a key is unknown or missing, or a value is not of its type.

    """
    if not isinstance(table, Mapping):
        raise PolicyError(f"{where}: expected a table")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            near = get_close_matches(str(key), fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(fields)}"
            raise PolicyError(f"{where}: unknown key {key!r}: {hint}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            values[name] = _value(hints[name], table[name], f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise PolicyError(f"{where}: no {name!r}: expected {_expected(hints[name])}")
    return kind(**values)


def _value(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type or an alias
    if dataclasses.is_dataclass(hint):
        return read_table(typing.cast("type[object]", hint), value, where)
    if typing.get_origin(hint) is tuple:
        inside = typing.get_args(hint)[0]
        if not isinstance(value, list):
            raise PolicyError(f"{where}: {_shown(value)}: expected {_expected(hint)}")
        return tuple(_value(inside, one, f"{where}[{at}]") for at, one in enumerate(value))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wrong = type(value) is not hint
    if isinstance(value, int | float) and not isinstance(value, bool):
        wrong |= not math.isfinite(value) or value < 0
    if wrong:
        raise PolicyError(f"{where}: {_shown(value)}: expected {_expected(hint)}")
    return value


def _shown(value: object) -> str:
    return repr(value)[:60]


def _expected(hint: Any) -> str:  # noqa: ANN401 - as above
    if typing.get_origin(hint) is tuple:
        inside = typing.get_args(hint)[0]
        if dataclasses.is_dataclass(inside):
            return "an array of tables"
        return "a list of texts" if inside is str else "a list of whole numbers from 0 on"
    if isinstance(hint, types.GenericAlias) or dataclasses.is_dataclass(hint):
        return "a table"
    return _WORDS[hint]
