"""Fails after its children have loaded."""

from . import child as child

raise ValueError("half way")
