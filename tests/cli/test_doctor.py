"""`hostcore doctor`: what it looks at, and what it finds wrong."""

from __future__ import annotations

import pytest
from support.distributions import fake_install
from support.modules import ECHO, install

from hostcore.cli.checkup import about_sandbox
from hostcore.config import cache_dir, runtime_dir, state_dir
from hostcore.hosts.worker.sandbox.cage import LAYERS, Layer
from hostcore.hosts.worker.sandbox.levels import level_of
from hostcore.hosts.worker.sandbox.probing import probe


def findings(done) -> dict[str, dict[str, str]]:
    return {finding["about"]: finding for finding in done.json["findings"]}


def wrong(done) -> list[str]:
    return [finding["about"] for finding in done.json["findings"] if finding["status"] == "wrong"]


def test_a_healthy_installation(cli, site):
    """Nothing wrong: exit code 0, with versions, guard, directories, index, modules, host and generations."""
    install(site, "echo", ECHO)
    done = cli("doctor", "--json")
    assert (done.code, done.json["ok"]) == (0, True)
    found = findings(done)
    for about in ("python", "platform", "hostcore", "configuration", "guard", "state directory", "cache directory",
                  "runtime directory", "index", "modules", "host", "this process"):  # fmt: skip
        assert found[about]["status"] == "ok", about
    assert found["guard"]["text"].startswith("by signal")
    assert found["this process"]["text"] == "generations have put in place: nothing"
    assert found["modules"]["text"] == "1 found: echo"
    text = cli("doctor")
    assert text.out.splitlines()[-1] == "nothing is wrong"


def test_broken_and_duplicate_distributions_are_wrong(cli, site):
    """Broken metadata, two distributions of one module and a broken manifest are each found, with exit code 1."""
    install(site, "echo", ECHO)
    fake_install(site, "zeta", "2.0", {"echo": "zeta:Module"}, ["zeta/__init__.py"])
    fake_install(site, "broken", "1.0", "[hostcore.modules]\nx = not a place\n")
    install(site, "bad", ECHO, manifest="isolation = 'nope'")
    done = cli("doctor", "--json")
    assert done.code == 1
    assert wrong(done) == ["distribution", "duplicate", "module bad"]
    assert "entry_points.txt:2" in findings(done)["distribution"]["text"]
    text = cli("doctor")
    assert text.code == 1
    assert text.out.splitlines()[-1] == "3 problems"
    assert "duplicate: uninstall all but one" in text.out


@pytest.mark.parametrize(
    ("directory", "about"),
    [(state_dir, "state directory"), (cache_dir, "cache directory"), (runtime_dir, "runtime directory")],
)
def test_a_file_instead_of_a_directory_is_wrong(cli, directory, about):
    """A file where a directory belongs is found, with the variable to set."""
    directory().parent.mkdir(parents=True, exist_ok=True)
    directory().touch()
    done = cli("doctor", "--json")
    assert done.code == 1
    assert about in wrong(done)
    assert "HOSTCORE_" in findings(done)[about]["hint"] or about == "runtime directory"


def test_an_unsafe_runtime_directory_is_wrong(cli):
    """A runtime directory that others can write to is found, with the command that mends it."""
    runtime_dir().mkdir(parents=True)
    runtime_dir().chmod(0o777)
    done = cli("doctor", "--json")
    assert done.code == 1
    assert f"chmod 700 {runtime_dir()}" in done.out


def test_a_wrong_configuration_does_not_stop_the_other_checks(cli):
    """Mistakes of the configuration are one finding among others."""
    (cli.directory / "hostcore.toml").write_text("mailbx = 3\n")
    done = cli("doctor", "--json")
    assert done.code == 1
    assert wrong(done) == ["configuration"]
    assert "did you mean 'mailbox'?" in findings(done)["configuration"]["text"]


def test_a_running_host_is_looked_at(cli, site):
    """A running host's process, version and generations are told."""
    install(site, "echo", ECHO)
    with cli.host() as host:
        found = findings(cli("doctor", "--json"))["host"]
        assert found["status"] == "ok"
        assert f"pid {host.pid}" in found["text"]
        assert "sys.meta_path finder" in found["text"]


def test_a_damaged_index_is_a_note(cli):
    """An index that cannot be read is worth a note; it is only a cache."""
    cache_dir().mkdir(parents=True)
    (cache_dir() / "index.msgpack").write_bytes(b"x")
    done = cli("doctor", "--json")
    assert done.code == 0
    assert findings(done)["index"]["status"] == "note"


def test_switched_off_parts_are_told(cli):
    """A guard or an index that the configuration switches off is a note."""
    (cli.directory / "hostcore.toml").write_text("guard = 'off'\nindex = false\n")
    found = findings(cli("doctor", "--json"))
    assert (found["guard"]["status"], found["index"]["status"]) == ("note", "note")


def test_the_policy_and_the_grants_are_looked_at(cli, tmp_path):
    """What the policy comes to is told, a directory that it grants and is not there, and a file that is not safe."""
    (cli.directory / "hostcore.toml").write_text("")
    (cli.directory / "policy.toml").write_text(
        f"observe = ['noisy']\nisolation = 'worker'\n[grants]\na = ['fs.read:{tmp_path}/none', 'fs.read:{tmp_path}']\n"
    )
    texts = [finding["text"] for finding in cli("doctor", "--json").json["findings"] if finding["about"] == "policy"]
    assert len(texts) == 3
    assert "'worker'" in texts[0] and "noisy" in texts[1] and texts[2].endswith(f"no directory {tmp_path}/none")
    folder = state_dir() / "grants"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    done = cli("doctor", "--json")
    assert "grants" in wrong(done) and "chmod 0700" in findings(done)["grants"]["hint"]


def test_the_sandbox_of_workers(cli):
    """What can be enforced on workers here is told: the level, and each layer with what it does or why it does not."""
    found = findings(cli("doctor", "--json"))
    layers = probe()
    assert repr(level_of(layers)) in found["sandbox"]["text"]
    for name, layer in layers.items():
        line = found[f"sandbox: {name}"]
        assert (line["status"], line["text"]) == ("ok" if layer.in_force else "note", layer.detail)


def test_a_sandbox_that_is_less_than_full():
    """What keeps the sandbox from being full is a note, with what would mend it."""
    layers = dict.fromkeys(LAYERS, Layer(True, "so")) | {"namespaces": Layer(False, "Operation not permitted")}
    level, *lines = about_sandbox(layers, "files")
    assert (level.status, level.text) == (
        "note", "level 'files' can be enforced on workers here, not 'full': namespaces cannot be had",
    )  # fmt: skip
    (line,) = (line for line in lines if line.status != "ok")
    assert (line.about, line.text) == ("sandbox: namespaces", "Operation not permitted")
    assert "max_user_namespaces" in line.hint


def test_a_sandbox_that_is_less_than_the_policy_demands():
    """A level that the policy demands and the platform does not reach is wrong: workers would not start."""
    layers = dict.fromkeys(LAYERS, Layer(True, "so")) | {"landlock": Layer(False, "Function not implemented")}
    level = next(about_sandbox(layers, "files"))
    assert level.status == "wrong"
    assert "policy.sandbox is 'files': landlock cannot be had" in level.text
    assert "workers do not start" in level.hint
