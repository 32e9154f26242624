"""The hysteresis experiment: does weight decay protect what a network has learned before?"""
