"""Messages between modules: addresses, mailboxes, deadlines, and the guard that breaks an overrunning handler.

* `addresses` knows who can be reached, under which names and capabilities; `bus` encodes, and hands over;
* `cell` is one address: its mailbox, and the one message it is handling; a reload swaps what is behind it;
* `seams` are what stands behind a cell and who watches it, `stepping` drives a handler, `tally` counts;
* `wire` encodes and decodes payloads; `schemas` makes a decoder from a handler's annotation;
* `pending` is a reply in waiting, `deadlines` the one timer for all of them;
* `current` is the message in hand, from which nested requests inherit, and who waits for whom;
* `guard` breaks handlers, `lane` runs the ones that block in a thread.

Everything runs on one event loop; nothing here takes a lock.
"""
