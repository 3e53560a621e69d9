"""Many clusters at once: the same functions as for one, run on Dask, and what they say together."""
