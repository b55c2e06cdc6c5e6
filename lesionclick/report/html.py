"""Page of a result: pictures, table, how it was made and warnings in one HTML file that needs no network."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lesionclick
from lesionclick.case.case import Case
from lesionclick.files import replacing
from lesionclick.report.html_style import STYLE
from lesionclick.report.lesion_files import case_figures, lesion_row
from lesionclick.report.measurements import LesionTable
from lesionclick.report.mip import color_of, project_front, project_side

COLUMNS = {
    "number": "Lesion",
    "volume_ml": "Volume (ml)",
    "suv_max": "SUV<sub>max</sub>",
    "suv_mean": "SUV<sub>mean</sub>",
    "suv_peak": "SUV<sub>peak</sub>",
    "tlg": "TLG (g)",
    "axial_diameter_mm": "Diameter (mm)",
    "organ": "Organ",
    "nearest_organ": "Nearest organ",
}
"""Headings, as HTML, of a table's columns by their names in its rows; others are left out."""

TOTALS = {
    "lesion_count": "Lesions",
    "total_volume_ml": "Total tumor volume (ml)",
    "total_tlg": "Total TLG (g)",
    "dmax_mm": "Largest distance between two lesions (mm)",
}
"""The same for the case's own figures."""

FACTS = {
    "created": "Created",
    "found": "Study",
    "suv": "SUV",
    "model": "Model",
    "engine": "Computed on",
    "settings": "Settings",
}
"""The same for how it was made."""


@dataclass(frozen=True)
class Page:
    """What a page says beside its pictures; each value is text, a number or None for unknown.

    Attributes:
        title: of the case.
        rows: a mapping for each lesion, with "number" and any of the other names of `COLUMNS`.
        totals: figures of the whole case, with any of the names of `TOTALS`.
        facts: how it was made, with any of the names of `FACTS`; values may be mappings and lists.
        warnings: sentences.
    """

    title: str
    rows: Sequence[Mapping[str, Any]] = ()
    totals: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()


def page_of(title: str, table: LesionTable, record: Mapping[str, Any], warnings: Sequence[str]) -> Page:
    """The page of measured lesions; `write_html` draws them by the table's own numbers.

    Args:
        title: of the case.
        table: its lesions.
        record: how they were made; what `FACTS` names of it is shown.
        warnings: sentences.
    """
    return Page(title, [lesion_row(lesion) for lesion in table.lesions], case_figures(table), record, warnings)


def write_html(page: Page, case: Case, numbers_zyx: np.ndarray, path: Path) -> None:
    """Writes a page with projections from the front and the side; it can be read on a phone, printed and heard.

    Args:
        page: its text.
        case: the images.
        numbers_zyx: 0 outside of lesions and in each the number that it has in the page's rows, on the case's grid.
        path: an .html; its folder is made where missing.

    Raises:
        CaseError: the file cannot be written.
    """
    count = len(np.unique(numbers_zyx[numbers_zyx > 0]))
    lesions = f"{count} lesion{'' if count == 1 else 's'} in color, numbered as in the table"
    views = (("the front", "the patient's right is on the left"), ("the side", "the patient's front is on the left"))
    pictures = (project_front(case, numbers_zyx), project_side(case, numbers_zyx))
    figures = "".join(
        _figure(picture, f"PET from {view}, head up, {sides}: {lesions}", f"From {view}; {sides}.")
        for picture, (view, sides) in zip(pictures, views, strict=True)
    )
    title = html.escape(page.title)
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}: lesions in PET/CT</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{_warnings(page.warnings)}
<section aria-labelledby="pictures">
<h2 id="pictures">PET, maximum-intensity projections</h2>
<div class="pictures">{figures}</div>
</section>
<section aria-labelledby="lesions">
<h2 id="lesions">Lesions</h2>
{_definitions({heading: page.totals[name] for name, heading in TOTALS.items() if name in page.totals})}
{_table(page.rows)}
</section>
{_facts(page.facts)}
</main>
</body>
</html>
"""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _figure(picture: Image.Image, alt: str, caption: str) -> str:
    stored = io.BytesIO()
    picture.save(stored, format="PNG", optimize=True)
    data = base64.b64encode(stored.getvalue()).decode("ascii")
    size = f'width="{picture.width}" height="{picture.height}"'
    return (
        f'<figure><img src="data:image/png;base64,{data}" {size} alt="{html.escape(alt)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _warnings(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    heading = '<h2 id="warnings">Warnings</h2>'
    return f'<section class="warnings" aria-labelledby="warnings">{heading}<ul>{items}</ul></section>'


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of lesions, without columns of which nothing is known."""
    if not rows:
        return "<p>No lesions.</p>"
    names = [name for name in COLUMNS if any(row.get(name) is not None for row in rows)]
    head = "".join(f'<th scope="col">{COLUMNS[name]}</th>' for name in names)
    lines = "".join(f"<tr>{''.join(_cell(name, row.get(name)) for name in names)}</tr>" for row in rows)
    return (
        '<div class="wide" role="region" aria-labelledby="lesions" tabindex="0"><table>'
        "<caption>Each lesion has its number and color in the pictures.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _cell(name: str, value: Any) -> str:
    if name == "number":
        red, green, blue = color_of(value)
        spot = f'<span class="spot" style="background: rgb({red}, {green}, {blue})" aria-hidden="true"></span>'
        return f'<th scope="row">{spot}{html.escape(str(value))}</th>'
    kind = ' class="number"' if isinstance(value, int | float) else ""
    return f"<td{kind}>{_text(value)}</td>"


def _facts(facts: Mapping[str, Any]) -> str:
    made = {heading: facts[name] for name, heading in FACTS.items() if facts.get(name) is not None}
    made["Program"] = f"lesionclick {lesionclick.__version__}"
    return f'<section aria-labelledby="made"><h2 id="made">How it was made</h2>{_definitions(made)}</section>'


def _definitions(values: Mapping[str, Any]) -> str:
    """Names, which are HTML, and values as a list of definitions."""
    lines = "".join(f"<div><dt>{name}</dt><dd>{_text(value)}</dd></div>" for name, value in values.items())
    return f"<dl>{lines}</dl>" if lines else ""


def _text(value: Any) -> str:
    """A value for people, as HTML: numbers to four digits, a line for each part of it, a word for what is not known."""
    if value is None or value == "":
        return "unknown"
    if isinstance(value, Mapping):
        parts = ((html.escape(str(name).replace("_", " ")), _text(each)) for name, each in value.items())
        return "<br>".join(f"{name}: {text}" for name, text in parts) or "none"
    if isinstance(value, list | tuple):
        return "<br>".join(_text(each) for each in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return html.escape(str(value))
