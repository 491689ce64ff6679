"""python3 -m autograd."""

from .command.main import main
from .command.shell import run

if __name__ == "__main__":
    run(main)
