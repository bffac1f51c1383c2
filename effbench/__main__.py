"""`python -m effbench` is the command `effbench`."""

from effbench.cli import main

if __name__ == "__main__":
    main()
