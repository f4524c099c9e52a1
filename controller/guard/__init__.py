"""The guard: each decision of the kernel is added up once more, and held if it does not fit."""
