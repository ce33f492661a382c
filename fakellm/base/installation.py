"""Finds out whether this package can run: on this Python, and not overwritten by another distribution. Reports if not.

PyPI has an unrelated distribution named `fakellm`, which installs a package of the same name. Whichever is installed
last puts its `__init__.py` into the folder that both share, and the other modules of both stay there. So `import
fakellm` can run that other file, which has none of the public names; the modules of this distribution are found all
the same, and nearly each of them imports `fakellm.base`, which checks this.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import NoReturn

OLDEST = (3, 11)
"""The first Python that this package runs on."""


def check() -> None:
    """Raises ImportError if this Python is too old, or if the package `fakellm` is not this distribution's; so does
    each missing name afterwards."""
    if sys.version_info < OLDEST:
        found = ".".join(map(str, sys.version_info[:3]))
        raise ImportError(
            f"this package needs Python {'.'.join(map(str, OLDEST))} or newer, and this is Python {found}"
        )
    package = sys.modules["fakellm"]
    if "serve" in getattr(package, "__all__", ()):
        return
    message = _explanation(package)

    def missing(name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(f"module 'fakellm' has no attribute {name!r}")
        raise ImportError(message)  # `from fakellm import serve` would hide the text of an AttributeError

    package.__getattr__ = missing  # type: ignore[method-assign] # it is a module's own, called for names that are missing
    raise ImportError(message)


def other_distribution() -> str | None:
    """The name and version of the unrelated distribution `fakellm`, if it is installed."""
    from importlib.metadata import PackageNotFoundError, version  # slow to import, and hardly ever needed

    try:
        return f"fakellm {version('fakellm')}"
    except PackageNotFoundError:
        return None


REMEDY = (
    "Use one environment for each, or run `pip uninstall fakellm fakellm-server`, then `pip install fakellm-server`."
)


def _explanation(package: ModuleType) -> str:
    other, file = other_distribution(), getattr(package, "__file__", None)
    if file is None:
        found = f"{next(iter(package.__path__))} has no __init__.py"
    else:
        found = f"{file} belongs to {f'the unrelated distribution {other!r}' if other else 'another distribution'}"
    return (
        f"the package 'fakellm' of the distribution 'fakellm-server' is damaged: {found}. The distributions 'fakellm' "
        f"and 'fakellm-server' install into the same folder. {REMEDY}"
    )
