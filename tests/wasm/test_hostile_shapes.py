"""Files that are WebAssembly but no module of hostcore's: each is refused, with everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from wasm.arena import Arena, arena
from wasm.wat import HOST, OK, STATE, binary, component, core, parsed

from hostcore import errors, guest

pytestmark = pytest.mark.usefixtures("compiled_once")

LIFECYCLE = "hostcore:module/lifecycle@1.0.0"


@pytest.fixture
async def evil(tmp_path: Path):
    async with arena(tmp_path) as made:
        yield made


def interface() -> str:
    return (guest.interface_dir() / "hostcore-module.wit").read_text()


async def refused(evil: Arena, data: bytes, *codes: str) -> str:
    """Return the text of the error with which it is not loaded."""
    error = await evil.refused(data)
    assert isinstance(error, errors.LoadError)
    assert {problem.code for problem in error.problems} == set(codes)
    await evil.bystander()
    return str(error)


# --- core modules --------------------------------------------------------------------------------------------------


async def test_undeclared_imports_of_a_core_module(evil: Arena) -> None:
    """Every import that no host provides is named, in one error."""
    imports = HOST + '(import "env" "fork" (func)) (import "hostcore" "exec" (func (param i32)))'
    said = await refused(evil, core(imports=imports), "HC212")
    assert "imports env.fork, which no host provides" in said
    assert "imports hostcore.exec, which no host provides" in said


@pytest.mark.parametrize("kind", ["(memory 1)", "(global i32)", "(table 1 funcref)"])
async def test_imports_that_are_no_functions(evil: Arena, kind: str) -> None:
    """A guest brings its own memory, tables and globals."""
    said = await refused(evil, core(imports=f'(import "hostcore" "log" {kind})', memory='(memory (export "memory") 1)')
                         if kind != "(memory 1)" else binary(f'(module (import "hostcore" "log" {kind}))'),
                         *(("HC212", "HC213") if kind == "(memory 1)" else ("HC212",)))  # fmt: skip
    assert "imports hostcore.log as" in said


async def test_names_of_imports_are_safe_to_show(evil: Arena) -> None:
    """What a file calls its imports reaches no terminal as it is, nor in any length."""
    name = "\\1b[2J\\0a" + "x" * 5000
    said = await refused(evil, core(imports=f'(import "{name}" "\\07" (func))'), "HC212")
    assert r"\x1b[2J" in said
    assert "\x1b" not in said
    assert "\x07" not in said
    assert len(said) < 2000


async def test_a_hundred_thousand_imports_make_a_short_error(evil: Arena) -> None:
    """However many imports are wrong, the error stays readable."""
    imports = "".join(f'(import "a" "{number}" (func))' for number in range(20_000))
    said = await refused(evil, core(imports=imports), "HC212")
    assert "and 19,980 more such imports" in said


async def test_imports_of_another_type(evil: Arena) -> None:
    """A host function imported with another type is named with both types."""
    said = await refused(evil, core(imports='(import "hostcore" "log" (func (param i32 i64) (result i32)))'), "HC212")
    assert "imports hostcore.log as (i32, i64) -> i32" in said
    assert "expected: (i32, i32, i32)" in said


async def test_a_core_module_that_exports_nothing(evil: Arena) -> None:
    """A core module without the ABI's exports is told which it lacks."""
    said = await refused(evil, binary("(module)"), "HC213")
    assert "does not export memory, hc_abi, hc_buf" in said
    assert "implement hostcore-core-1" in said


async def test_exports_of_another_type(evil: Arena) -> None:
    """Exports with other types than the ABI's are all named, a memory that is none among them."""
    text = """(module (func (export "memory")) (func (export "hc_abi") (result i64) (i64.const 1))
      (global (export "hc_buf") i32 (i32.const 0)) (func (export "hc_execute") (result i32) (i32.const 0)))"""
    said = await refused(evil, binary(text), "HC212")
    for part in ("hc_abi as () -> i64", "hc_buf as global", "hc_execute as () -> i32", "'memory' that is none"):
        assert part in said


@pytest.mark.parametrize("version", [0, 2, -1])
async def test_another_version_of_the_abi(evil: Arena, version: int) -> None:
    """A core guest that speaks another ABI is not loaded, and told which this host speaks."""
    error = await evil.refused(core(abi=f"(i32.const {version})"))
    assert "this host speaks hostcore-core-1" in error.message


@pytest.mark.parametrize(
    "initialize", ['(func (export "_initialize") (param i32))', '(memory (export "_initialize") 1)']
)
async def test_an_initialize_of_another_type(evil: Arena, initialize: str) -> None:
    """A `_initialize` that is no function without arguments is named."""
    said = await refused(evil, core(more=initialize), "HC212")
    assert "exports _initialize as" in said


async def test_memory_of_64_bits(evil: Arena) -> None:
    """What the host's engine does not do is told by the engine."""
    assert (await evil.refused(core(memory='(memory (export "memory") i64 1)'))).code == "HC211"


# --- components ----------------------------------------------------------------------------------------------------


async def test_undeclared_imports_of_a_component(evil: Arena) -> None:
    """An interface or a function that no host provides is named."""
    data = parsed(f"""(component
      (import "evil:own/thing@1.0.0" (instance (export "do" (func))))
      (import "run" (func))
      (import "hostcore:module/log@1.0.0" (instance (export "erase" (func))))
      (import "hostcore:module/secrets@1.0.0" (instance (export "read" (func (result string)))))
      (instance $empty) (export "{LIFECYCLE}" (instance $empty)))""")
    said = await refused(evil, data, "HC212")
    for name in ("'evil:own/thing@1.0.0'", "'run'", "log@1.0.0#erase", "secrets@1.0.0#read"):
        assert name in said


async def test_another_world(evil: Arena) -> None:
    """A component of some other world is told that it is no module."""
    data = parsed("""(component (core module $m (func (export "f") (result i32) (i32.const 1)))
      (core instance $i (instantiate $m))
      (func (export "answer") (result u32) (canon lift (core func $i "f"))))""")
    said = await refused(evil, data, "HC213")
    assert "it exports 'answer'" in said
    assert "the world 'module' of hostcore:module" in said


async def test_a_component_that_exports_nothing(evil: Arena) -> None:
    """An empty component is no module."""
    assert "it exports nothing" in await refused(evil, parsed("(component)"), "HC213")


@pytest.mark.parametrize(("version", "advice"), [("2.0.0", "upgrade hostcore"), ("1.7.0", "upgrade hostcore")])
async def test_a_newer_version_of_the_interface(evil: Arena, version: str, advice: str) -> None:
    """A guest that was built for an interface that this host does not speak is told both versions."""
    data = parsed(f"""(component (import "hostcore:module/log@{version}" (instance))
      (instance $empty) (export "hostcore:module/lifecycle@{version}" (instance $empty)))""")
    said = await refused(evil, data, "HC214")
    assert f"speaks 'hostcore:module/lifecycle@{version}'" in said
    assert "this host speaks hostcore:module 1.0" in said
    assert advice in said


async def test_an_older_version_of_the_interface(evil: Arena) -> None:
    """A guest of an earlier major version is told to be built anew."""
    data = parsed("""(component (instance $empty) (export "hostcore:module/lifecycle@0.9.0" (instance $empty)))""")
    assert "build it again" in await refused(evil, data, "HC214")


async def test_a_later_patch_of_the_interface_is_spoken(evil: Arena) -> None:
    """The last number of a version does not matter."""
    data = parsed("""(component (instance $empty) (export "hostcore:module/lifecycle@1.0.5" (instance $empty)))""")
    assert (await evil.load(data)).host == "wasm"
    assert (await evil.failing()).code == "HC312"


async def test_exports_of_a_component_of_another_type(evil: Arena) -> None:
    """A hook with another type than the interface's is named with both."""
    wit = interface().replace("shutdown: func() -> result<_, error>;", "shutdown: func() -> u32;")
    said = await refused(evil, component({"shutdown": "(i32.const 0)"}, wit=wit), "HC212")
    assert f"exports {LIFECYCLE}#shutdown as () -> u32" in said
    assert "expected: () -> result<_, record{code: string" in said


async def test_a_lifecycle_that_is_no_interface(evil: Arena) -> None:
    """Something else under the interface's name is refused, not called."""
    data = parsed(f"""(component (core module $m (func (export "f"))) (core instance $i (instantiate $m))
      (func $f (canon lift (core func $i "f"))) (export "{LIFECYCLE}" (func $f)))""")
    said = await refused(evil, data, "HC212")
    assert f"exports '{LIFECYCLE}', which is no interface" in said


@pytest.mark.parametrize(
    "imported",
    [
        '(import "wasi:random/random@0.2.0" (func))',
        '(import "wasi:random/random@0.2.0" (instance (export "get-random-bytes" (func (param "a" char)))))',
        '(import "wasi:random/random@0.2.0" (instance (export "get-random-u64" (func (result float32)))))',
        '(import "wasi:random/random@0.2.0" (instance (export "get-nothing" (func))))',
        '(import "wasi:cli/environment@0.2.0" (instance (export "get-environment" (func (param "a" u8)))))',
        '(import "wasi:cli/environment@9.9.9" (instance (export "get-environment" (func (param "a" u8)))))',
        '(import "wasi:filesystem/nothing@0.2.0" (instance (export "open" (func))))',
    ],
)
async def test_functions_of_wasi_that_are_none(evil: Arena, imported: str) -> None:
    """A function of WASI with another type than it has, or that WASI does not have, keeps the guest from loading."""
    data = parsed(f"""(component {imported} (instance $empty) (export "{LIFECYCLE}" (instance $empty)))""")
    error = await evil.refused(data)
    assert isinstance(error, (errors.LoadError, errors.GuestTrapError))
    assert "raised" not in error.message


# --- what a guest says of itself -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "told", ["no json", "{}", "[1]", '[{"name": 5}]', '["echo/1.0"]', '[{"version": "1.0"}]', "[" * 5000]
)
async def test_capabilities_that_are_none(evil: Arena, told: str) -> None:
    """What a core guest returns as its capabilities and is no list of them keeps it from loading."""
    data = core(hooks={"get_capabilities": f"(i64.const {16 << 32 | len(told)})"}, data=told, memory=MEMORY)
    error = await evil.refused(data)
    assert (type(error), error.code) == (errors.HookError, "HC302")
    assert "no list as the ABI has it" in error.message


MEMORY = '(memory (export "memory") 2)'


@pytest.mark.parametrize("name", ["hostcore/1.0", "a b/1", "", "\\u001b[2J", "x" * 5000])
async def test_capabilities_with_names_that_are_none(evil: Arena, name: str) -> None:
    """A capability whose name is none keeps the guest from loading; it is shown safely."""
    told = f'[{{"name": "{name}", "version": "1.0"}}]'
    data = core(hooks={"get_capabilities": f"(i64.const {16 << 32 | len(told)})"}, data=told)
    try:
        await evil.load(data)
    except errors.HostcoreError as error:
        assert "\x1b" not in str(error)
        assert len(str(error)) < 7000
    else:
        assert name == "hostcore/1.0"


@pytest.mark.parametrize("told", ["no json", "{}", "[1]", '[["handle_message"]]', "[" * 5000])
async def test_hooks_that_are_none(evil: Arena, told: str) -> None:
    """What a core guest returns as its hooks and is no list of texts keeps it from loading."""
    error = await evil.refused(core(hooks={"hooks": f"(i64.const {16 << 32 | len(told)})"}, data=told))
    assert (type(error), error.code) == (errors.HookError, "HC302")


async def test_hooks_that_nobody_knows(evil: Arena) -> None:
    """Names of hooks that there are not are passed over, whatever they look like."""
    told = '["handle_message(topic, payload)", "", "(", "__class__", "\\u001b[2J", "check_health("]'
    data = core(hooks={"hooks": f"(i64.const {16 << 32 | len(told)})"}, data=told)
    await evil.load(data)
    assert await evil.ask() is None


async def test_a_component_without_hooks_does_nothing(evil: Arena) -> None:
    """A component whose hooks all do nothing is loaded, reloaded and unloaded."""
    await evil.load(component({"get-state": STATE, "shutdown": OK}))
    report = await evil.system.reload("evil", strict=True)
    assert (report.rolled_back, await evil.system.unload("evil")) == (False, ())
