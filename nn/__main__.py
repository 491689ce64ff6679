"""python3 -m nn."""

from autograd.command.shell import run

from .command.main import main

if __name__ == "__main__":
    run(main)
