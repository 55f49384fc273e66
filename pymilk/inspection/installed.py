"""Whether another distribution has files of the same names as ours."""

from __future__ import annotations

from importlib import metadata

__all__ = ["DISTRIBUTION", "rivals"]

#: Our name for pip; `pymilk` is what is imported.
DISTRIBUTION = "pymilk-streams"

#: Packages that we install. Those under old names are also in the distributions whose scripts run here.
_PACKAGES = ("pymilk", "pyMilk", "ImageStreamIOWrap", "CacaoProcessTools")


def rivals() -> dict[str, list[str]]:
    """Find distributions that install packages of the same names as ours.

    Returns
    -------
    dict of str to list of str
        Name and version, as pip shows them, to the packages that both have. Of each such file there is one:
        that of the distribution that was installed last.
    """
    owners = metadata.packages_distributions()
    found: dict[str, list[str]] = {}
    for package in _PACKAGES:
        for name in sorted(set(owners.get(package, ())) - {DISTRIBUTION}):
            found.setdefault(f"{name} {metadata.version(name)}", []).append(package)
    return found
