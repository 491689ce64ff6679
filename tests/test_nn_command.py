"""python3 -m nn, as a user runs it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import run_command

from nn.command.main import main
from nn.command.report import TRIALS, Trial, report, scores

ROOT = Path(__file__).parents[1]


def run(*words: str, encoding: str = "utf-8") -> tuple[int, str, str]:
    """The exit status, what was printed, and what the user was told."""
    return run_command(main, words, encoding)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def patients(n: int = 40, name: str = "patients.csv") -> str:
    """A table in which everybody over 50 with chest pain is ill."""
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(30, 70)), str(rng.choice(["typical", "none"]))) for _ in range(n)]
    text = "".join(f"{age},{pain},{'Yes' if age > 50 and pain == 'typical' else 'No'}\n" for age, pain in rows)
    Path(name).write_text("Age,ChestPain,AHD\n" + text, encoding="utf-8")
    return name


def test_moons_without_arguments() -> None:
    status, out, err = run("--epochs", "10", "--lr", "0.1", "--layers", "6")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "moons: 200 rows, 2 features; class is one of 2 classes; 50 rows are held out"
    assert lines[1].startswith("MLP 2-6-2, tanh, 32 parameters; adam, lr 0.1")
    right = int(lines[4].partition("(")[2].split()[0])
    assert lines[4].startswith("held-out accuracy: 0.") and right > 35
    table = [list(map(int, line.split()[1:])) for line in lines[-2:]]
    assert sum(map(sum, table)) == 50 and table[0][0] + table[1][1] == right
    assert list(Path().iterdir()) == []


def test_the_same_seed_gives_the_same_output() -> None:
    words = ("--data", "circles", "--epochs", "2", "--layers", "3", "--save", "m.zip")
    kept = []
    for seed in ("1", "1", "2"):
        out = [line for line in run(*words, "--seed", seed)[1].splitlines() if " s: " not in line]
        kept.append((out, Path("m.zip").read_bytes()))
    assert kept[0] == kept[1] and kept[0][1] != kept[2][1]


def test_train_save_load_predict() -> None:
    status, out, err = run("--data", patients(), "--target", "AHD", "--layers", "6", "--lr", "0.1", "--save", "heart.zip")
    assert (status, err) == (0, "") and out.endswith("wrote heart.zip\n")
    assert "AHD is one of 2 classes" in out
    status, out, err = run("--load", "heart.zip")
    assert status == 0 and out.startswith("AHD (one of No, Yes) from Age, ChestPain\nMLP(")
    Path("new.csv").write_text("ChestPain,Name,Age\ntypical,Ann,65\nnone,Bob,35\n")
    status, out, err = run("--load", "heart.zip", "--predict", "new.csv")
    assert (status, err) == (0, "")
    head, *rows = [line.split(",") for line in out.splitlines()]
    assert head == ["AHD", "probability"] and [row[0] for row in rows] == ["Yes", "No"]
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)


def test_the_saved_model_predicts_what_was_scored() -> None:
    out = run("--data", patients(), "--test", "0.5", "--epochs", "5", "--save", "m.zip")[1]
    assert "20 rows are held out" in out
    found = run("--load", "m.zip", "--predict", "patients.csv")[1].splitlines()[1:]
    assert len(found) == 40


def test_regression() -> None:
    Path("line.csv").write_text("x;y\n" + "".join(f"{x};{3 * x + 1000}\n" for x in range(40)))
    status, out, err = run("--data", "line.csv", "--layers", "none", "--lr", "0.1", "--save", "m.zip")
    assert (status, err) == (0, "")
    assert "y is a number" in out and "held-out RMSE: " in out and "confusion" not in out
    assert float(out.partition("held-out R2: ")[2].split()[0]) > 0.99
    head, number = run("--load", "m.zip", "--predict", "line.csv")[1].splitlines()[:2]
    assert head == "y" and abs(float(number) - 1000) < 5


def test_numbers_as_classes_and_missing_cells() -> None:
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{i},{i if i % 5 else 'NA'},{int(i > 10)}\n" for i in range(20)))
    status, _, err = run("--data", "t.csv")
    assert status == 2 and err.startswith("nn: t.csv, line 2, column 'b': the value is missing")
    for missing, rows, says in (("drop", 16, "those rows are dropped"), ("mean", 20, "filled in")):
        status, out, _ = run("--data", "t.csv", "--categories", "y", "--missing", missing, "--epochs", "2")
        assert status == 0 and f"{rows} rows" in out and f"missing cells ({says}): b 4" in out and "2 classes" in out
    status, out, _ = run("--data", "t.csv", "--ignore", "b", "--epochs", "2", "--categorical", "ordinal")
    assert status == 0 and "1 features; y is a number" in out


def test_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    run("--data", patients(), "--epochs", "1", "--save", "m.zip")
    monkeypatch.setattr(sys, "stdin", io.StringIO("Age,ChestPain\n50,none\n"))
    status, out, _ = run("--load", "m.zip", "--predict", "-")
    assert status == 0 and len(out.splitlines()) == 2


def test_data_sets_of_scikit_learn() -> None:
    pytest.importorskip("sklearn")
    status, out, _ = run("--data", "iris", "--epochs", "5", "--save", "iris.zip")
    assert status == 0 and "species is one of 3 classes" in out and "versicolor" in out
    assert "sepal length (cm)" in run("--load", "iris.zip")[1]
    status, out, _ = run("--data", "diabetes", "--epochs", "1", "--layers", "2")
    assert status == 0 and "progression is a number" in out


@pytest.mark.slow
def test_digits_are_learned_by_two_networks() -> None:
    pytest.importorskip("sklearn")
    status, out, err = run("--data", "digits", "--epochs", "2")
    assert (status, err) == (0, "") and "MLP 64-32-10, relu" in out and "LeNet (" in out
    assert [float(line.split()[2]) > 0.8 for line in out.splitlines() if line.startswith("held-out accuracy")] == [True, True]
    status, out, _ = run("--data", "digits", "--model", "cnn", "--epochs", "1", "--save", "m.zip")
    assert status == 0 and "MLP" not in out and "Conv2d" in run("--load", "m.zip")[1]


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plot(suffix: str) -> None:
    pytest.importorskip("matplotlib")
    status, out, _ = run("--epochs", "2", "--layers", "2", "--plot", f"loss.{suffix}")
    assert status == 0 and out.endswith(f"wrote loss.{suffix}\n") and Path(f"loss.{suffix}").stat().st_size > 1000


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, out, err = run("--plot", "loss.svg")
    assert (status, out) == (2, "") and "xigrad[plot]" in err and list(Path().iterdir()) == []


@pytest.mark.parametrize(("words", "says"), [
    (["--data", "nothing"], "neither a file nor a data set; the data sets are iris"),
    (["--data", "missing.csv"], "missing.csv: No such file"),
    (["--data", "t.csv", "--target", "z"], "no column 'z'; the columns are 'Age', 'ChestPain', 'AHD'"),
    (["--data", "one.csv"], "every AHD is 'No'"),
    (["--data", "short.csv"], "2 rows are too few"),
    (["--target", "y"], "--target is about CSV files"),
    (["--model", "cnn"], "--model cnn is for images: add --data digits"),
    (["--data", "digits", "--model", "cnn", "--layers", "3"], "--layers has no meaning beside --model cnn"),
    (["--data", "digits", "--save", "m.zip"], "--save is about one model, and digits are learned by two"),
    (["--layers", "0"], "'0' is not a whole number"),
    (["--layers", "3,"], "is not a whole number"),
    (["--layers", "x"], "'x' is not a whole number"),
    (["--epochs", "0"], "'0' is not a whole number"),
    (["--lr", "0"], "'0' is not a number between 0 and"),
    (["--lr", "nan"], "'nan' is not a number"),
    (["--test", "1"], "'1' is not a number between 0 and 1"),
    (["--activation", "wobble"], "wobble"),
    (["--optimizer", "magic"], "magic"),
    (["--seed", "-1"], "-1"),
    (["--what"], "--what"),
    (["extra"], "extra"),
    (["--save", "folder"], "folder: it is a folder"),
    (["--save", "missing/m.zip"], "missing is no folder that can be written to"),
    (["--plot", "loss.txt"], "a picture ends in .svg"),
    (["--predict", "t.csv"], "add --load FILE"),
    (["--load", "t.csv"], "t.csv"),
    (["--load", "missing.zip"], "missing.zip"),
    (["--load", "m.zip", "--epochs", "3"], "--epochs has no meaning beside --load"),
    (["--report", "--save", "m.zip"], "--save has no meaning beside --report"),
    (["--data", "t.csv", "--optimizer", "sgd", "--lr", "999999", "--activation", "relu"], "batch 1: "),
])
def test_bad_input_gets_one_line_and_writes_nothing(words: list[str], says: str) -> None:
    Path("folder").mkdir()
    patients(40, "t.csv")
    Path("one.csv").write_text("Age,AHD\n1,No\n2,No\n3,No\n4,No\n")
    Path("short.csv").write_text("Age,AHD\n1,No\n2,Yes\n")
    before = sorted(Path().rglob("*"))
    status, _, err = run(*words)
    assert status == 2 and err.startswith("nn: ") and says in err and err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(("text", "says"), [
    ("Age\n50\n", "no column 'ChestPain'; the columns are 'Age'"),
    ("Age,ChestPain\n50,strange\n", "line 2, column 'ChestPain': 'strange' is none of its categories 'none', 'typical'"),
    ("Age,ChestPain\nold,none\n", "line 2, column 'Age': 'old' is not a number"),
    ("Age,ChestPain\n,none\n", "line 2, column 'Age': the value is missing"),
    ("Age,ChestPain\n50\n", "line 2: 1 cells"),
    ("Age,ChestPain\n", "no rows"),
])
def test_files_that_a_model_cannot_predict(text: str, says: str) -> None:
    run("--data", patients(), "--epochs", "1", "--save", "m.zip")
    Path("new.csv").write_text(text)
    status, out, err = run("--load", "m.zip", "--predict", "new.csv")
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1


def test_models_that_cannot_predict_tables() -> None:
    from nn.layers import MLP
    from nn.saving.models import save
    save(MLP(2, [1], rng=0), "bare.zip")
    assert "without the columns that it reads" in run("--load", "bare.zip", "--predict", patients())[2]
    numbers = {"mean": [0.0], "scale": [1.0]}
    good = {"target": "y", "classes": [], "columns": [{"name": "a", "categories": [], "onehot": True, "fill": None}],
            "rows": numbers, "goal": {"mean": 0.0, "scale": 1.0}}
    save(MLP(1, [1], rng=0), "good.zip", extra={"table": good})
    assert run("--load", "good.zip")[0] == 0
    changes: tuple[dict[str, object], ...] = (
        {"columns": []}, {"columns": [{}]}, {"columns": 3}, {"classes": ["a", "b"]}, {"target": 3}, {"goal": None},
        {"goal": numbers}, {"rows": {"mean": [0.0], "scale": [0.0]}}, {"rows": {"mean": [0.0, 1.0], "scale": [1.0, 1.0]}},
        {"rows": None}, {"rows": {"mean": ["x"], "scale": [1.0]}}, {"classes": [1]})
    for change in changes:
        save(MLP(1, [1], rng=0), "bad.zip", extra={"table": good | change})
        status, _, err = run("--load", "bad.zip")
        assert status == 2 and "no sound description" in err and err.count("\n") == 1, change
    save(MLP(1, [1], rng=0), "bad.zip", extra={"table": [1]})
    assert run("--load", "bad.zip")[0] == 2


def test_a_model_file_that_was_cut() -> None:
    run("--data", patients(), "--epochs", "1", "--save", "m.zip")
    whole = Path("m.zip").read_bytes()
    assert zipfile.is_zipfile("m.zip")
    for n in (0, 10, len(whole) // 2, len(whole) - 1):
        Path("cut.zip").write_bytes(whole[:n])
        status, _, err = run("--load", "cut.zip")
        assert status == 2 and err.count("\n") == 1


def test_a_terminal_without_unicode() -> None:
    Path("t.csv").write_text("größe,y\n" + "".join(f"{i},{'ä' if i % 2 else 'ö'}\n" for i in range(8)), encoding="utf-8")
    status, out, _ = run("--data", "t.csv", "--epochs", "1", encoding="ascii")
    assert status == 0 and "\\xe4" in out


def test_lines_of_the_report() -> None:
    pytest.importorskip("sklearn")
    ticks = iter([0.0, 1.5])
    assert Trial("moons", "a guess", 0.9, lambda *rows: 0.5).line(lambda: next(ticks)).split() == [
        "moons", "a", "guess", "400", "0.90", "0.5000", "0.5000", "1.5", "missed"]
    lines = list(report((Trial("iris", "an oracle", 0.9, lambda *rows: 1.0),)))
    assert len(lines) == 2 and lines[1].startswith("iris   an oracle") and "missed" not in lines[1]


def test_the_report_fits_a_terminal_of_80_columns() -> None:
    assert max(len(trial.model) for trial in TRIALS) < 33
    long = Trial("moons", "m" * 32, 0.9, lambda *rows: 0.5).line(iter([0.0, 12345.6]).__next__)
    assert len(long) < 80 and "m 400" in long.replace("  ", " ")


@pytest.mark.parametrize("columns", [20, 40, 79, 80, None])
def test_a_wide_confusion_matrix_is_printed_in_parts(columns: int | None) -> None:
    names = [f"class {i}" for i in range(25)]
    y = np.arange(100) % 25
    title, about, *lines = scores(names, y, np.eye(25)[(y * y) % 25], columns)
    assert title.startswith("held-out accuracy") and about.startswith("confusion matrix")
    parts = [lines[i:i + 26] for i in range(0, len(lines), 26)]
    assert columns is None or max(map(len, lines)) <= columns
    assert (len(parts) == 1) == (columns is None)
    rows = [[cell for part in parts for cell in part[k][8:].split("  ") if cell.strip()] for k in range(26)]
    assert [name.strip() for name in rows[0]] == names
    assert np.array(rows[1:], dtype=int).sum() == 100 and all(part[3].startswith("class 2 ") for part in parts)


class TestProcess:
    """In a process of its own, as from a shell."""

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "nn", *words], capture_output=True, text=True, check=False,
                              encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)})

    def test_bad_input_has_no_traceback(self) -> None:
        done = self.start("--data", "nowhere.csv")
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1

    def test_help(self) -> None:
        done = self.start("--help")
        assert done.returncode == 0 and "example:" in done.stdout and "--layers" in done.stdout

    def test_no_progress_bar_in_a_file(self) -> None:
        done = self.start("--epochs", "1", "--layers", "2")
        assert (done.returncode, done.stderr) == (0, "")
