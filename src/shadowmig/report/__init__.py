"""
What people and programs look at: `terminal` prints with Rich, `jsonable` returns plain data.

Nothing is imported here, so that programs that want the data need no Rich.
"""
