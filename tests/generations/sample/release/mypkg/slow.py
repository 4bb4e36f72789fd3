"""Stays half loaded until slow_gate.release is set, so that others can be made to wait for it."""

from . import slow_gate

A = 1
slow_gate.entered.set()
assert slow_gate.release.wait(30)
B = 2
VERSION = "@V@"
