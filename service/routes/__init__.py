"""The resources of the REST contract, one module each, and what several of them share.

vocabulary.py      /v1/layers, /v1/limits
architectures.py   /v1/architectures
datasets.py        /v1/datasets
estimates.py       /v1/estimates
kernels.py         /v1/kernels: jobs; extensions.py: more rows for one
networks.py        the network of a job or of a prediction
results.py         their matrices; zarr.py: the same for readers of Zarr
examinations.py    their diagnostics and previews
predictions.py     /v1/predictions; predicted.py: their arrays
events.py          progress of both, as Server-Sent Events
bounds.py          /v1/bounds
health.py          /healthz, /readyz
metrics.py         /metrics
web.py             the page

dependencies.py    what every handler starts from: the service, the tenant, ids
submission.py      a POST that makes a job or a prediction
following.py       pages of them, polling, cancelling
sending.py         an array as a response: whole, a range of its bytes, or JSON
recomputing.py     arrays whose tiles may be gone by now
"""
