"""python3 -m autograd.testing."""

from ..command.shell import run
from .main import main

if __name__ == "__main__":
    run(main)
