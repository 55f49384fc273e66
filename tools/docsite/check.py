"""Look at a built site: every link within it leads to a file and an anchor, and it can be searched.

    python -m docsite.check build/site
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

__all__ = ["broken_links"]

#: Pages of indices, whose entries point to pages that are looked at themselves.
SKIPPED = {"genindex.html", "py-modindex.html"}


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag says."""
        for name, value in attrs:
            if value and name == "id":
                self.anchors.add(value)
            elif value and name in ("href", "src") and tag in ("a", "img", "link", "script"):
                self.links.add(value)


def _parsed(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text())
    return page


def broken_links(site: Path) -> Iterator[str]:
    """Tell each link within a site that leads nowhere, as ``page: link``."""
    # The theme keeps a template among its static files.
    found = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path: _parsed(path) for path in found}
    for path, page in pages.items():
        if path.name in SKIPPED:
            continue
        for link in sorted(page.links):
            if link == "#" or "://" in link or link.startswith(("mailto:", "data:")):
                continue
            file, _, anchor = unquote(link).partition("#")
            file = file.partition("?")[0]
            target = Path(os.path.normpath(path.parent / file)) if file else path
            wrong = target not in pages if target.suffix == ".html" else not target.exists()
            if wrong or (anchor and target in pages and anchor not in pages[target].anchors):
                yield f"{path.relative_to(site)}: {link}"


def main(site: Path) -> int:
    """Print what is wrong; returns the exit code."""
    wrong = list(broken_links(site))
    for each in wrong:
        print(each)
    if not (site / "searchindex.js").stat().st_size:
        wrong.append("no index for searching")
    print(f"{len(list(site.rglob('*.html')))} pages, {len(wrong)} broken links")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
