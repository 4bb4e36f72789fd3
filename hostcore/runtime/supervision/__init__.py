"""Supervision: what becomes of modules that crash, or hold the event loop.

* `ladder` decides, purely: again, the generation before, a process of its own, or quarantine;
* `supervisor` hears of crashes and sees to it that this is done, by the transaction that reloads too; `care` is what it
  remembers of one module;
* `crashes` writes every crash down; `dependents` holds the messages of who requires what is down;
* `checkpoints` keeps modules' states for the day; `holding` looks after those that hold the event loop, and
  `resting` says for how long they rest;
* `timing` is the only clock and the only die, so that tests need not wait.
"""
