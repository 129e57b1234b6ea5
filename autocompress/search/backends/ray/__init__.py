"""Trials on a Ray cluster: connecting to it (`cluster`), the workers, and the backend that uses them.

The only room that imports Ray, and imported only if a search asks for it. It may import what `backends` may.
"""
