"""HTML pages in one file each, in which nothing but our own script can act.

Every value is made inert and escaped by the templates, whoever writes them. Should that fail, the page's content
security policy still runs no script and loads nothing: it allows our style and script by their hashes.
"""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from patchwright.errors import ConfigError
from patchwright.evals.report.figures import interval, p_value, percent, quantity
from patchwright.evals.report.inert import inert

if TYPE_CHECKING:
    from jinja2 import Environment


def render(name: str, **values: object) -> str:
    """The template `name`.html with the style all pages share and the script `name`.js.

    Raises ConfigError without the extra `eval`.
    """
    style, script = _asset("style.css"), _asset(f"{name}.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template(f"{name}.html")
    return template.render(**values, style=style, script=script, policy=policy)


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError:
        raise ConfigError("HTML pages need Jinja", hint="pip install 'patchwright[eval]'") from None
    environment = Environment(
        loader=PackageLoader("patchwright.evals.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "quantity": quantity, "p_value": p_value}
    return environment


def _finalize(value: object) -> object:
    """What a template is about to write. What is HTML already is our own, all other text is anybody's."""
    return inert(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _asset(name: str) -> str:
    return files("patchwright.evals.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As Content Security Policy level 3 wants it: of the bytes between the tags."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
