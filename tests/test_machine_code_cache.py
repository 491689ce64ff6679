"""Machine code that is kept: the same as compiled anew, whoever damages the files, and whoever else reads and writes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

import nn
from autograd import Compiled, Primitive, Value, compile, sin, tanh
from autograd.compiler import roll
from autograd.compiler.backends.choose import no_llvm
from autograd.compiler.backends.llvm import cache
from autograd.compiler.backends.recent import forget, key_of
from autograd.compiler.program import Program
from autograd.primitives import add, mul

ROOT = Path(__file__).parents[1]
KEY, CODE = cache.key_of("some assembly"), bytes(range(256)) * 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of this test alone."""
    monkeypatch.setenv("XIGRAD_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    forget()


@pytest.fixture
def compilations(require_tool: Callable[[str], None]) -> Iterator[list[str]]:
    """What LLVM is given to compile."""
    require_tool("llvmlite")
    from llvmlite import binding
    assert not no_llvm()   # which compiles the smallest program
    made: list[str] = []
    emit = binding.TargetMachine.emit_object

    def noted(self: Any, module: Any) -> Any:
        made.append(str(module))
        return emit(self, module)
    with patch.object(binding.TargetMachine, "emit_object", noted):
        yield made


def network() -> Compiled:
    """Loops: a layer of four units and its slopes."""
    W, x = [Value(0.0) for _ in range(12)], [Value(0.0) for _ in range(3)]
    L = sum([tanh(W[3 * j] * x[0] + W[3 * j + 1] * x[1] + W[3 * j + 2] * x[2]) ** 2 for j in range(4)], 0.0)
    return compile(L, [W, x], batch=1, reduce="sum", backend="llvm")


def irregular() -> Compiled:
    """Instruction after instruction: no two lines of a level alike."""
    W, x = [Value(0.0) for _ in range(12)], [Value(0.0) for _ in range(3)]
    y: Any = x[0]
    for k in range(150):
        y = [tanh, sin, lambda v: v * v, lambda v: v + W[5]][k * k % 4](y * W[k % 12] + x[k % 3])
    return compile(y, [W, x], batch=1, reduce="sum", backend="llvm")


def result(f: Compiled) -> list[Any]:
    rng = np.random.default_rng(0)
    value, slopes = f.value_and_grad(rng.normal(size=12), rng.normal(size=(50, 3)))
    return [value, *slopes]


# ---- what is kept is what would be compiled

@pytest.mark.parametrize("make", [network, irregular])
def test_a_hit_is_a_miss_bit_for_bit(make: Callable[[], Compiled], folder: Path, compilations: list[str],
                                     monkeypatch: pytest.MonkeyPatch) -> None:
    first = result(make())
    assert len(compilations) == 1 and len(list(folder.glob("*.code"))) == 1
    assert result(make()) == first
    forget()
    assert result(make()) == first
    assert len(compilations) == 1
    monkeypatch.setenv("XIGRAD_CACHE", "0")
    assert result(make()) == first
    assert len(compilations) == 2


def training() -> list[Any]:
    """What a training leaves, whose steps are made in the loop."""
    X, y = nn.make_moons(60, rng=0)
    model = nn.MLP(2, [5, 1], rng=0)
    rows = nn.fit(model, X, y, epochs=40, batch_size=20, rng=0, compiled="llvm", verbose=False).rows
    return [*[x for row in rows for x in row.values()], *[p.data for p in model.parameters()]]


def test_a_training_is_the_same_wherever_its_machine_code_comes_from(folder: Path, compilations: list[str],
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    first = training()
    assert len(compilations) == 2   # the cost and the loop
    assert training() == first
    forget()
    assert training() == first and len(compilations) == 2
    for damage in (lambda x: x[:-100], lambda x: x[::-1], lambda x: b""):
        for path in folder.glob("*.code"):
            path.write_bytes(damage(path.read_bytes()))
        forget()
        compilations.clear()
        assert training() == first and len(compilations) == 2
    folder.chmod(0o500)
    with patch.object(cache, "write_whole", side_effect=PermissionError):   # as for those whom modes bind
        for path in folder.glob("*.code"):
            path.unlink()
        forget()
        assert training() == first and not list(folder.iterdir())
    folder.chmod(0o700)
    monkeypatch.setenv("XIGRAD_CACHE", "0")
    assert training() == first


def test_what_is_rolled_again_has_the_names_of_its_own_graph(backend: str, folder: Path) -> None:
    def shown(name: str) -> str:
        w, x = Value(2.0, label=name), [Value(0.0, label=f"{name}{i}") for i in range(2)]
        f = compile(tanh(w * x[0]) + w * x[1], [w, x], batch=1, reduce="sum", backend=backend)
        return f"{f(3.0, np.ones((2, 2)))}: {f}"
    with patch("autograd.compiler.roll.roll", wraps=roll.roll) as rolling:
        found = [shown(name) for name in ("first", "other", "first")]
    assert found[0] == found[2] and rolling.call_count == (backend != "python")
    if backend != "python":
        assert "first" in found[0] and "other" in found[1] and found[0] == found[1].replace("other", "first")


def test_the_machine_is_part_of_the_name(folder: Path, compilations: list[str]) -> None:
    from llvmlite import binding
    result(network())
    changes: list[Any] = [patch("llvmlite.__version__", "0.99"), patch.object(binding, "llvm_version_info", (99, 0, 0)),
               patch.object(binding, "get_host_cpu_name", lambda: "generic"),
               patch("autograd.compiler.backends.llvm.native._LEVEL", 1)]
    for count, change in enumerate(changes, 2):
        forget()
        with change:
            result(network())
        assert len(compilations) == count
    assert len(list(folder.glob("*.code"))) == 1 + len(changes)


SOME = Program(1, 1, 1, [None, None, None, mul, add], [(), (), (), (0, 1), (2, 3)], [False, True, False, True, True], {2: 0.0},
               [4, 3], {0: "w"})
OTHERS = {
    "-0.0": replace(SOME, numbers={2: -0.0}), "another operation": replace(SOME, ops=[None, None, None, add, add]),
    "other arguments": replace(SOME, args=[(), (), (), (1, 1), (2, 3)]), "another output": replace(SOME, outputs=[3, 4]),
    "fewer outputs": replace(SOME, outputs=[4]), "two sums": replace(SOME, sums=2),
    "nothing shared": replace(SOME, shared=0, varying=2, varies=[True, True, False, True, True]),
    "an argument more": replace(SOME, args=[(), (), (), (0,), (1, 2, 3)])}


@pytest.mark.parametrize("change", OTHERS)
def test_the_key_of_a_program_is_what_it_computes(change: str) -> None:
    assert key_of(OTHERS[change]) != key_of(SOME)


def test_the_key_of_a_program_is_not_how_it_is_called_or_where_it_is() -> None:
    again = replace(SOME, ops=[*SOME.ops], args=[(*of,) for of in SOME.args], labels={0: "v"})
    assert key_of(again) == key_of(SOME) and hash(key_of(again)) == hash(key_of(SOME))


def test_rows_of_one_name_are_two_operations(backend: str, folder: Path) -> None:
    """A row that is defined again under its name is another operation, and so its programs are others."""
    found = []
    for n in (2.0, 3.0):
        row = Primitive("docs_scaled", value=lambda x, n=n: n * x, array=lambda xp, x, n=n: n * x,
                        partials=lambda y, x: (y / x,))
        x = Value(1.0)
        found.append(compile(row(x), [x], batch=0, reduce="sum", backend=backend)(np.array([1.0, 1.0])))
    assert found == [4.0, 6.0]


# ---- files that are damaged, foreign, or not to be trusted

DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda x: b"", "cut short": lambda x: x[:-1], "only a beginning": lambda x: x[:40], "longer": lambda x: x + b"\0",
    "a bit of the code": lambda x: x[:-5] + bytes([x[-5] ^ 16]) + x[-4:], "a bit of the mark": lambda x: b"X" + x[1:],
    "a bit of the sum": lambda x: x[:70] + bytes([x[70] ^ 1]) + x[71:], "something else": lambda x: b"\x7fELF" + bytes(4000)}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_as_good_as_none_and_is_replaced(damage: str, folder: Path) -> None:
    cache.keep(KEY, CODE)
    path = folder / f"{KEY}.code"
    whole = path.read_bytes()
    assert cache.kept(KEY) == CODE
    path.write_bytes(DAMAGES[damage](whole))
    assert cache.kept(KEY) is None
    cache.keep(KEY, CODE)
    assert cache.kept(KEY) == CODE and path.read_bytes() == whole


def test_a_file_under_another_name_is_as_good_as_none(folder: Path) -> None:
    cache.keep(KEY, CODE)
    other = cache.key_of("other assembly")
    (folder / f"{KEY}.code").rename(folder / f"{other}.code")
    assert cache.kept(other) is None


def test_a_damaged_cache_is_compiled_anew(folder: Path, compilations: list[str]) -> None:
    first = result(network())
    path = next(folder.glob("*.code"))
    path.write_bytes(path.read_bytes()[:-100])
    for _ in range(2):
        forget()
        assert result(network()) == first
    assert len(compilations) == 2


posix = pytest.mark.skipif(os.name != "posix", reason="of owners and modes, as POSIX has them")


def somebody_writes_the_file(folder: Path) -> None:
    (folder / f"{KEY}.code").chmod(0o620)


def somebody_writes_the_folder(folder: Path) -> None:
    folder.chmod(0o777)


def it_is_a_link(folder: Path) -> None:
    path = folder / f"{KEY}.code"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def it_is_a_pipe(folder: Path) -> None:
    (folder / f"{KEY}.code").unlink()
    os.mkfifo(folder / f"{KEY}.code")


def it_is_a_folder(folder: Path) -> None:
    (folder / f"{KEY}.code").unlink()
    (folder / f"{KEY}.code").mkdir()


@posix
@pytest.mark.filterwarnings("ignore:XIGRAD_CACHE:RuntimeWarning")
@pytest.mark.parametrize("change", [somebody_writes_the_file, somebody_writes_the_folder, it_is_a_link, it_is_a_pipe,
                                    it_is_a_folder])
def test_what_somebody_else_may_have_written_is_not_run(change: Callable[[Path], None], folder: Path) -> None:
    cache.keep(KEY, CODE)
    assert cache.kept(KEY) == CODE
    change(folder)
    assert cache.kept(KEY) is None
    cache.keep(KEY, CODE)
    assert cache.kept(KEY) == (CODE if change in (somebody_writes_the_file, it_is_a_link, it_is_a_pipe) else None)


@posix
@pytest.mark.filterwarnings("ignore:XIGRAD_CACHE:RuntimeWarning")
def test_a_folder_or_a_file_of_somebody_else_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.keep(KEY, CODE)
    path, own = folder / f"{KEY}.code", os.geteuid()
    assert cache._read(path)
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert cache._read(path) is None and cache.kept(KEY) is None
    cache.keep(cache.key_of("more"), CODE)
    assert list(folder.iterdir()) == [path]


@posix
def test_only_the_user_may_read_and_write_what_is_kept(folder: Path) -> None:
    before = os.umask(0)
    try:
        cache.keep(KEY, CODE)
    finally:
        os.umask(before)
    assert (folder.stat().st_mode & 0o777, (folder / f"{KEY}.code").stat().st_mode & 0o777) == (0o700, 0o600)


# ---- where there is no place for it

def unwritable_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir(0o500)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if os.geteuid() == 0:   # to whom modes are nothing
        def refused(self: Path, *args: Any, **options: Any) -> None:
            raise PermissionError(13, "Permission denied", str(self))
        monkeypatch.setattr(Path, "mkdir", refused)


def missing_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")
    monkeypatch.setattr(Path, "home", nowhere)


def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    def full(*args: Any, **options: Any) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr("autograd.files.os.open", full)


@posix
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("home", [unwritable_home, missing_home, no_home, full_disk])
def test_without_a_place_it_works_without_a_word(home: Callable[[Path, pytest.MonkeyPatch], None], tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch, compilations: list[str]) -> None:
    monkeypatch.delenv("XIGRAD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    home(tmp_path, monkeypatch)
    found = []
    for _ in range(2):
        forget()
        found.append(result(network()))
    forget()
    assert found[0] == found[1] and len(compilations) == 2
    assert not list(tmp_path.rglob("*.code")) and not list(tmp_path.rglob("*.part"))


def test_nothing_is_kept_if_nothing_is_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIGRAD_CACHE", "0")
    cache.keep(KEY, CODE)
    assert cache.kept(KEY) is None and not folder.exists()


@pytest.mark.parametrize("chosen", ["off", "some/where", "/dev/null/cache"])
def test_a_folder_that_cannot_be_had_is_told_once(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIGRAD_CACHE", chosen)
    cache._refused.cache_clear()
    with pytest.warns(RuntimeWarning, match=rf"^XIGRAD_CACHE='{chosen}' is no folder.*, or 0 to keep none$") as told:
        for _ in range(2):
            cache.keep(KEY, CODE)
            assert cache.kept(KEY) is None
    assert len(told) == 1 and not Path(chosen).exists()


@pytest.mark.parametrize("platform, environment, place", [
    ("linux", {}, "home/.cache/xigrad"), ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/xigrad"),
    ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/xigrad"), ("linux", {"XDG_CACHE_HOME": ""}, "home/.cache/xigrad"),
    ("darwin", {"XDG_CACHE_HOME": "/x"}, "home/Library/Caches/xigrad"),
    ("win32", {"LOCALAPPDATA": "/local"}, "/local/xigrad/Cache"), ("win32", {}, "home/AppData/Local/xigrad/Cache")])
def test_the_place_is_the_platforms(platform: str, environment: dict[str, str], place: str, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, x in environment.items():
        monkeypatch.setenv(name, x)
    assert cache._usual() == tmp_path / place


# ---- how much is kept

def test_what_was_not_used_for_the_longest_time_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(CODE) + len(cache._MAGIC) + 64
    monkeypatch.setattr(cache, "LIMIT", 4 * size)
    keys = [cache.key_of(str(k)) for k in range(5)]
    for age, key in enumerate(keys[:4]):
        cache.keep(key, CODE)
        os.utime(folder / f"{key}.code", (1000 + age, 1000 + age))
    (folder / "notes.txt").write_bytes(CODE * 8)   # which is the user's, and counts for nothing
    assert cache.kept(keys[0]) == CODE             # used now, so the second is the oldest
    cache.keep(keys[4], CODE)
    assert [cache.kept(key) is not None for key in keys] == [True, False, True, True, True]
    cache.keep(cache.key_of("much"), CODE * 4)     # more than a quarter of the room
    assert cache.kept(cache.key_of("much")) is None and (folder / "notes.txt").exists()


def test_what_a_killed_process_left_is_removed_in_time(folder: Path) -> None:
    cache.keep(KEY, CODE)
    now = time.time()
    for name, age in (("0123abcd", 5000.0), ("4567cdef", 5.0)):
        (folder / f".{name}.part").write_bytes(CODE)
        os.utime(folder / f".{name}.part", (now - age, now - age))
    cache.keep(cache.key_of("more"), CODE)
    assert [path.name for path in folder.glob(".*.part")] == [".4567cdef.part"]


# ---- several at once

def test_threads_at_once_read_whole_files(folder: Path) -> None:
    def work(k: int) -> bool:
        for _ in range(25):
            cache.keep(KEY, CODE)
            if cache.kept(KEY) not in (CODE, None):
                return False
        return True
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert cache.kept(KEY) == CODE and len(list(folder.iterdir())) == 1


def test_processes_at_once_share_what_they_keep(folder: Path, require_tool: Callable[[str], None]) -> None:
    require_tool("llvmlite")
    code = "import test_machine_code_cache as t; print([float(x).hex() for x in [*t.result(t.network()), *t.training()]])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    several = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate()[0] for process in several]
    assert printed[0] == printed[1] == f"{[float(x).hex() for x in [*result(network()), *training()]]}\n"
    assert [path.suffix for path in folder.iterdir()] == [".code"] * 3
