"""Every attack of the list: it ends as it has to, the module goes on or is gone, and bystanders are answered."""

from __future__ import annotations

import pytest
from torture.attacks import ATTACKS, BY_KEY, NAME, load, still_answers, strike
from torture.conftest import Opened

from hostcore import errors

pytestmark = pytest.mark.usefixtures("attack_folders")


PARAMETERS = [pytest.param(attack.key, marks=pytest.mark.slow if attack.slow else []) for attack in ATTACKS]


@pytest.mark.parametrize("key", PARAMETERS)
async def test_attack(opened: Opened, key: str) -> None:
    """It ends with a reply or one of the errors that it may end with; the bystanders answer all the while."""
    attack = BY_KEY[key]
    async with opened(worker=attack.tier == "worker", first=lambda system: load(system, attack)) as system:
        error = await strike(system, attack)
        assert (error.code if error is not None else "") in (attack.codes or ("",)), error
        if attack.lives:
            assert await still_answers(system, attack)
        await system.unload(NAME, force=True)
        assert NAME not in system.modules
        with pytest.raises(errors.HostcoreError):
            await system.request(NAME)


def test_names() -> None:
    """No two attacks have one name, so that the table of cases can refer to them."""
    assert len(BY_KEY) == len(ATTACKS)
