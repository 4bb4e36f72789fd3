"""The guard breaks what overruns, and never anything else."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from hostcore.messaging import guard as guard_module
from hostcore.messaging.guard import NoGuard, Overrun, SignalGuard, ThreadGuard, make_guard

FAR = 60.0
untraced = pytest.mark.skipif(
    sys.gettrace() is not None, reason="a tracer's own code, on top of a handler's, would be broken in its stead"
)


@pytest.fixture(autouse=True)
def no_collection():
    """A garbage collection runs callbacks in Python (hypothesis has one), which swallow what is raised in them."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def by_signal():
    guard = SignalGuard(tick=0.002)
    yield guard
    guard.close()


@pytest.fixture
def by_thread():
    guard = ThreadGuard(tick=0.002)
    yield guard
    guard.close()


@pytest.fixture(params=["signal", "thread"])
def guard(request):
    """Either guard, on the main thread."""
    return request.getfixturevalue(f"by_{request.param}")


def soon() -> float:
    return time.monotonic() + 0.02


def spin(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


def forever(_):
    while True:
        pass


def recursing(_):
    def down(level):
        return down(level - 1) + down(level - 1) if level else 1

    return down(80)


def calling_helpers(_):
    def helper():
        for number in range(10**12):
            yield number + 1

    return sum(1 for _ in helper())


def swallowing_exceptions(_):
    while True:
        try:
            forever(_)
        except Exception:
            pass


class HostCode:
    """A function that belongs to the host, as its module's name says."""

    SOURCE = """
def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass

def call(function):
    spin(0.05)
    try:
        return function()
    finally:
        spin(0.05)

def contain(function):
    try:
        return function()
    except BaseException as error:
        return repr(error)
"""

    def __init__(self) -> None:
        namespace = {"__name__": "hostcore.messaging.cell", "time": time}
        exec(self.SOURCE, namespace)
        self.spin = namespace["spin"]
        self.call = namespace["call"]
        self.contain = namespace["contain"]


HOST_CODE = HostCode()


# --- what it breaks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handler", [forever, recursing, calling_helpers, swallowing_exceptions])
def test_python_code_is_broken(guard, handler):
    """Loops, recursion, generators and handlers that catch Exception are broken at their deadline."""
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(Overrun):
            guard.call(handler, None, soon())
        assert time.monotonic() - began < 5
    assert guard.fired == 3


@pytest.mark.parametrize(
    "handler",
    [lambda _: time.sleep(FAR), lambda _: held_lock().acquire(), lambda _: threading.Event().wait(FAR),
     lambda _: __import__("queue").Queue().get(), lambda _: __import__("re").match(r"(a+)+$", "a" * 60 + "b")],
    ids=["sleep", "lock", "event", "queue", "regex"],
)  # fmt: skip
def test_the_signal_breaks_calls_that_block(by_signal, handler):
    """On the main thread also calls that block in C are broken, where they listen to signals at all."""
    with pytest.raises(Overrun):
        by_signal.call(handler, None, soon())


def held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


def test_other_threads_are_broken(by_thread):
    """Handlers in several threads are each broken by their own deadline; one that is in time is not."""
    outcomes = {}

    def run(name, handler, seconds):
        try:
            outcomes[name] = by_thread.call(handler, None, time.monotonic() + seconds)
        except Overrun:
            outcomes[name] = "overrun"

    threads = [
        threading.Thread(target=run, args=("a", forever, 0.02)),
        threading.Thread(target=run, args=("b", forever, 0.04)),
        threading.Thread(target=run, args=("c", lambda _: spin(0.1), FAR)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert outcomes == {"a": "overrun", "b": "overrun", "c": "done"}


def test_cleaning_up_is_allowed(guard):
    """The handler's own `finally` runs, and what it raises is what comes of it."""
    log = []

    def tidy(_):
        try:
            forever(_)
        finally:
            log.append("tidied")

    def translating(_):
        try:
            forever(_)
        except BaseException as error:
            raise KeyError("mine") from error

    with pytest.raises(Overrun):
        guard.call(tidy, None, soon())
    with pytest.raises(KeyError):
        guard.call(translating, None, soon())
    assert log == ["tidied"]


@pytest.mark.parametrize("clingy", [False, True])
def test_a_handler_that_swallows_the_overrun(guard, clingy):
    """A handler that catches it all and returns has returned; the guard works on for the next."""

    def swallowing(_):
        try:
            forever(_)
        except BaseException:
            if clingy:
                spin(0.01)
            return "swallowed"

    for _ in range(3):
        try:
            assert guard.call(swallowing, None, soon()) == "swallowed"
        except Overrun:  # broken again, while it went on
            assert clingy
    with pytest.raises(Overrun):
        guard.call(forever, None, soon())
    assert guard.call(lambda _: "fine", None, soon()) == "fine"


def test_coroutines_are_guarded_step_by_step(guard):
    """A step of a coroutine is broken like any call, and the coroutine is finished by that."""

    async def handler():
        forever(None)

    coroutine = handler()
    with pytest.raises(Overrun):
        guard.call(coroutine.send, None, soon())
    with pytest.raises(RuntimeError, match="cannot reuse"):
        coroutine.send(None)


# --- what it must not break ----------------------------------------------------------------------------------------


def test_what_ends_in_time_is_left_alone(guard):
    """A result or an error in time comes through as it is."""
    assert guard.call(lambda x: x + 1, 1, time.monotonic() + FAR) == 2
    with pytest.raises(ZeroDivisionError):
        guard.call(lambda x: 1 / x, 0, time.monotonic() + FAR)
    assert guard.fired == 0


def test_nothing_outside_is_broken(guard):
    """After a call that ended before its deadline, nothing happens when the deadline comes."""
    guard.call(lambda _: None, None, soon())
    spin(0.08)
    assert guard.fired == 0


def test_host_code_is_never_interrupted(guard):
    """While host code runs above a handler, however late it is, nothing fires; it does when the handler goes on."""
    log = []

    def handler(_):
        HOST_CODE.spin(0.1)
        log.append("host code came to its end")
        forever(_)

    with pytest.raises(Overrun):
        guard.call(handler, None, soon())
    assert log == ["host code came to its end"]


def test_code_behind_host_code_is_not_interrupted(guard):
    """A callback that the host calls from a handler is not broken: the host in between would not survive it."""
    log = []

    def handler(_):
        HOST_CODE.call(lambda: (spin(0.05), log.append("callback ended")))
        log.append("back")
        forever(_)

    with pytest.raises(Overrun):
        guard.call(handler, None, soon())
    assert log[0] == "callback ended"


@pytest.mark.parametrize("name", ["importlib._bootstrap", "hostcore.generations.table", "hostcore.hosts.adapters"])
def test_code_that_is_looked_through(guard, name):
    """Importing, and what adapts a hook's arguments, is not interrupted itself, but what it calls is."""
    namespace, log = {"__name__": name, "time": time}, []
    exec(HostCode.SOURCE, namespace)

    def handler(_):
        namespace["spin"](0.1)
        log.append("it came to its end")
        namespace["call"](lambda: forever(None))

    with pytest.raises(Overrun):
        guard.call(handler, None, soon())
    assert log == ["it came to its end"]


def test_modules_with_odd_names(guard):
    """A frame whose module has no name, or an odd one, is a handler's as any other."""
    for name in ("", None, 5, "hostcore_plugin", "asyncio_extras"):
        namespace = {"__name__": name}
        exec("def forever(_):\n    while True: pass", namespace)
        with pytest.raises(Overrun):
            guard.call(namespace["forever"], None, soon())


def test_a_nested_call_suspends_the_outer_deadline(guard):
    """What a nested handler takes is its own time; the outer one has as much left afterwards as before."""
    log = []

    def outer(_):
        guard.call(lambda _: log.append(spin(0.4)), None, time.monotonic() + FAR)
        log.append("outer goes on")
        spin(0.03)
        return "outer done"

    assert guard.call(outer, None, time.monotonic() + 0.3) == "outer done"
    assert log == ["done", "outer goes on"]
    assert guard.fired == 0


def test_the_outer_deadline_holds_again_after_a_nested_call(guard):
    """After a nested call the outer deadline is in force again."""

    def outer(_):
        guard.call(lambda _: spin(0.05), None, time.monotonic() + FAR)
        forever(_)

    with pytest.raises(Overrun):
        guard.call(outer, None, soon())
    assert guard.fired == 1


def test_a_nested_call_is_broken_alone(guard):
    """A nested handler that overruns is broken, and the outer one can go on."""

    def outer(_):
        try:
            guard.call(forever, None, soon())
        except Overrun:
            return "outer goes on"

    assert guard.call(outer, None, time.monotonic() + FAR) == "outer goes on"


def test_three_levels(guard):
    """Deadlines are suspended and resumed at any depth."""

    def level(depth):
        spin(0.02)
        if depth:
            guard.call(level, depth - 1, time.monotonic() + 0.5)
        spin(0.02)
        return "done"

    assert guard.call(level, 3, time.monotonic() + 0.5) == "done"


# --- right at the deadline -----------------------------------------------------------------------------------------


class Boom(Exception):
    """Raised by a handler of its own accord."""


def spin_and_raise(seconds):
    spin(seconds)
    raise Boom


def spin_and_tidy(seconds):
    try:
        return spin(seconds)
    finally:
        [number + 1 for number in range(5)]


def barrage(guard, count, before=lambda seconds: None):
    """Run handlers that end right at their deadlines; return outcomes and how many Overruns came out anywhere else."""
    dice, outcomes, stray, index, budget = random.Random(1), {}, 0, 0, 1e-4
    handlers = (spin, spin_and_raise, spin_and_tidy)
    while index < count:
        try:
            while index < count:
                index += 1
                outcome = "done"
                before(budget)
                try:
                    guard.call(handlers[index % 3], budget + dice.gauss(0, 1.5e-5), time.monotonic() + budget)
                except Overrun:
                    outcome = "overrun"
                except Boom:
                    outcome = "boom"
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
                for _ in range(3):
                    pass  # a stray one would land here
        except Overrun:
            stray += 1
    return outcomes, stray


@pytest.fixture
def unraisable(monkeypatch):
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda info: found.append(repr(info.exc_value)))
    return found


def test_no_stray_overrun_by_signal(by_signal, unraisable):
    """Of 20,000 handlers that end right at their deadline, not one lets an Overrun out anywhere else."""
    dice = random.Random(2)

    def aim(seconds):  # so that the signal itself lands right at the end, not only the deadline
        signal.setitimer(signal.ITIMER_REAL, max(1e-6, seconds + dice.gauss(0, 1e-5)))
        by_signal._ticking = True

    outcomes, stray = barrage(by_signal, 20_000, aim)
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert stray == 0
    assert sum(outcomes.values()) == 20_000
    assert outcomes["overrun"] == by_signal.fired > 100
    assert not unraisable


@untraced
def test_no_stray_overrun_by_thread(unraisable):
    """The same in a thread, under a watchdog that looks without pause and threads that switch all the time."""
    guard, stop, results = ThreadGuard(tick=FAR), threading.Event(), []

    def look():
        while not stop.is_set():
            guard.scan(time.monotonic())

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        watchdog = threading.Thread(target=look)
        watchdog.start()
        body = threading.Thread(target=lambda: results.append(barrage(guard, 20_000)))
        body.start()
        body.join()
        stop.set()
        watchdog.join()
    finally:
        sys.setswitchinterval(interval)
        guard.close()
    ((outcomes, stray),) = results
    assert stray == 0
    assert sum(outcomes.values()) == 20_000
    assert guard.fired > 100
    assert not guard._arms
    assert not unraisable


@untraced
def test_nested_calls_under_a_hot_watchdog(unraisable):
    """Where an outer call's deadline and a nested call meet, the nested one is not broken for the outer's sake."""
    guard, stop, results = ThreadGuard(tick=FAR), threading.Event(), []

    def inner(_):
        return "inner"

    def outer(seconds):
        spin(seconds)
        for _ in range(3):
            results.append(HOST_CODE.contain(lambda: guard.call(inner, None, time.monotonic() + FAR)))

    def look():
        while not stop.is_set():
            guard.scan(time.monotonic())

    def body():
        dice = random.Random(3)
        for _ in range(3_000):
            try:
                guard.call(outer, 1e-4 + dice.gauss(0, 1e-5), time.monotonic() + 1e-4)
            except Overrun:
                pass

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=look), threading.Thread(target=body)]
        for thread in threads:
            thread.start()
        threads[1].join()
        stop.set()
        threads[0].join()
    finally:
        sys.setswitchinterval(interval)
        guard.close()
    assert set(results) == {"inner"}
    assert guard.fired > 10
    assert not unraisable


# --- owning the signal ---------------------------------------------------------------------------------------------


def test_the_signal_is_handed_back():
    """Closing gives SIGALRM back to whoever had it, stops the timer, and may be done twice."""
    previous = signal.getsignal(signal.SIGALRM)
    guard = SignalGuard()
    guard.call(lambda _: None, None, time.monotonic() + FAR)
    assert signal.getitimer(signal.ITIMER_REAL)[1] > 0
    guard.close()
    guard.close()
    assert signal.getsignal(signal.SIGALRM) == previous
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_signal_that_somebody_took_is_not_taken_away():
    """If a program has installed its own handler meanwhile, closing leaves that one."""
    guard = SignalGuard()

    def theirs(signum, frame):
        pass

    signal.signal(signal.SIGALRM, theirs)
    try:
        guard.close()
        assert signal.getsignal(signal.SIGALRM) is theirs
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


@pytest.mark.parametrize("steal", [
    lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
    lambda: signal.signal(signal.SIGALRM, lambda *_: None),
    lambda: signal.setitimer(signal.ITIMER_REAL, 0),
    lambda: signal.alarm(1000),
])  # fmt: skip
def test_a_stolen_signal_is_taken_back(by_signal, steal, caplog):
    """A handler that takes SIGALRM, or its timer, does not keep later ones from being broken."""
    by_signal.call(lambda _: steal(), None, time.monotonic() + FAR)
    for _ in range(guard_module._LOOK):
        by_signal.call(lambda _: None, None, time.monotonic() + FAR)
    with pytest.raises(Overrun):
        by_signal.call(spin, 5.0, soon())
    assert len([record for record in caplog.records if "taken back" in record.getMessage()]) <= 1


def test_the_timer_stops_when_nothing_runs():
    """A while after the last handler the timer stops ticking, and starts again with the next."""
    guard = SignalGuard(tick=0.0005)
    try:
        for _ in range(2):
            guard.call(lambda _: None, None, time.monotonic() + FAR)
            until = time.monotonic() + 10
            while signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0):
                assert time.monotonic() < until
            with pytest.raises(Overrun):
                guard.call(forever, None, soon())
    finally:
        guard.close()


def test_the_end_of_a_program_is_not_a_signal():
    """A program that ends without closing its guard ends well."""
    code = (
        "import time\n"
        "from hostcore.messaging.guard import SignalGuard\n"
        "guard = SignalGuard(tick=0.0005)\n"
        "guard.call(lambda _: None, None, time.monotonic() + 60)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_auto_by_signal_on_the_main_thread():
    """On the main thread, with SIGALRM free, `auto` takes the signal."""
    guard = make_guard("auto")
    try:
        assert guard.kind == "signal"
        second = make_guard("auto")
        assert second.kind == "thread", "the signal is taken by then"
        second.close()
    finally:
        guard.close()


def test_auto_leaves_a_taken_signal_alone():
    """Where the program uses SIGALRM itself, `auto` takes the thread."""
    for taken in (lambda signum, frame: None, signal.SIG_IGN):
        signal.signal(signal.SIGALRM, taken)
        try:
            guard = make_guard("auto")
            guard.close()
            assert guard.kind == "thread"
            assert signal.getsignal(signal.SIGALRM) is taken
        finally:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)


def test_modes_elsewhere():
    """Off the main thread there is no signal: `auto` takes the thread, and "signal" is refused in plain words."""
    found = []

    def elsewhere():
        found.append(make_guard("auto"))
        try:
            make_guard("signal")
        except ValueError as error:
            found.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found[0].kind == "thread"
    assert "main thread" in found[1]
    assert make_guard("thread").kind == "thread"


def test_off():
    """Switched off, everything runs as it is."""
    guard = make_guard("off")
    assert isinstance(guard, NoGuard)
    assert guard.kind == "off"
    assert guard.call(lambda x: x, 5, 0.0) == 5
    guard.close()


# --- within cells --------------------------------------------------------------------------------------------------


async def test_cells_under_a_guard(world, guard):
    """Handlers that spin are broken by their deadline, in whichever step, and their cells and all others go on."""

    async def spins_at_once(message):
        forever(message)

    async def spins_later(message):
        await asyncio.sleep(0)
        forever(message)

    for name, handler in {"plain": forever, "at_once": spins_at_once}.items():
        world.cell(name, handler, guard=guard)
    world.cell("later", spins_later, guard=guard, limit=0.03)
    world.cell("fine", lambda message: message.payload, guard=guard)
    for _ in range(2):
        for name in ("plain", "at_once", "later"):
            with pytest.raises(Exception, match=r"overran|no reply"):
                await world.request(name, timeout=0.03)
            assert await world.request("fine", name) == name


async def test_a_spinning_handler_takes_only_its_own_time_of_its_asker(world, guard):
    """A handler that asks one that spins gets the named error and goes on, within its own deadline."""

    async def asking(message):
        try:
            await world.ask("asking", "spins", timeout=0.03)
        except Exception as error:
            return type(error).__name__

    world.cell("asking", asking, guard=guard)
    world.cell("spins", forever, guard=guard)
    for _ in range(2):
        assert await world.request("asking", timeout=20) in ("HookError", "DeadlineError")
