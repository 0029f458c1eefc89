"""What a browser would make of a page: its elements, by Python's parser."""

import re
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html.parser import HTMLParser


@dataclass
class Page:
    tags: set[str] = field(default_factory=set[str])
    attributes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    scripts: list[str] = field(default_factory=list[str])
    styles: list[str] = field(default_factory=list[str])
    text: str = ""

    @property
    def links(self) -> list[str]:
        return [value for name, value in self.attributes if name in {"href", "src", "action", "srcset", "data"}]

    def values(self, name: str) -> list[str]:
        return [value for attribute, value in self.attributes if attribute == name]


def parsed(html: str) -> Page:
    parser = _Parser()
    parser.feed(html)
    parser.close()
    return parser.page


def assert_inert(html: str) -> Page:
    """Nothing in the page can act but its own script, which the page's policy names by its hash."""
    page = parsed(html)
    allowed = "html head meta title style body script a header h1 h2 h3 b p br main figure figcaption div span svg line"
    more = "circle text path ul ol li table caption thead tbody tr th td button form label input select option"
    rest = "details summary pre code nav article section dl dt dd footer"
    assert page.tags <= set(f"{allowed} {more} {rest}".split())
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert [link for link in page.links if not re.fullmatch(r"#[\w-]+|trajectories/[\w./=-]+", link)] == []
    [policy] = [value for value in page.values("content") if "default-src" in value]
    hashes = [f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}" for text in (*page.styles, *page.scripts)]
    assert policy.split("; ")[:3] == ["default-src 'none'", f"style-src '{hashes[0]}'", f"script-src '{hashes[1]}'"]
    assert len(hashes) == 2
    assert [char for char in html if not (char.isprintable() or char in "\n\t")] == []
    return page


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within = tag
        self.page.tags.add(tag)
        self.page.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within == "script":
            self.page.scripts.append(data)
        elif self._within == "style":
            self.page.styles.append(data)
        else:
            self.page.text += data
