"""One self-contained HTML page out of a template, a style, a script and data; its policy forbids any network."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar

from autograd.conversion import bounded
from autograd.files import write_whole

__all__ = ["Page", "page"]

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{policy}}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}}</title>
<style>{{style}}</style>
</head>
<body>
<p id="still">This page is moved by a script, which does not run here: open the file in a browser, or trust the notebook.</p>
"""
MOVED = 'document.getElementById("still").remove();\n'   # the script's last line


def page(name: str, title: str, data: Any, **parts: str) -> str:
    """The body in `name`.html with `name`.css and `name`.js in it; `parts` are markup for further places of the template.

    The Content-Security-Policy allows this style and this script by their hashes, and nothing else."""
    part = files(__package__).joinpath
    template, style, script = [part(f"{name}.{kind}").read_text("utf-8") for kind in ("html", "css", "js")]
    script += MOVED
    parts |= {"title": html.escape(title), "style": style, "script": script, "data": _inert(data),
              "policy": f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'; "
                        "form-action 'none'"}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], HEAD + template)


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A page as text: `html` is the whole file. A notebook shows it by itself, in a frame that cannot reach the rest of it;
    one that is not trusted takes frames away, and shows the line that stands in this one.
    """

    html: str
    height: ClassVar[int] = 760   # px of a notebook's cell

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, which needs nothing beside it; whole or not at all.

        ValueError unless its name ends in .html, OSError where it cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"save({bounded(str(path))}): let the name end in .html; for a picture use draw(value).save(…)")
        write_whole(path, self.html)

    def _repr_html_(self) -> str:
        name = type(self).__name__
        return (f'<iframe title="{name}" sandbox="allow-scripts" srcdoc="{html.escape(self.html)}" width="100%" '
                f'height="{self.height}" style="border: 1px solid #8886; border-radius: 6px">{name}: a page that moves, which '
                'a notebook that is not trusted does not show: trust it, run this cell again, or .save("page.html").</iframe>')


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _inert(data: Any) -> str:
    r"""JSON in which nothing can end a script or begin markup, and of which any encoding can be made: < is \u003c."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)
