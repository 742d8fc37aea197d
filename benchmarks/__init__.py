"""How fast modlib is: ratios of two things timed side by side, kept in ``results/benchmarks``.

``python -m benchmarks --help`` lists what there is; ``make bench`` measures, ``make bench-check`` compares
with what is on record.
"""
