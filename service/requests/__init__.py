"""From a request's body to what is to be computed or kept, checked.

sources.py      where each array is: a list, a part of the form, a dataset
kernels.py      kernel jobs
extensions.py   the rows of a job with new ones behind them
predictions.py  training data and test inputs
datasets.py     uploads, whole and in parts
bounds.py       Lipschitz bounds, which are answered at once
"""
