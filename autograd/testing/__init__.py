"""What tests of derivatives are made of: assertions, strategies for hypothesis, and a command that compares all ways.

`python3 -m autograd.testing --minutes 5` draws programs and compares every way to their derivatives with every other.
"""
