"""The site: ``nox -s docs`` builds it from the pages of this folder into build/site, without network."""

from __future__ import annotations

import sys
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

from pymilk import __version__  # noqa: E402

with open(HERE.parent / "pyproject.toml", "rb") as _file:
    _urls = tomllib.load(_file)["project"]["urls"]

project = "pymilk"
copyright = "the pymilk developers"
version = release = __version__
repository_url = _urls["Repository"]

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_nb", "docsite"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
exclude_patterns = ["**.ipynb_checkpoints"]

# Anchors as code hosts make them, so that links work on both.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Each build runs the notebooks; one that fails ends it.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60

# Commands are shown as they are typed.
smartquotes = False

# `Stream.wait` in a docstring is a link, if there is such a name.
default_role = "py:obj"
autodoc_member_order = "bysource"
# Sections say types in words: shapes, units.
autodoc_typehints = "none"
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = f"pymilk {__version__}"
html_theme_options = {
    "github_url": repository_url,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
}
html_show_sourcelink = False
