"""What is made of the sources: wheels, bundles, and the Debians they are tried on."""
