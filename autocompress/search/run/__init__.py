"""All that a run stores: its folder, the study in its storage, trials' attributes, sessions, and their recovery.

`config` and `student` declare config.json and student.json, `record` the attributes of a trial in the study, each
with reading and writing in one place; `folder` knows all paths, `logs` has what is noted on the way, and `same_search`
tells what makes a search another one. `study`, `history` and `recovery` are the rules of a study that several sessions
share. May import settings, spaces and what is below `search`; nothing of how trials are chosen (`sampling`), worked on
(`trial`) or run (`backends`).
"""
