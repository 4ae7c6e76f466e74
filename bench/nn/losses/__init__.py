"""Losses of networks, one file each.

A loss is what users take to networks of their own, and what they look for by its name: hence a file
for each, with its equation, its gradient and what its paper misprints, though some have one user
among the methods. Each is a function of tensors (`bench.nn.losses.centres` holds the state that
some need) and has a test that computes it by loops.
"""
