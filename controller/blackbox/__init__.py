"""The black box: what the kernel heard and said, kept, decided again, explained."""
