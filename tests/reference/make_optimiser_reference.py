#!/usr/bin/env python3
"""Runs of PyTorch's AdamW under transformers' schedules and PyTorch's clip_grad_norm_, for
tests/unit/models/test_optimiser.c. usage: make_optimiser_reference.py > optimiser_cases.txt

A case: its settings on a line (schedule, steps, warm-up ratio, learning rate, betas, epsilon,
weight decay, clip norm or 0), then the start, then for each step a line with the learning rate, the
gradient, its length, and the parameters after the step. A gradient is the mean of two micro-batches
that backward() accumulates. Made with PyTorch 2.15.0 and transformers 5.23.0, seed 20261124.
"""
import math

import torch
import transformers

N_PARAM = 12
SCHEDULES = {"linear": transformers.get_linear_schedule_with_warmup,
             "cosine": transformers.get_cosine_schedule_with_warmup}
CASES = [("linear", 20, 0.0, 1e-2, 0.9, 0.999, 1e-8, 0.0, 0.0),
         ("linear", 20, 0.2, 1e-2, 0.9, 0.999, 1e-8, 0.1, 1.0),
         ("cosine", 20, 0.0, 1e-2, 0.9, 0.95, 1e-6, 0.0, 2.5),
         ("cosine", 33, 0.03, 3e-2, 0.8, 0.99, 1e-8, 0.01, 0.0),
         ("cosine", 7, 0.5, 1e-1, 0.9, 0.999, 1e-8, 0.5, 0.5)]


def text(values):
    return " ".join(f"{x:.9g}" for x in values)


torch.manual_seed(20261124)
for name, n_step, warmup, lr, beta1, beta2, eps, decay, clip in CASES:
    print(name, n_step, warmup, lr, beta1, beta2, eps, decay, clip)
    param = torch.nn.Parameter(torch.randn(N_PARAM))
    print(text(param.tolist()))
    optimiser = torch.optim.AdamW([param], lr=lr, betas=(beta1, beta2), eps=eps,
                                  weight_decay=decay, foreach=False)
    schedule = SCHEDULES[name](optimiser, math.ceil(warmup * n_step), n_step)
    for step in range(n_step):
        for _ in range(2):
            micro = torch.randn(N_PARAM) * (0.1 if step % 3 == 0 else 1)
            (param @ micro / 2).backward()
        rate, grad = schedule.get_last_lr()[0], param.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_([param], clip if clip > 0 else math.inf)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
        print(f"{rate:.17g}", text(grad.tolist()), f"{norm.item():.9g}", text(param.tolist()))
