"""The hooks: generated pages before Sphinx looks for sources, links when it reads one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.addnodes import pending_xref

from .commands import command_help, write_command_pages
from .links import Links
from .names import write_name_pages

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["connect"]

ROOT = Path(__file__).resolve().parents[2]

#: Pages of the site that are files at the top of the repository.
WHOLE_FILES = {"index": "README.md", "contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}


#: A name in backquotes on a page, perhaps with a call.
NAME = re.compile(r"(pymilk(?:\.\w+)+)(?:\(.*\))?")

#: Code of a docstring, or a star before a name outside of it: (n, *shape).
CODE_OR_STAR = re.compile(r"``.*?``|(?<=[(,] )\*(?=\w)|(?<=\()\*(?=\w)")


def connect(app: Sphinx) -> dict[str, Any]:
    """Connect the hooks with Sphinx, and say how the extension may be used."""
    app.add_config_value("repository_url", "", "env")
    app.connect("builder-inited", _write_pages)
    app.connect("source-read", _read_source)
    app.connect("doctree-read", _link_names)
    # Before numpydoc, whose escapes are its own.
    app.connect("autodoc-process-docstring", _read_docstring, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write_pages(app: Sphinx) -> None:
    write_name_pages(Path(app.srcdir, "api", "generated"))
    write_command_pages(command_help(), Path(app.srcdir, "commands"))


def _read_source(app: Sphinx, name: str, content: list[str]) -> None:
    """Put the file of the repository above what the page has, and make links lead to pages of the site."""
    path = Path(app.env.doc2path(name))
    if path.suffix != ".md":
        return
    links = Links(ROOT, Path(app.srcdir), app.config.repository_url, WHOLE_FILES)
    text = links.relinked(content[0], path.parent, path.parent)
    if name in WHOLE_FILES:
        whole = ROOT / WHOLE_FILES[name]
        app.env.note_dependency(str(whole))
        # The heading of the page itself is for readers of the repository.
        _, _, rest = text.partition("\n")
        text = f"{links.relinked(whole.read_text(), ROOT, path.parent)}\n{rest}"
    content[0] = text


def _read_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Escape stars of shapes, which would begin an emphasis."""

    def escaped(found: re.Match[str]) -> str:
        return r"\*" if found[0] == "*" else found[0]

    lines[:] = [CODE_OR_STAR.sub(escaped, line) for line in lines]


def _link_names(app: Sphinx, document: nodes.document) -> None:
    """Make `pymilk.NAME` on a page a link to its place in the reference, if it has one."""
    for literal in list(document.findall(nodes.literal)):
        found = NAME.fullmatch(literal.astext())
        if found and not isinstance(literal.parent, nodes.reference | pending_xref):
            link = pending_xref("", refdomain="py", reftype="obj", reftarget=found[1], refwarn=False)
            link["refdoc"] = app.env.docname
            literal.replace_self(link)
            link += literal
