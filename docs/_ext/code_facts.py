"""What the site's tables say of the code: arguments, XComs, errors, models and so on. It needs no Sphinx."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIELD = re.compile(r"^:(param|xcom|raises) ([\w.]+): ", re.MULTILINE)
TEMPLATED = "(templated)"
# What a class hands to another module that pushes for it.
PUSHED_BY_OTHERS = {"GenerateVideosOperator": ("airflow_provider_pictory.batch.task",)}
# The task's own result, which Airflow pushes.
RETURNED = "return_value"


class OutdatedDocstringError(Exception):
    """A docstring doesn't say what the code does; the message says where."""


def load(path: str) -> Any:
    """Return a class by its dotted path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def fields_of(documented: Any, kind: str) -> dict[str, str]:
    """
    Return the fields of one kind of a docstring, by name, each in one line.

    :param documented: what has the docstring.
    :param kind: ``param``, ``xcom`` or ``raises``.
    """
    text = inspect.getdoc(documented) or ""
    starts = [*FIELD.finditer(text)]
    found = {}
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        body = text[start.end() : following.start() if following else len(text)]
        if start[1] == kind:
            found[start[2]] = " ".join(body.partition("\n\n")[0].split())
    return found


def as_markdown(text: str) -> str:
    """Return a docstring's reStructuredText as Markdown that fits a table's cell."""
    text = re.sub(r":(?:class|meth|func|mod):`~?([\w.]+\.)?(\w+)`", r"`\2`", text)
    text = re.sub(r"``(.+?)``", lambda code: f"`{code[1]}`", text)
    return text.replace("|", r"\|")


def own_arguments(cls: type) -> dict[str, inspect.Parameter]:
    """Return the arguments that a class itself names."""
    parameters = inspect.signature(cls.__init__).parameters
    return {
        name: parameter
        for name, parameter in parameters.items()
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def defaults_in_source(cls: type) -> dict[str, ast.expr]:
    """Return how the defaults of a class's arguments are written."""
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(cls.__init__))).body
    if not isinstance(function, ast.FunctionDef):
        raise OutdatedDocstringError(f"{cls.__name__} has no __init__ of its own")
    names = [argument.arg for argument in function.args.kwonlyargs]
    written = zip(names, function.args.kw_defaults, strict=True)
    return {name: default for name, default in written if default is not None}


def shown_default(parameter: inspect.Parameter, written: ast.expr | None) -> str:
    """Return a default as a person reads it."""
    if parameter.default is inspect.Parameter.empty:
        return "required"
    if isinstance(written, ast.Call):
        return "Airflow's setting"
    value = parameter.default
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"`{value:_}`" if type(value) is int else f"`{value!r}`"


def arguments_of(cls: type, names: Sequence[str] = ()) -> list[list[str]]:
    """
    Return the lines of a class's table of arguments.

    :param cls: an operator or a sensor.
    :param names: the only ones to show, in this order; all by default.
    :raises OutdatedDocstringError: an argument has no description, or is said to be templated and isn't.
    """
    described, written = fields_of(cls, "param"), defaults_in_source(cls)
    templated = set(cls.template_fields)  # type: ignore[attr-defined]
    lines = []
    for name, parameter in own_arguments(cls).items():
        if name not in described:
            raise OutdatedDocstringError(f"{cls.__name__}: the docstring says nothing of {name}")
        if (TEMPLATED in described[name]) is not (name in templated):
            raise OutdatedDocstringError(
                f"{cls.__name__}: the docstring is wrong about {name} being templated"
            )
        if names and name not in names:
            continue
        kind = str(parameter.annotation).replace("|", r"\|")
        text = as_markdown(described[name].replace(TEMPLATED, "").strip())
        default = shown_default(parameter, written.get(name))
        lines.append([f"`{name}`", f"`{kind}`", default, "yes" if name in templated else "no", text])
    if names:
        lines.sort(key=lambda line: names.index(line[0].strip("`")))
    return lines


def pushed_keys(cls: type) -> set[str]:
    """Return the keys of the XComs that the modules of a class push."""
    keys = set()
    for module in (cls.__module__, *PUSHED_BY_OTHERS.get(cls.__name__, ())):
        for node in ast.walk(ast.parse(inspect.getsource(importlib.import_module(module)))):
            is_push = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "xcom_push"
            for keyword in node.keywords if is_push and isinstance(node, ast.Call) else ():
                if keyword.arg == "key" and isinstance(keyword.value, ast.Constant):
                    keys.add(str(keyword.value.value))
    return keys


def xcoms_of(cls: type) -> list[list[str]]:
    """
    Return the lines of a class's table of XComs.

    :raises OutdatedDocstringError: the docstring names others than the code pushes.
    """
    described = fields_of(cls, "xcom")
    pushed = pushed_keys(cls) | {RETURNED}
    if set(described) != pushed:
        raise OutdatedDocstringError(f"{cls.__name__}: XComs {sorted(pushed)}, described {sorted(described)}")
    return [[f"`{key}`", as_markdown(text)] for key, text in described.items()]


def is_final(error: type) -> bool:
    """Return whether Airflow fails a task at once that ends with an error."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    return issubclass(error, AirflowFailException)


def errors_of(cls: type) -> list[list[str]]:
    """Return the lines of a class's table of errors."""
    from airflow_provider_pictory import exceptions

    return [
        [
            f"`{name}`",
            as_markdown(text),
            "no" if is_final(getattr(exceptions, name)) else "yes",
        ]
        for name, text in fields_of(cls, "raises").items()
    ]


def models() -> list[list[str]]:
    """Return the lines of the table of models."""
    from airflow_provider_pictory.api.models import DEFAULT_MODEL, MODEL_LIMITS

    return [
        [
            f"`{model}`" + (" (default)" if model is DEFAULT_MODEL else ""),
            ", ".join(limits.aspect_ratios),
            ", ".join(map(str, limits.durations)),
            f"{limits.credits_per_second:g}",
        ]
        for model, limits in sorted(MODEL_LIMITS.items(), key=lambda pair: pair[1].credits_per_second)
    ]


def assumptions(part: str) -> list[list[str]]:
    """
    Return the lines of the table of what is assumed about Pictory.

    :param part: ``free`` or ``paid``, by what a run of the live check has to do to see them.
    """
    from live_check.assumptions import FREE, PAID

    of_part = {"free": FREE, "paid": PAID}[part]
    return [[as_markdown(text) for text in (each.text, each.expected, each.source.value)] for each in of_part]


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
