"""The published JSON Schemas and reference pages keep in step with the code.

Regenerate the schemas with `python tests/contract/test_schema.py`.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from hostcore.config import (
    HostConfig,
    ModuleConfig,
    PolicyConfig,
    ReloadConfig,
    SupervisionConfig,
    TrustConfig,
    WasmConfig,
    WorkerConfig,
    config_schema,
    load_config,
)
from hostcore.contract.manifest import Limits, Manifest, Probe, manifest_schema, parse_manifest
from hostcore.contract.options import Option
from hostcore.contract.permissions import BARE, TARGETED
from hostcore.contract.restarting import Restart, SnapshotRule

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
SCHEMAS = {"module.schema.json": manifest_schema, "hostcore.schema.json": config_schema}


def as_text(schema: dict) -> str:
    return json.dumps(schema, indent=2) + "\n"


@pytest.mark.parametrize("name", SCHEMAS)
def test_published_schema_is_in_step(name):
    """The schema in the documentation is the one that the code makes."""
    assert (REFERENCE / name).read_text() == as_text(SCHEMAS[name]()), "run: python tests/contract/test_schema.py"


@pytest.mark.parametrize(
    ("schema", "name", "struct"),
    [
        (manifest_schema(), "Manifest", Manifest), (manifest_schema(), "Limits", Limits), (manifest_schema(),
        "Option", Option),
        (config_schema(), "ModuleConfig", ModuleConfig), (config_schema(), "PolicyConfig", PolicyConfig),
        (config_schema(), "", HostConfig),
    ],
)  # fmt: skip
def test_schema_says_every_key(schema, name, struct):
    """Every key of every table is in its schema with a type and a description, and no other is allowed."""
    body = schema["$defs"][name] if name else schema
    assert list(body["properties"]) == list(struct.__struct_fields__)
    assert body["additionalProperties"] is False
    for key, value in body["properties"].items():
        assert value.get("description"), key
        assert {"type", "enum", "$ref"} & value.keys() or key == "default"


def test_schema_knows_written_forms_and_bounds():
    """Sizes and durations may be text or numbers, names have a pattern, integers their bounds, choices their list."""
    limits = manifest_schema()["$defs"]["Limits"]["properties"]
    manifest = manifest_schema()["$defs"]["Manifest"]["properties"]
    assert limits["memory"]["type"] == ["string", "integer"]
    assert limits["execute"]["type"] == ["string", "number"]
    assert (limits["mailbox"]["minimum"], limits["mailbox"]["maximum"]) == (1, 1_000_000)
    assert manifest["isolation"]["enum"] == ["native", "worker", "wasm", "wasm+worker"]
    assert manifest["state_version"]["default"] == 1
    assert manifest["config"]["additionalProperties"] == {"$ref": "#/$defs/Option"}
    assert manifest_schema()["$defs"]["Option"]["required"] == ["type"]


def test_references_lead_somewhere():
    """Every $ref of a schema names one of its definitions."""
    for make in SCHEMAS.values():
        names = re.findall(r'"\$ref": "#/\$defs/(\w+)"', as_text(make()))
        assert set(names) == set(make()["$defs"])


@pytest.mark.parametrize(
    ("page", "structs"),
    [
        ("manifest.md", (Manifest, Limits, Option, Probe, Restart, SnapshotRule)),
        (
            "configuration.md",
            (
                HostConfig,
                ModuleConfig,
                PolicyConfig,
                TrustConfig,
                ReloadConfig,
                SupervisionConfig,
                WasmConfig,
                WorkerConfig,
            ),
        ),
    ],
)
def test_pages_name_every_key_and_no_other(page, structs):
    """The tables of a reference page list exactly the keys that exist."""
    keys = {key for struct in structs for key in struct.__struct_fields__}
    listed = re.findall(r"^\| `(\w+)` \|", (REFERENCE / page).read_text(), re.MULTILINE)
    assert set(listed) - BARE - TARGETED.keys() == keys


@pytest.mark.parametrize(
    ("page", "read"),
    [
        ("manifest.md", lambda line: parse_manifest(f"[m]\n{line}", "m") == Manifest()),
        ("configuration.md", lambda line: load_config(tomllib.loads(line)) == HostConfig()),
    ],
)
def test_pages_give_the_defaults(page, read):
    """The defaults in the first table of a reference page are those of the code."""
    table = (REFERENCE / page).read_text().split("\n## ")[1]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| `(.+?)` \|", table, re.MULTILINE)
    assert len(rows) > 8
    assert all(read(f"{key} = {default}") for key, default in rows)


def test_the_manifest_page_names_every_permission():
    """Every kind of permission is in the table of permissions."""
    text = (REFERENCE / "manifest.md").read_text()
    assert all(f"`{kind}`" in text for kind in BARE)
    assert all(f"`{kind}:{example}`" in text for kind, example in TARGETED.items())


def examples(page: str) -> list[str]:
    return re.findall(r"```toml\n(.*?)```", (REFERENCE / page).read_text(), re.DOTALL)


def test_examples_of_the_pages_work(tmp_path):
    """What the reference pages show as examples is accepted as it stands."""
    for text in examples("manifest.md"):
        assert parse_manifest(text, next(iter(tomllib.loads(text))))
    for text in examples("configuration.md"):
        name = "pyproject.toml" if "[tool." in text else "hostcore.toml"
        (tmp_path / name).write_text(text)
        assert load_config(tmp_path / name)
    assert len(examples("manifest.md")) >= 1
    assert len(examples("configuration.md")) >= 2


if __name__ == "__main__":
    for file, schema in SCHEMAS.items():
        (REFERENCE / file).write_text(as_text(schema()))
