"""The filter of system calls: that the program says what the rules say, for all calls, on each architecture."""

from __future__ import annotations

import operator
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore.hosts.worker.sandbox import seccomp
from hostcore.hosts.worker.sandbox.numbers import ARCHITECTURES, NEWEST, Architecture
from hostcore.hosts.worker.sandbox.rules import DENIED, PROCESSES, Rules, rules

PID = 4711
VARIANTS = [
    rules(processes=processes, shared_memory=shared, truncate=truncate, pid=PID)
    for processes in (False, True) for shared in (False, True) for truncate in (False, True)
]  # fmt: skip
WORDS = st.one_of(
    st.sampled_from([0, 1, 2, 5, 6, 10, 15, 16, 41, PID, 0x21, 0x10000, 0x5412, 1 << 29, 1 << 32, (1 << 64) - 1]),
    st.integers(0, (1 << 64) - 1),
)
CONDITIONS = {
    seccomp.IF_EQUAL: operator.eq,
    seccomp.IF_AT_LEAST: operator.ge,
    seccomp.IF_ABOVE: operator.gt,
    seccomp.IF_BITS: operator.and_,
}


def answer(program: list[seccomp.Step], audit: int, number: int, arguments: list[int]) -> int:
    """Run the program as the kernel does, on what it is shown of one call."""
    shown = [number, audit, 0, 0, *(half for value in arguments for half in (value & 0xFFFFFFFF, value >> 32))]
    place, value = 0, 0
    while True:
        step = program[place]
        place += 1
        match step.code:
            case seccomp.LOAD:
                value = shown[step.value // 4]
            case seccomp.AND:
                value &= step.value
            case seccomp.RETURN:
                return step.value
            case _:
                place += step.then if CONDITIONS[step.code](value, step.value) else step.otherwise


def expected(rules: Rules, architecture: Architecture, number: int, arguments: list[int]) -> int:
    """Say by the rules alone what becomes of a call."""
    if architecture.foreign is not None and number >= architecture.foreign:
        return seccomp.KILL
    if number > NEWEST:
        return seccomp.ABSENT
    name = next((name for name, each in architecture.numbers.items() if each == number), "")
    if name in rules.checks:
        held = all(check.holds(arguments[check.argument]) for check in rules.checks[name])
        return seccomp.ALLOW if held else seccomp.DENY
    if name in rules.absent:
        return seccomp.ABSENT
    return seccomp.DENY if name in rules.denied else seccomp.ALLOW


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=list(ARCHITECTURES))
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_number_is_answered_by_the_rules(architecture, variant):
    """For every call, with arguments of nothing and of everything, the program answers what the rules say."""
    program = seccomp.compiled(variant, architecture)
    assert all(0 <= jump <= 255 for step in program for jump in (step.then, step.otherwise))
    assert len(program) <= 4096
    for number in (*range(600), 0x3FFFFFFF, 0x40000000, 0x40000029, 0xFFFFFFFF):
        for arguments in ([0] * 6, [(1 << 64) - 1] * 6):
            got = answer(program, architecture.audit, number, arguments)
            assert got == expected(variant, architecture, number, arguments), number


@given(
    st.sampled_from(sorted(ARCHITECTURES)),
    st.sampled_from(VARIANTS),
    st.data(),
    st.lists(WORDS, min_size=6, max_size=6),
)
def test_arguments_are_answered_by_the_rules(name, variant, data, arguments):
    """For the calls of which arguments matter, whatever they are, the program answers what the rules say."""
    architecture = ARCHITECTURES[name]
    number = architecture.numbers[
        data.draw(st.sampled_from(sorted(variant.checks.keys() & architecture.numbers.keys())))
    ]
    program = seccomp.compiled(variant, architecture)
    assert answer(program, architecture.audit, number, arguments) == expected(variant, architecture, number, arguments)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_another_architecture_is_killed(audit, number):
    """A call by another architecture's numbers ends the process, whatever its number."""
    architecture = ARCHITECTURES["x86_64"]
    program = seccomp.compiled(VARIANTS[0], architecture)
    if audit != architecture.audit:
        assert answer(program, audit, number, [0] * 6) == seccomp.KILL


def test_every_rule_is_about_a_known_call():
    """No rule is lost by a misspelt name: each is a call of one of the architectures."""
    known = {name for architecture in ARCHITECTURES.values() for name in architecture.numbers}
    named = {*DENIED, *PROCESSES, *(name for each in VARIANTS for name in (*each.checks, *each.absent, *each.denied))}
    assert named <= known
    assert len(DENIED) == len(set(DENIED))


@pytest.mark.parametrize(("name", "folder"), [("x86_64", "x86"), ("aarch64", "aarch64")])
def test_numbers_are_the_kernels(name, folder):
    """The numbers are those in the kernel's own headers, as a compiler brings them."""
    zig = pytest.importorskip("ziglang", reason="brings the kernel's headers")
    header = Path(zig.__file__).parent / f"lib/libc/include/{folder}-linux-any/asm/unistd_64.h"
    official = {
        name: int(number)
        for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", header.read_text(encoding="ascii"))
    }
    ours = ARCHITECTURES[name].numbers
    assert ours == {name: official[name] for name in ours}
