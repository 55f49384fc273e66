"""Whether another distribution has files of the same names as ours."""

from __future__ import annotations

from importlib import metadata

__all__ = ["DISTRIBUTION", "rivals"]

#: Our name for pip; `pymilk` is what is imported.
DISTRIBUTION = "pymilk-streams"

#: Packages that we install. Those under old names are also in the distributions whose scripts run here.
_PACKAGES = ("pymilk", "pyMilk", "ImageStreamIOWrap", "CacaoProcessTools")


def _packages_of(distribution: metadata.Distribution) -> set[str]:
    """Return which of those packages a distribution installs."""
    declared = distribution.read_text("top_level.txt")
    if declared:
        return {*_PACKAGES} & {*declared.split()}
    record = distribution.read_text("RECORD")
    if record:
        lines = f"\n{record}"
        return {name for name in _PACKAGES if f"\n{name}/" in lines or f"\n{name}.py," in lines}
    return {*_PACKAGES} & {file.parts[0].removesuffix(".py") for file in distribution.files or ()}


def rivals() -> dict[str, list[str]]:
    """Find distributions that install packages of the same names as ours.

    Returns
    -------
    dict of str to list of str
        Name and version, as pip shows them, to the packages that both have. Of each such file there is one:
        that of the distribution that was installed last.

    Notes
    -----
    Reads one list of each distribution: some ten milliseconds where a hundred are installed. What cannot be
    read, or has no name since its installation broke off, is left out.
    """
    found: dict[str, set[str]] = {}
    for distribution in metadata.distributions():
        try:
            packages = _packages_of(distribution)
            about = distribution.metadata if packages else None
        except (ValueError, OSError):  # it cannot be decoded, or says nothing of itself
            continue
        # Of what an installation left that broke off, there may be a list of files alone.
        if about and "Name" in about and about["Name"] != DISTRIBUTION:
            name = " ".join(about[each] for each in ("Name", "Version") if each in about)
            found.setdefault(name, set()).update(packages)
    return {name: sorted(found[name], key=_PACKAGES.index) for name in sorted(found)}
