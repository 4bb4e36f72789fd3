"""`hostcore modules`: the group."""

from __future__ import annotations

import click

from hostcore.cli.commands import Late, LateGroup

COMMANDS = {
    "list": Late("hostcore.cli.looking:list_", "List all modules: installed, configured, loaded."),
    "info": Late("hostcore.cli.looking:info", "Tell all that is known of a module."),
    "why": Late("hostcore.cli.looking:why", "Explain why a module is loaded, or why not."),
    "load": Late("hostcore.cli.changing:load", "Load a module into the running host."),
    "unload": Late("hostcore.cli.changing:unload", "Unload a module from the running host."),
    "reload": Late(
        "hostcore.cli.changing:reload", "Replace a running module by its newest release, keeping its state."
    ),
    "rollback": Late("hostcore.cli.changing:rollback", "Go back to an earlier generation of a module."),
    "history": Late("hostcore.cli.telling:history", "Tell what became of a module's generations."),
    "leaks": Late("hostcore.cli.telling:leaks", "Tell what is alive of old generations, and what holds it."),
    "crashes": Late("hostcore.cli.telling:crashes", "Tell who crashed, doing what, and what was done about it."),
    "revive": Late("hostcore.cli.changing:revive", "Start a module that has crashed, out of quarantine too."),
    "enable": Late("hostcore.cli.changing:enable", "Let a module load again."),
    "disable": Late("hostcore.cli.changing:disable", "Keep a module from loading."),
    "call": Late("hostcore.cli.talking:call", "Send a module a message and print the reply."),
    "send": Late("hostcore.cli.talking:send", "Send a module a message that needs no reply."),
    "test-isolation": Late("hostcore.cli.isolation:test_isolation", "Try whether modules are contained."),
    "bench": Late("hostcore.cli.bench:bench", "Measure requests and messages on this machine."),
}


@click.group(cls=LateGroup, late=COMMANDS)
def modules() -> None:
    """List, load, reload, switch and talk to modules.

    list, info, why, enable and disable also work without a running host, and import no module.
    """
