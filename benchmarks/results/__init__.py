"""What infinitely wide networks achieve on real data, beside what everyone uses: docs/results.md.

    computed.py    kernels in this process, kept in a folder if one is given
    learning.py    regression on a kernel, everything chosen by leave-one-out on the training rows
    splits.py      seeded splits, means with their standard errors
    imdb.py        film reviews: attention, mean pooling, logistic regression        needs a file
    cifar.py       small photographs: convolutions with and without attention        needs a file
    uci.py         tables: Gaussian processes, RMSE and NLL                          needs a file
    digits.py      handwritten digits: networks, SVM, logistic regression

What a file has to hold stands at the top of the script that reads it.
"""
