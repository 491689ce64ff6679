"""The lectures' tables of activations and output units: mappings still, and in print what they compute."""

from __future__ import annotations

import copy
import html
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from nn import ACTIVATIONS, OUTPUT_UNITS, output_unit
from nn.printed import BLOCKS, Printed

TABLES: list[Any] = [ACTIVATIONS, OUTPUT_UNITS]


@pytest.mark.parametrize("table", TABLES, ids=["activations", "output units"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_terminal_has_whole_rows(table: Any, width: int) -> None:
    title, head, rule, *lines = table.text(width).split("\n")
    assert table.title in title and len(head) <= len(rule) <= width and rule.count("┼") == head.count("│")
    assert max(map(len, lines)) <= width and {line.count("│") for line in lines} == {rule.count("┼")}
    columns = [[cell.strip() for cell in line.split("│")] for line in lines]
    names = [cells[0] for cells in columns if cells[0] in table]
    assert names == list(table)
    words = " ".join([" ".join(cells) for cells in columns])
    for name, row in table.items():   # every word of every column shown stands there
        for i in table.text_columns[1:]:
            assert all(word in words for word in (name, *row.cells)[i].split())
    assert sum(set(cells[0]) <= set(BLOCKS) and len(cells[0]) == 13 for cells in columns) == sum(
        row.curve is not None for row in table.values())
    assert str(table) == repr(table) == table.text()


@pytest.mark.parametrize(("name", "graph"), [
    ("heaviside", "▁▁▁▁▁▁▅██████"), ("linear", "▁▂▂▃▃▄▅▅▆▆▇▇█"), ("relu", "▁▁▁▁▁▁▁▂▃▅▆▇█"), ("maxout", "█▇▆▅▃▂▁▂▃▅▆▇█"),
    ("sigmoid", "▁▁▂▂▃▄▄▅▆▇▇██"),
])
def test_a_graph_of_blocks(name: str, graph: str) -> None:
    lines = ACTIVATIONS.text().split("\n")
    at = next(i for i, line in enumerate(lines) if line.split()[0] == name)
    assert lines[at + 1].startswith(f"{graph:16} │")


@pytest.mark.parametrize("table", TABLES, ids=["activations", "output units"])
def test_html_has_every_cell_and_a_picture_for_every_curve(table: Any) -> None:
    root = ET.fromstring(table._repr_html_())
    rows = root.findall("tr")
    assert len(rows) == len(table) + 1
    svg = "{http://www.w3.org/2000/svg}"
    for (name, row), found in zip(table.items(), rows[1:], strict=True):
        assert [cell.text for cell in found][:len(table.head)] == [name, *row.cells]
        pictures = list(found.iter(f"{svg}svg"))
        assert len(pictures) == (row.curve is not None)
        for picture in pictures:
            path = picture.findall(f"{svg}path")[1].attrib["d"]
            numbers = [float(x) for x in path.replace("M", " ").replace("L", " ").split()]
            assert len(numbers) == 2 * 241 and min(numbers) >= 0 and max(numbers[1::2]) <= 48 and max(numbers[::2]) <= 96
            assert path.count("M") - 1 == {"heaviside": 2, "sign": 2}.get(name, 0)   # apart at a jump, on both sides of 0


@pytest.mark.parametrize("table", TABLES, ids=["activations", "output units"])
def test_markdown_has_a_column_for_each_cell(table: Any) -> None:
    lines = [line.replace("\\|", "") for line in table.markdown().split("\n")[2:]]
    assert len(lines) == len(table) + 2 and {line.count("|") for line in lines} == {len(table.head) + 2}
    assert "<" not in table.markdown().replace("\\<", "")


def test_they_are_mappings() -> None:
    assert list(ACTIVATIONS)[4] == "sigmoid" and ACTIVATIONS["relu"](-2.0) == 0.0 and "gelu" not in ACTIVATIONS
    assert {**ACTIVATIONS} == dict(ACTIVATIONS) == ACTIVATIONS
    assert copy.copy(ACTIVATIONS) == ACTIVATIONS and isinstance(copy.copy(OUTPUT_UNITS), Printed)
    assert list(OUTPUT_UNITS) == ["binary", "discrete", "continuous", "arbitrary"]
    link, loss = output_unit("arbitrary")
    assert link(2.0) == 2.0 and loss.__name__ == "binary_cross_entropy_with_logits"
    assert OUTPUT_UNITS["arbitrary"].name == "GAN" and OUTPUT_UNITS["arbitrary"].curve is None


def test_what_a_row_says_is_text() -> None:
    class Hostile:
        cells = ("<script>|*_`</script>", "]]> & \\")
        curve = None
    table = Printed("T", ("a", "b", "c"), [("<b>", Hostile())])
    assert html.unescape(ET.fromstring(table.html()).findall("tr")[1][1].text or "") == Hostile.cells[0]
    assert "<script" not in table.html() and table.markdown().split("\n")[-1].replace("\\|", "").count("|") == 5
