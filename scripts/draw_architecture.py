"""
Draw the package's parts and who imports whom, as the Mermaid diagram of docs/architecture.md.

Made from the imports themselves: ``--check`` says whether the page still shows them.
"""

from __future__ import annotations

import sys
import tomllib
from itertools import permutations
from pathlib import Path

import grimp

PACKAGE = "airflow_provider_pictory"
PAGE = Path("docs/architecture.md")
BEGIN, END = "```mermaid\n", "```\n"


def read_floors() -> list[list[str]]:
    """Read the floors that import-linter checks, the top first."""
    contracts = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.replace(":", "|").replace(" ", "").split("|") for layer in layers]


def find_imports(parts: list[str]) -> set[tuple[str, str]]:
    """Return which part imports which."""
    graph = grimp.build_graph(PACKAGE)
    modules = {part: {f"{PACKAGE}.{part}", *graph.find_descendants(f"{PACKAGE}.{part}")} for part in parts}
    return {
        (one, other)
        for one, other in permutations(parts, 2)
        if any(graph.find_modules_directly_imported_by(module) & modules[other] for module in modules[one])
    }


def without_detours(imports: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Leave out an import where a chain of others says it too."""

    def reaches(start: str, end: str, left_out: tuple[str, str]) -> bool:
        seen, waiting = set(), [start]
        while waiting:
            part = waiting.pop()
            if part == end:
                return True
            if part not in seen:
                seen.add(part)
                waiting += [it[1] for it in imports if it[0] == part and it != left_out]
        return False

    return {pair for pair in imports if not reaches(*pair, left_out=pair)}


def draw() -> str:
    """Return the diagram."""
    floors = read_floors()
    arrows = without_detours(find_imports([part for floor in floors for part in floor]))
    lines = ["flowchart TD"]
    for number, floor in enumerate(floors, 1):
        lines += [f'    subgraph floor{number}[" "]', "        direction LR"]
        lines += [f"        {part}" for part in floor]
        lines.append("    end")
    lines += [f"    {one} --> {other}" for one, other in sorted(arrows)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the diagram into the page, or check it, and return the exit status."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    shown, _, after = rest.partition(END)
    if shown == draw():
        return 0
    if "--check" in sys.argv:
        sys.stderr.write(f"{PAGE} doesn't show the imports of today: run scripts/draw_architecture.py\n")
        return 1
    PAGE.write_text(f"{before}{BEGIN}{draw()}{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
