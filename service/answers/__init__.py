"""What is made of finished kernel jobs: predictions, diagnostics, previews.

    records.py        a prediction: what was asked, what is known about it
    admission.py      the limits of a prediction
    answers.py        create, wait, cancel, delete, compute again: as the API sees them
    predictions.py    made, followed, listed, cancelled, deleted: as the API sees them
    kernel_jobs.py    which kernel jobs a prediction is made of
    available.py      whether an output can be sent
    progress.py       how far it is: its public record
    examinations.py   diagnostics and previews: one of each a kernel job, made when asked for
    stripes.py        part of a stored array, run by run
    names.py          digests of results and of factors
    maker.py          what a worker does with an answer's task                    SciPy from here on
    recipes.py        how each kind of answer is made
    kernel_values.py  kernel jobs' tiles as float64 matrices
    factors.py        factors and spectra of training kernels, computed once
    solver.py         predictions
    advice.py         what a prediction's user probably did not mean
    examiner.py       diagnostics and previews
    picture.py        preview.png                                                 Matplotlib

An answer is a job of its own with one task, dispatched like a tile. It waits in Redis until its kernel
jobs are at rest (`store.waking`); where tiles have been evicted by then, it asks for them and waits
again.
"""
