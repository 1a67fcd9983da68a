"""A model provider to test against: the real wire shapes, made-up content, faults on order.

It stands in for an upstream in tests, in the bench and in the tour. Content is a pure function of the seed and the
request, so a run can be repeated byte for byte.
"""
