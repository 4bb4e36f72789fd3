"""The command line: `hostcore`.

`app` is the entrance, `commands` what all commands have in common; each other file is a command or a group of them,
imported when it is used, for `hostcore modules list` has to be quick.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line with the process's arguments, and exit with its code."""
    import sys

    try:
        from hostcore.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while importing
        code = 130
    sys.exit(code)
