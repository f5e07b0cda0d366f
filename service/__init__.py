"""The REST service around `kernels`: API process, queue, stores, workers and their supervisor."""

__version__ = "0.1.0"
