"""The plasticity experiment for real models: pretrain with decay, measure, fine-tune.

    accelerate launch --config_file experiments/plasticity-scale/fsdp.yaml \\
        -m weightdecay.plasticity.scale experiments/plasticity-scale/llama-2-0.5b.yaml \\
        --weight-decay 1.0

pretrains one model, on several nodes with ``--num_machines``, ``--num_processes``,
``--machine_rank`` and ``--main_process_ip`` of `accelerate launch` and a folder that all of them
see. Run again after a stop, it goes on from the last checkpoint. The same command with
``--sft answers.jsonl`` then fine-tunes that model; with ``--cost``, and without `accelerate
launch`, it only says what the run takes. Needs the extra: ``pip install 'weightdecay[scale]'``.

The folder of a run has config, manifest, metrics and results as `weightdecay.runs` describes them,
``model`` in the format of `transformers`, and ``checkpoints``.
"""

EXTRA = "install the extra: pip install 'weightdecay[scale]'"
