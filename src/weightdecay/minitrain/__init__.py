"""Phase 18: a 103,680-parameter language model, trained with and without weight decay."""
