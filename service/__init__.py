"""The REST service around `kernels`: API process, queue, stores, workers.

    app.py       the HTTP front end
    routes/      the resources of the contract, one module each
    access/      who may ask, and how much
    http/        bodies, JSON, arrays, headers, problems: whatever a request is about
    requests/    from a body to what is to be computed
    jobs/        kernel jobs: forecast, admitted, cut into named tiles, stored, followed
    queue/       how tiles reach workers
    worker/      the process that computes them
    results/     what is asked for of a matrix, assembled from tiles
    answers/     what is made of finished matrices: predictions, diagnostics, previews
    store/       what is kept in Redis and in object stores: names, lifetimes, atomic steps
    state.py     all of these, opened at a process's start and closed at its end
    processes/   `serve`: the embedded stores, the API and the workers, started and watched
    contract/    openapi.yaml and docs/api.md, written from the code
    web/         the page

Imports lead one way through these folders; pyproject.toml says which, and a test holds it.
"""

__version__ = "0.1.0"
