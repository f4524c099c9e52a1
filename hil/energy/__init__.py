"""How much of the energy that could have been charged is charged: a fleet day on the plant.

`day` is the depot, its vehicles and its building; `optimum` what somebody who knows all of it
beforehand could have charged at the most; `policies` are three plain ways to share, and `ours`
the product; `account` says where the difference went; `picture` draws it.
"""
