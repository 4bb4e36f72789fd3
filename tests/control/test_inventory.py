"""The inventory and its explanations, from what is installed, configured, switched off and loaded."""

from __future__ import annotations

import pytest
from support.distributions import fake_install
from support.modules import ECHO, ModuleWriter, install

from hostcore.config import load_config, state_dir
from hostcore.control.explaining import explain
from hostcore.control.inventory import Inventory, Live
from hostcore.control.switching import switch
from hostcore.errors import ConfigError, UnknownModuleError
from hostcore.packages.discovery import Discovery
from hostcore.runtime.enabling import Switches

INFO = {"name": "echo", "state": "running", "generation": 3, "version": "0.9", "distribution": "acme-echo",
        "source": "", "host": "native", "provides": (), "requires": (), "mailbox": 2, "handled": 5, "failed": 1,
        "dropped": 0, "latency_p50_us": 1.5, "latency_p99_us": 2.5, "error": ""}  # fmt: skip


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


@pytest.fixture
def take(site):
    """Make the inventory of `site`, with a configuration and what is loaded."""

    def make(live=None, **config):
        return Inventory(load_config(config), Discovery([str(site)]).scan(), live)

    return make


def about(explanation, heading) -> list[str]:
    return [fact["text"] for fact in explanation["facts"] if fact["about"] == heading]


def test_an_installed_module_has_a_row(take, site):
    """A row tells what metadata and manifest say, in the list as in the details."""
    install(site, "echo", ECHO, version="1.2", manifest="summary = 'Says it again.'\nprovides = ['echo/2']\n"
            "requires = ['clock>=1']\nactivate = 'on-demand'")  # fmt: skip
    (row,) = take().rows()
    assert (row.name, row.state, row.version, row.distribution) == ("echo", "installed", "1.2", "acme-echo")
    assert (row.summary, row.provides, row.requires) == ("Says it again.", ("echo/2",), ("clock>=1",))
    assert (row.enabled, row.activate, row.host, row.generation) == (True, "on-demand", "native", 0)
    assert take().row("echo") == row


def test_a_module_without_a_manifest_has_the_defaults(take, site):
    """No manifest is needed for a row."""
    install(site, "echo", ECHO)
    (row,) = take().rows()
    assert (row.state, row.summary, row.activate) == ("installed", "", "startup")


def test_a_module_of_one_file_has_a_row(take, site):
    """A distribution that is a single file is as good as a package."""
    fake_install(site, "acme-one", "1.0", {"one": "acme_one:Module"}, ["acme_one.py"])
    assert take().rows()[0].state == "installed"


def test_a_guest_without_python_code_has_a_row(take, site, tmp_path):
    """A WebAssembly module is listed with the host that runs it, installed or configured, manifest or not."""
    fake_install(site, "acme-shout", "1.0", {"shout": "acme_shout:shout.wasm"}, ["acme_shout/shout.wasm"])
    inventory = take()
    (row,) = inventory.rows()
    assert (row.state, row.host, row.version) == ("installed", "wasm", "1.0")
    details = inventory.details("shout")
    assert details["wasm"] == str(site / "acme_shout" / "shout.wasm")
    assert (details["host"], details["entry_point"]) == ("wasm", "acme_shout:shout.wasm")
    (site / "acme_shout" / "module.toml").write_text('[shout]\nisolation = "worker"\nsummary = "SAYS IT."\n')
    (row,) = take().rows()
    assert (row.host, row.summary) == ("wasm+worker", "SAYS IT.")
    guest = str(site / "acme_shout" / "shout.wasm")
    row = take(modules={"loud": {"source": guest}}).row("loud")
    assert (row.host, row.source, row.version[:6], row.state) == ("wasm", guest, "0+sha.", "installed")


def test_a_guest_that_is_gone_is_a_broken_module(take, site):
    """Metadata that names a guest which is not there makes a row that says so."""
    fake_install(site, "acme-shout", "1.0", {"shout": "acme_shout:shout.wasm"})
    (row,) = take().rows()
    assert (row.state, row.host) == ("broken", "wasm")
    assert row.error.startswith("HC203")


def test_a_python_module_with_a_guest_stays_native(take, site):
    """What was built from Python code is there for whoever asks; the code itself runs where its manifest says."""
    install(site, "echo", ECHO, files={"acme_echo/echo.wasm": ""})
    details = take().details("echo")
    assert (details["host"], details["wasm"]) == ("native", str(site / "acme_echo" / "echo.wasm"))


def test_a_broken_manifest_is_a_broken_module(take, site):
    """A manifest with mistakes makes a row that says so, and stops no other."""
    install(site, "bad", ECHO, manifest="isolation = 'nativ'\nstate_version = 0")
    install(site, "good", ECHO)
    bad, good = take().rows()
    assert (bad.state, good.state) == ("broken", "installed")
    assert "did you mean 'native'?" in bad.error
    assert "state_version" in bad.error


def test_a_module_whose_code_is_gone_is_broken(take, site):
    """Metadata without the code that it names is told from an installation that works."""
    fake_install(site, "acme-gone", "1.0", {"gone": "acme_gone:Module"})
    (row,) = take().rows()
    assert row.state == "broken"
    assert row.error.startswith("HC203")


def test_what_is_loaded_comes_before_what_is_installed(take, site):
    """State, version and counts are those of the loaded copy."""
    install(site, "echo", ECHO, version="1.2")
    row = take({"echo": Live(INFO, None, None, (), False)}).row("echo")
    assert (row.state, row.version, row.generation, row.mailbox, row.failed) == ("running", "0.9", 3, 2, 1)


def test_a_loaded_module_need_not_be_installed(take):
    """A module that was loaded from a source is in the list although nothing of it is installed."""
    live = {"echo": Live({**INFO, "source": "/gone"}, None, None, (), False)}
    (row,) = take(live).rows()
    assert (row.state, row.source) == ("running", "/gone")


def test_a_configured_source_is_read(take, tmp_path):
    """A module that the configuration gives a source has its version and manifest from there."""
    project = ModuleWriter(tmp_path)(ECHO, version="3.0", manifest="summary = 'From here.'")
    row = take(modules={"echo": {"source": str(project)}}).row("echo")
    assert (row.version, row.summary, row.source, row.editable) == ("3.0", "From here.", str(project), True)


def test_a_configured_module_that_is_nowhere_is_broken(take):
    """A module that is only configured says that it must be installed or given a source."""
    (row,) = take(modules={"echo": {}}).rows()
    assert row.state == "broken"
    assert "neither installed nor given a source" in row.error


def test_details_add_what_the_manifest_declares(take, site):
    """The details have paths, options, limits, permissions and the rest of the manifest."""
    install(site, "echo", ECHO, manifest="permissions = ['kv']\nafter = ['other']\nstate_version = 4\n"
            "[limits]\nmailbox = 7\n[config.start]\ntype = 'integer'\ndefault = 3")  # fmt: skip
    found = take().details("echo")
    assert found["permissions"] == ["kv"]
    assert found["after"] == ["other"]
    assert found["limits"] == {"mailbox": 7}
    assert found["options"]["start"]["default"] == 3
    assert found["state_version"] == 4
    assert found["paths"] == [str(site)]
    assert found["manifest"].endswith("acme_echo/module.toml")


def test_an_unknown_module_gets_a_suggestion(take, site):
    """Details of a module that is not there name the nearest one."""
    install(site, "echo", ECHO)
    with pytest.raises(UnknownModuleError) as caught:
        take().details("ecko")
    assert caught.value.hint == "did you mean 'echo'?"


# --- why -------------------------------------------------------------------------------------------------------


def test_why_not_found(take, site):
    """A name that nobody declares is explained with the nearest one and a list."""
    install(site, "echo", ECHO)
    found = explain(take(), "ecko")
    assert (found["state"], found["hint"]) == ("not found", "did you mean 'echo'?")
    assert about(found, "there are") == ["echo"]


def test_why_not_found_names_broken_metadata(take, site):
    """If broken metadata mentions the name, it is shown."""
    fake_install(site, "acme-echo", "1.0", "[hostcore.modules]\necho = not a place\n")
    found = explain(take(), "echo")
    assert found["state"] == "not found"
    assert "entry_points.txt:2" in about(found, "broken metadata")[0]


@pytest.mark.parametrize(
    ("config", "who"),
    [
        ({"disabled": ["echo"]}, "'disabled' in the host's configuration"),
        ({"modules": {"echo": {"enabled": False}}}, "[modules.echo]"),
        ({}, "'hostcore modules disable'"),
    ],
)
def test_why_disabled_says_by_whom(take, site, config, who):
    """A disabled module is explained by who switched it off."""
    install(site, "echo", ECHO)
    if not config:
        Switches(state_dir).disable("echo")
    found = explain(take(**config), "echo")
    assert found["state"] == "disabled"
    assert who in found["answer"]
    assert found["hint"] == ("change the configuration" if config else "hostcore modules enable echo")


def test_why_duplicate_says_which_counts(take, site):
    """Of two distributions with one module name it is said which counts, and which is hidden."""
    install(site, "echo", ECHO)
    fake_install(site, "zeta", "2.0", {"echo": "zeta:Module"}, ["zeta/__init__.py"])
    found = explain(take(), "echo")
    assert about(found, "duplicate")[0].startswith("echo 1.0 (acme-echo)")
    assert about(found, "hidden")[0].startswith("echo 2.0 (zeta)")


def test_why_broken_gives_the_error(take, site):
    """A release that cannot be read is explained by the error."""
    install(site, "echo", ECHO, manifest="isolation = 'nativ'")
    found = explain(take(), "echo")
    assert found["state"] == "broken"
    assert "isolation" in found["error"]["text"]


def test_why_names_a_requirement_that_is_missing(take, site):
    """Without a host, a requirement that nobody meets is found all the same."""
    install(site, "echo", ECHO, manifest="requires = ['clock>=2']")
    found = explain(take(), "echo")
    assert found["error"]["exit_code"] == 11
    assert "clock" in found["error"]["text"]


def test_why_failed_gives_the_hosts_error(take, site):
    """A module that failed in the host is explained by what it failed of."""
    install(site, "echo", ECHO)
    failed = {**INFO, "state": "failed", "generation": 0}
    found = explain(take({"echo": Live(failed, None, {"text": "HC201 boom"}, (), False)}), "echo")
    assert (found["state"], found["answer"]) == ("failed", "it failed to load")
    assert found["error"]["text"] == "HC201 boom"


@pytest.mark.parametrize(("on_demand", "what"), [(True, "its first message"), (False, "what it requires")])
def test_why_waiting_says_for_what(take, site, on_demand, what):
    """A module that waits is explained by what it waits for."""
    install(site, "echo", ECHO)
    waiting = {**INFO, "state": "waiting", "generation": 0}
    found = explain(take({"echo": Live(waiting, None, None, (), on_demand)}), "echo")
    assert found["answer"] == f"it waits for {what}"


def test_why_loaded_says_from_where_and_after_what(take, site):
    """A module that runs is explained by its release, its code and what it loaded after."""
    install(site, "echo", ECHO, version="0.9", manifest="after = ['other']")
    found = explain(take({"echo": Live(INFO, None, None, ("clock>=1", "other"), False)}), "echo")
    assert found["answer"] == "it is running: generation 3, version 0.9, in the host 'native'"
    assert about(found, "release") == ["echo 0.9 (acme-echo), from the distribution acme-echo"]
    assert str(site) in about(found, "code")[0]
    assert about(found, "loads after") == ["clock>=1, other"]


def test_why_loaded_tells_of_a_newer_release(take, site):
    """If another version is installed than the one that runs, a reload is offered."""
    install(site, "echo", ECHO, version="1.2")
    found = explain(take({"echo": Live(INFO, None, None, (), False)}), "echo")
    assert "version 1.2 is there now" in found["answer"]
    assert found["hint"] == "hostcore modules reload echo"


@pytest.mark.parametrize(
    ("live", "config", "reason"),
    [
        (None, {}, "no host named 'default' is running"),
        ({}, {}, "nobody asked the host for it"),
        ({}, {"safe_mode": True}, "safe mode"),
        ({}, {"autoload": False}, "autoload is off"),
    ],
)
def test_why_not_loaded(take, site, live, config, reason):
    """A module that could be loaded and is not is explained by what the host was told."""
    install(site, "echo", ECHO)
    found = explain(take(live, **config), "echo")
    assert found["state"] == "installed"
    assert reason in found["answer"]
    assert found["error"] is None


# --- switching -------------------------------------------------------------------------------------------------


def test_switching_off_and_on_again(take, site):
    """A switch holds for later, and says whether it changed anything."""
    install(site, "echo", ECHO)
    assert switch(take(), "echo", on=False)["changed"]
    assert not switch(take(), "echo", on=False)["changed"]
    assert take().row("echo").state == "disabled"
    assert switch(take(), "echo", on=True) == {
        "name": "echo", "changed": True, "enabled": True, "disabled_by": [], "loaded": False
    }  # fmt: skip
    assert take().row("echo").state == "installed"


def test_switching_on_what_the_configuration_keeps_off(take, site):
    """Enabling a module that the configuration disables says that it still does not load."""
    install(site, "echo", ECHO)
    result = switch(take(disabled=["echo"]), "echo", on=True)
    assert not result["enabled"]
    assert "configuration" in result["disabled_by"][0]


def test_a_module_that_is_gone_can_be_switched_on(take, site):
    """What was switched off can be switched on although it is no longer installed."""
    Switches(state_dir).disable("gone")
    assert switch(take(), "gone", on=True)["changed"]
    with pytest.raises(UnknownModuleError):
        switch(take(), "gone", on=False)


def test_a_damaged_list_of_switches_is_reported(take, site):
    """A list of disabled modules that cannot be read is an error that names the file."""
    install(site, "echo", ECHO)
    state_dir().mkdir(parents=True)
    (state_dir() / "disabled.json").write_text("{")
    with pytest.raises(ConfigError) as caught:
        take().rows()
    assert caught.value.problems[0].where.endswith("disabled.json")


def test_a_list_that_cannot_be_written_is_reported(take, site):
    """If the state directory cannot be written to, the error says what to set."""
    install(site, "echo", ECHO)
    with pytest.raises(ConfigError) as caught:
        switch(take(state_dir="/proc/hostcore"), "echo", on=False)  # not even root can make that
    assert "HOSTCORE_STATE_DIR" in caught.value.hint
