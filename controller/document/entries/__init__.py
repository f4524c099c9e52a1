"""The site document's entries, one module a subject."""
