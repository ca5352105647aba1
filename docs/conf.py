"""How Sphinx builds the site: ``make docs``. Nothing here reaches the network."""

from __future__ import annotations

import logging
import sys
import tomllib
from pathlib import Path

import airflow_provider_pictory

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))

_PYPROJECT = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())
# Empty until it is decided.
_ADDRESS = _PYPROJECT["tool"]["pictory"]["repository-url"].rstrip("/")

project = "airflow-provider-pictory"
copyright = "The airflow-provider-pictory developers"  # noqa: A001  (Sphinx's name)
version = release = airflow_provider_pictory.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "code_tables",
    "diagrams",
]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}
root_doc = "index"

myst_heading_anchors = 4
# GitHub draws these fences by itself; the extension diagrams does it here.
myst_fence_as_directive = {"mermaid"}
# Prompts and what a program prints are left out of what is copied.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
# Docstrings name classes of other modules by their bare names.
default_role = "code"

html_theme = "furo"
html_title = "Pictory for Apache Airflow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
# The system's own fonts, and no picture, script or style from another host.
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#5b3fb8", "color-brand-content": "#5b3fb8"},
    "dark_css_variables": {"color-brand-primary": "#b9a5f5", "color-brand-content": "#b9a5f5"},
    **(
        {"source_repository": _ADDRESS, "source_branch": "main", "source_directory": "docs/"}
        if _ADDRESS
        else {}
    ),
}

# Airflow says at import what it thinks of an environment that never runs it.
logging.getLogger("airflow").setLevel(logging.ERROR)
