"""Files: the user's cache folder, reading and writing files of weights, and the files that ship with the package.

Every file is written to a temporary name, synced and renamed, so that it is complete or absent. Files of others are
read without running code in them. This room may import `units` and `errors` only.
"""
