"""The plasticity experiment: does decay in pretraining make a model easier to teach later?"""
