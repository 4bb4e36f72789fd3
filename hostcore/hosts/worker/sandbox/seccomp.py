"""The filter of system calls: rules made into a program of classic BPF, which the kernel runs before each call.

The program sees a call's number, its architecture and its six arguments, and cannot follow pointers.  It first kills a
process that calls by another architecture's numbers, which would mean something else; then come the calls that are
allowed for some arguments, each a block that ends in an answer; then the numbers of what is denied.  For a call whose
arguments do not matter the kernel remembers the answer, so the length of the list costs nothing.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from typing import Final, NamedTuple

from hostcore.hosts.worker.sandbox import kernel
from hostcore.hosts.worker.sandbox.numbers import ARCHITECTURES, NEWEST, Architecture
from hostcore.hosts.worker.sandbox.rules import Check, Rules

LOAD, AND, RETURN = 0x20, 0x54, 0x06
IF_EQUAL, IF_AT_LEAST, IF_ABOVE, IF_BITS = 0x15, 0x35, 0x25, 0x45
ALLOW: Final = 0x7FFF_0000
KILL: Final = 0x8000_0000
DENY: Final = 0x0005_0000 | errno.EPERM
ABSENT: Final = 0x0005_0000 | errno.ENOSYS

_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_FILTER: Final = 2


class Step(NamedTuple):
    """One instruction.

    Attributes:
        code: What it does.
        value: With what.
        then: How many instructions to skip if its condition holds.
        otherwise: How many to skip if not.
    """

    code: int
    value: int
    then: int = 0
    otherwise: int = 0


def here() -> Architecture:
    """Return the architecture that this process makes its calls by.

    Raises:
        OSError: None that the filter knows.
    """
    machine = os.uname().machine
    if machine not in ARCHITECTURES or sys.maxsize < 2**32:
        raise OSError(errno.ENOSYS, f"no table of system calls for {machine}, {sys.maxsize.bit_length() + 1} bits")
    return ARCHITECTURES[machine]


def install(rules: Rules) -> str:
    """Put the filter before all calls of this process and of what it starts; say what it holds.

    The process must have set no_new_privs.

    Raises:
        OSError: The architecture is not known, or the kernel refused.
    """
    architecture = here()
    program = compiled(rules, architecture)
    code = b"".join(struct.pack("=HBBI", step.code, step.then, step.otherwise, step.value) for step in program)
    text = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(text)))
    kernel.prctl(kernel.SET_SECCOMP, _FILTER, ctypes.addressof(header))
    denied = sum(name in architecture.numbers for name in rules.denied)
    return f"{denied} system calls denied, {len(rules.checks)} in part; no network" + (
        ", no processes" if "execve" in rules.denied else ""
    )


def compiled(rules: Rules, architecture: Architecture) -> list[Step]:
    """Return the program of the rules."""
    numbers = architecture.numbers
    program = [
        Step(LOAD, _ARCHITECTURE),
        Step(IF_EQUAL, architecture.audit, 1),
        Step(RETURN, KILL),
        Step(LOAD, _NUMBER),
    ]
    if architecture.foreign is not None:
        program += [Step(IF_AT_LEAST, architecture.foreign, 0, 1), Step(RETURN, KILL)]
    program += [Step(IF_ABOVE, NEWEST, 0, 1), Step(RETURN, ABSENT)]
    for name in (name for name in rules.checks if name in numbers):
        block = [step for check in rules.checks[name] for step in _checked(check)] + [Step(RETURN, ALLOW)]
        program += [Step(IF_EQUAL, numbers[name], 0, len(block)), *block]
    program += _listed([numbers[name] for name in rules.absent if name in numbers], ABSENT)
    program += _listed([numbers[name] for name in rules.denied if name in numbers], DENY)
    return [*program, Step(RETURN, ALLOW)]


def _listed(numbers: list[int], answer: int) -> list[Step]:
    """Answer calls of these numbers; go on after it with others.  A jump reaches 255 instructions."""
    last = len(numbers) - 1
    steps = [Step(IF_EQUAL, number, last - place, 1 if place == last else 0) for place, number in enumerate(numbers)]
    return [*steps, Step(RETURN, answer)] if steps else []


def _checked(check: Check) -> list[Step]:
    """Deny a call whose argument is not as the check says; go on after it with others."""
    place = _ARGUMENTS + 8 * check.argument
    low, high = (place, place + 4) if sys.byteorder == "little" else (place + 4, place)
    if check.values is None:
        return [Step(LOAD, low), Step(IF_BITS, check.mask, 0, 1), Step(RETURN, DENY)]
    steps = [Step(LOAD, low), *([Step(AND, check.mask)] if check.mask != 0xFFFF_FFFF else [])]
    if check.negated:
        return steps + [step for value in check.values for step in (Step(IF_EQUAL, value, 0, 1), Step(RETURN, DENY))]
    steps += [Step(IF_EQUAL, value, len(check.values) - place) for place, value in enumerate(check.values)]
    steps.append(Step(RETURN, DENY))
    # Of a pointer only null is ever asked for: both halves are zero.
    return [*steps, Step(LOAD, high), Step(IF_EQUAL, 0, 1), Step(RETURN, DENY)] if check.wide else steps
