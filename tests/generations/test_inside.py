"""Inside a generation all is as in an ordinary import, whatever lives beside it.

The checks are the functions of `sample/release/mypkg/checks`; each runs as hosted code, called from the host with
no activation, so that the code itself is all that tells whose it is.
"""

from __future__ import annotations

import pytest
from generations.support import SETTINGS, Sample, Setting, declared

EXTENSIONS = declared("mypkg/checks/extensions.py")
PRIVATE_NAMES = declared("mypkg/checks/private.py")
CHECKS = {
    name: description
    for name, description in declared("mypkg/checks/[!_]*.py").items()
    if name not in {*EXTENSIONS, *PRIVATE_NAMES}
}

NOT_BESIDE_HOST = {"classes.shelf", "imports.import_by_a_shared_library"}
"""A library asks for these in C, or by an import statement of its own; both get the host's copy where there is one.
`test_host_view.py` states what happens then."""


def run(setting: Setting, check: str, description: str) -> None:
    """Run one check in the generation of `setting`."""
    module, _, function = check.partition(".")
    try:
        getattr(setting.generation.load(f"mypkg.checks.{module}"), function)()
    except BaseException as error:
        error.add_note(f"expected in setting {setting.name!r}: {description}")
        raise


@pytest.mark.parametrize(
    ("setting", "check"),
    [(s, c) for s in SETTINGS for c in CHECKS if s != "beside_host" or c not in NOT_BESIDE_HOST],
    indirect=["setting"],
    scope="module",
)
def test_check(setting: Setting, check: str) -> None:
    """Each check of the sample package holds in each setting."""
    run(setting, check, CHECKS[check])


@pytest.mark.parametrize("check", PRIVATE_NAMES)
@pytest.mark.parametrize("setting", SETTINGS[1:], indirect=True, scope="module")
def test_private_names(setting: Setting, check: str) -> None:
    """A generation sees its private dependencies and its part of a shared namespace, the host its own."""
    run(setting, check, PRIVATE_NAMES[check])


@pytest.mark.parametrize("check", EXTENSIONS)
@pytest.mark.parametrize("setting", SETTINGS, indirect=True, scope="module")
def test_extension_modules(setting: Setting, sample: Sample, check: str) -> None:
    """A generation loads the extension modules of its package."""
    if sample.without_extensions:
        pytest.skip(sample.without_extensions)
    run(setting, check, EXTENSIONS[check])


def test_every_check_says_what_it_states() -> None:
    """Every check function has a docstring, so that a failure says what was expected."""
    assert len(CHECKS) > 55
    assert [name for name, description in {**CHECKS, **PRIVATE_NAMES, **EXTENSIONS}.items() if not description] == []
