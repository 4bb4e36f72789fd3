"""The entrance: the groups, and what becomes of errors.

Whatever goes wrong ends in one place: a message in the form of `hostcore.errors`, on standard error or, with `--json`,
as {"error": {...}} on standard output, and an exit code.

    0 ok    1 failed    2 usage    3 internal    10 rolled back    11 unresolvable    12 denied    13 no running host

As in a shell, 130 says that Ctrl-C ended it.  Output that nobody reads any more (`| head`) ends it quietly, with 1.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from hostcore import __version__
from hostcore.cli import output
from hostcore.cli.commands import Late, LateGroup
from hostcore.errors import HostcoreError

USAGE_CODE = "HC902"
INTERRUPTED = 130
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

COMMANDS = {
    "run": Late("hostcore.cli.run:run", "Run a host: load the modules and serve until Ctrl-C."),
    "dev": Late("hostcore.cli.dev:dev", "Run the modules of a project and reload them as you edit."),
    "build": Late("hostcore.cli.build:build", "Build a project's modules as WebAssembly components."),
    "modules": Late("hostcore.cli.modules:modules", "List, load, reload, switch and talk to modules."),
    "grant": Late("hostcore.cli.granting:grant", "Show what a module asks for, and grant it."),
    "revoke": Late("hostcore.cli.granting:revoke", "Take back what a module was granted."),
    "grants": Late("hostcore.cli.grants:grants", "List what modules ask for, have, and were refused."),
    "doctor": Late("hostcore.cli.doctor:doctor", "Look for what is wrong with this installation."),
    "demo": Late("hostcore.cli.demo:demo", "Show a host, three modules and a reload under load."),
}
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(cls=LateGroup, late=COMMANDS, context_settings=SETTINGS)
@click.version_option(__version__, message="hostcore %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an internal error.")
def hostcore() -> None:
    """Load, unload and hot-reload modules in a running Python program."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    _prepare_output()
    own = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    try:
        code = _run(arguments, as_json="--json" in own, debug="--debug" in own)
        sys.stdout.flush()
    except OSError as error:
        _drop_output()
        if not isinstance(error, BrokenPipeError):
            print(f"hostcore: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return code


def _prepare_output() -> None:
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed by whoever started this
            while os.open(os.devnull, os.O_WRONLY) < number:
                pass  # file descriptor 0 is closed as well
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115 - a descriptor, for good
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show is no reason to fail


def _run(arguments: Sequence[str], *, as_json: bool, debug: bool) -> int:
    try:
        result = hostcore.main(list(arguments), "hostcore", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as wrong:
        return _usage(wrong, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except HostcoreError as error:
        return output.fail(error.as_data(), as_json=as_json)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        return _internal(error, as_json=as_json, debug=debug)


def _usage(wrong: click.ClickException, *, as_json: bool) -> int:
    if not as_json:
        wrong.show()
        return wrong.exit_code
    problem = {"message": wrong.format_message(), "code": USAGE_CODE}
    data: dict[str, Any] = {"type": "UsageError", "code": USAGE_CODE, "exit_code": wrong.exit_code,
                            "text": f"{USAGE_CODE} {wrong.format_message()}", "problems": [problem]}  # fmt: skip
    return output.fail(data, as_json=True)


def _internal(error: Exception, *, as_json: bool, debug: bool) -> int:
    from hostcore.control.protocol import internal_error

    if debug:
        import traceback

        traceback.print_exception(error)
    hint = "please report it" if debug else "run it again with --debug to see where, and report that"
    return output.fail(internal_error(error, hint), as_json=as_json)


def _drop_output() -> None:
    """Have what is still buffered written to nowhere, or the interpreter complains when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
