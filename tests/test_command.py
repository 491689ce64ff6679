"""python3 -m autograd, as a user runs it."""

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import run_command

from autograd.command.main import main

ROOT = Path(__file__).parents[1]
LOSS = "-(y*log(1/(1+exp(-(b+w*x)))) + (1-y)*log(1-1/(1+exp(-(b+w*x)))))"


def run(*words: str, encoding: str = "utf-8") -> tuple[int, str, str]:
    """The exit status, what was printed, and what the user was told."""
    return run_command(main, words, encoding)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table_of_points(text: str = "x,y,who\n1,1,a\n-2,0,b\n0.5,1,c\n") -> str:
    Path("points.csv").write_text(text, encoding="utf-8")
    return "points.csv"


def test_the_lecture_without_arguments() -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    assert "dL/dW = -0.00037018372795869517" in out
    assert "Forward mode" in out and "Backward mode" in out and "minus sign" in out
    ET.parse("xi.svg")


def test_where_the_picture_goes() -> None:
    Path("folder").mkdir()
    for words, file in (
        (["-o", "folder"], "folder/xi.svg"),
        (["-o", "new.svg"], "new.svg"),
        (["--svg", "a.dot"], "a.dot"),
        (["x*x", "x=2", "--explore", "a.html"], "a.html"),
        (["x*x", "x=2", "-o", "b.svg"], "b.svg"),
        (["x*x", "x=2", "-o", "folder/"], "folder/xi.svg"),
    ):
        Path(file).unlink(missing_ok=True)
        status, out, _ = run(*words)
        assert status == 0 and f"wrote {file}" in out
        assert Path(file).stat().st_size > 500
    assert run("x*x", "x=2")[0] == 0
    assert not Path("xi.svg").exists()


def test_a_png_is_written_where_graphviz_is_and_else_refused(
    monkeypatch: pytest.MonkeyPatch, require_tool: Callable[[str], None]
) -> None:
    require_tool("dot")
    assert run("x*x", "x=2", "--svg", "a.png")[0] == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    monkeypatch.setenv("PATH", "")
    status, out, err = run("x*x", "x=2", "-o", "b.pdf")
    assert (status, out) == (2, "") and "a .pdf needs Graphviz" in err and err.count("\n") == 1
    assert not Path("b.pdf").exists()


def test_an_expression_with_everything() -> None:
    status, out, _ = run("log(1/(1+exp(-W*X)))", "W=3", "X=3", "--second", "--check")
    assert status == 0
    for line in (
        "dL/dW = 0.00037018372795869517",
        "dL/dX = 0.00037018372795869517",
        "d²L/(dW dW) = -0.00111041414788",
        "check: central differences agree",
    ):
        assert line in out


def test_an_expression_may_begin_with_a_minus_sign() -> None:
    for words in (["-y*log(p)", "y=1", "p=0.5"], ["-x", "x=1"], ["-(x)", "x=1"], ["--x", "x=1"], ["--", "-x", "x=1"]):
        status, _out, err = run(*words)
        assert status == (2 if words[0] == "--x" else 0), err  # --x can only be meant as an option


def test_definitions_are_rows_of_their_own() -> None:
    p = "p = 1/(1+exp(-W*X)); -(y*log(p) + (1-y)*log(1-p))"
    status, out, err = run(p, "W=3", "X=3", "y=1", "--wrt", "W", "--check", "--second")
    assert (status, err) == (0, "")
    assert "p = 1/(1+exp(-W*X)); L = -(y*log(p) + (1-y)*log(1-p))   W = 3, X = 3, y = 1\n" in out
    assert "dL/dW = -0.00037018372795869517" in out and "differences agree" in out
    found = json.loads(run(p, "W=3", "X=3", "y=1", "--format", "json")[1])
    assert [row["name"] for row in found["rows"]] == ["p", "L"]
    whole = "-(y*log(1/(1+exp(-W*X))) + (1-y)*log(1-1/(1+exp(-W*X))))"
    assert json.loads(run(whole, "W=3", "X=3", "y=1", "--format", "json")[1])["gradient"] == found["gradient"]
    defined = f"p = 1/(1+exp(-(b+w*x))); {LOSS.replace('1/(1+exp(-(b+w*x)))', 'p')}"
    rest = ["w=0.5", "b=-0.25", "--data", table_of_points(), "--sum", "--format", "json"]
    summed, plain = [json.loads(run(text, *rest)[1]) for text in (defined, LOSS)]
    assert summed["gradient"] == plain["gradient"] and summed["value"] == plain["value"]


def test_the_result_has_a_name_of_its_own() -> None:
    assert "df/dx = 8.0" in run("L = x*x; 2*L", "x=2")[1]
    assert "df1/dx = 8.0" in run("L = x*x; f = 2*L; f", "x=2")[1]


@pytest.mark.parametrize(("words", "column", "says"), [
    (["p = x*2; p*x", "p=3"], 0, "'p' is defined here, and was given a value too"),
    (["q = x; p = 2; p*q", "p=3"], 7, "'p' is defined here, and was given a value too"),
    (["p = x; p; "], 8, "nothing follows this ';'"),
    (["p = x*2"], 7, "no expression follows the definition of 'p'"),
    (["W=X"], 3, "no expression follows the definition of 'W'"),
    (["W=="], 1, "'==' has no meaning"),
    ([" "], 0, "the expression is empty"),
    ([";"], 0, "a definition is missing"),
])
def test_a_definition_that_is_refused_is_told_in_one_line_with_a_caret(words: list[str], column: int, says: str) -> None:
    status, out, err = run(*words, *["x=2"] * (len(words) > 1))
    message, text, caret = err.rstrip("\n").split("\n")
    assert (status, out, text) == (2, "", f"  {words[0].strip()}") and says in message
    assert caret == " " * (2 + column) + "^"


def test_wrt_mode_and_digits() -> None:
    _, out, _ = run("a*b*c", "a=2", "b=3", "c=4", "--wrt", "a, c", "--mode", "forward", "--digits", "3")
    assert "dL/da = 12" in out and "dL/dc = 6" in out and "dL/db" not in out
    assert "Forward mode" in out and "Backward mode" not in out
    assert "Backward mode" in run("a", "a=2", "--mode", "backward")[1]


def test_layout_rows_and_alias() -> None:
    logistic = ("p = 1/(1+exp(-W*X)); -(y*log(p) + (1-y)*log(1-p))", "W=3", "X=3", "y=1", "--wrt", "W")
    _, out, _ = run(*logistic, "--layout", "lecture", "--alias")
    assert re.search("ξ4 = 1/ξ3 = p +│ ∂ξ4/∂ξ3 = −1/ξ3² ", out) and "dL/dW = (p − y)·X" in out and out.count("chain rule") == 1
    assert [row["alias"] for row in json.loads(run(*logistic, "--alias", "--format", "json")[1])["rows"]][3] == "p"
    _, out, _ = run(*logistic, "--rows", "ξ2, p", "--mode", "forward")
    assert [line.split()[0] for line in out.splitlines()[3:7]] == ["ξ2", "p", "L", "│"]
    status, out, err = run(*logistic, "--rows", "ξ2,q")
    assert (status, out) == (2, "") and "'q', which is no row" in err and "ξ1" in err
    _, out, _ = run("w1*x1 + w2*x2 + b", "w1=1", "w2=2", "x1=3", "x2=4", "b=5", "--rows", "sums")
    assert "wᵀ·x + b" in out and "where w = (w1, w2), x = (x1, x2)" in out


def test_formats() -> None:
    for style, sign in (("markdown", "| $\\xi_{1}$ |"), ("latex", "\\begin{array}"), ("html", "<table"), ("text", "│")):
        status, out, _ = run("exp(-W*X)", "W=3", "X=3", "--format", style)
        assert status == 0 and sign in out and "-0.0003702294122600387" in out
    found = json.loads(run("exp(-W*X)", "W=3", "X=3", "--format", "json", "--second", "--check")[1])
    assert found["gradient"]["W"] == -0.0003702294122600387
    assert [row["name"] for row in found["rows"]] == ["ξ1", "L"]
    assert found["check"]["agrees"] is True
    assert len(found["hessian"]) == 2
    assert json.loads(run("x*1e300", "x=1e300", "--format", "json")[1])["value"] == "inf"


def test_a_terminal_without_unicode() -> None:
    status, out, _ = run(encoding="ascii")
    assert status == 0 and out.isascii() and "dxi4/dxi3" in out
    status, _, err = run("θ", encoding="ascii")
    assert status == 2 and "\\u03b8" in err


def test_the_sum_over_a_file() -> None:
    file = table_of_points()
    status, out, err = run(LOSS, "w=0.5", "b=-0.25", "--data", file, "--sum", "--second", "--check", "--format", "json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    import math

    points = [(1, 1), (-2, 0), (0.5, 1)]
    p = [1 / (1 + math.exp(-(-0.25 + 0.5 * x))) for x, _ in points]
    assert found["gradient"]["b"] == pytest.approx(sum(q - y for q, (_, y) in zip(p, points, strict=True)), rel=1e-12)
    assert found["gradient"]["w"] == pytest.approx(sum((q - y) * x for q, (x, y) in zip(p, points, strict=True)), rel=1e-12)
    assert found["hessian"][0][0] == pytest.approx(
        sum(q * (1 - q) * x * x for q, (x, _) in zip(p, points, strict=True)), rel=1e-9
    )
    assert found["check"]["agrees"] is True
    assert "summed over 3 rows" in run(LOSS, "w=0.5", "b=-0.25", "--data", file, "--sum")[1]


@pytest.mark.parametrize("text", ["x;y\n1;1\n", "x\ty\n1\t1\n", "\ufeffx,y\r\n1,1\r\n", ' x , y \n 1 , "1"\n\n', "x,y\n1,1"])
def test_files_as_they_come(text: str) -> None:
    status, _, err = run("x*w*y", "w=2", "--data", table_of_points(text), "--sum")
    assert (status, err) == (0, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x,z\n1,1\n", ["'y' is missing", "'x', 'z'"]),
        ("x,y\n1,\n", ["line 2", "column 'y'", "empty"]),
        ("x,y\n1,2\n3, \n", ["line 3", "empty"]),
        ("x,y\n1,two\n", ["line 2", "column 'y'", "'two'"]),
        ("x,y\n1,nan\n", ["'nan'", "not a number"]),
        ("x,y\n1\n", ["line 2", "1 cells"]),
        ("x,y\n1,2,3\n", ["3 cells"]),
        ("x,y\n", ["no rows"]),
        ("", ["'x' is missing"]),
        ("x,y,y\n1,2,3\n", ["'y' stands twice"]),
        ("x,y,w\n1,2,3\n", ["'w' is a column and also given"]),
        ('x,y\n1,"2\n', ["points.csv"]),
        ("x,y\n-1,1\n", ["points.csv, row 1", "log(-1)"]),
        ("x,y\n1,1\n2,1,\n", ["line 3"]),
        ("x,y\n1,1e999\n", ["not a number"]),
    ],
)
def test_files_that_are_refused(text: str, says: list[str]) -> None:
    status, out, err = run("log(x)*w*y", "w=2", "--data", table_of_points(text), "--sum")
    assert (status, out) == (2, "")
    for part in says:
        assert part in err
    assert "Traceback" not in err


def test_binary_and_missing_files() -> None:
    Path("binary.csv").write_bytes(bytes(range(256)) * 10)
    Path("folder.csv").mkdir()
    for file in ("binary.csv", "folder.csv", "missing.csv"):
        status, out, err = run("x*w", "w=2", "--data", file, "--sum")
        assert (status, out) == (2, "") and err.startswith(f"autograd: {file}") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ["x"],
        ["x", "x=a"],
        ["x", "x=1", "x=2"],
        ["x", "x=1", "y=2"],
        ["x", "x=1", "junk"],
        ["x", "x=1", "--wrt", "y"],
        ["x", "x=1", "--wrt", ""],
        ["x", "x=1", "--mode", "up"],
        ["x", "x=1", "--digits", "0"],
        ["x", "x=1", "--digits", "x"],
        ["x", "x=1", "--unknown"],
        ["x", "x=1", "--sum"],
        ["x", "x=1", "--svg", "missing/a.svg"],
        ["x", "x=1", "--svg", "a.jpg"],
        ["x", "x=1", "--format", "pdf"],
        ["x", "x="],
        ["x^2", "x=1"],
        ["log(x)", "x=-1"],
        ["1/x", "x=0"],
        ["x.__class__", "x=1"],
        ["x", "x=1", "-o", "missing/a.svg"],
        ["sqrt(x*x)", "x=0"],
        ["W=x"],
        ["Q=3"],
        ["+".join(["exp(x)"] * 250), "x=1", "--svg", "a.svg"],
    ],
)
def test_bad_input_gets_one_message_and_writes_nothing(words: list[str]) -> None:
    status, out, err = run(*words)
    assert (status, out) == (2, "")
    assert err.startswith("autograd: ") and "Traceback" not in err
    assert err.count("\n") in (1, 3) and (err.count("\n") == 1 or err.rstrip("\n").endswith("^"))
    assert list(Path().iterdir()) == []


def test_a_long_expression_has_its_result_without_a_table() -> None:
    status, out, _ = run("*".join(["x"] * 500), "x=1")
    assert status == 0
    assert "no table" in out and "dL/dx = 500.0" in out


def test_nan_and_infinity_that_are_passed_in_propagate() -> None:
    assert "L = nan" in run("x*2", "x=nan")[1]
    assert "L = inf" in run("x*2", "x=inf")[1]


def test_a_disagreement_is_status_one() -> None:
    status, out, _ = run("abs(x)", "x=0", "--check")
    assert status == 0  # both say 0 at the kink
    status, out, _ = run("max(x, 0)*1e6", "x=1e-8", "--check")
    assert status == 1 and "DISAGREE" in out


def test_a_variable_called_L() -> None:
    out = run("L*L", "L=3")[1]
    assert "df/dL = 6.0" in out


class TestProcess:
    """In a process of its own, as from a shell."""

    def start(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        return subprocess.run(
            [sys.executable, "-m", "autograd", *words], capture_output=True, text=True, env=env, encoding="utf-8", check=False
        )

    def test_needs_only_the_standard_library(self, tmp_path: Path) -> None:
        for name in ("numpy", "graphviz", "matplotlib", "pandas"):  # whoever imports one of them fails
            (tmp_path / f"{name}.py").write_text("raise ImportError('not installed')")
        done = self.start(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}", PATH="")
        assert done.returncode == 0, done.stderr
        assert "-0.00037018372795869517" in done.stdout

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
    def test_a_terminal_gets_lines_that_fit_it_and_a_file_what_it_always_gets(self) -> None:
        import pty

        from viz.formulas.notation import width

        ours, theirs = pty.openpty()
        env = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
        with subprocess.Popen([sys.executable, "-m", "autograd"], stdout=theirs, env=env) as process:
            os.close(theirs)
            shown = b""
            while part := self.read(ours):
                shown += part
            assert process.wait() == 0
        os.close(ours)
        lines = shown.decode().splitlines()
        assert max(map(width, lines)) <= 80 and "    │ = 0.99987661        │         │ = −0.99975323" in shown.decode()
        wide = run()[1]
        assert self.start(COLUMNS="80").stdout == wide
        assert max(map(width, wide.splitlines())) > 80

    @staticmethod
    def read(terminal: int) -> bytes:
        try:
            return os.read(terminal, 65536)
        except OSError:   # so Linux says that the other end is closed
            return b""

    def test_bad_input_has_no_traceback(self) -> None:
        done = self.start("x..y")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[1:] == ["  x..y", "   ^"]

    def test_a_closed_pipe_is_quiet(self) -> None:
        with subprocess.Popen(
            [sys.executable, "-m", "autograd", "x*x", "x=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.close()
            assert b"Traceback" not in process.stderr.read()

    def test_help(self) -> None:
        done = self.start("--help")
        assert done.returncode == 0 and "examples:" in done.stdout


def test_a_bare_name_and_plain_numbers() -> None:
    assert "dL/dx = 1.0" in run("x", "x=2")[1]
    assert "in terms of x" in run("x", "x=2")[1]
    assert "L = 7.0" in run("3+4")[1]
    assert run("x", "x=1e400")[0] == 2
