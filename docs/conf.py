"""How the documentation is built: ``tests/run docs``."""

from importlib.metadata import version as installed_version

project = "shadowmig"
author = "The shadowmig developers"
copyright = author  # noqa: A001 - Sphinx reads the setting under this name
release = version = installed_version("shadowmig")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "shadowmig"

# What our docstrings put into single backticks is a name or a value, and often one that no page defines.
default_role = "code"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_ivar = True

nitpicky = True
# There is no network while the documentation is built, so what others define cannot be linked.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(attr|collections|contextvars|datetime|enum|google|hypothesis|os|pathlib|re|ssl|subprocess|types|typing|zlib)\..*",
    ),
    ("py:.*", r"(Any|Callable|Iterable|Iterator|Mapping|Path|Self|Sequence|TracebackType|datetime|timedelta)"),
    # Known to type checkers only where they are named, or inside the storm.
    ("py:.*", r"shadowmig\.wire\.effects\.T"),
    ("py:.*", r"(Backend|Progress|Provisioned|shadowmig\.testing\.storm\.(_watch|service|sites)\..*)"),
]
