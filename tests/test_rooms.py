"""Which package imports which: autograd nothing of ours, nn and viz only autograd; and what an import loads."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OURS = {"autograd", "nn", "viz"}
MAY_IMPORT: dict[str, set[str]] = {"autograd": set(), "nn": {"autograd"}, "viz": {"autograd"}}
HOOKS = {("value.py", "viz"), ("__main__.py", "viz")}   # imported inside a function, when a notebook or the command asks


ARRAYS = {"arrays.py", "roll.py", "show.py", "numpy_backend.py", "llvm_backend.py", "llvm_straight.py"}   # loaded for arrays


def imports(file: Path) -> set[tuple[str, bool]]:
    """(package, whether at the top of the file) of every absolute import."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = {id(node) for node in ast.walk(tree) if isinstance(node, ast.Module) for node in node.body}
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found |= {(name.split(".")[0], id(node) in top) for name in names}
    return found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        for name, at_top in imports(file):
            if name in OURS - {package} - MAY_IMPORT[package]:
                assert (file.name, name) in HOOKS and not at_top, f"{file.name} imports {name}"


def test_the_engine_needs_only_the_standard_library() -> None:
    for file in (ROOT / "autograd").rglob("*.py"):
        if file.name not in ARRAYS:
            at_top = {name for name, at_top in imports(file) if at_top}
            assert at_top <= set(sys.stdlib_module_names) | {"autograd"}, file.name


def test_import_does_not_load_numpy_or_viz() -> None:
    code = "import sys, autograd; print([m for m in ('numpy', 'viz', 'inspect', 'csv', 'argparse') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "[]\n"


def test_another_package_called_autograd_is_named(tmp_path: Path) -> None:
    (tmp_path / "autograd").mkdir()
    (tmp_path / "autograd" / "__init__.py").write_text("def grad(f): ...")
    (tmp_path / "viz").symlink_to(ROOT / "viz")
    done = subprocess.run([sys.executable, "-c", "import viz"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "ImportError" in done.stderr and "HIPS" in done.stderr
