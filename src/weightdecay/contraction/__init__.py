"""Contraction: does decay make a network insensitive to its input, near its data most of all?"""
