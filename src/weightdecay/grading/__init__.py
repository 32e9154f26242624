"""Graded exercises: check, symptom, hint. What an exercise imports is here."""

from weightdecay.grading.diagnose import Mistake
from weightdecay.grading.expect import Mismatch, expect
from weightdecay.grading.notebook import open_exercise

__all__ = ["Mismatch", "Mistake", "expect", "open_exercise"]
