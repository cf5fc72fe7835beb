"""Whole clusters in one process, on a virtual clock and a seeded network: the product's own objects, no I/O.

``run.run(scenario, seed)`` is where to begin: it plays a named scenario and says what became of it. The same
scenario and seed give the same run, to the bit.
"""
