"""All that rebuilds papers: what they print, what bench measures for it, how the two compare.

It plans, runs and writes, so it stands above `bench.run` and `bench.publish`; no room below knows
that papers exist. Which papers there are is said under `results/published/`, nowhere in the code.

- What papers print and claim: `files`, `published`, `spec`, `claim_tests`.
- What has to be run for it, and on which data: `places`, `methods`, `yardsticks`, `grid`, `human`,
  `timing`, `session`.
- What records say of it: `reading`, `measured`, `pairs`.
- How the two compare: `reproduction`, `margins`, and for claims `comparing`, `intervals`, `claims`.
- What people see and what is kept: `describe`, `sheet`, `write`, `probe`, `verify`.
"""
