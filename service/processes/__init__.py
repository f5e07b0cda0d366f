"""The processes of one service on one machine.

command_line.py  what can be said to `python -m service`
supervisor.py    `serve`: the stores, the API and the workers, started and watched
embedded.py      the two redis-servers that it brings
children.py      child processes that never outlive their parent
data_dir.py      a directory that is one process's at a time
garbage.py       a start without Python's search for garbage
health.py        whether the API or a worker is alive
keys_command.py  `keys create | list | revoke`
"""
