"""A gateway as it is delivered: a Debian of its own, booted, with the product installed in it."""
