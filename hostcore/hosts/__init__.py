"""Hosts: what runs generations.  `native` runs them in this process; others are picked by name with stevedore.

A host turns a release into an `Instance`, and from then on the rest of the system cannot tell hosts apart.
"""
