"""`weightdecay.plasticity.scale` with the model sharded over processes without a GPU.

torch shards on a CPU, too, but `accelerate` offers it on accelerators only: here it is told that
these are some. Nothing of ours is replaced.
"""

from __future__ import annotations

import sys

from accelerate import PartialState
from accelerate.utils import DistributedType

from weightdecay.plasticity.scale import __main__

PartialState(cpu=True).distributed_type = DistributedType.MULTI_GPU

if __name__ == "__main__":
    sys.exit(__main__.main())
