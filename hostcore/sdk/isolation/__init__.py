"""Try whether modules are contained: real attacks on a real host of its own, which is not the running one.

* `runner` has a process do it, and outlives that: an attack that takes the host down is a finding, and not the end;
* `arena` is what runs there: a system of its own, the `ring` that each attack takes place in, the `plays` that are
  attacks and what must become of them, and the table of all, `attacks`;
* `steady` keeps two bystanders busy meanwhile, and measures how late they answer;
* `bait` is what must not be reached, `processes` sees what must not be left;
* `trials` is the same for a module of somebody's, with the payloads of `garbage`;
* `rows` is what comes out;
* `projects/` holds the modules: `hostile`, which attacks, and `bystander`.

The host of the attacks runs in a process of its own since a segmentation fault in it, the very thing to be found,
would else take the command down with it.  So does whatever else asks for a test: see `runtime.gate`.
"""
