"""What a run has come to: its front, its status, which parameters mattered, and exporting students.

It reads a run folder and its study, also while a search is going on, and changes neither (but for pareto.csv and
pareto.json, which it writes). May import `run`, `space`, `pareto` and what is below `search`.
"""
