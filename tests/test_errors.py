"""The errors: one tree, stable codes, facts as attributes, one form of text."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostcore import errors
from hostcore.errors import HostcoreError, Problem, did_you_mean

TREE = {
    "HostcoreError": {
        "ConfigError": {},
        "ControlError": {"NoHostError": {}},
        "ModuleError": {
            "ManifestError": {},
            "LoadError": {},
            "BuildError": {},
            "HookError": {},
            "StateError": {},
            "ContractError": {},
        },
        "LifecycleError": {},
        "ResolutionError": {"MissingError": {}, "ConflictError": {}, "CycleError": {}},
        "DeliveryError": {
            "UnknownModuleError": {}, "StoppedError": {"QuarantinedError": {}}, "MailboxFullError": {},
            "DeadlineError": {}, "CallCycleError": {}, "NetworkError": {},
        },
        "HostError": {"WorkerDiedError": {}, "HungError": {}, "GuestTrapError": {}, "LimitError": {}},
        "DeniedError": {"EgressError": {}, "ConsentError": {}},
        "StoreError": {"DigestError": {}, "ReleaseNotFoundError": {}, "SignatureError": {}},
        "ReloadError": {},
    }
}  # fmt: skip
CLASSES = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, HostcoreError)]


class Report:
    """What a ReloadError needs of a report."""

    module = "m"
    reason = "it would not start"


def make(cls, message="text", **rest):
    if cls is errors.ReloadError:
        return cls(Report())
    if cls is errors.EgressError:
        return cls("m", "h", 80, message, **rest)
    if cls is errors.ConsentError:
        return cls("m", [message], **rest)
    return cls("m", message, **rest) if issubclass(cls, errors.ModuleError) else cls(message, **rest)


def tree_of(cls):
    return {child.__name__: tree_of(child) for child in cls.__subclasses__() if child.__module__ == cls.__module__}


def test_the_tree():
    """The classes say who has to act; programs catch them by it."""
    assert {"HostcoreError": tree_of(HostcoreError)} == TREE


def test_codes_are_unique_and_well_formed():
    """Each class has a code of its own, which is stable."""
    codes = [cls.code for cls in CLASSES]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"HC[0-9]{3}", code) for code in codes)
    assert all("code" in vars(cls) for cls in CLASSES)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (errors.UnknownModuleError, LookupError), (errors.DeadlineError, TimeoutError),
        (errors.DeniedError, PermissionError),
    ],
)  # fmt: skip
def test_builtin_kin(cls, builtin):
    """Errors that Python has a name for can be caught by that name."""
    with pytest.raises(builtin):
        raise make(cls)


@pytest.mark.parametrize("cls", CLASSES)
def test_plain_data(cls):
    """Every error can be told as JSON, with type, code, exit code, text and problems."""
    error = make(cls)
    data = json.loads(json.dumps(error.as_data()))
    assert data["type"] == cls.__name__
    assert data["code"] == data["problems"][0]["code"] == cls.code
    assert data["exit_code"] in (1, 2, 10, 11, 12, 13)
    assert data["text"] == str(error)
    assert data["problems"][0]["message"] == error.message


@pytest.mark.parametrize("cls", CLASSES)
def test_the_text_begins_with_the_code(cls):
    """The first line of every error has its code and message; a module's error names the module."""
    first = str(make(cls)).splitlines()[0]
    assert first.startswith(f"{cls.code} m: " if issubclass(cls, errors.ModuleError) else f"{cls.code} ")
    assert repr(make(cls)).startswith(cls.__name__)


def test_the_exit_codes():
    """The command line ends with what the error's class says."""
    expected = {"ConfigError": 2, "NoHostError": 13, "ResolutionError": 11, "MissingError": 11, "ConflictError": 11,
                "CycleError": 11, "DeniedError": 12, "EgressError": 12, "ConsentError": 12,
                "ReloadError": 10}  # fmt: skip
    assert {cls.__name__: cls.exit_code for cls in CLASSES if cls.exit_code != 1} == expected


def test_the_form():
    """A problem is rendered as code, subject and message, then its place and what was expected, then a hint."""
    error = errors.LoadError(
        "counter", "cannot be imported", label="counter 1.4.0 (acme-counter)", where="acme/__init__.py:3",
        expected="a class", hint="write one",
    )  # fmt: skip
    assert str(error).splitlines() == [
        "HC201 counter 1.4.0 (acme-counter): cannot be imported",
        "  --> acme/__init__.py:3    a class",
        "  hint: write one",
    ]
    assert (error.message, error.hint, error.module) == ("cannot be imported", "write one", "counter")


def test_several_problems():
    """All problems come in one text, each with its own code or the error's."""
    problems = [
        Problem("first", code="HC301", where="a.py:1"),
        Problem("second", expected="x"),
        Problem("third", hint="h"),
    ]
    error = errors.HookError("m", problems=problems)
    assert str(error).splitlines() == [
        "HC301 m: first", "  --> a.py:1", "HC302 m: second", "  --> x", "HC302 m: third", "  hint: h",
    ]  # fmt: skip
    assert error.message == "first"
    assert [p["code"] for p in error.as_data()["problems"]] == ["HC301", "HC302", "HC302"]
    assert error.as_data()["code"] == "HC301"


def test_facts_of_their_own():
    """Errors carry what a program needs as attributes."""
    hook = errors.HookError("m", "raised", hook="execute", exception="ValueError", traceback="Traceback ...")
    assert (hook.hook, hook.exception, hook.traceback) == ("execute", "ValueError", "Traceback ...")
    assert {"module": "m", "hook": "execute", "traceback": "Traceback ..."}.items() <= hook.as_data().items()
    assert errors.ConflictError("no", causes=["a", "b"]).causes == ("a", "b")
    assert errors.CallCycleError("no", trail=["a", "b", "a"], hint="h").trail == ("a", "b", "a")
    reload = errors.ReloadError(Report())
    assert isinstance(reload.report, Report)
    assert reload.message == "reload of 'm' failed: it would not start"


def test_an_empty_error():
    """An error without a text is at least its code."""
    assert str(HostcoreError()) == "HC000"
    assert str(errors.LoadError("m")) == "HC201 m:"


@given(st.text(), st.text(), st.text(), st.text())
def test_any_text_is_rendered(message, where, expected, hint):
    """Rendering never fails and loses nothing that was said."""
    text = Problem(message, "HC1", where, expected, hint).render("subject")
    assert text.startswith("HC1 subject:")
    assert message.strip() in text
    assert where in text
    assert expected in text
    assert hint in text


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("mesage", ["message", "context"], "did you mean 'message'?"),
        ("zzz", ["message"], ""), ("", [], ""), ("a", [], ""), ("it's", ["it`s"], "did you mean 'it`s'?"),
        ("message", iter(["message"]), "did you mean 'message'?"),
    ],
)  # fmt: skip
def test_did_you_mean(word, known, expected):
    """The nearest known word is suggested, if any is near."""
    assert did_you_mean(word, known) == expected
