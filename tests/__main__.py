"""Set up and run everything: `python3 tests` checks style (ruff) and types (mypy) and runs the tests (pytest) on all cores.

With pytest arguments, as in `python3 tests -k sweep` or `python3 tests -n auto -m "not slow"`, only pytest runs, with those.

It needs Python 3.11 and its standard library. The first run makes an environment in the repository, one for each
version of Python, .venv/tests-…: with uv if it is there, else with venv and pip. Later runs find it; it is made again
when pyproject.toml asks for something else, when Python or the repository moved, or when making it was interrupted.
"""

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 (so an older Python must be able to read this file)
    sys.stderr.write(f"python3 tests: this is Python {sys.version.split()[0]} at {sys.executable}; xigrad needs Python 3.11 "
                     "or newer. Start it with one, as in: python3.11 tests\n")
    sys.exit(2)

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv" / f"tests-{sys.implementation.cache_tag}"
PYTHON = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = ENVIRONMENT / "complete"   # written last; holds the recipe that the environment was made by
CHECKS = (["ruff", "check"], ["mypy"], ["pytest", "-n", "auto", "--maxprocesses", "8", "--dist", "worksteal"])
FOREIGN = (   # environment variables that would lead elsewhere than to the environment, or drop the tests' asserts
    "PYTHONPATH", "PYTHONHOME", "PYTHONOPTIMIZE", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON",
    "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX")


class CannotPrepareError(Exception):
    """The environment cannot be made, for the reason that is told."""


def main(arguments: list[str]) -> int:
    """The exit status: 0 if all is well, 1 if a check failed, pytest's own with arguments, 2 if there is no environment."""
    try:
        prepare()
    except (CannotPrepareError, OSError) as error:
        print(f"python3 tests: {error}", file=sys.stderr)
        return 2
    if arguments:
        return run(str(PYTHON), "-m", "pytest", *located(arguments, Path.cwd()))
    failed = [check[0] for check in CHECKS if run(str(PYTHON), "-m", *check)]
    if failed:
        print(f"python3 tests: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def prepare() -> None:
    """Make the environment unless it is there, complete and of today's recipe."""
    if complete():
        return
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with locked(ENVIRONMENT.with_suffix(".lock")):
        if not complete():
            if ENVIRONMENT.exists():
                shutil.rmtree(ENVIRONMENT)
            install()
            STAMP.write_text(recipe(), encoding="utf-8")


def complete() -> bool:
    return PYTHON.exists() and STAMP.is_file() and STAMP.read_text(encoding="utf-8") == recipe()


def recipe() -> str:
    """What the environment depends on, as a hash: the interpreter, the place, and what pyproject.toml asks for."""
    import tomllib
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    parts = [sys.version, sys.base_prefix, str(ROOT), project["build-system"], project["project"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def install() -> None:
    """A new environment with the package, editable, and what its tests need."""
    uv = working_uv()
    if uv:
        make, add = [uv, "venv", "-q", "--python", sys.executable], [uv, "pip", "install", "-q", "--python", str(PYTHON)]
    elif importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip"):
        make, add = [sys.executable, "-m", "venv"], [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    else:
        raise CannotPrepareError(f"{sys.executable} can make no virtual environment: it lacks the module ensurepip, and uv is "
                                 "not on PATH. On Debian and Ubuntu: apt install python3-venv. Anywhere: install uv.")
    print(f"python3 tests: making {ENVIRONMENT.relative_to(ROOT)} with {'uv' if uv else 'venv and pip'}, once", file=sys.stderr)
    if run(*make, str(ENVIRONMENT)):
        raise CannotPrepareError(f"could not make a virtual environment in {ENVIRONMENT}, as told above.")
    if run(*add, "-e", ".[test]"):
        raise CannotPrepareError("could not install what the tests need, as told above. The first run needs a connection to a "
                                 "Python package index; later runs need none.")


def working_uv() -> str | None:
    """The path of uv, if it can be started: a version manager's stand-in may not."""
    uv = shutil.which("uv")
    return uv if uv and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0 else None


def run(*command: str) -> int:
    """The exit status of a command, run in the repository without what an outer environment set."""
    env = {name: x for name, x in os.environ.items() if name not in FOREIGN} | {"PIP_USER": "0"}
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        return process.wait()
    except KeyboardInterrupt:   # the terminal told it too: let it end in its own words
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Of several runs started at once, one makes the environment; where there are no file locks, none waits."""
    with open(path, "w", encoding="utf-8") as file:
        with contextlib.suppress(ImportError):
            import fcntl
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def located(arguments: list[str], here: Path) -> list[str]:
    """The arguments for pytest, of a run in the repository: a path that is only found from `here` is made absolute."""
    def exists(folder: Path, argument: str) -> bool:
        return not argument.startswith("-") and (folder / argument.partition("::")[0]).exists()
    return [str(here / a) if exists(here, a) and not exists(ROOT, a) else a for a in arguments]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
