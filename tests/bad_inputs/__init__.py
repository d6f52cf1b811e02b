"""Wrong input of every kind, given to the programs as a user would.

python -m tests.bad_inputs [PATTERN]
"""
