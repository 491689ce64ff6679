"""`python3 tests`: the environment that it makes, finds again and makes anew, and what it says where it cannot."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import running

from conftest import pytest_configure

SOURCE = Path(__file__).with_name("__main__.py")
posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for an interpreter is a shell script")


class Copy:
    """A repository of only what `python3 tests` needs, in a folder of its own, with the commands that it gave."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (root / "tests").mkdir(parents=True)
        shutil.copy(SOURCE, root / "tests")
        shutil.copy(SOURCE.parent.parent / "pyproject.toml", root)
        spec = importlib.util.spec_from_file_location("bootstrap", root / "tests" / "__main__.py")
        assert spec is not None
        assert spec.loader is not None
        self.root, self.module = root, importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.module)
        self.commands: list[tuple[str, ...]] = []
        self.status: dict[str, int] = {}   # of a command, by a word in it; 0 unless given
        monkeypatch.setattr(self.module, "run", self.run)

    def run(self, *command: str) -> int:
        self.commands.append(command)
        if "venv" in command:
            self.module.PYTHON.parent.mkdir(parents=True)
            self.module.PYTHON.touch()
        return max([code for word, code in self.status.items() if word in command], default=0)

    def main(self, *arguments: str) -> Any:
        self.commands.clear()
        return self.module.main(list(arguments))

    def checks(self) -> list[str]:
        """The modules that were run after the environment was there."""
        return [c[2] for c in self.commands if c[0] == str(self.module.PYTHON) and c[2] != "pip"]

    def built(self) -> bool:
        return any("venv" in c for c in self.commands)


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copy:
    return Copy(tmp_path / "a repository", monkeypatch)


def start(root: Path, *arguments: str, before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """`python3 root/tests`, really, after the statements `before`."""
    return subprocess.run(command(root, *arguments, before=before), env=os.environ | variables, capture_output=True, text=True,
                          check=False)


def command(root: Path, *arguments: str, before: str) -> list[str]:
    return [sys.executable, "-c", f"import runpy, sys\n{before}\nsys.argv[1:] = {list(arguments)!r}\n"
            f"runpy.run_path({str(root / 'tests')!r}, run_name='__main__')"]


def test_an_old_python_can_read_it_and_is_told_which_it_needs(copy: Copy) -> None:
    ast.parse(SOURCE.read_text(encoding="utf-8"), feature_version=(3, 6))
    done = start(copy.root, before="sys.version_info = (3, 8, 18, 'final', 0)")
    assert done.returncode == 2
    assert "needs Python 3.11" in done.stderr
    assert not (copy.root / ".venv").exists()


def test_it_needs_the_standard_library_only() -> None:
    imported = {name.name for node in ast.walk(ast.parse(SOURCE.read_text(encoding="utf-8")))
                if isinstance(node, ast.Import) for name in node.names}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_without_arguments_everything_runs_and_pytest_last(copy: Copy) -> None:
    assert copy.main() == 0
    assert copy.checks() == ["ruff", "mypy", "pytest"]
    assert {"-n", "auto"} < {*copy.commands[-1]}   # on all cores


@pytest.mark.parametrize("failing", ["ruff", "mypy", "pytest"])
def test_one_failure_is_enough_and_stops_nothing(copy: Copy, failing: str, capsys: pytest.CaptureFixture[str]) -> None:
    copy.status[failing] = 1
    assert copy.main() == 1
    assert copy.checks() == ["ruff", "mypy", "pytest"]
    assert capsys.readouterr().err.endswith(f"failed: {failing}\n")


def test_with_arguments_only_pytest_runs_with_its_own_status(copy: Copy) -> None:
    copy.status["-k"] = 5
    assert copy.main("-k", "nothing") == 5
    assert copy.commands[-1][1:] == ("-m", "pytest", "-k", "nothing")
    assert copy.checks() == ["pytest"]


def test_what_is_demanded_is_not_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIGRAD_REQUIRE", "pytest,a-tool-of-no-name,python3")
    with pytest.raises(pytest.UsageError, match="demands a-tool-of-no-name, which"):
        pytest_configure()


def test_paths_are_relative_to_the_repository_or_to_where_one_is(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    (copy.root / "tests" / "test_a.py").touch()
    monkeypatch.chdir(copy.root / "tests")
    copy.main("tests/test_a.py", "test_a.py::test_b", "-k", "a")
    assert copy.commands[-1][3:] == ("tests/test_a.py", str(copy.root / "tests" / "test_a.py::test_b"), "-k", "a")


def test_a_complete_environment_is_found_again(copy: Copy) -> None:
    copy.main()
    assert copy.built()
    copy.main()
    assert not copy.built()
    assert len(copy.commands) == 3


def test_an_environment_that_was_interrupted_in_the_making_is_made_anew(copy: Copy) -> None:
    copy.status["-e"] = 1
    assert copy.main() == 2
    remains = copy.module.ENVIRONMENT / "half"
    remains.touch()
    copy.status.clear()
    assert copy.main() == 0
    assert copy.built()
    assert not remains.exists()


@pytest.mark.parametrize(("old", "new", "anew"), [
    ("pytest>=8", "pytest>=8.1", True), ("line-length = 128", "line-length = 100", False)])
def test_it_is_made_anew_when_it_must_hold_something_else(copy: Copy, old: str, new: str, anew: bool) -> None:
    copy.main()
    project = copy.root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    assert old in text
    project.write_text(text.replace(old, new), encoding="utf-8")
    copy.main()
    assert copy.built() is anew


def test_without_a_package_index_it_says_so(copy: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    copy.status["-e"] = 1
    assert copy.main() == 2
    assert "needs a connection" in capsys.readouterr().err
    assert copy.checks() == []


def test_without_uv_and_ensurepip_it_says_what_to_install(copy: Copy) -> None:
    done = start(copy.root, before="import importlib.util as u; find = u.find_spec; "
                                   "u.find_spec = lambda name: None if name == 'ensurepip' else find(name)", PATH="")
    assert done.returncode == 2
    assert "apt install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr


def interpreter(copy: Copy, script: str) -> None:
    """A complete environment whose python is a shell script."""
    copy.main()
    copy.module.PYTHON.write_text(f"#!/bin/sh\n{script}\n")
    copy.module.PYTHON.chmod(0o755)


@posix
def test_variables_of_another_environment_are_dropped(copy: Copy) -> None:
    interpreter(copy, 'echo "[$PYTHONPATH$VIRTUAL_ENV] $KEPT"')
    done = start(copy.root, "-x", PYTHONPATH="/elsewhere", VIRTUAL_ENV="/elsewhere", KEPT="kept")
    assert (done.stdout, done.stderr, done.returncode) == ("[] kept\n", "", 0)


@posix
def test_ctrl_c_ends_it_quietly(copy: Copy) -> None:
    interpreter(copy, "trap 'echo ended; exit 2' INT; echo started; while :; do sleep 0.05; done")
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"   # a job in the background ignores it
    with running(command(copy.root, before=heard), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert (output, errors, process.returncode) == ("ended\n", "", 130)
