"""Pages of results, read as a browser would."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from PIL import Image

VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Elements with their attributes, text by the element around it, and cells of tables; all are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.cells: list[tuple[str, dict[str, str | None], str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("th", "td"):
            self.cells.append((tag, dict(attributes), ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data))
        if {"th", "td"} & set(self.open):
            tag, attributes, text = self.cells[-1]
            self.cells[-1] = tag, attributes, text + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def pictures(self) -> list[np.ndarray]:
        """The pictures that the page holds: uint8 of shape (rows, columns, 3)."""
        encoded = ((image["src"] or "").partition("base64,")[2] for image in self.all("img"))
        return [np.asarray(Image.open(io.BytesIO(base64.b64decode(each))).convert("RGB")) for each in encoded]

    def rows(self) -> list[dict[str, str]]:
        """The table's rows, what each cell says under its column's heading."""
        headings: list[str] = []
        rows: list[list[str]] = []
        for tag, attributes, text in self.cells:
            if tag == "th" and attributes.get("scope") == "col":
                headings.append(text)
            elif tag == "th":
                rows.append([text])
            else:
                rows[-1].append(text)
        return [dict(zip(headings, row, strict=True)) for row in rows]


def read_page(path: Path) -> Outline:
    outline = Outline()
    outline.feed(path.read_text(encoding="utf-8"))
    assert outline.open == []
    return outline
