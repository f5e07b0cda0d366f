"""From a request's body to what is to be computed or kept, checked: kernels, bounds, datasets."""
