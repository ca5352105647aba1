"""
Tables that are made from the code while the site is built, so that none can be out of date.

- ``arguments CLASS``: what its signature, its ``template_fields`` and its docstring's ``:param:`` say.
- ``xcoms CLASS``: its docstring's ``:xcom:``, checked against what the code pushes.
- ``errors CLASS``: its docstring's ``:raises:``, and whether Airflow retries.
- ``models``: what each of Pictory's models makes and costs.
- ``assumptions PART``: what the live check compares with the service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from code_facts import (
    OutdatedDocstringError,
    arguments_of,
    assumptions,
    errors_of,
    load,
    models,
    table,
    xcoms_of,
)
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sphinx.application import Sphinx


class CodeTable(SphinxDirective):
    """A table that one of the functions of code_facts makes of a class."""

    required_arguments = 1
    option_spec: ClassVar[Mapping[str, Any]] = {"only": directives.unchanged}  # type: ignore[misc]
    head: ClassVar[tuple[str, ...]] = ()
    classes: ClassVar[tuple[str, ...]] = ("code-table",)

    def lines(self) -> list[list[str]]:
        """Return what stands below the head."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Make the table."""
        try:
            made = self.parse_text_to_nodes(table(self.head, self.lines()))
        except (OutdatedDocstringError, AttributeError, ImportError) as error:
            raise self.error(str(error)) from error
        for each in made:
            if isinstance(each, nodes.table):
                each["classes"] += self.classes
        return made


class Arguments(CodeTable):
    """``arguments CLASS``, of which ``:only:`` shows some."""

    head = ("Argument", "Type", "Default", "Templated", "Description")
    classes = ("code-table", "types")

    def lines(self) -> list[list[str]]:
        """Return a line for each argument."""
        return arguments_of(load(self.arguments[0]), self.options.get("only", "").split())


class XComs(CodeTable):
    """``xcoms CLASS``."""

    head = ("Key", "Value")

    def lines(self) -> list[list[str]]:
        """Return a line for each XCom."""
        return xcoms_of(load(self.arguments[0]))


class Errors(CodeTable):
    """``errors CLASS``."""

    head = ("Error", "When", "Retried")

    def lines(self) -> list[list[str]]:
        """Return a line for each error."""
        return errors_of(load(self.arguments[0]))


class Models(CodeTable):
    """``models``."""

    required_arguments = 0
    head = ("Model", "Aspect ratios", "Seconds", "AI credits per second")

    def lines(self) -> list[list[str]]:
        """Return a line for each model."""
        return models()


class Assumptions(CodeTable):
    """``assumptions PART``."""

    head = ("Assumption", "Expected", "Source")

    def lines(self) -> list[list[str]]:
        """Return a line for each assumption."""
        return assumptions(self.arguments[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of the directives."""
    app.add_directive("arguments", Arguments)
    app.add_directive("xcoms", XComs)
    app.add_directive("errors", Errors)
    app.add_directive("models", Models)
    app.add_directive("assumptions", Assumptions)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
