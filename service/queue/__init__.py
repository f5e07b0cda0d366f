"""How tiles reach workers: who is next, the task queue, who is there, what they have done."""
