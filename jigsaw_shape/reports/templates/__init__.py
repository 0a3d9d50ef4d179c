"""The templates of pages. Values are escaped, except for what is marked as HTML."""

import pathlib

import jinja2
from markupsafe import Markup

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent, "utf-8"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(name: str, **values: object) -> str:
    """Returns the template `name`, a file of this folder, filled with `values`."""
    return _ENVIRONMENT.get_template(name).render(**values)


def part(name: str, *values: object) -> Markup:
    """Returns the part of pages that the macro `name` of `parts.html` makes."""
    return getattr(_ENVIRONMENT.get_template("parts.html").module, name)(*values)
