"""Where trials run, deciding nothing: in this process, in several, on a Ray cluster, or nowhere (made-up scores).

A `Backend` (base.py) is passive: the tuner gives it jobs, takes messages from it, and says which trial goes on. It may
import `trial`, settings and what is below `search`; nothing of a study.
"""
