"""`python3 -m autograd`, and what commands share.

Only this folder of the engine may import `viz`; only commands import it.
"""
