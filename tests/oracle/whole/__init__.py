"""The whole tick once more, slow and plain, from the rules alone.

One module a subject: what a source limits (`limits`), what a charger may draw (`draw`), what else
a circuit carries (`base`), what is above a cap (`excess`), what each should have (`targets`),
what may be ordered (`orders`), and all of it together (`model`). `depot` is a random depot with
a history. Where the rules fix a value, a :class:`~tests.oracle.whole.span.Span` has no width; where
they leave room, it holds what they permit.
"""
